//! What must hold for a prestage (fleet.md §8.5).

use super::{Asked, Candidate, GivenPassword, PlatformFacts, Rejection, StrategyRequest};
use crate::value::{BackupStatus, DeployStatus};

/// The checks that do not depend on a subcloud.
pub(super) fn check_globally(password: GivenPassword, platform: &PlatformFacts) -> Result<(), Rejection> {
    match &platform.upgrading {
        Asked::Known(true) => return Err(Rejection::UpgradeInProgress),
        Asked::Failed(why) => return Err(Rejection::PlatformFailed(why.clone())),
        Asked::Known(false) | Asked::NotConfigured(_) | Asked::NotAsked => {}
    }
    match password {
        GivenPassword::Missing => Err(Rejection::PasswordRequired),
        GivenPassword::Undecodable => Err(Rejection::PasswordUndecodable),
        GivenPassword::Kept(_) => Ok(()),
    }
}

/// The checks of the one subcloud that was named; the first it fails refuses the strategy.
pub(super) fn check_subcloud(
    candidate: &Candidate,
    request: &StrategyRequest,
    platform: &PlatformFacts,
) -> Result<(), Rejection> {
    let refused = |reason| Err(Rejection::NotPrestageable { name: candidate.name.clone(), reason });
    if !candidate.is_online() {
        return refused("it is not online");
    }
    if !candidate.is_managed() {
        return refused("it is not managed");
    }
    if candidate.backup.is_some_and(is_being_backed_up) {
        return refused("a backup of it is in progress");
    }
    if !matches!(
        candidate.deploy,
        DeployStatus::Complete | DeployStatus::PrestageFailed | DeployStatus::PrestageComplete
    ) {
        return refused("its deployment is not complete");
    }
    if let (Some(release), Asked::Known(loads)) = (&request.release, &platform.loads)
        && *release != candidate.software_version
        && !loads.contains(release)
    {
        return refused("the release is not among the loads of the system controller");
    }
    Ok(())
}

fn is_being_backed_up(status: BackupStatus) -> bool {
    matches!(
        status,
        BackupStatus::Initial | BackupStatus::Validating | BackupStatus::PreBackup | BackupStatus::BackingUp
    )
}
