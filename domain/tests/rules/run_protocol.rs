//! A run from its request to its one terminal event (jobs.md §1.2, §1.3, §6.1; design §8).

use dcm_domain::aggregate::Command;
use dcm_domain::subcloud::command::*;
use dcm_domain::subcloud::{
    DeployRunRequested, DeployStepRecorded, NO_ERROR, RehomeDataUpdated, Rejection, RunInputs, RunOutcome,
    StepOutcome, Subcloud, SubcloudAdded, SubcloudEvent,
};
use dcm_domain::value::{Availability, DeployStatus as S, Endpoint, ManagementState as M, Phase, SyncStatus};
use uuid::Uuid;

use crate::kit::{Given, given};
use crate::run_samples::*;
use crate::samples::*;

#[test]
fn jb_008_a_whole_deployment_passes_every_status_and_ends_once() {
    let phases = add_phases(true, true);
    given::<Subcloud>([])
        .when(add(&phases))
        .then([added().into(), requested(RUN, &phases).into()])
        .when(claim(RUN))
        .then([claimed()])
        .when(start(Phase::Create))
        .then([ran(S::NotDeployed, S::Creating, None)])
        .when(complete(Phase::Create))
        .then([ran(S::Creating, S::CreateComplete, None)])
        .when(start(Phase::Install))
        .then([ran(S::CreateComplete, S::PreInstall, None)])
        .when(play(Phase::Install))
        .then([ran(S::PreInstall, S::Installing, None)])
        .when(complete(Phase::Install))
        .then([ran(S::Installing, S::InstallComplete, None)])
        .when(start(Phase::Bootstrap))
        .then([ran(S::InstallComplete, S::PreBootstrap, None)])
        .when(play(Phase::Bootstrap))
        .then([ran(S::PreBootstrap, S::Bootstrapping, None)])
        .when(complete(Phase::Bootstrap))
        .then([ran(S::Bootstrapping, S::BootstrapComplete, None)])
        .when(start(Phase::Configure))
        .then([ran(S::BootstrapComplete, S::PreConfig, None)])
        .when(play(Phase::Configure))
        .then([ran(S::PreConfig, S::Configuring, None)])
        .when(complete(Phase::Configure))
        .then([ran(S::Configuring, S::Complete, None), finished(RunOutcome::Succeeded, None)])
        .when(complete(Phase::Configure))
        .then_rejected("run-not-active");
}

#[test]
fn without_deploy_config_the_run_ends_in_complete_by_itself() {
    running(&[Phase::Bootstrap, Phase::Complete], S::Bootstrapping)
        .after(complete(Phase::Bootstrap))
        .when(start(Phase::Complete))
        .then_nothing()
        .when(complete(Phase::Complete))
        .then([ran(S::BootstrapComplete, S::Complete, None), finished(RunOutcome::Succeeded, None)]);
}

#[test]
fn jb_002_a_creation_alone_ends_create_complete() {
    running(&[Phase::Create], S::Creating)
        .when(complete(Phase::Create))
        .then([ran(S::Creating, S::CreateComplete, None), finished(RunOutcome::Succeeded, None)]);
}

#[test]
fn jb_003_a_failed_creation_ends_create_failed() {
    running(&[Phase::Create], S::Creating).when(fail(Phase::Create, true, "no route")).then([
        ran(S::Creating, S::CreateFailed, Some("no route")),
        finished(RunOutcome::Failed, Some("no route")),
    ]);
}

#[test]
fn jb_004_a_bootstrap_ends_bootstrap_complete() {
    running(&[Phase::Bootstrap], S::Bootstrapping)
        .when(complete(Phase::Bootstrap))
        .then([ran(S::Bootstrapping, S::BootstrapComplete, None), finished(RunOutcome::Succeeded, None)]);
}

#[test]
fn jb_005_a_failed_preparation_has_a_status_of_its_own() {
    for (phase, preparing, failed) in [
        (Phase::Install, S::PreInstall, S::PreInstallFailed),
        (Phase::Bootstrap, S::PreBootstrap, S::PreBootstrapFailed),
        (Phase::Configure, S::PreConfig, S::PreConfigFailed),
    ] {
        running(&[phase], preparing).when(fail(phase, false, "no such file")).then([
            ran(preparing, failed, Some("no such file")),
            finished(RunOutcome::Failed, Some("no such file")),
        ]);
    }
}

#[test]
fn jb_010_a_failed_phase_ends_the_whole_run() {
    let given = running(&add_phases(true, true), S::Creating).after(fail(Phase::Create, true, "dcorch"));
    assert_eq!(given.state().run, None);
    given.when(start(Phase::Install)).then_rejected("run-not-active");
}

#[test]
fn a_failed_playbook_has_its_failed_status() {
    for (phase, running_status, _, _, failed, _) in ABORTABLE {
        running(&[phase, Phase::Complete], running_status).when(fail(phase, true, "FAILED TASK")).then([
            ran(running_status, failed, Some("FAILED TASK")),
            finished(RunOutcome::Failed, Some("FAILED TASK")),
        ]);
    }
}

#[test]
fn a_playbook_that_starts_clears_the_last_error() {
    let given = running(&[Phase::Install], S::InstallFailed).and([ran(
        S::InstallFailed,
        S::PreInstall,
        Some("FAILED TASK"),
    )]);
    let after = given.when(play(Phase::Install)).then([ran(S::PreInstall, S::Installing, Some(NO_ERROR))]);
    assert_eq!(after.state().error_description, NO_ERROR);
}

#[test]
fn a_creation_leaves_the_error_text_alone() {
    let given =
        running(&[Phase::Create], S::NotDeployed).and([ran(S::NotDeployed, S::Creating, Some("old"))]);
    assert_eq!(given.after(complete(Phase::Create)).state().error_description, "old");
}

#[test]
fn an_error_text_is_cut_at_2048_characters() {
    for letter in ["e", "\u{e9}", "\u{1f525}"] {
        let after =
            running(&[Phase::Install], S::Installing).after(fail(Phase::Install, true, &letter.repeat(5000)));
        assert_eq!(after.state().error_description.chars().count(), 2048);
    }
}

#[test]
fn a_run_is_claimed_once() {
    let given = subcloud(S::NotDeployed).and([requested(RUN, &[Phase::Create]).into()]);
    let given = given.when(claim(RUN)).then([claimed()]);
    given.clone().when(claim(RUN)).then_rejected("run-claimed");
    given.when(ClaimRun { run_id: RUN, worker: "worker-2".to_owned() }).then_rejected("run-claimed");
}

/// Each report a worker can give of `phase`, by name.
fn reports(run_id: Uuid, phase: Phase) -> Vec<(&'static str, Report)> {
    let step = RecordStep { run_id, phase, step: "inventory".to_owned(), outcome: StepOutcome::Done };
    let failed = FailPhase { run_id, phase, started: true, error: "error".to_owned() };
    vec![
        ("start phase", Box::new(move |given| decided(given, &StartPhase { run_id, phase }))),
        ("start playbook", Box::new(move |given| decided(given, &StartPlaybook { run_id, phase }))),
        ("complete", Box::new(move |given| decided(given, &CompletePhase { run_id, phase }))),
        ("fail", Box::new(move |given| decided(given, &failed))),
        ("abort", Box::new(move |given| decided(given, &AbortPhase { run_id, phase }))),
        ("record step", Box::new(move |given| decided(given, &step))),
    ]
}

type Report = Box<dyn Fn(&Given<Subcloud>) -> Result<Vec<SubcloudEvent>, Rejection>>;

fn decided<C>(given: &Given<Subcloud>, command: &C) -> Result<Vec<SubcloudEvent>, Rejection>
where
    C: Command<Subcloud, Rejection = Rejection>,
{
    command.decide(Some(given.state()), &crate::kit::FACTS)
}

#[test]
fn nobody_reports_on_a_run_that_is_not_claimed() {
    let waiting = subcloud(S::NotDeployed).and([requested(RUN, &[Phase::Create]).into()]);
    for (report, decide) in reports(RUN, Phase::Create) {
        assert_eq!(decide(&waiting), Err(Rejection::OutOfTurn), "{report}");
    }
    waiting.when(LOST).then_rejected("out-of-turn");
}

#[test]
fn reports_on_another_run_are_refused() {
    let given = running(&[Phase::Install], S::Installing);
    for (report, decide) in reports(OTHER_RUN, Phase::Install) {
        assert_eq!(decide(&given), Err(Rejection::RunNotActive), "{report}");
    }
    given.clone().when(claim(OTHER_RUN)).then_rejected("run-not-active");
    for because in [LostBecause::WorkerLost, LostBecause::NoWorker] {
        given.clone().when(LoseRun { run_id: OTHER_RUN, because }).then_rejected("run-not-active");
    }
}

#[test]
fn reports_on_a_finished_run_are_refused() {
    let ended = running(&[Phase::Install], S::Installing).after(complete(Phase::Install));
    for (report, decide) in reports(RUN, Phase::Install) {
        assert_eq!(decide(&ended), Err(Rejection::RunNotActive), "{report}");
    }
    ended.clone().when(claim(RUN)).then_rejected("run-not-active");
    ended.when(LOST).then_rejected("run-not-active");
}

#[test]
fn reports_on_a_phase_that_is_over_or_not_yet_due_are_refused() {
    let given = running(&add_phases(true, true), S::Creating)
        .after(complete(Phase::Create))
        .after(start(Phase::Install))
        .after(play(Phase::Install));
    for phase in Phase::ALL.iter().copied().filter(|phase| *phase != Phase::Install) {
        for (report, decide) in reports(RUN, phase).into_iter().filter(|(report, _)| *report != "record step")
        {
            assert_eq!(decide(&given), Err(Rejection::OutOfTurn), "{report} {phase}");
        }
    }
}

#[test]
fn a_started_playbook_is_not_turned_back_to_its_preparation() {
    for (phase, running_status, ..) in ABORTABLE {
        running(&[phase], running_status).when(start(phase)).then_rejected("out-of-turn");
        running(&[phase], running_status).when(play(phase)).then_nothing();
    }
}

#[test]
fn steps_are_recorded_and_change_nothing_else() {
    let outcome = StepOutcome::Skipped { reason: "Keystone is not configured".to_owned() };
    let step = RecordStep { run_id: RUN, phase: Phase::Create, step: "endpoints".to_owned(), outcome };
    let given = running(&[Phase::Create], S::Creating);
    let before = given.state().clone();
    let after = given.when(step.clone()).then([DeployStepRecorded {
        run_id: RUN,
        phase: Phase::Create,
        step: "endpoints".to_owned(),
        outcome: step.outcome.clone(),
    }
    .into()]);
    assert_eq!(Subcloud { revision: before.revision, ..after.state().clone() }, before);
}

#[test]
fn jb_012_a_secondary_stays_creating_until_it_is_done_and_then_stores_its_rehome_data() {
    let run = DeployRunRequested {
        run_id: RUN,
        phases: vec![Phase::Secondary],
        inputs: RunInputs { rehome: Some(document("rehome")), ..RunInputs::default() },
    };
    let after = given::<Subcloud>([])
        .after(AddSubcloud { subcloud: added(), run, claimed_by: None })
        .after(claim(RUN))
        .when(start(Phase::Secondary))
        .then([ran(S::NotDeployed, S::Creating, None)])
        .when(play(Phase::Secondary))
        .then_nothing()
        .when(complete(Phase::Secondary))
        .then([
            ran(S::Creating, S::Secondary, None),
            RehomeDataUpdated { rehome: document("rehome") }.into(),
            finished(RunOutcome::Succeeded, None),
        ]);
    assert_eq!(after.state().rehome, Some(document("rehome")));
}

#[test]
fn a_secondary_that_was_seen_meanwhile_is_cut_off_when_done() {
    running(&[Phase::Secondary], S::Creating)
        .after(ReportAvailability { to: Availability::Online })
        .after(ReportEndpoint { endpoint: Endpoint::Load, status: SyncStatus::OutOfSync, seen: None })
        .when(complete(Phase::Secondary))
        .then([
            ran(S::Creating, S::Secondary, None),
            offline(),
            unknown(&[Endpoint::Load]),
            finished(RunOutcome::Succeeded, None),
        ]);
}

#[test]
fn a_subcloud_managed_by_force_meanwhile_does_not_become_secondary() {
    let text = "the subcloud was managed while it was being created as secondary";
    let after = running(&[Phase::Secondary], S::Creating)
        .after(ManageSubcloud { force: true, ..ManageSubcloud::default() })
        .when(complete(Phase::Secondary))
        .then([ran(S::Creating, S::SecondaryFailed, Some(text)), finished(RunOutcome::Failed, Some(text))]);
    assert_eq!((after.state().management, after.state().deploy), (M::Managed, S::SecondaryFailed));
}

#[test]
fn a_failed_secondary_stores_no_rehome_data() {
    let after = running(&[Phase::Secondary], S::Creating).when(fail(Phase::Secondary, true, "error")).then([
        ran(S::Creating, S::SecondaryFailed, Some("error")),
        finished(RunOutcome::Failed, Some("error")),
    ]);
    assert_eq!(after.state().rehome, None);
}

#[test]
fn jb_007_a_resumed_deployment_reaches_complete() {
    let stored = SubcloudAdded {
        install: Some(document("install")),
        deploy_config: Some(document("config")),
        ..added()
    };
    let mut given = built(stored, S::CreateComplete).after(deploy(DeployVerb::Resume)).after(claim(RUN));
    for phase in [Phase::Install, Phase::Bootstrap, Phase::Configure] {
        given = given.after(start(phase)).after(play(phase)).after(complete(phase));
    }
    assert_eq!((given.state().deploy, &given.state().run), (S::Complete, &None));
}

#[test]
fn a_subcloud_is_added_once() {
    subcloud(S::Complete).when(add(&[Phase::Create])).then_rejected("subcloud-exists");
}

#[test]
fn a_new_subcloud_is_unmanaged_offline_and_not_deployed() {
    let given = given::<Subcloud>([]).after(add(&[Phase::Create]));
    let state = given.state();
    assert_eq!((state.management, state.availability), (M::Unmanaged, Availability::Offline));
    assert_eq!((state.deploy, state.backup), (S::NotDeployed, None));
    assert_eq!(state.error_description, NO_ERROR);
    assert_eq!(state.endpoints.keys().copied().collect::<Vec<_>>(), Endpoint::DEFAULT);
    assert_eq!(known(state), []);
}
