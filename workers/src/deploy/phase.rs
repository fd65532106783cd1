//! One phase of a run, as the journal sees it: its start, its steps, its playbook, its one result.

use std::convert::Infallible;

use dcm_domain::subcloud::command::{
    AbortPhase, CompletePhase, FailPhase, RecordStep, StartPhase, StartPlaybook,
};
use dcm_domain::subcloud::{Run, StepOutcome, Subcloud};
use dcm_domain::value::Phase;
use tokio_util::sync::CancellationToken;

use super::ports::{Ending, Play};
use super::reporter::Refused;
use super::work::Work;

/// Why a phase did not get to its playbook, or through its steps.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// It cannot be prepared; the text shows no secret.
    Unprepared(String),
    /// A step was refused.
    Refused(Refused),
}

/// A step whose outside system is not configured.
pub(super) fn skipped(system: &str) -> StepOutcome {
    StepOutcome::Skipped { reason: format!("no {system} is configured") }
}

/// One phase of the run that `work` is at.
pub(crate) struct PhaseWork<'a> {
    pub(super) work: &'a Work,
    pub(super) subcloud: &'a Subcloud,
    pub(crate) run: &'a Run,
    pub(crate) phase: Phase,
}

impl PhaseWork<'_> {
    /// Carries the phase out and reports its result.
    pub(super) async fn carry_out(&self) -> Result<(), Refused> {
        if self.phase == Phase::Complete {
            return self.complete().await;
        }
        let start = StartPhase { run_id: self.run.id, phase: self.phase };
        self.work.reporter.report(&self.named("start"), &start).await?;
        match self.work.shared.hands.prepare(self).await {
            Ok(None) => self.complete().await,
            Ok(Some(playbook)) => self.play(playbook).await,
            Err(Stopped::Refused(refused)) => Err(refused),
            Err(Stopped::Unprepared(error)) => {
                self.work.clear().await;
                self.fail(false, error).await
            }
        }
    }

    async fn play(&self, playbook: Box<dyn Play>) -> Result<(), Refused> {
        if !self.work.note(playbook.identity()).await {
            // Not ours any more: the caller sees that the lease is lost.
            std::future::pending::<Infallible>().await;
        }
        let start = StartPlaybook { run_id: self.run.id, phase: self.phase };
        self.work.reporter.report(&self.named("playbook"), &start).await?;
        let abort = CancellationToken::new();
        let ending = tokio::select! {
            biased;
            ending = playbook.run(abort.clone()) => ending,
            never = self.work.watch_abort(&abort) => match never {},
        };
        self.work.clear().await;
        self.conclude(ending).await
    }

    /// The phase's one result (jobs.md §0.4, §6.1).
    async fn conclude(&self, ending: Ending) -> Result<(), Refused> {
        match ending {
            Ending::Succeeded => self.complete().await,
            Ending::Failed(error) => self.fail(true, error).await,
            Ending::Aborted => match self.abort().await {
                Err(refused) if refused.is_out_of_turn() => {
                    self.fail(true, "the playbook was ended".to_owned()).await
                }
                outcome => outcome,
            },
        }
    }

    async fn complete(&self) -> Result<(), Refused> {
        let command = CompletePhase { run_id: self.run.id, phase: self.phase };
        self.work.reporter.report(&self.named("complete"), &command).await.map(drop)
    }

    async fn fail(&self, started: bool, error: String) -> Result<(), Refused> {
        tracing::warn!(
            run_id = %self.run.id, region = %self.subcloud.region, phase = self.phase.as_str(), error, "phase failed"
        );
        self.work.figures.note("failed");
        let command = FailPhase { run_id: self.run.id, phase: self.phase, started, error };
        self.work.reporter.report(&self.named("fail"), &command).await.map(drop)
    }

    async fn abort(&self) -> Result<(), Refused> {
        if self.phase == Phase::Install {
            // jobs.md §1.4, step 3.
            self.step("rvmc-pod", skipped("Kubernetes client")).await?;
            self.step("power-off", skipped("Redfish client")).await?;
        }
        self.work.figures.note("aborted");
        let command = AbortPhase { run_id: self.run.id, phase: self.phase };
        self.work.reporter.report(&self.named("abort"), &command).await.map(drop)
    }

    /// Records a step of the phase.
    pub(crate) async fn step(&self, step: &str, outcome: StepOutcome) -> Result<(), Refused> {
        let command = RecordStep { run_id: self.run.id, phase: self.phase, step: step.to_owned(), outcome };
        self.work.reporter.report(&self.named(&format!("step {step}")), &command).await.map(drop)
    }

    /// Names a report of this phase.
    fn named(&self, report: &str) -> String {
        format!("{} {report}", self.phase)
    }
}
