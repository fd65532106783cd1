//! Work that only one process may do at a time: held by a lease, under an epoch, taken over when its holder is gone.

use std::future::Future;
use std::time::Duration;

use dcm_journal::lease::{Holder, Lease, Leases, process_alive};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long a singleton's lease holds without being renewed.
pub const TTL: Duration = Duration::from_secs(5);

/// Runs `work` whenever this process holds the lease `name`, until `stop`. `work` gets the lease's epoch and a token
/// that is cancelled when the lease is lost; it is called again after it ends and the lease is held again.
pub async fn run<W, F>(leases: &Leases, name: &str, holder: &Holder, stop: &CancellationToken, mut work: W)
where
    W: FnMut(i64, CancellationToken) -> F,
    F: Future<Output = ()>,
{
    let mut failing = false;
    while !stop.is_cancelled() {
        let asked_at = Instant::now();
        match leases.acquire(name, holder, TTL).await {
            Ok(Some(lease)) => {
                failing = false;
                tracing::info!(lease = name, epoch = lease.epoch, "acquired");
                hold(leases, &lease, asked_at, stop, &mut work).await;
            }
            Ok(None) => {
                failing = false;
                if bury(leases, name, holder).await {
                    continue;
                }
            }
            Err(error) => {
                if !failing {
                    tracing::warn!(lease = name, %error, "cannot be acquired; trying on");
                }
                failing = true;
            }
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(TTL / 5) => {}
        }
    }
}

/// Gives back the lease of a process that is dead, which only its own host can tell: after a crash nobody waits for it
/// to expire. True if the lease was one.
async fn bury(leases: &Leases, name: &str, here: &Holder) -> bool {
    let Ok(Some(record)) = leases.read(name).await else { return false };
    let dead =
        |holder: &Holder| holder.shares_boot_with(here) && !process_alive(holder.pid, holder.start_time);
    let Some(holder) = record.holder.filter(dead) else { return false };
    let lease = Lease { name: record.name, holder: holder.id(), epoch: record.epoch, ttl: TTL };
    // Taken by another meanwhile, it is not given back.
    leases.release(&lease).await.unwrap_or(false)
}

/// Does the work while the lease is renewed in time, then gives it back.
async fn hold<W, F>(leases: &Leases, lease: &Lease, asked_at: Instant, stop: &CancellationToken, work: &mut W)
where
    W: FnMut(i64, CancellationToken) -> F,
    F: Future<Output = ()>,
{
    let held = stop.child_token();
    let renewing = renew(leases, lease, asked_at, &held);
    let working = async {
        work(lease.epoch, held.clone()).await;
        held.cancel();
    };
    tokio::join!(renewing, working);
    if let Err(error) = leases.release(lease).await {
        tracing::debug!(lease = lease.name, %error, "not released; it will expire");
    }
}

/// Renews until `held` ends, and ends it before the lease, last asked for at `asked_at`, may be another's: a store that
/// does not answer is not waited for beyond that.
async fn renew(leases: &Leases, lease: &Lease, mut asked_at: Instant, held: &CancellationToken) {
    loop {
        let ends_at = asked_at + TTL;
        tokio::select! {
            () = held.cancelled() => return,
            () = tokio::time::sleep_until(ends_at.min(Instant::now() + TTL / 5)) => {}
        }
        let asking_at = Instant::now();
        match tokio::time::timeout_at(ends_at, leases.renew(lease)).await {
            Ok(Ok(true)) => asked_at = asking_at,
            Ok(Ok(false)) => {
                tracing::warn!(lease = lease.name, "lost");
                return held.cancel();
            }
            Ok(Err(error)) if asking_at >= ends_at => {
                tracing::warn!(lease = lease.name, %error, "could not be renewed in time");
                return held.cancel();
            }
            Ok(Err(_)) => {}
            Err(_) => {
                tracing::warn!(lease = lease.name, "could not be renewed in time");
                return held.cancel();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
    use super::*;

    /// The epoch under which this process gets to work on a lease that `before` holds for an hour; `None` if it does
    /// not within a moment.
    async fn epoch_after(before: &Holder) -> Option<i64> {
        let dir = tempfile::tempdir().unwrap();
        let leases = Leases::open("embedded:", dir.path()).await.unwrap();
        leases.acquire("relay", before, Duration::from_secs(3600)).await.unwrap().expect("the lease is free");
        let stop = CancellationToken::new();
        let mut began = None;
        let here = Holder::this_process("relay").unwrap();
        let running = run(&leases, "relay", &here, &stop, |epoch, _| {
            began = Some(epoch);
            stop.cancel();
            async {}
        });
        let _ = tokio::time::timeout(Duration::from_millis(500), running).await;
        began
    }

    #[tokio::test]
    async fn a_dead_process_of_this_host_is_succeeded_at_once_under_a_new_epoch() {
        let here = Holder::this_process("relay").unwrap();
        assert_eq!(epoch_after(&Holder { pid: i64::MAX, ..here }).await, Some(2));
    }

    #[tokio::test]
    async fn a_process_that_lives_or_cannot_be_looked_at_keeps_its_lease() {
        let here = Holder::this_process("relay").unwrap();
        let other_role = Holder { role: "another".to_owned(), ..here.clone() };
        let elsewhere = Holder { pid: i64::MAX, host: "elsewhere".to_owned(), ..here.clone() };
        let before_a_reboot = Holder { pid: i64::MAX, boot_id: "another".to_owned(), ..here };
        for holder in [other_role, elsewhere, before_a_reboot] {
            assert_eq!(epoch_after(&holder).await, None, "{holder:?}");
        }
    }
}
