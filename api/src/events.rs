//! The journal as server-sent events (design §9).

mod query;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::{FromRequestParts, Query, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use dcm_schemas::{Position, Recorded};
use futures::{Stream, StreamExt};
use http::request::Parts;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::freshness::{not_a_position, order_in};
use crate::openapi::ErrorBody;
use crate::policy::{Allowed, rule};
use crate::transport::{ApiError, BelievedFor};
use query::EventsQuery;

/// Events held in memory for one stream.
const PAGE: usize = 64;
/// Streams at once; one more is answered 503.
const STREAMS: usize = 256;
/// The least time that a stream lasts, however short an identity is believed.
const SHORTEST: Duration = Duration::from_secs(10);
/// How often the journal is looked at when nobody rings.
const LOOK: Duration = Duration::from_millis(250);

/// The route of the event stream.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(events))
}

/// The last event a client has seen, when it connects again.
struct LastEventId(Option<String>);

impl<S: Sync> FromRequestParts<S> for LastEventId {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let Some(value) = parts.headers.get("last-event-id") else { return Ok(Self(None)) };
        let text = value.to_str().map_err(|_| not_a_position("Last-Event-ID"))?;
        Ok(Self(Some(text.to_owned())))
    }
}

/// Streams the events of the journal.
///
/// Server-sent events in journal order: `id` is the position, `event` the event's name, `data` the envelope as it was
/// written. A client that connects again with `Last-Event-ID` misses nothing; it has to when its identity is due to be
/// confirmed again.
#[utoipa::path(
    get, path = "/v1.0/events", tag = "history", operation_id = "stream_events",
    params(
        EventsQuery,
        ("Last-Event-ID" = Option<String>, Header, description = "Position after which to begin; goes before `from`"),
    ),
    responses(
        (status = 200, description = "The events", body = String, content_type = "text/event-stream"),
        (status = 400, description = "Not a position of this journal", body = ErrorBody),
        (status = 503, description = "Too many streams, or the journal is not available", body = ErrorBody),
    )
)]
async fn events(
    State(app): State<App>,
    _: Allowed<rule::EventsGet>,
    LastEventId(last): LastEventId,
    believed: Option<Extension<BelievedFor>>,
    Query(query): Query<EventsQuery>,
) -> Result<Response, ApiError> {
    let after = match (last, query.from) {
        (Some(last), _) => order_of(&app, "Last-Event-ID", &last)?,
        (None, Some(from)) => order_of(&app, "from", &from)?,
        (None, None) => 0,
    };
    let place = Arc::clone(app.streams()).try_acquire_owned();
    let place = place.map_err(|_| ApiError::unavailable("too many event streams", Duration::from_secs(5)))?;
    // Says now, and not in the middle of an answer, if the journal is not available.
    let head = app.journal().head().await?;
    let until = (!query.follow.unwrap_or(true)).then_some(head);
    let reader = Reader::new(app, after, until, place);
    let lasts = believed.map(|Extension(BelievedFor(time))| time.max(SHORTEST));
    Ok(Sse::new(at_most(lasts, reader.stream())).keep_alive(KeepAlive::default()).into_response())
}

/// `stream`, ended after `time`: a token that was revoked or a policy that was changed is not to be honoured for ever.
fn at_most<T>(time: Option<Duration>, stream: impl Stream<Item = T>) -> impl Stream<Item = T> {
    let end = async move {
        match time {
            Some(time) => tokio::time::sleep(time).await,
            None => std::future::pending().await,
        }
    };
    stream.take_until(end)
}

/// Places for event streams.
pub(crate) fn places() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(STREAMS))
}

fn order_of(app: &App, field: &str, text: &str) -> Result<u64, ApiError> {
    let position: Position = text.parse().map_err(|_| not_a_position(field))?;
    order_in(app, position, field)
}

/// Reads the journal page by page, as fast as the client takes it.
struct Reader {
    app: App,
    after: u64,
    until: Option<u64>,
    page: VecDeque<Recorded>,
    appended: watch::Receiver<u64>,
    projected: watch::Receiver<u64>,
    _place: OwnedSemaphorePermit,
}

impl Reader {
    fn new(app: App, after: u64, until: Option<u64>, place: OwnedSemaphorePermit) -> Self {
        let (appended, projected) = (app.journal().appended(), app.models().progress().follow());
        Self { app, after, until, page: VecDeque::new(), appended, projected, _place: place }
    }

    fn stream(self) -> impl Stream<Item = Result<Event, Infallible>> + Send {
        futures::stream::unfold(self, async |mut reader| {
            let event = reader.next().await?;
            Some((Ok(event), reader))
        })
    }

    /// The next event; `None` at the end asked for, when the program stops, or when the journal fails: the client then
    /// connects again with the last id it saw.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if self.app.stop().is_cancelled() || self.until.is_some_and(|until| self.after >= until) {
                return None;
            }
            if let Some(event) = self.page.pop_front() {
                self.after = event.position.order;
                return Some(shown(&event));
            }
            self.appended.mark_unchanged();
            self.projected.mark_unchanged();
            match self.app.journal().read_all(self.after, PAGE).await {
                Ok(page) if page.is_empty() => self.wait().await,
                Ok(page) => self.page = page.into(),
                Err(error) => {
                    tracing::warn!(%error, "an event stream ends: the journal cannot be read");
                    return None;
                }
            }
        }
    }

    async fn wait(&mut self) {
        tokio::select! {
            () = self.app.stop().cancelled() => {}
            Ok(()) = self.appended.changed() => {}
            Ok(()) = self.projected.changed() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

fn shown(event: &Recorded) -> Event {
    let id = event.position.to_string();
    // The stored text has no line breaks: JSON escapes them.
    Event::default().id(id).event(&event.envelope.r#type).data(&event.body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stream_lasts_no_longer_than_its_caller_is_believed() {
        let endless = || futures::stream::pending::<()>();
        let mut bounded = Box::pin(at_most(Some(Duration::ZERO), endless()));
        assert_eq!(bounded.next().await, None);
        let mut unbounded = Box::pin(at_most(None, endless()));
        assert!(futures::poll!(unbounded.next()).is_pending());
    }
}
