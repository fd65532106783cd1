//! A phase ended: what its run and its subcloud become.

use serde::Serialize;
use uuid::Uuid;

use super::report_progress::moved;
use super::{active, existing};
use crate::aggregate::{Command, Facts};
use crate::subcloud::{
    DeployRunFinished, NO_ERROR, PhaseStatuses, RehomeDataUpdated, Rejection, Run, RunOutcome, Subcloud,
    SubcloudEvent,
};
use crate::value::Phase;

/// The phase succeeded. The last phase ends the run; so does any phase that an abort came too late for (M-3).
#[derive(Clone, Copy, Debug, Serialize)]
pub struct CompletePhase {
    /// The run.
    pub run_id: Uuid,
    /// The phase.
    pub phase: Phase,
}

impl Command<Subcloud> for CompletePhase {
    type Rejection = Rejection;
    const NAME: &'static str = "CompletePhase";

    fn decide(&self, state: Option<&Subcloud>, _: &Facts) -> Result<Vec<SubcloudEvent>, Rejection> {
        let state = existing(state)?;
        let run = active(state, self.run_id)?;
        let mut events = moved(state, run.id, PhaseStatuses::of(self.phase).done, cleared(self.phase));
        if let (Phase::Secondary, Some(rehome)) = (self.phase, run.inputs.rehome.clone()) {
            events.push(RehomeDataUpdated { rehome }.into());
        }
        let outcome = match run.abort_requested {
            true => Some(RunOutcome::AbortSuperseded),
            false => (run.phases.last() == Some(&self.phase)).then_some(RunOutcome::Succeeded),
        };
        events.extend(outcome.map(|outcome| finished(run, outcome, None)));
        Ok(events)
    }
}

/// Creation leaves the error text alone (jobs.md §1.2).
fn cleared(phase: Phase) -> Option<&'static str> {
    (!matches!(phase, Phase::Create | Phase::Secondary)).then_some(NO_ERROR)
}

/// The phase failed, and with it the run; this wins over an abort that was still waiting (jobs.md §6.1).
#[derive(Clone, Debug, Serialize)]
pub struct FailPhase {
    /// The run.
    pub run_id: Uuid,
    /// The phase.
    pub phase: Phase,
    /// Whether the playbook had started; before that it is the preparation that failed.
    pub started: bool,
    /// What went wrong.
    pub error: String,
}

impl Command<Subcloud> for FailPhase {
    type Rejection = Rejection;
    const NAME: &'static str = "FailPhase";

    fn decide(&self, state: Option<&Subcloud>, _: &Facts) -> Result<Vec<SubcloudEvent>, Rejection> {
        let state = existing(state)?;
        let run = active(state, self.run_id)?;
        let statuses = PhaseStatuses::of(self.phase);
        let to = if self.started { statuses.failed } else { statuses.prep_failed };
        let error = bounded(&self.error);
        let mut events = moved(state, run.id, to, Some(&error));
        events.push(finished(run, RunOutcome::Failed, Some(error)));
        Ok(events)
    }
}

/// The phase ended because an abort was asked for.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct AbortPhase {
    /// The run.
    pub run_id: Uuid,
    /// The phase.
    pub phase: Phase,
}

impl Command<Subcloud> for AbortPhase {
    type Rejection = Rejection;
    const NAME: &'static str = "AbortPhase";

    fn decide(&self, state: Option<&Subcloud>, _: &Facts) -> Result<Vec<SubcloudEvent>, Rejection> {
        let state = existing(state)?;
        let run = active(state, self.run_id)?;
        let statuses = PhaseStatuses::of(self.phase);
        let to = statuses.aborted.filter(|_| run.abort_requested).unwrap_or(statuses.failed);
        let mut events = moved(state, run.id, to, None);
        events.push(finished(run, RunOutcome::Aborted, None));
        Ok(events)
    }
}

pub(super) fn finished(run: &Run, outcome: RunOutcome, error: Option<String>) -> SubcloudEvent {
    DeployRunFinished { run_id: run.id, outcome, error }.into()
}

/// An error text as long as the contract has room for (subclouds.md §2.2).
pub(super) fn bounded(error: &str) -> String {
    error.chars().take(2048).collect()
}
