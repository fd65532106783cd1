//! Ask for a backup.

use serde::Serialize;
use uuid::Uuid;

use super::existing;
use crate::aggregate::{Command, Facts};
use crate::subcloud::{
    BackupRunRequested, BackupStatusChanged, BackupTask, Rejection, Subcloud, SubcloudEvent,
};
use crate::value::{Availability, BackupStatus, DeployStatus, ManagementState};

/// Starts a backup run (subclouds.md §7.10, E22); its backup status is `initial` at once.
#[derive(Clone, Debug, Serialize)]
pub struct RequestBackup {
    /// The new run.
    pub run_id: Uuid,
    /// What to do.
    pub task: BackupTask,
}

impl Command<Subcloud> for RequestBackup {
    type Rejection = Rejection;
    const NAME: &'static str = "RequestBackup";

    fn decide(&self, state: Option<&Subcloud>, _: &Facts) -> Result<Vec<SubcloudEvent>, Rejection> {
        let state = existing(state)?;
        check_backup(state)?;
        let requested = BackupRunRequested { run_id: self.run_id, task: self.task.clone() }.into();
        let to = BackupStatus::Initial;
        let changed = BackupStatusChanged { from: state.backup, to, stored_at: None }.into();
        Ok(vec![requested, changed])
    }
}

/// Whether the subcloud can be backed up now (subclouds.md §7.10).
///
/// # Errors
/// [`Rejection::NotBackupable`] or [`Rejection::BackupActive`].
pub fn check_backup(state: &Subcloud) -> Result<(), Rejection> {
    let name = || state.name.to_string();
    let settled = matches!(state.deploy, DeployStatus::Complete | DeployStatus::PrestageComplete);
    if state.availability != Availability::Online || state.management != ManagementState::Managed || !settled
    {
        return Err(Rejection::NotBackupable { name: name() });
    }
    if state.backup_run.is_some() || state.backup.is_some_and(BackupStatus::in_progress) {
        return Err(Rejection::BackupActive { name: name() });
    }
    Ok(())
}
