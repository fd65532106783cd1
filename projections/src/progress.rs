//! How far the projectors are, as this process knows it; and waiting until they are far enough.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sqlx::AnyPool;
use tokio::sync::{Notify, watch};

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
pub struct Progress {
    known: watch::Sender<u64>,
    waiters: Arc<Waiters>,
}

struct Waiters {
    count: AtomicUsize,
    arrived: Notify,
}

impl Progress {
    pub(crate) fn new(pool: AnyPool) -> Self {
        let progress = Self {
            known: watch::Sender::new(0),
            waiters: Arc::new(Waiters { count: AtomicUsize::new(0), arrived: Notify::new() }),
        };
        tokio::spawn(poll(pool, progress.known.clone(), Arc::clone(&progress.waiters)));
        progress
    }

    /// A projector, here or elsewhere, has committed everything up to `order`.
    pub fn reached(&self, order: u64) {
        self.known.send_if_modified(|known| {
            let further = order > *known;
            *known = order.max(*known);
            further
        });
    }

    /// Follows the order that is known to be reached.
    pub fn follow(&self) -> watch::Receiver<u64> {
        self.known.subscribe()
    }

    /// Waits until `order` is reached, for at most `limit`. False if it was not.
    pub async fn wait(&self, order: u64, limit: Duration) -> bool {
        let mut known = self.known.subscribe();
        if *known.borrow() >= order {
            return true;
        }
        self.waiters.count.fetch_add(1, Ordering::SeqCst);
        let _leaving = Leaving(Arc::clone(&self.waiters));
        self.waiters.arrived.notify_one();
        let reached = tokio::time::timeout(limit, known.wait_for(|known| *known >= order)).await;
        matches!(reached, Ok(Ok(_)))
    }
}

struct Leaving(Arc<Waiters>);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Asks the database how far the active read models are, only while somebody waits: signals may be lost with the bus.
async fn poll(pool: AnyPool, known: watch::Sender<u64>, waiters: Arc<Waiters>) {
    while !pool.is_closed() {
        if waiters.count.load(Ordering::SeqCst) == 0 {
            waiters.arrived.notified().await;
        }
        tokio::time::sleep(POLL).await;
        if waiters.count.load(Ordering::SeqCst) == 0 {
            continue;
        }
        if let Ok(order) = slowest(&pool).await {
            known.send_if_modified(|known| {
                let further = order > *known;
                *known = order.max(*known);
                further
            });
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
