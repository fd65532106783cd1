//! Ends the runs that nobody works on: claimed by a worker that is gone, or claimed by none in time (design §8).
//!
//! Every process may run it, with or without the role of a worker: where there is no worker, somebody has to say so.

use std::collections::HashMap;
use std::sync::Arc;

use dcm_domain::subcloud::Rejection;
use dcm_domain::subcloud::command::{LoseRun, LostBecause};
use dcm_journal::fleet::{Fleet, FleetError};
use dcm_journal::lease::{Holder, HolderError, LeaseError, LeaseRecord, Leases, process_alive};
use dcm_journal::vault::Vault;
use dcm_projections::{ReadModels, RunRow};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::ownership::{Details, lease_name};
use super::reporter::meta;
use super::settings::Timeouts;
use crate::outage::Outage;
use crate::playbook::group_alive;

/// Runs looked at in one round.
const MOST: u32 = 1000;
/// Leases by which deploy workers say that they are there; what follows is their id.
pub(super) const PRESENCE: &str = "deploy-worker/";

/// The rules for lost and unclaimed runs. Running it twice, or in several processes, ends each run once.
pub struct RunTimeouts {
    fleet: Arc<Fleet>,
    leases: Leases,
    models: Arc<ReadModels>,
    vault: Option<Arc<dyn Vault>>,
    times: Timeouts,
    here: Holder,
    /// Open runs, and since when this process has known them.
    seen: HashMap<Uuid, Instant>,
}

#[derive(Debug, thiserror::Error)]
enum Blind {
    #[error(transparent)]
    Models(#[from] sqlx::Error),
    #[error(transparent)]
    Leases(#[from] LeaseError),
    #[error(transparent)]
    Fleet(#[from] FleetError),
}

impl RunTimeouts {
    /// The rules with `times`. Without `vault` the password of a run that is ended here stays until a worker's sweep.
    ///
    /// # Errors
    /// [`HolderError`] if this process cannot tell which host it is on.
    pub fn new(
        fleet: Arc<Fleet>,
        leases: Leases,
        models: Arc<ReadModels>,
        vault: Option<Arc<dyn Vault>>,
        times: Timeouts,
    ) -> Result<Self, HolderError> {
        let here = Holder::this_process("run-timeouts")?;
        Ok(Self { fleet, leases, models, vault, times, here, seen: HashMap::new() })
    }

    /// Looks at the open runs until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut outage = Outage::of("search for lost runs");
        while !stop.is_cancelled() {
            match self.look().await {
                Ok(()) => outage.end(),
                Err(error) => outage.begin(&error),
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(self.times.poll) => {}
            }
        }
    }

    async fn look(&mut self) -> Result<(), Blind> {
        let runs = self.models.subclouds().open_runs(MOST).await?;
        let now = Instant::now();
        self.seen.retain(|run_id, _| runs.iter().any(|run| run.run_id == *run_id));
        for run in &runs {
            self.seen.entry(run.run_id).or_insert(now);
        }
        for run in &runs {
            if let Some(because) = self.verdict(run).await? {
                self.end(run, because).await?;
            }
        }
        Ok(())
    }

    /// Why the run is to be ended, if it is.
    async fn verdict(&self, run: &RunRow) -> Result<Option<LostBecause>, Blind> {
        // Counted from when this process first saw it: after a start, workers get their time too.
        let known_for = self.seen.get(&run.run_id).map(Instant::elapsed).unwrap_or_default();
        if run.worker.is_none() {
            let late = known_for >= self.times.claim_within;
            // A worker that is there but busy will take it.
            return Ok((late && !self.any_worker().await?).then_some(LostBecause::NoWorker));
        }
        let lost = match self.leases.read(&lease_name(run.run_id)).await? {
            Some(record) => self.is_lost(&record),
            // The table of leases was lost.
            None => known_for >= self.times.lease_ttl + self.times.grace,
        };
        Ok(lost.then_some(LostBecause::WorkerLost))
    }

    async fn any_worker(&self) -> Result<bool, Blind> {
        Ok(self.leases.list(PRESENCE).await?.iter().any(LeaseRecord::is_held))
    }

    /// Whether the worker is gone, and so is what it had started.
    fn is_lost(&self, record: &LeaseRecord) -> bool {
        let Some(holder) = &record.holder else { return true };
        if !holder.shares_boot_with(&self.here) {
            // Its supervisor has ended the playbook in that time, if the host lives at all.
            return record.expired_for().is_some_and(|expired| expired >= self.times.grace);
        }
        let dead = !process_alive(holder.pid, holder.start_time);
        // A worker that lives is only late while the host is busy, and is given as long again to come back.
        let silent = record.expired_for().is_some_and(|expired| expired >= self.times.lease_ttl);
        let details: Details = serde_json::from_value(record.details.clone()).unwrap_or_default();
        (dead || silent) && details.process.is_none_or(|process| !group_alive(&process))
    }

    async fn end(&self, run: &RunRow, because: LostBecause) -> Result<(), Blind> {
        let loaded = self.fleet.subcloud(run.uuid).await.map_err(FleetError::from)?;
        let active = loaded.state.as_ref().and_then(|subcloud| subcloud.run.as_ref());
        let password = active
            .filter(|active| active.id == run.run_id)
            .and_then(|active| active.inputs.sysadmin_password);
        let step = match because {
            LostBecause::WorkerLost => "worker lost",
            LostBecause::NoWorker => "no worker",
        };
        let command = LoseRun { run_id: run.run_id, because };
        match self.fleet.run(run.uuid, &command, &meta(run.run_id, step)).await {
            Ok(_) => tracing::warn!(run_id = %run.run_id, "run ended: {step}"),
            // The row was behind: the run is over, or was claimed a moment ago.
            Err(FleetError::Subcloud(
                Rejection::RunNotActive | Rejection::RunClaimed | Rejection::NotFound | Rejection::OutOfTurn,
            )) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        if let (Some(vault), Some(password)) = (&self.vault, password)
            && let Err(error) = vault.delete(&password).await
        {
            tracing::warn!(run_id = %run.run_id, %error, "the run's password is left to the sweep");
        }
        Ok(())
    }
}
