//! Waiting by polling a condition.

use std::fmt::Debug;
use std::panic::Location;
use std::time::Duration;

use tokio::time::Instant;

/// First pause between two probes; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Calls `probe` until it answers `Ok`, and gives that value.
///
/// `Err` carries what was seen instead. If `within` passes first it panics with `what`, the caller's line and the
/// last thing seen. A probe that hangs is cut off at the deadline.
#[track_caller]
pub fn eventually<T, E: Debug>(
    what: impl Into<String>,
    within: Duration,
    mut probe: impl AsyncFnMut() -> Result<T, E>,
) -> impl Future<Output = T> {
    let caller = Location::caller();
    let what = what.into();
    async move {
        let deadline = Instant::now() + within;
        let mut pause = FIRST_PAUSE;
        let mut seen = None;
        loop {
            match tokio::time::timeout_at(deadline, probe()).await {
                Ok(Ok(value)) => return value,
                Ok(Err(instead)) => seen = Some(instead),
                Err(_) => break,
            }
            // A probe that is ready at once never meets the timeout above.
            if Instant::now() >= deadline {
                break;
            }
            tokio::time::sleep_until(deadline.min(Instant::now() + pause)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        match seen {
            Some(seen) => panic!("{caller}: not within {within:?}: {what}; last seen: {seen:?}"),
            None => panic!("{caller}: not within {within:?}: {what}; the first probe never came back"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn gives_the_value_of_the_first_probe_that_succeeds() {
        let mut probes = 0;
        let value = eventually("the third probe", Duration::from_secs(5), async || {
            probes += 1;
            if probes == 3 { Ok("done") } else { Err(probes) }
        });
        assert_eq!(value.await, "done");
        assert_eq!(probes, 3);
    }

    #[tokio::test]
    #[should_panic(expected = "not within 50ms: the moon; last seen: \"clouds\"")]
    async fn reports_what_was_seen_last() {
        eventually("the moon", Duration::from_millis(50), async || Err::<(), _>("clouds")).await;
    }

    #[tokio::test]
    #[should_panic(expected = "the first probe never came back")]
    async fn cuts_off_a_probe_that_hangs() {
        eventually("an answer", Duration::from_millis(50), async || {
            std::future::pending::<()>().await;
            Err::<(), _>("unreachable")
        })
        .await;
    }
}
