//! A worker reports how its run gets on.

use serde::Serialize;
use uuid::Uuid;

use super::{at_phase, claimed, existing};
use crate::aggregate::{Command, Facts};
use crate::subcloud::{
    DeployStatusChanged, DeployStepRecorded, NO_ERROR, PhaseStatuses, Rejection, StepOutcome, Subcloud,
    SubcloudEvent,
};
use crate::value::{DeployStatus, Phase};

/// The phase is being prepared. Refused once its playbook runs.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct StartPhase {
    /// The run.
    pub run_id: Uuid,
    /// The phase.
    pub phase: Phase,
}

impl Command<Subcloud> for StartPhase {
    type Rejection = Rejection;
    const NAME: &'static str = "StartPhase";

    fn decide(&self, state: Option<&Subcloud>, _: &Facts) -> Result<Vec<SubcloudEvent>, Rejection> {
        let state = existing(state)?;
        let run = at_phase(state, self.run_id, self.phase)?;
        let statuses = PhaseStatuses::of(self.phase);
        let started = state.deploy == statuses.running && statuses.running != statuses.preparing;
        if started || run.abort_requested {
            return Err(Rejection::OutOfTurn);
        }
        Ok(moved(state, self.run_id, statuses.preparing, None))
    }
}

/// The phase's playbook is about to run; the last error no longer holds (jobs.md §1.3).
#[derive(Clone, Copy, Debug, Serialize)]
pub struct StartPlaybook {
    /// The run.
    pub run_id: Uuid,
    /// The phase.
    pub phase: Phase,
}

impl Command<Subcloud> for StartPlaybook {
    type Rejection = Rejection;
    const NAME: &'static str = "StartPlaybook";

    fn decide(&self, state: Option<&Subcloud>, _: &Facts) -> Result<Vec<SubcloudEvent>, Rejection> {
        let state = existing(state)?;
        if at_phase(state, self.run_id, self.phase)?.abort_requested {
            return Err(Rejection::OutOfTurn);
        }
        Ok(moved(state, self.run_id, PhaseStatuses::of(self.phase).running, Some(NO_ERROR)))
    }
}

/// One step of a phase was done, or skipped for want of its outside system.
#[derive(Clone, Debug, Serialize)]
pub struct RecordStep {
    /// The run.
    pub run_id: Uuid,
    /// The phase the step belongs to.
    pub phase: Phase,
    /// Name of the step.
    pub step: String,
    /// What became of it.
    pub outcome: StepOutcome,
}

impl Command<Subcloud> for RecordStep {
    type Rejection = Rejection;
    const NAME: &'static str = "RecordStep";

    fn decide(&self, state: Option<&Subcloud>, _: &Facts) -> Result<Vec<SubcloudEvent>, Rejection> {
        claimed(existing(state)?, self.run_id)?;
        let Self { run_id, phase, step, outcome } = self.clone();
        Ok(vec![DeployStepRecorded { run_id, phase, step, outcome }.into()])
    }
}

/// The status change that a report brings, if it brings one; an error text alone is a change too.
pub(super) fn moved(
    state: &Subcloud,
    run_id: Uuid,
    to: DeployStatus,
    error: Option<&str>,
) -> Vec<SubcloudEvent> {
    let error = error.filter(|error| *error != state.error_description).map(str::to_owned);
    if to == state.deploy && error.is_none() {
        return Vec::new();
    }
    vec![DeployStatusChanged { from: state.deploy, to, run_id: Some(run_id), error }.into()]
}
