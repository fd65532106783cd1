//! How fresh an answer is, and waiting until it is fresh enough (design §7).
//!
//! A write answers with `DCM-Position`. A read that sends it back is answered once the read models show that position,
//! or after a bounded wait with `DCM-Stale: true`. Every read says `DCM-Read-Position`, where the read model is, and
//! `DCM-Read-Age-Ms`: 0 if nothing newer is known to be in the journal, else how long ago the first event that the
//! answer does not show yet was recorded.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::FromRequestParts;
use axum::response::Response;
use dcm_domain::value::Timestamp;
use dcm_journal::store::Journal;
use dcm_schemas::Position;
use http::request::Parts;
use http::{HeaderName, HeaderValue};
use tokio::sync::watch;

use crate::app::App;
use crate::transport::ApiError;

/// Where the journal was after a write; sent back with a read, it asks for rows that show the write.
pub const POSITION: HeaderName = HeaderName::from_static("dcm-position");
/// Where the read model was.
pub const READ_POSITION: HeaderName = HeaderName::from_static("dcm-read-position");
/// How old the answer is, in milliseconds.
pub const READ_AGE: HeaderName = HeaderName::from_static("dcm-read-age-ms");
/// `true` if the wait for the read models was too short.
pub const STALE: HeaderName = HeaderName::from_static("dcm-stale");
/// With a page of a list that is not the last: the `marker` of the next one.
pub const NEXT_MARKER: HeaderName = HeaderName::from_static("dcm-next-marker");

/// How long a head that was asked for counts as known.
const KNOWN_FOR: Duration = Duration::from_millis(100);
/// How long a read waits for the journal to tell how old its answer is.
const PATIENCE: Duration = Duration::from_millis(100);

/// The position that the client wants to see. An extractor; 400 if the header is no position.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted(Option<Position>);

impl<S: Sync> FromRequestParts<S> for Wanted {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let Some(value) = parts.headers.get(POSITION) else { return Ok(Self(None)) };
        let position = value.to_str().ok().and_then(|text| text.parse().ok());
        position.map(|position| Self(Some(position))).ok_or_else(|| not_a_position("DCM-Position"))
    }
}

/// Whether the read models show what was wanted.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Waited {
    stale: bool,
}

impl Wanted {
    /// Waits until the read models of `app` show the wanted position, for at most the configured time.
    ///
    /// # Errors
    /// 400 if the position is of another journal.
    pub async fn wait(self, app: &App) -> Result<Waited, ApiError> {
        let Some(position) = self.0 else { return Ok(Waited { stale: false }) };
        let order = order_in(app, position, "DCM-Position")?;
        Ok(Waited { stale: !app.models().progress().wait(order, app.settings().wait).await })
    }
}

impl Waited {
    /// Sets the read headers on an answer that was read at `order`, whose last event was recorded at `event_time`.
    pub async fn mark(self, app: &App, response: &mut Response, order: u64, event_time: Option<Timestamp>) {
        let position = Position { journal: app.journal().id(), order };
        set(response, READ_POSITION, &position.to_string());
        set(response, READ_AGE, &app.head().age_ms(app.journal(), order, event_time).await.to_string());
        if self.stale {
            set(response, STALE, "true");
        }
    }
}

/// The order of a position of this journal.
///
/// # Errors
/// 400 naming `field` if it is of another.
pub(crate) fn order_in(app: &App, position: Position, field: &str) -> Result<u64, ApiError> {
    match position.journal == app.journal().id() {
        true => Ok(position.order),
        false => Err(ApiError::bad_request(format!("{field}: a position of another journal"))),
    }
}

pub(crate) fn not_a_position(field: &str) -> ApiError {
    ApiError::bad_request(format!("{field}: not a journal position"))
}

pub(crate) fn set(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// The journal's head: what this process appended, and what the journal said lately.
pub(crate) struct Head {
    appended: watch::Receiver<u64>,
    asked: Mutex<Asked>,
    /// An order and when the event behind it was recorded, as it was asked for last. That never changes.
    missed: Mutex<Option<(u64, Timestamp)>>,
}

/// The journal did not answer.
struct Unknown;

#[derive(Clone, Copy, Default)]
struct Asked {
    at: Option<Instant>,
    /// `None` if the journal did not answer.
    head: Option<u64>,
}

impl Head {
    pub(crate) fn new(journal: &Arc<dyn Journal>) -> Self {
        Self { appended: journal.appended(), asked: Mutex::default(), missed: Mutex::default() }
    }

    /// Milliseconds since the journal first had something that a reader at `order` does not show. If the journal does
    /// not answer, since that reader's last event: it is at most that old.
    pub(crate) async fn age_ms(
        &self,
        journal: &Arc<dyn Journal>,
        order: u64,
        event_time: Option<Timestamp>,
    ) -> u64 {
        let since = match self.get(journal).await {
            Some(head) if head <= order => return 0,
            Some(_) => match self.first_behind(journal, order).await {
                Ok(Some(first)) => Some(first),
                Ok(None) => return 0,
                Err(Unknown) => event_time,
            },
            None => event_time,
        };
        let Some(since) = since else { return 0 };
        let age = chrono::Utc::now().timestamp_micros().saturating_sub(since.micros()) / 1000;
        u64::try_from(age).unwrap_or(0)
    }

    /// When the first event behind `order` was recorded, if there is one.
    async fn first_behind(
        &self,
        journal: &Arc<dyn Journal>,
        order: u64,
    ) -> Result<Option<Timestamp>, Unknown> {
        let known = *self.missed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, first)) = known.filter(|(behind, _)| *behind == order) {
            return Ok(Some(first));
        }
        let missed = tokio::time::timeout(PATIENCE, journal.read_all(order, 1)).await;
        let missed = missed.map_err(|_| Unknown)?.map_err(|_| Unknown)?;
        let first = missed.first().map(|event| event.envelope.recorded_at);
        if let Some(first) = first {
            *self.missed.lock().unwrap_or_else(PoisonError::into_inner) = Some((order, first));
        }
        Ok(first)
    }

    /// The head; one caller asks the journal for all who come within [`KNOWN_FOR`], and none waits long for it: a read
    /// is answered without the journal too.
    async fn get(&self, journal: &Arc<dyn Journal>) -> Option<u64> {
        let appended = *self.appended.borrow();
        let known = {
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            let known = asked.at.is_some_and(|at| at.elapsed() < KNOWN_FOR).then_some(asked.head);
            asked.at = known.map_or_else(|| Some(Instant::now()), |_| asked.at);
            known
        };
        let head = match known {
            Some(head) => head,
            None => {
                let head = tokio::time::timeout(PATIENCE, journal.head()).await.ok().and_then(Result::ok);
                self.asked.lock().unwrap_or_else(PoisonError::into_inner).head = head;
                head
            }
        };
        head.map(|head| head.max(appended))
    }
}
