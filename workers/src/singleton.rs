//! Work that only one process may do at a time: held by a lease, under an epoch, taken over when its holder is gone.

use std::future::Future;
use std::time::Duration;

use dcm_journal::lease::{Holder, Lease, Leases};
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
        match leases.acquire(name, holder, TTL).await {
            Ok(Some(lease)) => {
                failing = false;
                tracing::info!(lease = name, epoch = lease.epoch, "acquired");
                hold(leases, &lease, stop, &mut work).await;
            }
            Ok(None) => failing = false,
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

/// Does the work while the lease is renewed in time, then gives it back.
async fn hold<W, F>(leases: &Leases, lease: &Lease, stop: &CancellationToken, work: &mut W)
where
    W: FnMut(i64, CancellationToken) -> F,
    F: Future<Output = ()>,
{
    let held = stop.child_token();
    let renewing = renew(leases, lease, &held);
    let working = async {
        work(lease.epoch, held.clone()).await;
        held.cancel();
    };
    tokio::join!(renewing, working);
    if let Err(error) = leases.release(lease).await {
        tracing::debug!(lease = lease.name, %error, "not released; it will expire");
    }
}

/// Renews until `held` ends, and ends it if the lease may have been taken by another.
async fn renew(leases: &Leases, lease: &Lease, held: &CancellationToken) {
    let mut renewed_at = tokio::time::Instant::now();
    loop {
        tokio::select! {
            () = held.cancelled() => return,
            () = tokio::time::sleep(TTL / 5) => {}
        }
        let asked_at = tokio::time::Instant::now();
        match leases.renew(lease).await {
            Ok(true) => renewed_at = asked_at,
            Ok(false) => {
                tracing::warn!(lease = lease.name, "lost");
                return held.cancel();
            }
            Err(error) if renewed_at.elapsed() >= TTL => {
                tracing::warn!(lease = lease.name, %error, "could not be renewed in time");
                return held.cancel();
            }
            Err(_) => {}
        }
    }
}
