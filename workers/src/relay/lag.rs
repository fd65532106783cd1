//! How far the bus is behind the journal.

use std::time::Duration;

use dcm_domain::value::Timestamp;
use tokio::time::Instant;

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
            Ok([first]) => tell(events, age(first.envelope.recorded_at)),
            Ok(_) => none(),
            Err(_) => {}
        }
    }

    /// Tells the lag of a relay that began at `began` and cannot go on. Where the bus ends is not known before it was seen:
    /// all of the journal may be missing on it then, and has been since the relay began.
    pub(super) async fn observe_lag_in_outage(&self, reached: Option<Reached>, began: Instant) {
        if reached.is_some() {
            return self.observe_lag(reached).await;
        }
        match self.journal.count_after(0, COUNTED).await {
            Ok(0) => none(),
            Ok(events) => tell(events, began.elapsed()),
            Err(_) => {}
        }
    }
}

/// Tells that the bus has everything.
pub(super) fn none() {
    tell(0, Duration::ZERO);
}

fn age(since: Timestamp) -> Duration {
    let now = Timestamp::from(chrono::Utc::now());
    Duration::from_micros(u64::try_from(now.micros().saturating_sub(since.micros())).unwrap_or(0))
}

fn tell(events: u64, age: Duration) {
    #[expect(clippy::cast_precision_loss, reason = "lags are far below 2^52")]
    let events = events as f64;
    metrics::gauge!("dcm_relay_lag_events").set(events);
    metrics::gauge!("dcm_relay_lag_seconds").set(age.as_secs_f64());
}
