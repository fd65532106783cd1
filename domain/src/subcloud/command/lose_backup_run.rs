//! End a backup run that nobody works on.

use serde::Serialize;
use uuid::Uuid;

use super::finish_phase::bounded;
use super::{LostBecause, existing};
use crate::aggregate::{Command, Facts};
use crate::subcloud::{
    BackupRunFinished, BackupStatusChanged, Rejection, RunKind, RunOutcome, Subcloud, SubcloudEvent,
};
use crate::value::BackupStatus;

/// Ends a backup run whose worker died, or that none took in its time (jobs.md §6.2, M-28).
#[derive(Clone, Copy, Debug, Serialize)]
pub struct LoseBackupRun {
    /// The run.
    pub run_id: Uuid,
    /// Why.
    pub because: LostBecause,
}

impl Command<Subcloud> for LoseBackupRun {
    type Rejection = Rejection;
    const NAME: &'static str = "LoseBackupRun";

    fn decide(&self, state: Option<&Subcloud>, _: &Facts) -> Result<Vec<SubcloudEvent>, Rejection> {
        let state = existing(state)?;
        let run = state.backup_run.as_ref().filter(|run| run.id == self.run_id);
        let run = run.ok_or(Rejection::RunNotActive)?;
        let failed = state
            .backup
            .and_then(lost)
            .map(|to| BackupStatusChanged { from: state.backup, to, stored_at: None }.into());
        let error = Some(bounded(&self.because.text(RunKind::Backup)));
        let finished = BackupRunFinished { run_id: run.id, outcome: RunOutcome::Lost, error };
        Ok(failed.into_iter().chain([finished.into()]).collect())
    }
}

/// Where a backup that waits in `status` ends when its run is lost; `None` if the status is a resting place
/// (jobs.md §2, §6.2).
const fn lost(status: BackupStatus) -> Option<BackupStatus> {
    match status {
        BackupStatus::Initial | BackupStatus::Validating => Some(BackupStatus::ValidateFailed),
        BackupStatus::PreBackup => Some(BackupStatus::BackupPrepFailed),
        BackupStatus::BackingUp => Some(BackupStatus::Failed),
        _ => None,
    }
}
