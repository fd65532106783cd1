//! Work that only one process may do at a time: held by a lease, under an epoch, taken over when its holder is gone.

use std::future::Future;
use std::ops::Deref;
use std::time::Duration;

use dcm_journal::lease::{Holder, Lease, LeaseError, Leases, process_alive};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long a singleton's lease holds without being renewed.
pub const TTL: Duration = Duration::from_secs(5);
/// How often a process that stands by looks whether the lease is free.
const LOOK: Duration = Duration::from_millis(250);

/// A lease that this process holds: the token is cancelled when it is lost.
#[derive(Clone, Debug)]
pub struct Held {
    token: CancellationToken,
    until: watch::Receiver<Instant>,
}

impl Held {
    /// Cancelled when the lease is lost, or given up.
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// The moment until which nobody else can hold the lease, as it was last renewed; by this process's clock, which may
    /// already be past it.
    pub fn until(&self) -> watch::Receiver<Instant> {
        self.until.clone()
    }
}

impl Deref for Held {
    type Target = CancellationToken;

    fn deref(&self) -> &CancellationToken {
        &self.token
    }
}

/// Runs `work` whenever this process holds the lease `name`, until `stop`. `work` gets the lease's epoch and the lease; it is
/// called again after it ends and the lease is held again. `standby` is called whenever another process is found to hold
/// it.
pub async fn run<W, F>(
    leases: &Leases,
    name: &str,
    holder: &Holder,
    stop: &CancellationToken,
    standby: impl Fn(),
    mut work: W,
) where
    W: FnMut(i64, Held) -> F,
    F: Future<Output = ()>,
{
    let mut failing = false;
    // Work that fails is begun again and again under the lease: that is one tenure.
    let mut ours = false;
    while !stop.is_cancelled() {
        let asked_at = Instant::now();
        let claimed = claim(leases, name, holder).await;
        let fails = claimed.is_err();
        match claimed {
            Ok(Some(lease)) => {
                if !std::mem::replace(&mut ours, true) {
                    tracing::info!(lease = name, epoch = lease.epoch, "acquired");
                    metrics::counter!("dcm_lease_acquisitions_total", "lease" => lease.name.clone())
                        .increment(1);
                }
                holds(name, true);
                hold(leases, &lease, asked_at, stop, &mut work).await;
            }
            Ok(None) => {
                ours = false;
                holds(name, false);
                standby();
            }
            Err(error) if !failing => tracing::warn!(lease = name, %error, "cannot be acquired; trying on"),
            Err(_) => {}
        }
        failing = fails;
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// Tells whether this process holds the lease `name`.
fn holds(name: &str, held: bool) {
    metrics::gauge!("dcm_lease_held_ratio", "lease" => name.to_owned()).set(if held { 1.0 } else { 0.0 });
}

/// The lease was lost, for `reason`, before it was given up.
fn lost(lease: &Lease, reason: &dyn std::fmt::Display) {
    tracing::warn!(lease = lease.name, %reason, "lost");
    metrics::counter!("dcm_lease_losses_total", "lease" => lease.name.clone()).increment(1);
    holds(&lease.name, false);
}

/// Takes the lease unless another process holds it. Looked at first: a claim is a write, even one that fails.
async fn claim(leases: &Leases, name: &str, here: &Holder) -> Result<Option<Lease>, LeaseError> {
    if let Some(record) = leases.read(name).await?
        && record.is_held()
        && let Some(holder) = record.holder.filter(|holder| holder.id() != here.id())
    {
        if !is_dead(&holder, here) {
            return Ok(None);
        }
        // After a crash nobody waits for it to run out. Taken by another meanwhile, it is not given back.
        let lease = Lease { name: record.name, holder: holder.id(), epoch: record.epoch, ttl: TTL };
        leases.release(&lease).await?;
    }
    leases.acquire(name, here, TTL).await
}

/// Whether a holder's process is gone, which only its own host can tell.
fn is_dead(holder: &Holder, here: &Holder) -> bool {
    holder.shares_boot_with(here) && !process_alive(holder.pid, holder.start_time)
}

/// Does the work while the lease is renewed in time, then gives it back.
async fn hold<W, F>(leases: &Leases, lease: &Lease, asked_at: Instant, stop: &CancellationToken, work: &mut W)
where
    W: FnMut(i64, Held) -> F,
    F: Future<Output = ()>,
{
    let held = stop.child_token();
    let (known, until) = watch::channel(asked_at + TTL);
    let renewing = renew(leases, lease, known, &held);
    let working = async {
        work(lease.epoch, Held { token: held.clone(), until }).await;
        held.cancel();
    };
    tokio::join!(renewing, working);
    if let Err(error) = leases.release(lease).await {
        tracing::debug!(lease = lease.name, %error, "not released; it will expire");
    }
}

/// Renews until `held` ends, and ends it before the lease, which is ours `until` a known moment, may be another's: a store
/// that does not answer is not waited for beyond that.
async fn renew(leases: &Leases, lease: &Lease, until: watch::Sender<Instant>, held: &CancellationToken) {
    loop {
        let ends_at = *until.borrow();
        tokio::select! {
            () = held.cancelled() => return,
            () = tokio::time::sleep_until(ends_at.min(Instant::now() + TTL / 5)) => {}
        }
        let asking_at = Instant::now();
        match tokio::time::timeout_at(ends_at, leases.renew(lease)).await {
            Ok(Ok(true)) => drop(until.send_replace(asking_at + TTL)),
            Ok(Ok(false)) => {
                lost(lease, &"another has it, or it ran out");
                return held.cancel();
            }
            Ok(Err(error)) if asking_at >= ends_at => {
                lost(lease, &error);
                return held.cancel();
            }
            Ok(Err(_)) => {}
            Err(_) => {
                lost(lease, &"it could not be renewed in time");
                return held.cancel();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
    use super::*;

    /// A lease that `before` holds for an hour, and whether this process gets to work on it within a moment: under an
    /// epoch after the first, or finds that it stands by.
    async fn succeeds(before: &Holder) -> bool {
        let dir = tempfile::tempdir().unwrap();
        let leases = Leases::open("embedded:", dir.path()).await.unwrap();
        let first = leases.acquire("relay", before, Duration::from_secs(3600)).await.unwrap().unwrap();
        let stop = CancellationToken::new();
        let (mut began, stands_by) = (None, CancellationToken::new());
        let here = Holder::this_process("relay").unwrap();
        let standby = || {
            stands_by.cancel();
            stop.cancel();
        };
        run(&leases, "relay", &here, &stop, standby, |epoch, _| {
            began = Some(epoch);
            stop.cancel();
            async {}
        })
        .await;
        assert_ne!(began.is_some(), stands_by.is_cancelled());
        began.is_some_and(|epoch| epoch > first.epoch)
    }

    #[tokio::test]
    async fn a_dead_process_of_this_host_is_succeeded_at_once_under_a_new_epoch() {
        let here = Holder::this_process("relay").unwrap();
        assert!(succeeds(&Holder { pid: i64::MAX, ..here }).await);
    }

    #[tokio::test]
    async fn a_process_that_lives_or_cannot_be_looked_at_keeps_its_lease() {
        let here = Holder::this_process("relay").unwrap();
        let other_role = Holder { role: "another".to_owned(), ..here.clone() };
        let elsewhere = Holder { pid: i64::MAX, host: "elsewhere".to_owned(), ..here.clone() };
        let before_a_reboot = Holder { pid: i64::MAX, boot_id: "another".to_owned(), ..here };
        for holder in [other_role, elsewhere, before_a_reboot] {
            assert!(!succeeds(&holder).await, "{holder:?}");
        }
    }

    /// Two roles of this process that share a table, as two processes would.
    #[tokio::test]
    async fn who_ends_hands_over_and_who_is_robbed_stops() {
        let dir = tempfile::tempdir().unwrap();
        let leases = Leases::open("embedded:", dir.path()).await.unwrap();
        let role = |role| Holder::this_process(role).unwrap();
        let (first, second) = (role("first"), role("second"));
        let (ends, stops) = (CancellationToken::new(), CancellationToken::new());
        let works = CancellationToken::new();
        let one = run(
            &leases,
            "relay",
            &first,
            &ends,
            || (),
            |_, held| {
                works.cancel();
                async move { held.cancelled().await }
            },
        );
        let other = async {
            works.cancelled().await;
            ends.cancel();
            // Somebody else takes it away while this one works: its token ends, and it stands by.
            let robbed = CancellationToken::new();
            run(
                &leases,
                "relay",
                &second,
                &stops,
                || {
                    // Before that it is the first one's still.
                    if robbed.is_cancelled() {
                        stops.cancel();
                    }
                },
                |_, held| {
                    let (leases, robbed) = (leases.clone(), robbed.clone());
                    async move {
                        let record = leases.read("relay").await.unwrap().unwrap();
                        let holder = record.holder.unwrap();
                        let lease =
                            Lease { name: record.name, holder: holder.id(), epoch: record.epoch, ttl: TTL };
                        leases.release(&lease).await.unwrap();
                        let thief = Holder { role: "thief".to_owned(), ..holder };
                        leases.acquire("relay", &thief, Duration::from_secs(3600)).await.unwrap().unwrap();
                        held.cancelled().await;
                        robbed.cancel();
                    }
                },
            )
            .await;
            assert!(robbed.is_cancelled());
        };
        tokio::time::timeout(Duration::from_secs(60), async { tokio::join!(one, other) }).await.unwrap();
    }
}
