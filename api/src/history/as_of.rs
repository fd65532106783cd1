//! A subcloud as it was: folded from its stream in the journal up to a moment.

use axum::Json;
use axum::response::{IntoResponse, Response};
use dcm_domain::aggregate::Aggregate;
use dcm_domain::subcloud::{Subcloud, SubcloudEvent};
use dcm_domain::value::Timestamp;
use dcm_journal::repository::Unavailable;
use dcm_schemas::{Recorded, StreamId, registry};
use uuid::Uuid;

use super::living_or_deleted;
use crate::app::App;
use crate::freshness::Waited;
use crate::subclouds::reference::{Given, not_found};
use crate::subclouds::render::{self, Times};
use crate::transport::ApiError;

/// Events read at once.
const PAGE: usize = 1000;

/// Up to where events count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// Everything recorded until then.
    Time(Timestamp),
    /// Everything up to this revision.
    Revision(u64),
}

impl Moment {
    fn parse(text: &str) -> Result<Self, ApiError> {
        let revision = text.parse().ok().map(Self::Revision);
        revision.or_else(|| Timestamp::parse(text).map(Self::Time)).ok_or_else(|| {
            ApiError::bad_request("as_of: must be an RFC 3339 time or the revision of an event")
        })
    }

    fn covers(self, event: &Recorded) -> bool {
        match self {
            Self::Time(until) => event.envelope.recorded_at <= until,
            Self::Revision(last) => event.envelope.revision <= last,
        }
    }
}

struct Past {
    subcloud: Subcloud,
    times: Times,
    position: u64,
    event_time: Timestamp,
}

/// The answer of E3 at the moment `as_of`.
///
/// # Errors
/// 400 if it is no moment of the subcloud; 404 if there was no such subcloud then; 503 if the journal is not available.
pub(crate) async fn show(
    app: &App,
    given: Given<'_>,
    as_of: &str,
    waited: Waited,
) -> Result<Response, ApiError> {
    let moment = Moment::parse(as_of)?;
    let row = living_or_deleted(app, given).await?;
    let past = fold(app, row.uuid, moment).await?.ok_or_else(not_found)?;
    if let Moment::Revision(revision) = moment
        && past.subcloud.revision < revision
    {
        let text = format!("as_of: the last revision of the subcloud is {}", past.subcloud.revision);
        return Err(ApiError::bad_request(text));
    }
    if past.subcloud.deleted {
        return Err(not_found());
    }
    let mut response = Json(render::shown(&past.subcloud, past.times)).into_response();
    waited.mark(app, &mut response, past.position, Some(past.event_time)).await;
    Ok(response)
}

async fn fold(app: &App, entity: Uuid, moment: Moment) -> Result<Option<Past>, ApiError> {
    let stream = StreamId::aggregate(Subcloud::KIND, entity);
    let (mut past, mut next) = (None, 0);
    loop {
        let page = app.journal().read_stream(&stream, next, PAGE).await?;
        for event in &page {
            if !moment.covers(event) {
                return Ok(past);
            }
            past = Some(after(past, event)?);
        }
        match page.last() {
            Some(last) if page.len() == PAGE => next = last.envelope.revision + 1,
            _ => return Ok(past),
        }
    }
}

fn after(past: Option<Past>, event: &Recorded) -> Result<Past, ApiError> {
    let decoded = registry::decode::<SubcloudEvent>(&event.envelope).map_err(Unavailable::from)?;
    let event_time = event.envelope.recorded_at;
    let (state, before) = past.map(|Past { subcloud, times, .. }| (subcloud, times)).unzip();
    let subcloud = Subcloud::evolve(state, &decoded)
        .map_err(|cause| Unavailable::from(registry::Unreadable::from(cause)))?;
    let times = match before {
        None => first_times(&subcloud, event_time),
        Some(times) if decoded.changes_row() => Times { updated_at: Some(event_time), ..times },
        Some(times) => times,
    };
    Ok(Past { subcloud, times, position: event.position.order, event_time })
}

/// The times of a subcloud that its first event left: one that was taken over has those of the row it came from.
fn first_times(subcloud: &Subcloud, at: Timestamp) -> Times {
    match subcloud.imported {
        Some(row) => Times { created_at: row.created_at.unwrap_or(at), updated_at: row.updated_at },
        None => Times { created_at: at, updated_at: None },
    }
}
