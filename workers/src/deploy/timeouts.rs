//! Ends the runs that nobody works on: claimed by a worker that is gone, or claimed by none in time (design §8).
//!
//! Every process may run it, with or without the role of a worker: where there is no worker, somebody has to say so.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use dcm_domain::subcloud::command::{LoseBackupRun, LoseRun, LostBecause};
use dcm_domain::subcloud::{Rejection, RunKind, Subcloud};
use dcm_domain::value::SecretRef;
use dcm_journal::fleet::{Fleet, FleetError};
use dcm_journal::lease::{Holder, HolderError, LeaseError, LeaseRecord, Leases};
use dcm_journal::repository::Done;
use dcm_journal::vault::Vault;
use dcm_projections::{BackupRunRow, ReadModels, RunRow};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Shared;
use super::figures::count;
use super::ownership::{Details, lease_name};
use super::ports::{Kernel, OpenRuns, Processes, Rows};
use super::reporter::meta;
use super::settings::Timeouts;
use crate::outage::Outage;

/// Runs looked at in one round.
const MOST: u32 = 1000;

/// Leases by which workers of a kind say that they are there; what follows is their id.
pub(super) fn presence(kind: RunKind) -> String {
    format!("{}-worker/", kind.as_str())
}

/// The rules for lost and unclaimed runs of every kind. Running it twice, or in several processes, ends each run once.
pub struct RunTimeouts {
    fleet: Arc<Fleet>,
    leases: Leases,
    open: Arc<dyn OpenRuns>,
    vault: Option<Arc<dyn Vault>>,
    times: Timeouts,
    here: Holder,
    processes: Arc<dyn Processes>,
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
        let open = Arc::new(Rows(models));
        Ok(Self {
            fleet,
            leases,
            open,
            vault,
            times,
            here,
            processes: Arc::new(Kernel),
            seen: HashMap::new(),
        })
    }

    /// The rules as a worker applies them, on the host that it is on.
    pub(crate) fn of(shared: &Shared) -> Self {
        Self {
            fleet: Arc::clone(&shared.fleet),
            leases: shared.leases.clone(),
            open: Arc::clone(&shared.runs),
            vault: Some(Arc::clone(&shared.vault)),
            times: shared.settings.timeouts(),
            here: shared.holder.clone(),
            processes: Arc::clone(&shared.processes),
            seen: HashMap::new(),
        }
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
        let runs = self.open.open_runs(MOST).await?;
        let backups = self.open.open_backup_runs(MOST).await?;
        let open = || runs.iter().map(|run| run.run_id).chain(backups.iter().map(|run| run.run_id));
        let now = Instant::now();
        let known: HashSet<Uuid> = open().collect();
        self.seen.retain(|run_id, _| known.contains(run_id));
        for run_id in open() {
            self.seen.entry(run_id).or_insert(now);
        }
        for run in &runs {
            if let Some(because) = self.verdict(run).await? {
                self.end(run, because).await?;
            }
        }
        for run in &backups {
            if self.is_unclaimed(run.run_id, RunKind::Backup).await? {
                self.end_backup(run).await?;
            }
        }
        Ok(())
    }

    /// Why the run is to be ended, if it is.
    async fn verdict(&self, run: &RunRow) -> Result<Option<LostBecause>, Blind> {
        if run.worker.is_none() {
            let unclaimed = self.is_unclaimed(run.run_id, run.kind).await?;
            return Ok(unclaimed.then_some(LostBecause::NoWorker));
        }
        let lost = match self.leases.read(&lease_name(run.run_id)).await? {
            Some(record) => self.is_lost(&record),
            // The table of leases was lost.
            None => self.known_for(run.run_id) >= self.times.lease_ttl + self.times.grace,
        };
        Ok(lost.then_some(LostBecause::WorkerLost))
    }

    /// How long this process has known the run: after a start, workers get their time too.
    fn known_for(&self, run_id: Uuid) -> Duration {
        self.seen.get(&run_id).map(Instant::elapsed).unwrap_or_default()
    }

    /// Whether the time to take the run is over, and there is no worker for it. One that is there but busy will.
    async fn is_unclaimed(&self, run_id: Uuid, kind: RunKind) -> Result<bool, Blind> {
        if self.known_for(run_id) < self.times.claim_within {
            return Ok(false);
        }
        Ok(!self.leases.list(&presence(kind)).await?.iter().any(LeaseRecord::is_held))
    }

    /// Whether the worker is gone, and so is what it had started.
    fn is_lost(&self, record: &LeaseRecord) -> bool {
        let Some(holder) = &record.holder else { return true };
        if !holder.shares_boot_with(&self.here) {
            // Its supervisor has ended the playbook in that time, if the host lives at all.
            return record.expired_for().is_some_and(|expired| expired >= self.times.grace);
        }
        let dead = !self.processes.lives(holder);
        // A worker that lives is only late while the host is busy, and is given as long again to come back.
        let silent = record.expired_for().is_some_and(|expired| expired >= self.times.lease_ttl);
        let details: Details = serde_json::from_value(record.details.clone()).unwrap_or_default();
        (dead || silent) && details.process.is_none_or(|process| !self.processes.group_lives(&process))
    }

    async fn end(&self, run: &RunRow, because: LostBecause) -> Result<(), Blind> {
        let step = match because {
            LostBecause::WorkerLost => "worker lost",
            LostBecause::NoWorker => "no worker",
        };
        let kept = self.secrets(run.uuid).await?;
        let command = LoseRun { run_id: run.run_id, because };
        let outcome = self.fleet.run(run.uuid, &command, &meta(run.run_id, step)).await;
        self.ended((run.run_id, run.kind), step, kept, outcome).await
    }

    async fn end_backup(&self, run: &BackupRunRow) -> Result<(), Blind> {
        let step = "no worker";
        let kept = self.secrets(run.uuid).await?;
        let command = LoseBackupRun { run_id: run.run_id, because: LostBecause::NoWorker };
        let outcome = self.fleet.run(run.uuid, &command, &meta(run.run_id, step)).await;
        self.ended((run.run_id, RunKind::Backup), step, kept, outcome).await
    }

    /// Every vault entry the subcloud and its runs refer to.
    async fn secrets(&self, entity: Uuid) -> Result<Vec<SecretRef>, Blind> {
        let loaded = self.fleet.subcloud(entity).await.map_err(FleetError::from)?;
        Ok(loaded.state.as_deref().into_iter().flat_map(Subcloud::secrets).collect())
    }

    /// Deletes those of the vault entries `kept` that only the run which has just ended referred to.
    async fn ended(
        &self,
        (run_id, kind): (Uuid, RunKind),
        step: &str,
        kept: Vec<SecretRef>,
        outcome: Result<Done<Subcloud>, FleetError>,
    ) -> Result<(), Blind> {
        let done = match outcome {
            Ok(done) => done,
            // The row was behind: the run is over, or was claimed a moment ago.
            Err(FleetError::Subcloud(
                Rejection::RunNotActive | Rejection::RunClaimed | Rejection::NotFound | Rejection::OutOfTurn,
            )) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        tracing::warn!(%run_id, "run ended: {step}");
        count(kind, if step == "no worker" { "unclaimed" } else { "lost" });
        let Some(vault) = &self.vault else { return Ok(()) };
        let needed: HashSet<SecretRef> =
            done.loaded.state.as_deref().into_iter().flat_map(Subcloud::secrets).collect();
        for entry in kept.iter().filter(|entry| !needed.contains(entry)) {
            if let Err(error) = vault.delete(entry).await {
                tracing::warn!(%run_id, %error, "what only the run referred to is left to the sweep");
            }
        }
        Ok(())
    }
}
