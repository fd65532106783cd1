//! Aborting a running phase, and who wins (subclouds.md §7.7; jobs.md §1.4, §6.1, M-1 to M-3, M-17).

use dcm_domain::subcloud::command::*;
use dcm_domain::subcloud::{DeployAbortRequested, RunOutcome, SubcloudAdded};
use dcm_domain::value::{DeployStatus as S, Phase};

use crate::run_samples::*;
use crate::samples::*;

#[test]
fn sc_246_each_running_phase_can_be_aborted() {
    for (phase, running_status, aborting_status, aborted, ..) in ABORTABLE {
        running(&[phase, Phase::Complete], running_status)
            .when(AbortDeployment)
            .then([DeployAbortRequested { run_id: RUN }.into(), ran(running_status, aborting_status, None)])
            .when(abort_phase(phase))
            .then([ran(aborting_status, aborted, None), finished(RunOutcome::Aborted, None)]);
    }
}

#[test]
fn sc_238_nothing_but_a_running_phase_can_be_aborted() {
    let running_statuses = ABORTABLE.map(|(_, running_status, ..)| running_status);
    assert_eq!(AbortDeployment::ALLOWED, running_statuses);
    for status in S::ALL.iter().filter(|status| !running_statuses.contains(status)) {
        running(&[Phase::Install], *status)
            .when(AbortDeployment)
            .then_rejected("not-abortable")
            .when(AbortDeployment)
            .then_refused_saying("must be in one of the following states");
    }
}

#[test]
fn sc_237_abort_is_for_the_initial_deployment_alone() {
    for (_, running_status, ..) in ABORTABLE {
        let later = SubcloudAdded { initial_deployment: false, ..added() };
        built(later, running_status)
            .when(AbortDeployment)
            .then_rejected("not-initial-deployment")
            .when(AbortDeployment)
            .then_refused_saying("only be aborted during initial deployment");
    }
}

#[test]
fn a_status_that_runs_without_a_run_is_not_aborted() {
    subcloud(S::Installing).when(AbortDeployment).then_rejected("run-not-active");
}

#[test]
fn an_abort_is_asked_for_once() {
    for (phase, running_status, ..) in ABORTABLE {
        aborting(phase, running_status).when(AbortDeployment).then_rejected("not-abortable");
    }
}

#[test]
fn a_phase_ends_as_aborted_only_if_that_was_asked_for() {
    for (phase, running_status, ..) in ABORTABLE {
        running(&[phase], running_status).when(abort_phase(phase)).then_rejected("out-of-turn");
    }
}

#[test]
fn a_phase_being_aborted_does_not_start_again() {
    for (phase, running_status, ..) in ABORTABLE {
        aborting(phase, running_status).when(start(phase)).then_rejected("out-of-turn");
        aborting(phase, running_status).when(play(phase)).then_rejected("out-of-turn");
    }
}

#[test]
fn an_abort_is_superseded_by_success_and_no_further_phase_runs() {
    for (phase, running_status, aborting_status, _, _, done) in ABORTABLE {
        running(&[phase, Phase::Complete], running_status)
            .after(AbortDeployment)
            .when(complete(phase))
            .then([ran(aborting_status, done, None), finished(RunOutcome::AbortSuperseded, None)])
            .when(start(Phase::Complete))
            .then_rejected("run-not-active");
    }
}

#[test]
fn an_abort_is_superseded_by_failure() {
    for (phase, running_status, aborting_status, _, failed, _) in ABORTABLE {
        for started in [true, false] {
            aborting(phase, running_status).when(fail(phase, started, "error")).then([
                ran(aborting_status, failed, Some("error")),
                finished(RunOutcome::AbortSuperseded, Some("error")),
            ]);
        }
    }
}

#[test]
fn an_abort_whose_worker_is_lost_ends_as_lost() {
    for (phase, running_status, aborting_status, _, failed, _) in ABORTABLE {
        aborting(phase, running_status).when(LOST).then([
            ran(aborting_status, failed, Some("worker lost")),
            finished(RunOutcome::Lost, Some("worker lost")),
        ]);
    }
}
