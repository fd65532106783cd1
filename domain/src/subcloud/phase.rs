//! The statuses of each phase and the order phases are run in: what a deployment run does next.

use super::Rejection;
use crate::value::{DeployStatus, Phase};
use DeployStatus as S;

/// The deploy statuses one phase passes through (jobs.md §1.3, §6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhaseStatuses {
    /// While it is prepared.
    pub preparing: DeployStatus,
    /// The preparation failed.
    pub prep_failed: DeployStatus,
    /// While its playbook runs.
    pub running: DeployStatus,
    /// The playbook failed.
    pub failed: DeployStatus,
    /// It succeeded.
    pub done: DeployStatus,
    /// While an abort is under way; `None` if it cannot be aborted.
    pub aborting: Option<DeployStatus>,
    /// The abort took hold.
    pub aborted: Option<DeployStatus>,
}

impl PhaseStatuses {
    /// The statuses of `phase`.
    pub const fn of(phase: Phase) -> Self {
        match phase {
            Phase::Create => Self::plain(S::Creating, S::CreateFailed, S::CreateComplete),
            // It stays `creating` until it is done, so that a crash half-way never looks like success (M-11).
            Phase::Secondary => Self::plain(S::Creating, S::SecondaryFailed, S::Secondary),
            Phase::Complete => Self::plain(S::BootstrapComplete, S::BootstrapComplete, S::Complete),
            Phase::Rehome => Self {
                prep_failed: S::RehomePrepFailed,
                running: S::Rehoming,
                ..Self::plain(S::PreRehome, S::RehomeFailed, S::Complete)
            },
            Phase::Prestage => Self {
                running: S::PrestagingImages,
                ..Self::plain(S::PrestagingPackages, S::PrestageFailed, S::PrestageComplete)
            },
            Phase::Restore => Self {
                prep_failed: S::RestorePrepFailed,
                running: S::Restoring,
                ..Self::plain(S::PreRestore, S::RestoreFailed, S::Complete)
            },
            Phase::ReconfigureNetwork => {
                Self::plain(S::ReconfiguringNetwork, S::NetworkReconfigurationFailed, S::Complete)
            }
            Phase::Install => Self {
                preparing: S::PreInstall,
                prep_failed: S::PreInstallFailed,
                running: S::Installing,
                failed: S::InstallFailed,
                done: S::InstallComplete,
                aborting: Some(S::AbortingInstall),
                aborted: Some(S::InstallAborted),
            },
            Phase::Bootstrap => Self {
                preparing: S::PreBootstrap,
                prep_failed: S::PreBootstrapFailed,
                running: S::Bootstrapping,
                failed: S::BootstrapFailed,
                done: S::BootstrapComplete,
                aborting: Some(S::AbortingBootstrap),
                aborted: Some(S::BootstrapAborted),
            },
            Phase::Configure => Self {
                preparing: S::PreConfig,
                prep_failed: S::PreConfigFailed,
                running: S::Configuring,
                failed: S::ConfigFailed,
                done: S::Complete,
                aborting: Some(S::AbortingConfig),
                aborted: Some(S::ConfigAborted),
            },
        }
    }

    const fn plain(during: DeployStatus, failed: DeployStatus, done: DeployStatus) -> Self {
        Self {
            preparing: during,
            prep_failed: failed,
            running: during,
            failed,
            done,
            aborting: None,
            aborted: None,
        }
    }
}

/// Where a deployment that waits in `status` ends when its run is lost; `None` if the status is a resting place
/// (jobs.md §2).
pub(super) fn lost(status: DeployStatus, phases: &[Phase]) -> Option<DeployStatus> {
    Some(match status {
        S::PreRehome => S::RehomePrepFailed,
        S::Rehoming => S::RehomeFailed,
        S::PreRestore => S::RestorePrepFailed,
        S::Restoring => S::RestoreFailed,
        S::PrestagingPackages | S::PrestagingImages => S::PrestageFailed,
        S::ReconfiguringNetwork => S::NetworkReconfigurationFailed,
        S::MigratingData => S::DataMigrationFailed,
        S::PreDeploy => S::PreConfigFailed,
        S::Deploying => S::ConfigFailed,
        S::NotDeployed | S::Creating if phases.contains(&Phase::Secondary) => S::SecondaryFailed,
        S::NotDeployed | S::Creating => S::CreateFailed,
        S::PreInstall => S::PreInstallFailed,
        S::Installing | S::AbortingInstall => S::InstallFailed,
        S::PreBootstrap => S::PreBootstrapFailed,
        S::Bootstrapping | S::AbortingBootstrap => S::BootstrapFailed,
        S::PreConfig => S::PreConfigFailed,
        S::Configuring | S::AbortingConfig => S::ConfigFailed,
        // Asked for, and not begun: the old status says nothing of it, so the end has to.
        _ if phases.first() == Some(&Phase::Rehome) => S::RehomePrepFailed,
        _ if phases.first() == Some(&Phase::Restore) => S::RestorePrepFailed,
        _ => return None,
    })
}

/// The status while the phase that is running in `status` is aborted (subclouds.md §7.7); `None` if nothing runs.
pub(super) fn aborting(status: DeployStatus) -> Option<DeployStatus> {
    [Phase::Install, Phase::Bootstrap, Phase::Configure]
        .map(PhaseStatuses::of)
        .into_iter()
        .find(|phase| phase.running == status)
        .and_then(|phase| phase.aborting)
}

/// A verb of the phased deployment that starts a run (subclouds.md §7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeployVerb {
    /// E16.
    Install,
    /// E17.
    Bootstrap,
    /// E18.
    Configure,
    /// E21.
    Resume,
}

impl DeployVerb {
    /// The deploy statuses the verb may start from (subclouds.md §7.2, §7.8).
    pub const fn allowed(self) -> &'static [DeployStatus] {
        match self {
            Self::Install => &[
                S::CreateComplete,
                S::PreInstallFailed,
                S::InstallFailed,
                S::InstallComplete,
                S::InstallAborted,
            ],
            Self::Bootstrap => &[
                S::InstallComplete,
                S::PreBootstrapFailed,
                S::BootstrapFailed,
                S::BootstrapAborted,
                S::BootstrapComplete,
                S::CreateComplete,
            ],
            Self::Configure => &[
                S::Complete,
                S::PreConfigFailed,
                S::ConfigFailed,
                S::BootstrapComplete,
                S::ConfigAborted,
                S::PrestagingPackages,
                S::PrestagingImages,
                S::PrestageFailed,
                S::PrestageComplete,
            ],
            Self::Resume => &[
                S::CreateComplete,
                S::PreInstallFailed,
                S::InstallFailed,
                S::InstallAborted,
                S::InstallComplete,
                S::PreBootstrapFailed,
                S::BootstrapFailed,
                S::BootstrapAborted,
                S::BootstrapComplete,
                S::PreConfigFailed,
                S::ConfigFailed,
                S::ConfigAborted,
            ],
        }
    }

    /// The verb as it stands in the path.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::Bootstrap => "bootstrap",
            Self::Configure => "configure",
            Self::Resume => "resume",
        }
    }
}

/// The phases a run goes through (subclouds.md §7.8; jobs.md §1.3). `status` must be allowed for `verb`.
///
/// # Errors
/// [`Rejection::OnlyConfigureLeft`] if nothing but an impossible configuration is left to resume.
pub fn phases(
    verb: DeployVerb,
    status: DeployStatus,
    has_install_values: bool,
    has_deploy_config: bool,
) -> Result<Vec<Phase>, Rejection> {
    let remaining: &[Phase] = match verb {
        DeployVerb::Install => return Ok(vec![Phase::Install]),
        DeployVerb::Bootstrap => return Ok(vec![Phase::Bootstrap]),
        DeployVerb::Configure => return Ok(vec![Phase::Configure]),
        DeployVerb::Resume => match status {
            S::CreateComplete | S::PreInstallFailed | S::InstallFailed | S::InstallAborted => {
                &[Phase::Install, Phase::Bootstrap, Phase::Configure]
            }
            S::InstallComplete | S::PreBootstrapFailed | S::BootstrapFailed | S::BootstrapAborted => {
                &[Phase::Bootstrap, Phase::Configure]
            }
            _ => &[Phase::Configure],
        },
    };
    if remaining == [Phase::Configure] && !has_deploy_config {
        return Err(Rejection::OnlyConfigureLeft);
    }
    Ok(remaining
        .iter()
        .filter(|phase| **phase != Phase::Install || has_install_values)
        .map(|phase| match phase {
            Phase::Configure if !has_deploy_config => Phase::Complete,
            other => *other,
        })
        .collect())
}

/// The phases of a deployment from the start, of a subcloud that is there already (jobs.md §1.3 `redeploy`).
pub(super) fn redeploy_phases(has_deploy_config: bool) -> Vec<Phase> {
    let last = if has_deploy_config { Phase::Configure } else { Phase::Complete };
    vec![Phase::Install, Phase::Bootstrap, last]
}

/// The phases of a whole deployment (jobs.md §1.3 `add_subcloud`).
pub fn add_phases(has_install_values: bool, has_deploy_config: bool) -> Vec<Phase> {
    let mut phases = vec![Phase::Create];
    if has_install_values {
        phases.push(Phase::Install);
    }
    phases.push(Phase::Bootstrap);
    phases.push(if has_deploy_config { Phase::Configure } else { Phase::Complete });
    phases
}
