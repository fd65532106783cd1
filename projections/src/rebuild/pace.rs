//! How fast a rebuild may go. Live work goes first:
//!
//! - with a bound, it rests until its events were due;
//! - always, it rests while the read models that are read are more than [`MOST_BEHIND`] events behind the journal, or lack
//!   one that is older than [`TOO_OLD`]. A projector that stands still for [`STANDS_STILL`] has other troubles, and is not waited for any longer until it moves.

use std::sync::Arc;
use std::time::Duration;

use dcm_journal::store::Journal;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::RebuildError;
use super::claim::Claim;
use crate::port::ReadModelStore;
use crate::projection::ProjectError;
use crate::store::ReadModels;

/// How many events live work may be behind before it is waited for.
const MOST_BEHIND: u64 = 1000;
/// How old an event may be that live work has not come to yet.
const TOO_OLD: Duration = Duration::from_secs(1);
/// How long a projector that stands still is waited for.
const STANDS_STILL: Duration = Duration::from_secs(2);
/// How often the live read models are looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Keeps a rebuild to its pace.
pub(super) struct Pace {
    events_per_second: u64,
    begun: Instant,
    events: u64,
    looked: Option<Instant>,
    /// Where the live read models stood still.
    still_at: Option<u64>,
}

impl Pace {
    pub(super) fn new(events_per_second: u64) -> Self {
        Self { events_per_second, begun: Instant::now(), events: 0, looked: None, still_at: None }
    }

    /// Rests after `more` events for as long as it must.
    pub(super) async fn rest(
        &mut self,
        models: &Arc<ReadModels>,
        journal: &Arc<dyn Journal>,
        claim: &mut Claim,
        cancel: &CancellationToken,
        more: u64,
    ) -> Result<(), RebuildError> {
        self.events += more;
        claim.still(models, cancel).await?;
        if let Some(millis) = (self.events * 1000).checked_div(self.events_per_second) {
            let due = self.begun + Duration::from_millis(millis);
            while due > Instant::now() {
                sleep_until(due.min(Instant::now() + LOOK), cancel).await;
                claim.still(models, cancel).await?;
            }
        }
        if self.looked.is_none_or(|looked| looked.elapsed() >= LOOK) {
            self.wait_for_live(models, journal, claim, cancel).await?;
            self.looked = Some(Instant::now());
        }
        Ok(())
    }

    async fn wait_for_live(
        &mut self,
        models: &Arc<ReadModels>,
        journal: &Arc<dyn Journal>,
        claim: &mut Claim,
        cancel: &CancellationToken,
    ) -> Result<(), RebuildError> {
        let mut moved = (None, Instant::now());
        loop {
            let places = models.places().await?;
            let own = models.journal.to_string();
            // Tables of another generation stand still until they are filled anew: they are not what lags.
            let going = places.iter().filter(|place| {
                !place.has_failed && place.journal == own && place.projection.knows(place.generation)
            });
            let Some(slowest) = going.map(|place| place.position).min() else { return Ok(()) };
            if self.still_at == Some(slowest) || !lags(journal, slowest).await? {
                return Ok(());
            }
            if moved.0 != Some(slowest) {
                moved = (Some(slowest), Instant::now());
            } else if moved.1.elapsed() >= STANDS_STILL {
                self.still_at = Some(slowest);
                return Ok(());
            }
            sleep_until(Instant::now() + LOOK, cancel).await;
            claim.still(models, cancel).await?;
        }
    }
}

/// Whether live work at `position` is too far behind the journal.
async fn lags(journal: &Arc<dyn Journal>, position: u64) -> Result<bool, ProjectError> {
    let head = journal.head().await?;
    if head <= position {
        return Ok(false);
    }
    let behind = match journal.traits().orders_are_dense {
        true => head.saturating_sub(position),
        false => journal.count_after(position, MOST_BEHIND + 1).await?,
    };
    if behind > MOST_BEHIND {
        return Ok(true);
    }
    let next = journal.read_all(position, 1).await?;
    let now = chrono::Utc::now().timestamp_micros();
    let age = next.first().map(|event| now.saturating_sub(event.envelope.recorded_at.micros()));
    Ok(age.and_then(|age| u64::try_from(age).ok()).is_some_and(|age| Duration::from_micros(age) > TOO_OLD))
}

async fn sleep_until(when: Instant, cancel: &CancellationToken) {
    tokio::select! {
        () = cancel.cancelled() => {}
        () = tokio::time::sleep_until(when) => {}
    }
}
