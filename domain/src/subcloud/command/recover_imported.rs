//! End the work that an installation had under way when a subcloud was taken over from it.

use serde::Serialize;

use super::existing;
use crate::aggregate::{Command, Facts};
use crate::subcloud::{
    BackupStatusChanged, DeployStatusChanged, ImportedSubcloud, Rejection, Subcloud, SubcloudEvent,
};
use crate::value::BackupStatus as B;
use crate::value::DeployStatus as S;

/// Ends transitory statuses that no run stands behind: both axes in one append, the error text left as it is (jobs.md
/// §2, with M-26 and M-28; decisions.md, "Import"). Nothing happens to a subcloud that was added here.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct RecoverImported;

impl Command<Subcloud> for RecoverImported {
    type Rejection = Rejection;
    const NAME: &'static str = "RecoverImported";

    fn decide(&self, state: Option<&Subcloud>, _: &Facts) -> Result<Vec<SubcloudEvent>, Rejection> {
        let state = existing(state)?;
        let deploy = Self::deploy(state)
            .map(|to| DeployStatusChanged { from: state.deploy, to, run_id: None, error: None }.into());
        let backup = Self::backup(state)
            .map(|to| BackupStatusChanged { from: state.backup, to, stored_at: None }.into());
        Ok(deploy.into_iter().chain(backup).collect())
    }
}

impl RecoverImported {
    /// Whether it would change anything.
    pub fn applies_to(state: &Subcloud) -> bool {
        !state.deleted && (Self::deploy(state).is_some() || Self::backup(state).is_some())
    }

    /// Whether it will change a subcloud that is imported with `row`.
    pub fn would_change(row: &ImportedSubcloud) -> bool {
        deploy_end(row.deploy).is_some() || row.backup.and_then(backup_end).is_some()
    }

    fn deploy(state: &Subcloud) -> Option<S> {
        let orphaned = state.imported.is_some() && state.run.is_none();
        orphaned.then(|| deploy_end(state.deploy)).flatten()
    }

    fn backup(state: &Subcloud) -> Option<B> {
        let orphaned = state.imported.is_some() && state.backup_run.is_none();
        orphaned.then(|| state.backup.and_then(backup_end)).flatten()
    }
}

/// Where a deploy status without a run ends; `None` if it is a resting place.
const fn deploy_end(status: S) -> Option<S> {
    match status {
        S::NotDeployed | S::Creating => Some(S::CreateFailed),
        S::PreInstall => Some(S::PreInstallFailed),
        S::Installing | S::AbortingInstall => Some(S::InstallFailed),
        S::PreBootstrap => Some(S::PreBootstrapFailed),
        S::Bootstrapping | S::AbortingBootstrap => Some(S::BootstrapFailed),
        S::PreConfig | S::PreDeploy => Some(S::PreConfigFailed),
        S::Configuring | S::AbortingConfig | S::Deploying => Some(S::ConfigFailed),
        S::MigratingData => Some(S::DataMigrationFailed),
        S::PreRestore => Some(S::RestorePrepFailed),
        S::Restoring => Some(S::RestoreFailed),
        S::PreRehome => Some(S::RehomePrepFailed),
        S::Rehoming => Some(S::RehomeFailed),
        S::PrestagingPackages | S::PrestagingImages => Some(S::PrestageFailed),
        // In no table of the old service; it blocked the subcloud for ever (M-26).
        S::ReconfiguringNetwork => Some(S::NetworkReconfigurationFailed),
        _ => None,
    }
}

/// Where a backup status without a run ends; `None` if it is a resting place.
const fn backup_end(status: B) -> Option<B> {
    match status {
        // `initial` is in no table of the old service; it blocked every later backup (M-28).
        B::Initial | B::Validating => Some(B::ValidateFailed),
        B::PreBackup => Some(B::BackupPrepFailed),
        B::BackingUp => Some(B::Failed),
        _ => None,
    }
}
