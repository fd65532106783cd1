//! Runs that nobody works on any more (jobs.md §2, R-5; design §8).

use dcm_domain::subcloud::command::*;
use dcm_domain::subcloud::{RunOutcome, Subcloud, SubcloudAdded};
use dcm_domain::value::{DeployStatus as S, Phase};

use crate::kit::given;
use crate::run_samples::*;
use crate::samples::*;

/// Where a lost run leaves each status (jobs.md §2); every other status is kept.
fn lost_in(status: S) -> Option<S> {
    Some(match status {
        S::NotDeployed | S::Creating => S::CreateFailed,
        S::PreInstall => S::PreInstallFailed,
        S::Installing | S::AbortingInstall => S::InstallFailed,
        S::PreBootstrap => S::PreBootstrapFailed,
        S::Bootstrapping | S::AbortingBootstrap => S::BootstrapFailed,
        S::PreConfig => S::PreConfigFailed,
        S::Configuring | S::AbortingConfig => S::ConfigFailed,
        _ => return None,
    })
}

#[test]
fn jb_045_a_lost_run_fails_the_status_it_waits_in() {
    for status in S::ALL.iter().copied() {
        let Some(failed) = lost_in(status) else { continue };
        running(&add_phases(true, true), status).when(LOST).then([
            ran(status, failed, Some("worker lost")),
            finished(RunOutcome::Lost, Some("worker lost")),
        ]);
    }
}

#[test]
fn jb_046_a_lost_run_leaves_a_resting_place_as_it_is() {
    for status in [S::CreateComplete, S::InstallComplete, S::BootstrapComplete, S::Complete] {
        running(&[Phase::Install], status).when(LOST).then([finished(RunOutcome::Lost, Some("worker lost"))]);
    }
}

#[test]
fn a_lost_secondary_creation_is_secondary_failed() {
    for status in [S::NotDeployed, S::Creating] {
        running(&[Phase::Secondary], status).when(LOST).then([
            ran(status, S::SecondaryFailed, Some("worker lost")),
            finished(RunOutcome::Lost, Some("worker lost")),
        ]);
    }
}

#[test]
fn a_run_that_nobody_claims_ends_with_no_worker_for_deploy() {
    given::<Subcloud>([]).after(add(&[Phase::Create])).when(UNCLAIMED).then([
        ran(S::NotDeployed, S::CreateFailed, Some("no worker for deploy")),
        finished(RunOutcome::Lost, Some("no worker for deploy")),
    ]);
    built(SubcloudAdded { install: Some(document("install")), ..added() }, S::CreateComplete)
        .after(deploy(DeployVerb::Install))
        .when(UNCLAIMED)
        .then([
            ran(S::PreInstall, S::PreInstallFailed, Some("no worker for deploy")),
            finished(RunOutcome::Lost, Some("no worker for deploy")),
        ])
        .when(claim(RUN))
        .then_rejected("run-not-active");
}

#[test]
fn a_claimed_run_does_not_end_for_want_of_a_worker() {
    running(&[Phase::Create], S::Creating).when(UNCLAIMED).then_rejected("run-claimed");
}
