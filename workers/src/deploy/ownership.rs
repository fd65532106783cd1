//! A worker's hold on one run: its lease, and what is noted on it for a successor.

use std::time::Duration;

use dcm_journal::lease::{Holder, Lease, LeaseError, Leases};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::playbook::ProcessIdentity;

const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// Leases of runs; what follows is the run's id.
pub(super) const RUN_LEASES: &str = "run-";

/// The lease of a run.
pub(crate) fn lease_name(run_id: Uuid) -> String {
    format!("{RUN_LEASES}{run_id}")
}

/// Noted on a run's lease, so that a successor can tell whether its playbook is gone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Details {
    /// The playbook that was started last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessIdentity>,
}

/// A run's lease, held.
pub(super) struct Ownership {
    leases: Leases,
    lease: Lease,
    lost: CancellationToken,
}

impl Ownership {
    /// Takes the lease; `None` while another has it.
    pub(super) async fn acquire(
        leases: &Leases,
        holder: &Holder,
        run_id: Uuid,
        ttl: Duration,
    ) -> Result<Option<Self>, LeaseError> {
        let lease = leases.acquire(&lease_name(run_id), holder, ttl).await?;
        let leases = leases.clone();
        Ok(lease.map(|lease| Self { leases, lease, lost: CancellationToken::new() }))
    }

    /// Renews the lease until it is lost: taken by another, or not renewed for as long as it lasts.
    pub(super) async fn keep(&self) {
        let mut renewed = Instant::now();
        let pause = self.lease.ttl / 3;
        loop {
            tokio::select! {
                () = self.lost.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            let asked = Instant::now();
            match self.leases.renew(&self.lease).await {
                Ok(true) => renewed = asked,
                Ok(false) => break,
                Err(error) if renewed.elapsed() >= self.lease.ttl => {
                    tracing::warn!(lease = self.lease.name, %error, "cannot be renewed");
                    break;
                }
                Err(_) => {}
            }
        }
        self.lose();
    }

    /// Gives the run up: whatever it still does must not be reported.
    pub(super) fn lose(&self) {
        self.lost.cancel();
    }

    /// Notes the processes of a playbook that is about to start. False if the lease is lost; then it must not, and the
    /// run is given up, even if the store's clock is set back and the lease would be there again.
    pub(super) async fn note(&self, process: &ProcessIdentity) -> bool {
        let details = Details { process: Some(process.clone()) };
        let Ok(details) = serde_json::to_value(details) else { return false };
        let mut pause = FIRST_PAUSE;
        while !self.lost.is_cancelled() {
            match self.leases.update_details(&self.lease, details.clone()).await {
                Ok(true) => return true,
                Ok(false) => self.lose(),
                Err(_) => tokio::time::sleep(pause).await,
            }
            pause = (pause * 2).min(self.lease.ttl / 3);
        }
        false
    }

    /// Removes the lease: the run has ended, and so has everything it started.
    pub(super) async fn end(&self) {
        if let Err(error) = self.leases.remove(&self.lease).await {
            tracing::debug!(lease = self.lease.name, %error, "not removed; it will expire");
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    const TTL: Duration = Duration::from_secs(3600);

    /// Moves the end of every lease, as seen by the store's clock if that jumps the other way.
    async fn shift(dir: &std::path::Path, by: Duration, to: &str) {
        let url = format!("sqlite:{}", dir.join("leases.db").display());
        let leases = sqlx::SqlitePool::connect(&url).await.unwrap();
        let sql = format!("update lease set expires_at = expires_at {to} {}", by.as_micros());
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&leases).await.unwrap();
        leases.close().await;
    }

    #[tokio::test]
    async fn a_run_is_given_up_even_if_the_clock_is_set_back_to_before_its_lease_ran_out() {
        let dir = tempfile::tempdir().unwrap();
        let leases = Leases::open("embedded:", dir.path()).await.unwrap();
        let holder = Holder::this_process("deploy-worker").unwrap();
        let ownership = Ownership::acquire(&leases, &holder, Uuid::now_v7(), TTL).await.unwrap().unwrap();
        let playbook =
            ProcessIdentity { session: 1, start_time: 0, boot_id: String::new(), marker: String::new() };
        shift(dir.path(), 2 * TTL, "-").await;
        assert!(!ownership.note(&playbook).await);
        shift(dir.path(), 2 * TTL, "+").await;
        assert!(leases.renew(&ownership.lease).await.unwrap(), "the store shows it as held again");
        tokio::time::timeout(Duration::from_secs(30), ownership.keep()).await.unwrap();
        assert!(!ownership.note(&playbook).await, "what was given up starts nothing more");
    }
}
