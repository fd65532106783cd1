//! Bringing a release onto a subcloud (subclouds.md §6.6; jobs.md §1.8, §6.1).

use dcm_domain::subcloud::command::*;
use dcm_domain::subcloud::{
    BackupStatusChanged, DeployRunRequested, PrestageRequested, RunInputs, RunOutcome, Subcloud,
};
use dcm_domain::value::{Availability, BackupStatus, DeployStatus as S, ManagementState as M, Phase};

use crate::kit::Given;
use crate::run_samples::*;
use crate::samples::*;

fn ready(status: S) -> Given<Subcloud> {
    in_state(M::Managed, status, Availability::Online)
}

#[test]
fn sc_208_packages_are_prestaged_at_once() {
    for status in [S::Complete, S::PrestageFailed, S::PrestageComplete] {
        let PrestageSubcloud { sysadmin_password, task, .. } = prestage(RUN);
        let inputs = RunInputs { sysadmin_password: Some(sysadmin_password), ..RunInputs::default() };
        ready(status).when(prestage(RUN)).then([
            DeployRunRequested { run_id: RUN, phases: vec![Phase::Prestage], inputs }.into(),
            PrestageRequested { run_id: RUN, task }.into(),
            ran(status, S::PrestagingPackages, None),
        ]);
    }
}

#[test]
fn sc_197_198_204_the_first_obstacle_is_named() {
    let at = |management, status, availability| in_state(management, status, availability);
    at(M::Unmanaged, S::Creating, Availability::Offline)
        .when(prestage(RUN))
        .then_refused_saying("Prestage skipped 'subcloud1': Subcloud is offline");
    at(M::Unmanaged, S::Creating, Availability::Online)
        .when(prestage(RUN))
        .then_refused_saying("Prestage skipped 'subcloud1': Subcloud is not managed");
    for status in S::ALL.iter().copied().filter(|status| !status.is_secondary()) {
        if !matches!(status, S::Complete | S::PrestageFailed | S::PrestageComplete) {
            ready(status).when(prestage(RUN)).then_refused_saying("only allowed while");
        }
    }
    at(M::Managed, S::Secondary, Availability::Offline).when(prestage(RUN)).then_rejected("secondary-state");
}

#[test]
fn sc_199_not_while_it_is_backed_up() {
    for to in
        [BackupStatus::Initial, BackupStatus::Validating, BackupStatus::PreBackup, BackupStatus::BackingUp]
    {
        let changed = BackupStatusChanged { from: None, to, stored_at: None };
        ready(S::ConfigFailed)
            .and([changed.into()])
            .when(prestage(RUN))
            .then_refused_saying("backup is in progress");
    }
    let failed = BackupStatusChanged { from: None, to: BackupStatus::Failed, stored_at: None };
    ready(S::Complete).and([failed.into()]).when(prestage(RUN)).then_accepted();
}

#[test]
fn a_prestage_ends_complete_or_failed() {
    let given = ready(S::Complete).after(prestage(RUN));
    given.clone().when(prestage(OTHER_RUN)).then_refused_saying("only allowed while");
    let because = Some("no worker for prestage");
    given
        .clone()
        .when(UNCLAIMED)
        .then([ran(S::PrestagingPackages, S::PrestageFailed, because), finished(RunOutcome::Lost, because)])
        .when(prestage(OTHER_RUN))
        .then_accepted();
    let given = given.and([claimed()]).after(start(Phase::Prestage)).after(play(Phase::Prestage));
    assert_eq!(given.state().deploy, S::PrestagingImages);
    assert_eq!(given.after(complete(Phase::Prestage)).state().deploy, S::PrestageComplete);
}
