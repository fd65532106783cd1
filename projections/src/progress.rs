//! How far the projectors are, as this process knows it; and waiting until they are far enough.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::AnyPool;
use tokio::sync::{Notify, oneshot, watch};

/// How often the checkpoint is asked for while somebody waits and no signal comes.
const POLL: Duration = Duration::from_millis(10);

/// The read model that answers are mostly made of.
const ANSWERED: &str = "subclouds";

/// Whether a read model is waited for. One that stopped would make everybody wait in vain; but where it is what answers
/// are made of, nobody may be told that the old state is the new one.
pub(crate) fn counts(name: &str, stopped: bool) -> bool {
    !stopped || name == ANSWERED
}

/// Progress of the active read models.
#[derive(Clone)]
pub struct Progress(Arc<Inner>);

struct Inner {
    known: watch::Sender<u64>,
    waiting: Waiting,
    /// Somebody waits who did not before.
    arrived: Notify,
}

/// Who waits, by the order that is waited for: each is woken once, when it is reached, and not by all that comes before.
#[derive(Default)]
struct Waiting(Mutex<BTreeMap<Place, oneshot::Sender<()>>>);

/// An order that is waited for, and a number that no other waiter has.
type Place = (u64, u64);

impl Progress {
    pub(crate) fn new(pool: AnyPool) -> Self {
        let (known, waiting) = (watch::Sender::new(0), Waiting::default());
        let progress = Self(Arc::new(Inner { known, waiting, arrived: Notify::new() }));
        tokio::spawn(poll(pool, progress.clone()));
        progress
    }

    /// A projector, here or elsewhere, has committed everything up to `order`.
    pub fn reached(&self, order: u64) {
        let further = self.0.known.send_if_modified(|known| {
            let further = order > *known;
            *known = order.max(*known);
            further
        });
        if further {
            self.0.waiting.wake(order);
        }
    }

    /// Follows the order that is known to be reached.
    pub fn follow(&self) -> watch::Receiver<u64> {
        self.0.known.subscribe()
    }

    /// Waits until `order` is reached, for at most `limit`. False if it was not.
    pub async fn wait(&self, order: u64, limit: Duration) -> bool {
        let is_reached = || *self.0.known.borrow() >= order;
        if is_reached() {
            return true;
        }
        let (place, woken) = self.0.waiting.enter(order);
        let _leaving = Leaving { waiting: &self.0.waiting, place };
        self.0.arrived.notify_one();
        // It may have been reached in between, when nobody waited yet.
        is_reached() || matches!(tokio::time::timeout(limit, woken).await, Ok(Ok(())))
    }
}

impl Waiting {
    fn enter(&self, order: u64) -> (Place, oneshot::Receiver<()>) {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let place = (order, NUMBER.fetch_add(1, Ordering::Relaxed));
        let (wake, woken) = oneshot::channel();
        self.all().insert(place, wake);
        (place, woken)
    }

    fn wake(&self, reached: u64) {
        let mut all = self.all();
        let later = all.split_off(&(reached.saturating_add(1), 0));
        let due = std::mem::replace(&mut *all, later);
        drop(all);
        for wake in due.into_values() {
            // Who has gone away meanwhile does not hear it.
            let _ = wake.send(());
        }
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<Place, oneshot::Sender<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a waiter out that waits no longer.
struct Leaving<'a> {
    waiting: &'a Waiting,
    place: Place,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.waiting.all().remove(&self.place);
    }
}

/// Asks the database how far the active read models are, only while somebody waits: signals may be lost with the bus.
async fn poll(pool: AnyPool, progress: Progress) {
    let nobody = || progress.0.waiting.all().is_empty();
    while !pool.is_closed() {
        if nobody() {
            progress.0.arrived.notified().await;
        }
        tokio::time::sleep(POLL).await;
        if nobody() {
            continue;
        }
        if let Ok(order) = slowest(&pool).await {
            progress.reached(order);
        }
    }
}

/// The position that every active read model has reached that counts.
async fn slowest(pool: &AnyPool) -> Result<u64, sqlx::Error> {
    let order: Option<i64> = sqlx::query_scalar(
        "select min(c.position) from projection_checkpoint c
         join read_model m on m.name = c.name and m.active_version = c.version
         left join projection_failure f on f.name = c.name and f.version = c.version
         where f.name is null or c.name = $1",
    )
    .bind(ANSWERED)
    .fetch_one(pool)
    .await?;
    Ok(u64::try_from(order.unwrap_or(0)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_is_woken_when_it_is_reached_and_not_before() {
        let waiting = Waiting::default();
        let (_, mut third) = waiting.enter(3);
        let (left, mut gone) = waiting.enter(3);
        let (_, mut fifth) = waiting.enter(5);
        drop(Leaving { waiting: &waiting, place: left });
        assert!(gone.try_recv().is_err());
        waiting.wake(2);
        assert!(third.try_recv().is_err());
        waiting.wake(4);
        assert_eq!(third.try_recv(), Ok(()));
        assert!(fifth.try_recv().is_err());
        waiting.wake(5);
        assert_eq!(fifth.try_recv(), Ok(()));
        assert!(waiting.all().is_empty());
    }
}
