//! A phase ended: what its run and its subcloud become.

use serde::Serialize;
use uuid::Uuid;

use super::report_progress::moved;
use super::{Details, at_phase, existing};
use crate::aggregate::{Command, Facts};
use crate::subcloud::transition::cut_off;
use crate::subcloud::{
    DeployRunFinished, NO_ERROR, NetworkTask, PhaseStatuses, RehomeDataUpdated, Rejection, Run, RunOutcome,
    Subcloud, SubcloudEvent, Task,
};
use crate::value::{DeployStatus, ManagementState, Phase};

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
        let run = at_phase(state, self.run_id, self.phase)?;
        if self.phase == Phase::Secondary && state.management == ManagementState::Managed {
            return Ok(failed(state, run, PhaseStatuses::of(self.phase).failed, MANAGED_MEANWHILE));
        }
        let mut events = moved(state, run.id, PhaseStatuses::of(self.phase).done, cleared(self.phase));
        if self.phase == Phase::Secondary {
            events.extend(run.inputs.rehome.clone().map(|rehome| RehomeDataUpdated { rehome }.into()));
            events.extend(cut_off(state));
        }
        if let (Phase::ReconfigureNetwork, Some(Task::Network(task))) = (self.phase, &run.task) {
            events.extend(reconfigured(state, task));
        }
        let outcome = match run.abort_requested {
            true => Some(RunOutcome::AbortSuperseded),
            false => (run.phases == [self.phase]).then_some(RunOutcome::Succeeded),
        };
        events.extend(outcome.map(|outcome| finished(run, outcome, None)));
        Ok(events)
    }
}

/// What a network reconfiguration stores now that it succeeded (jobs.md §1.6).
fn reconfigured(state: &Subcloud, task: &NetworkTask) -> Vec<SubcloudEvent> {
    let details = Details {
        description: task.description.clone(),
        location: task.location.clone(),
        group_id: task.group_id,
        install: task.install.clone(),
        ..Details::default()
    };
    task.addresses.moved(state).into_iter().chain(details.events(state)).collect()
}

/// A subcloud becomes `secondary` only while, or when, it is unmanaged (subclouds.md §9.2 rule 5); force may have
/// managed it during its creation.
const MANAGED_MEANWHILE: &str = "the subcloud was managed while it was being created as secondary";

/// Creation leaves the error text alone (jobs.md §1.2).
fn cleared(phase: Phase) -> Option<&'static str> {
    (!matches!(phase, Phase::Create | Phase::Secondary)).then_some(NO_ERROR)
}

/// The phase failed, and with it the run. If an abort was waiting, the phase's own result stands (jobs.md §6.1).
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
        let run = at_phase(state, self.run_id, self.phase)?;
        let statuses = PhaseStatuses::of(self.phase);
        // Only what runs can be aborted: then the playbook had started, whatever the report says.
        let started = self.started || run.abort_requested;
        let to = if started { statuses.failed } else { statuses.prep_failed };
        Ok(failed(state, run, to, &self.error))
    }
}

fn failed(state: &Subcloud, run: &Run, to: DeployStatus, error: &str) -> Vec<SubcloudEvent> {
    let error = bounded(error);
    let outcome = if run.abort_requested { RunOutcome::AbortSuperseded } else { RunOutcome::Failed };
    let mut events = moved(state, run.id, to, Some(&error));
    events.push(finished(run, outcome, Some(error)));
    events
}

/// The phase ended because an abort was asked for; refused if none was.
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
        let run = at_phase(state, self.run_id, self.phase)?;
        let aborted = PhaseStatuses::of(self.phase).aborted.filter(|_| run.abort_requested);
        let to = aborted.ok_or(Rejection::OutOfTurn)?;
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
    // What a playbook prints may hold anything; no database takes a NUL in a text.
    error.chars().filter(|character| *character != '\0').take(2048).collect()
}
