//! One claimed run, from its claim to its end, under its lease.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dcm_domain::subcloud::command::{ClaimRun, LoseRun, LostBecause};
use dcm_domain::subcloud::{Rejection, Run};
use dcm_domain::value::SecretRef;
use dcm_journal::fleet::FleetError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Shared;
use super::figures::Figures;
use super::ownership::Ownership;
use super::phase::PhaseWork;
use super::reporter::{Refused, Reporter};
use crate::playbook::ProcessIdentity;

/// Longer than the supervisor needs to end everything once its worker is gone.
const GONE_WITHIN: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(100);
/// How often a password is tried to be deleted before it is left to the sweep.
const DELETIONS: u32 = 5;

/// A run of this worker.
pub(crate) struct Work {
    pub(super) shared: Arc<Shared>,
    pub(super) entity: Uuid,
    pub(super) run_id: Uuid,
    pub(super) reporter: Reporter,
    pub(super) figures: Figures,
    ownership: Ownership,
    /// What runs, or ran last.
    process: Mutex<Option<ProcessIdentity>>,
}

/// How the work on a run ended.
enum Ended {
    /// Its last report was taken.
    Reported,
    /// Another has claimed it, or it was over before it was claimed.
    NotOurs,
    /// Somebody else has ended it, or it was not where this worker thought.
    Refused(Refused),
    /// This worker no longer holds it.
    LeaseLost,
    /// This worker is to stop.
    Stopped,
}

impl Work {
    pub(super) fn new(shared: &Arc<Shared>, entity: Uuid, run_id: Uuid, ownership: Ownership) -> Self {
        Self {
            shared: Arc::clone(shared),
            entity,
            run_id,
            reporter: Reporter::new(&shared.fleet, entity, run_id),
            figures: Figures::begin(run_id),
            ownership,
            process: Mutex::new(None),
        }
    }

    /// Claims the run and carries it out. Returns once nothing of it is left on this host.
    pub(super) async fn carry_out(&self, stop: &CancellationToken) {
        self.figures.during(self.claim_and_end(stop)).await;
    }

    async fn claim_and_end(&self, stop: &CancellationToken) {
        let ended = tokio::select! {
            biased;
            () = self.ownership.keep() => Ended::LeaseLost,
            () = stop.cancelled() => Ended::Stopped,
            ended = self.run() => ended,
        };
        match ended {
            Ended::NotOurs => return,
            Ended::LeaseLost => {
                tracing::warn!(run_id = %self.run_id, "the run's lease is lost; its playbook is ended");
                self.figures.ended_as("lease-lost");
                self.clear_up().await;
                return;
            }
            Ended::Reported => {
                self.figures.ended();
                self.clear_up().await;
            }
            Ended::Refused(refused) => {
                tracing::warn!(run_id = %self.run_id, %refused, "the run is given up");
                self.figures.ended_as("given-up");
                self.give_up().await;
            }
            Ended::Stopped => {
                self.figures.ended_as("stopped");
                self.give_up().await;
            }
        }
        self.ownership.end().await;
    }

    async fn run(&self) -> Ended {
        let claim = ClaimRun { run_id: self.run_id, worker: self.shared.holder.id() };
        match self.reporter.report("claim", &claim).await {
            Ok(_) => {}
            Err(Refused(FleetError::Subcloud(Rejection::RunNotActive | Rejection::NotFound))) => {
                self.ownership.end().await;
                return Ended::NotOurs;
            }
            // What is noted on the lease may be another's: it is left to expire.
            Err(_) => return Ended::NotOurs,
        }
        let mut password = None;
        while let Some((subcloud, run)) = self.active().await {
            password = run.inputs.sysadmin_password.or(password);
            let Some(phase) = run.phases.first().copied() else { break };
            tracing::info!(run_id = %self.run_id, region = %subcloud.region, phase = phase.as_str(), "phase begins");
            let phase = PhaseWork { work: self, subcloud: &subcloud, run: &run, phase };
            let ended = self.figures.phase(phase.phase.as_str(), phase.carry_out()).await;
            if let Err(refused) = ended {
                return Ended::Refused(refused);
            }
        }
        self.delete_password(password).await;
        Ended::Reported
    }

    /// The subcloud and the run, while it is active.
    async fn active(&self) -> Option<(Arc<dcm_domain::subcloud::Subcloud>, Run)> {
        let subcloud = self.reporter.subcloud().await?;
        let run = subcloud.run.clone().filter(|run| run.id == self.run_id)?;
        Some((subcloud, run))
    }

    /// Notes a playbook that is about to start; false if the lease is lost.
    pub(super) async fn note(&self, process: &ProcessIdentity) -> bool {
        *self.process.lock().unwrap_or_else(PoisonError::into_inner) = Some(process.clone());
        self.ownership.note(process).await
    }

    /// Cancels `abort` once an abort is asked for. Told by the bus, and looking by itself, for a message may be lost.
    pub(super) async fn watch_abort(&self, abort: &CancellationToken) -> Infallible {
        let mut asked = self.shared.aborts.subscribe();
        loop {
            match self.active().await {
                Some((_, run)) if run.abort_requested => abort.cancel(),
                Some(_) => {}
                // Somebody has ended the run: nothing more is to be reported.
                None => self.ownership.lose(),
            }
            tokio::select! {
                _ = asked.changed() => {}
                () = tokio::time::sleep(self.shared.settings.poll) => {}
            }
        }
    }

    /// Waits for the end of the playbook and removes the run's directory.
    async fn clear_up(&self) {
        let process = self.process.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(process) = process {
            let patience = Instant::now() + GONE_WITHIN;
            while self.shared.processes.group_lives(&process) && Instant::now() < patience {
                tokio::time::sleep(LOOK).await;
            }
        }
        self.clear().await;
    }

    /// Removes what was laid out for the run's playbooks.
    pub(super) async fn clear(&self) {
        self.shared.hands.clear(self.run_id).await;
    }

    /// Ends a run that this worker cannot finish, once its playbook is gone; within the time of the lease.
    async fn give_up(&self) {
        let ending = async {
            self.clear_up().await;
            let password = self.active().await.and_then(|(_, run)| run.inputs.sysadmin_password);
            let lose = LoseRun { run_id: self.run_id, because: LostBecause::WorkerLost };
            if self.reporter.report("lose", &lose).await.is_ok() {
                self.delete_password(password).await;
            }
        };
        tokio::select! {
            () = ending => {}
            () = self.ownership.keep() => {}
            // A journal that is away does not hold up a stop: a successor ends the run.
            () = tokio::time::sleep(GONE_WITHIN + self.shared.settings.lease_ttl) => {}
        }
    }

    async fn delete_password(&self, password: Option<SecretRef>) {
        let Some(password) = password else { return };
        for attempt in 1..=DELETIONS {
            match self.shared.vault.delete(&password).await {
                Ok(_) => return,
                Err(error) => tracing::debug!(run_id = %self.run_id, attempt, %error, "password not deleted"),
            }
            tokio::time::sleep(LOOK * attempt).await;
        }
        tracing::warn!(run_id = %self.run_id, "the run's password is left to the sweep");
    }
}
