//! The relay: copies the journal to the bus, event by event, in order (design, "Bus").
//!
//! Where it stopped is read from the last message on the stream, not remembered elsewhere, and every message expects
//! the sequence of the one before it: whoever else writes there fences it off. So each event is on the bus exactly once
//! and in its place, however often relays start, die or overlap. An empty stream is refilled from the start of the
//! journal with messages marked as replayed; only what is appended after that is news. Job hints and notifications
//! follow each batch under ids made from the event's.
//!
//! Only one relay should run at a time: whoever starts it holds a lease, and starts it again after
//! [`RelayError::Fenced`] only while it still does.

mod compare;
mod error;
mod forward;
mod health;
mod keys;
mod lag;
mod oversize;
mod place;
mod repair;
#[cfg(test)]
mod tests;
mod verify;

use std::sync::Arc;
use std::time::Duration;

use dcm_journal::bus::{Bus, StreamSettings};
use dcm_journal::store::Journal;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use compare::{Difference, Differences, Findings};
pub use error::RelayError;
use error::Trouble;
use health::Reporter;
pub use health::{RelayHealth, RelayState};
use keys::Keys;
pub(crate) use oversize::fitted;
use place::{Place, Reached};
pub use place::{REFILLED_TO_HEADER, StartAt};
pub use repair::{Repair, RepairError, Repaired};
pub use verify::{VerifyError, Window, verify};

/// Events of one batch: as many as the bus takes without waiting for an answer.
const BATCH: usize = 256;
/// How often the journal is looked at when nobody rings.
const LOOK: Duration = Duration::from_millis(75);
/// How long what was appended may gather: publishing several events costs little more than publishing one.
const GATHER: Duration = Duration::from_millis(3);
/// How often the bus is looked at when there is nothing to publish.
const LOOK_AT_BUS: Duration = Duration::from_secs(2);
/// First pause after a failure that may pass; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Takes back what this process told of its relay: another relays now, and tells.
pub fn forget_figures() {
    lag::none();
    health::tell_halted(false);
}

/// Copies one journal to one bus.
pub struct Relay {
    journal: Arc<dyn Journal>,
    bus: Arc<dyn Bus>,
    bell: Arc<Notify>,
    start_at: StartAt,
    streams: StreamSettings,
    reporter: Reporter,
}

impl Relay {
    /// A relay that looks at the journal whenever it hears of an append or `bell` is rung, and now and then. It creates
    /// the streams with default settings and refills an empty one from the start of the journal.
    pub fn new(journal: Arc<dyn Journal>, bus: Arc<dyn Bus>, bell: Arc<Notify>) -> Self {
        let (start_at, streams) = (StartAt::Origin, StreamSettings::default());
        Self { journal, bus, bell, start_at, streams, reporter: Reporter::default() }
    }

    /// Begins an empty stream elsewhere; see [`StartAt`].
    #[must_use]
    pub fn start_at(self, start_at: StartAt) -> Self {
        Self { start_at, ..self }
    }

    /// Creates or adapts the streams with these settings.
    #[must_use]
    pub fn with_streams(self, streams: StreamSettings) -> Self {
        Self { streams, ..self }
    }

    /// What it is doing, to be asked or watched while it runs.
    pub fn health(&self) -> RelayHealth {
        self.reporter.health()
    }

    /// Relays until `stop` is cancelled; what is in flight then is finished. While the bus or the journal is away it
    /// keeps trying. It may be run again after it ended.
    ///
    /// # Errors
    /// [`RelayError`]: somebody has to decide before it goes on.
    pub async fn run(&self, stop: &CancellationToken) -> Result<(), RelayError> {
        let outcome = self.follow(stop).await;
        self.reporter.set(match &outcome {
            Ok(()) => RelayState::Stopped,
            Err(RelayError::Fenced) => RelayState::Fenced,
            Err(error) => RelayState::Halted { reason: error.to_string() },
        });
        outcome
    }

    async fn follow(&self, stop: &CancellationToken) -> Result<(), RelayError> {
        let mut appended = self.journal.appended();
        let mut keys = Keys::default();
        let mut place = None;
        let mut reached = None;
        let mut pause = FIRST_PAUSE;
        let began = Instant::now();
        let mut seen = began;
        while !stop.is_cancelled() {
            // Registered for the bell before looking, so that no ring is missed.
            let rung = self.bell.notified();
            appended.mark_unchanged();
            let step = self.step(&mut place, reached, &mut keys, &mut seen).await;
            reached = place.as_ref().map(Place::reached).or(reached);
            match step {
                Ok(more) => {
                    self.reporter.set(RelayState::Working);
                    pause = FIRST_PAUSE;
                    if more {
                        continue;
                    }
                }
                Err(Trouble::Passing(reason)) => {
                    self.reporter.set(RelayState::Waiting { reason });
                    place = None;
                    self.observe_lag_in_outage(reached, began).await;
                    tokio::select! {
                        () = stop.cancelled() => break,
                        () = tokio::time::sleep(pause) => {}
                    }
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    continue;
                }
                Err(Trouble::Fatal(error)) => return Err(error),
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = rung => {}
                changed = appended.changed() => {
                    tokio::time::sleep(if changed.is_err() { LOOK } else { GATHER }).await;
                }
                () = tokio::time::sleep(LOOK) => {}
            }
        }
        Ok(())
    }

    /// Finds out where to go on, or goes on there; whether there may be more to do at once. `seen` is when the bus was
    /// last used.
    async fn step(
        &self,
        place: &mut Option<Place>,
        reached: Option<Reached>,
        keys: &mut Keys,
        seen: &mut Instant,
    ) -> Result<bool, Trouble> {
        let Some(place) = place else {
            let found = self.resume(reached).await?;
            self.repeat_hints(&found, keys).await?;
            *place = Some(found);
            *seen = Instant::now();
            return Ok(true);
        };
        let before = place.order;
        let more = self.forward(place, keys).await?;
        if place.order > before {
            *seen = Instant::now();
        } else if seen.elapsed() >= LOOK_AT_BUS {
            self.look_at_bus(place).await?;
            *seen = Instant::now();
        }
        Ok(more)
    }
}
