//! The commands of a subcloud, one file each.

mod abandon_creation;
mod abort_deployment;
mod add;
mod change_deploy_status;
mod claim_run;
mod complete_deployment;
mod delete;
mod deploy;
mod details;
mod finish_phase;
mod import;
mod leave_peer_group;
mod lose_backup_run;
mod lose_run;
mod manage;
mod mark_rehome_pending;
mod migrate;
mod prestage;
mod reconfigure_network;
mod recover_imported;
mod redeploy;
mod rename;
mod report_availability;
mod report_endpoint;
mod report_progress;
mod request_backup;
mod request_restore;
mod unmanage;
mod update;
mod with_skipped_checks;

pub use super::phase::{DeployVerb, add_phases, phases};
pub use abandon_creation::AbandonCreation;
pub use abort_deployment::AbortDeployment;
pub use add::AddSubcloud;
pub use change_deploy_status::ChangeDeployStatus;
pub use claim_run::ClaimRun;
pub use complete_deployment::CompleteDeployment;
pub use delete::DeleteSubcloud;
pub use deploy::{DeploySubcloud, NewAddresses, check_deploy};
pub use details::{Details, PeerGroupMembership};
pub use finish_phase::{AbortPhase, CompletePhase, FailPhase};
pub use import::ImportSubcloud;
pub use leave_peer_group::LeavePeerGroup;
pub use lose_backup_run::LoseBackupRun;
pub use lose_run::{LoseRun, LostBecause};
pub use manage::ManageSubcloud;
pub use mark_rehome_pending::{MarkRehomePending, check_migrate};
pub use migrate::{MigrateSubcloud, check_rehome_data};
pub use prestage::{PrestageSubcloud, check_prestage};
pub use reconfigure_network::{ReconfigureNetwork, check_addresses_differ, check_reconfiguration};
pub use recover_imported::RecoverImported;
pub use redeploy::{RedeploySubcloud, check_redeploy};
pub use rename::{RenameSubcloud, check_rename};
pub use report_availability::ReportAvailability;
pub use report_endpoint::ReportEndpoint;
pub use report_progress::{RecordStep, StartPhase, StartPlaybook};
pub use request_backup::{RequestBackup, check_backup};
pub use request_restore::{RequestRestore, check_restore};
pub use unmanage::UnmanageSubcloud;
pub use update::UpdateSubcloud;
pub use with_skipped_checks::WithSkippedChecks;

use super::{Rejection, Run, Subcloud};
use crate::value::Phase;
use uuid::Uuid;

/// The subcloud, if it exists and is not deleted.
fn existing(state: Option<&Subcloud>) -> Result<&Subcloud, Rejection> {
    state.filter(|subcloud| !subcloud.deleted).ok_or(Rejection::NotFound)
}

/// Refuses what cannot be done to a copy that another controller manages (subclouds.md §6.4 step 10, §6.5, §6.6).
///
/// # Errors
/// [`Rejection::SecondaryState`].
pub fn check_not_secondary(state: &Subcloud) -> Result<(), Rejection> {
    match state.deploy.is_secondary() {
        true => Err(Rejection::SecondaryState { status: state.deploy }),
        false => Ok(()),
    }
}

/// The active run, if it is the one reported on.
fn active(state: &Subcloud, run_id: Uuid) -> Result<&Run, Rejection> {
    state.run.as_ref().filter(|run| run.id == run_id).ok_or(Rejection::RunNotActive)
}

/// The active run, if it is the one reported on and a worker has it: only a claimed run has something to report.
fn claimed(state: &Subcloud, run_id: Uuid) -> Result<&Run, Rejection> {
    let run = active(state, run_id)?;
    if run.worker.is_some() { Ok(run) } else { Err(Rejection::OutOfTurn) }
}

/// The claimed run, if the phase reported on is the one it is at: a late report must not turn a run back.
fn at_phase(state: &Subcloud, run_id: Uuid, phase: Phase) -> Result<&Run, Rejection> {
    let run = claimed(state, run_id)?;
    if run.phases.first() == Some(&phase) { Ok(run) } else { Err(Rejection::OutOfTurn) }
}
