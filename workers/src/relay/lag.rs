//! How far the bus is behind the journal.

use dcm_domain::value::Timestamp;

use super::Relay;
use super::place::Reached;

/// Events that the lag is counted to, where they must be counted.
const COUNTED: u64 = 1000;

impl Relay {
    /// Tells how many events are in the journal and not on the bus, as far as that was known to be, and since when.
    pub(super) async fn observe_lag(&self, reached: Option<Reached>) {
        let Some(reached) = reached else { return };
        let Ok(events) = self.journal.count_after(reached.order, COUNTED).await else { return };
        match self.journal.read_all(reached.order, 1).await.as_deref() {
            Ok([first]) => tell(events, Some(first.envelope.recorded_at)),
            Ok(_) => none(),
            Err(_) => {}
        }
    }
}

/// Tells that the bus has everything.
pub(super) fn none() {
    tell(0, None);
}

/// Takes back what this process said about the lag: another relays now, and tells.
pub fn forget_lag() {
    none();
}

fn tell(events: u64, since: Option<Timestamp>) {
    let now = Timestamp::from(chrono::Utc::now());
    let age = since.map_or(0, |since| now.micros().saturating_sub(since.micros()).max(0));
    #[expect(clippy::cast_precision_loss, reason = "lags are far below 2^52, also in microseconds")]
    let (events, age) = (events as f64, age as f64);
    metrics::gauge!("dcm_relay_lag_events").set(events);
    metrics::gauge!("dcm_relay_lag_seconds").set(age / 1e6);
}
