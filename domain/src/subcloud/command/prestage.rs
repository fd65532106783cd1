//! Bring a release onto a subcloud.

use serde::Serialize;
use uuid::Uuid;

use super::deploy::request;
use super::{check_not_secondary, existing};
use crate::aggregate::{Command, Facts};
use crate::subcloud::{
    PrestageObstacle, PrestageRequested, PrestageTask, Rejection, RunInputs, Subcloud, SubcloudEvent,
};
use crate::value::{Availability, BackupStatus, DeployStatus, ManagementState, Phase, SecretRef};

/// Brings packages and images of a release onto a managed subcloud (subclouds.md §6.6, E8). It is
/// `prestaging-packages` at once.
#[derive(Clone, Debug, Serialize)]
pub struct PrestageSubcloud {
    /// The new run.
    pub run_id: Uuid,
    /// The subcloud's administrator password.
    pub sysadmin_password: SecretRef,
    /// What to do.
    pub task: PrestageTask,
}

impl Command<Subcloud> for PrestageSubcloud {
    type Rejection = Rejection;
    const NAME: &'static str = "PrestageSubcloud";

    fn decide(&self, state: Option<&Subcloud>, _: &Facts) -> Result<Vec<SubcloudEvent>, Rejection> {
        let state = existing(state)?;
        check_not_secondary(state)?;
        check_prestage(state)?;
        if state.run.is_some() {
            return Err(Rejection::RunActive { name: state.name.to_string() });
        }
        let inputs = RunInputs { sysadmin_password: Some(self.sysadmin_password), ..RunInputs::default() };
        let mut events = request(state, self.run_id, vec![Phase::Prestage], inputs);
        // Right behind the run it belongs to.
        events.insert(1, PrestageRequested { run_id: self.run_id, task: self.task.clone() }.into());
        Ok(events)
    }
}

/// What a prestage needs of the subcloud's own state, in the contract's order (subclouds.md §6.6 steps 9 to 12).
///
/// # Errors
/// [`Rejection::NotPrestageable`] with the first obstacle.
pub fn check_prestage(state: &Subcloud) -> Result<(), Rejection> {
    use DeployStatus as S;
    let backing_up = state.backup_run.is_some() || state.backup.is_some_and(BackupStatus::in_progress);
    let obstacle = match () {
        () if state.availability != Availability::Online => PrestageObstacle::Offline,
        () if state.management != ManagementState::Managed => PrestageObstacle::Unmanaged,
        () if backing_up => PrestageObstacle::Backup,
        () if !matches!(state.deploy, S::Complete | S::PrestageFailed | S::PrestageComplete) => {
            PrestageObstacle::DeployStatus
        }
        () => return Ok(()),
    };
    Err(Rejection::NotPrestageable { name: state.name.to_string(), obstacle })
}
