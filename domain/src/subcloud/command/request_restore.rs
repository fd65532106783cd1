//! Ask for a restore.

use serde::Serialize;
use uuid::Uuid;

use super::existing;
use crate::aggregate::{Command, Facts};
use crate::subcloud::{
    DeployRunRequested, Rejection, RestoreRequested, RestoreTask, RunInputs, Subcloud, SubcloudEvent,
};
use crate::value::{DeployStatus, ManagementState, Phase};

/// Starts a restore run (subclouds.md §7.12, E24). The deploy status stays until a worker begins.
#[derive(Clone, Debug, Serialize)]
pub struct RequestRestore {
    /// The new run.
    pub run_id: Uuid,
    /// The administrator password.
    pub inputs: RunInputs,
    /// What to do.
    pub task: RestoreTask,
}

impl Command<Subcloud> for RequestRestore {
    type Rejection = Rejection;
    const NAME: &'static str = "RequestRestore";

    fn decide(&self, state: Option<&Subcloud>, _: &Facts) -> Result<Vec<SubcloudEvent>, Rejection> {
        let state = existing(state)?;
        check_restore(state)?;
        if state.run.is_some() {
            return Err(Rejection::RunActive { name: state.name.to_string() });
        }
        let (run_id, inputs) = (self.run_id, self.inputs.clone());
        Ok(vec![
            DeployRunRequested { run_id, phases: vec![Phase::Restore], inputs }.into(),
            RestoreRequested { run_id, task: self.task.clone() }.into(),
        ])
    }
}

/// Whether management and deploy status allow a restore (subclouds.md §7.12).
///
/// # Errors
/// [`Rejection::NotRestorable`].
pub fn check_restore(state: &Subcloud) -> Result<(), Rejection> {
    use DeployStatus as S;
    let busy = matches!(
        state.deploy,
        S::Creating
            | S::PreInstall
            | S::Installing
            | S::PreBootstrap
            | S::Bootstrapping
            | S::PreConfig
            | S::Configuring
            | S::PreRehome
            | S::Rehoming
            | S::PreRestore
            | S::Restoring
    );
    if state.management != ManagementState::Unmanaged || busy {
        return Err(Rejection::NotRestorable { name: state.name.to_string() });
    }
    Ok(())
}
