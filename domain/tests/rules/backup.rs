//! Backups and restores: who may have one, and what becomes of the runs (subclouds.md §7.10, §7.12; jobs.md §6.2).

use dcm_domain::subcloud::command::*;
use dcm_domain::subcloud::{
    BackupRunFinished, BackupRunRequested, BackupStatusChanged, BackupTask, ChecksSkipped,
    DeployRunRequested, RestoreRequested, RestoreTask, RunInputs, RunKind, RunOutcome, SkippedCheck,
    Subcloud, SubcloudEvent,
};
use dcm_domain::value::{
    Availability, BackupStatus as B, DeployStatus as S, ManagementState, Phase, SecretRef,
};
use uuid::Uuid;

use crate::kit::Given;
use crate::samples::*;

fn task() -> BackupTask {
    BackupTask {
        local_only: true,
        registry_images: false,
        backup_values: Some(document("values")),
        sysadmin_password: SecretRef(Uuid::from_u128(7)),
    }
}

fn backup(run_id: Uuid) -> RequestBackup {
    RequestBackup { run_id, task: task() }
}

fn restore() -> RequestRestore {
    RequestRestore {
        run_id: RUN,
        inputs: RunInputs::default(),
        task: RestoreTask {
            with_install: false,
            release: None,
            local_only: false,
            registry_images: false,
            restore_values: None,
            bootstrap_address: "10.10.10.12".to_owned(),
        },
    }
}

fn ready() -> Given<Subcloud> {
    in_state(ManagementState::Managed, S::Complete, Availability::Online)
}

fn changed(from: Option<B>, to: B) -> SubcloudEvent {
    BackupStatusChanged { from, to, stored_at: None }.into()
}

fn requested(run_id: Uuid) -> SubcloudEvent {
    BackupRunRequested { run_id, task: task() }.into()
}

fn lost(run_id: Uuid, because: LostBecause) -> LoseBackupRun {
    LoseBackupRun { run_id, because }
}

#[test]
fn sc_247_a_backup_is_initial_at_once() {
    let state = ready().when(backup(RUN)).then([requested(RUN), changed(None, B::Initial)]);
    let run = state.state().backup_run.as_ref().unwrap();
    assert_eq!((run.id, &run.task), (RUN, &task()));
    assert_eq!(state.state().deploy, S::Complete, "the other axis stays");
    let secrets: Vec<_> = state.state().secrets().collect();
    assert!(secrets.contains(&task().sysadmin_password));
    assert!(secrets.contains(&document("values").secret));
}

#[test]
fn sc_250_251_252_only_managed_online_and_settled() {
    for (management, status, availability) in [
        (ManagementState::Managed, S::Complete, Availability::Offline),
        (ManagementState::Unmanaged, S::Complete, Availability::Online),
        (ManagementState::Managed, S::Bootstrapping, Availability::Online),
    ] {
        let refused = in_state(management, status, availability).when(backup(RUN));
        refused.then_rejected("not-backupable");
    }
    for status in S::ALL.iter().copied() {
        let asked = in_state(ManagementState::Managed, status, Availability::Online).when(backup(RUN));
        match status {
            S::Complete | S::PrestageComplete => drop(asked.then_accepted()),
            _ => drop(asked.then_rejected("not-backupable")),
        }
    }
}

#[test]
fn sc_267_268_not_while_another_is_under_way() {
    for status in B::ALL.iter().copied() {
        let asked = ready().and([changed(None, status)]).when(backup(RUN));
        match status {
            B::Initial | B::Validating | B::PreBackup | B::BackingUp => {
                asked.then_rejected("backup-active");
            }
            _ => drop(asked.then([requested(RUN), changed(Some(status), B::Initial)])),
        }
    }
    ready().after(backup(RUN)).when(backup(OTHER_RUN)).then_rejected("backup-active");
}

#[test]
fn a_skipped_check_is_recorded_with_what_it_was_skipped_for() {
    let skipped = SkippedCheck { check: "health".to_owned(), reason: "nobody can tell".to_owned() };
    let command = WithSkippedChecks { command: backup(RUN), skipped: vec![skipped.clone()] };
    let recorded = ChecksSkipped { checks: vec![skipped] }.into();
    ready().when(command).then([requested(RUN), changed(None, B::Initial), recorded]);
}

#[test]
fn jb_047_048_a_lost_backup_fails_the_status_it_waits_in() {
    use LostBecause::{NoWorker, WorkerLost};
    for (waits, because, failed) in [
        (B::Initial, NoWorker, B::ValidateFailed),
        (B::Validating, WorkerLost, B::ValidateFailed),
        (B::PreBackup, WorkerLost, B::BackupPrepFailed),
        (B::BackingUp, WorkerLost, B::Failed),
    ] {
        let error = if because == NoWorker { "no worker for backup" } else { "worker lost" };
        let finished =
            BackupRunFinished { run_id: RUN, outcome: RunOutcome::Lost, error: Some(error.to_owned()) };
        let ended = ready()
            .and([requested(RUN), changed(None, waits)])
            .when(lost(RUN, because))
            .then([changed(Some(waits), failed), finished.into()]);
        assert_eq!(ended.state().backup_run, None);
        assert_eq!(ended.state().error_description, error);
        assert!(!ended.state().secrets().any(|secret| secret == task().sysadmin_password));
        ended.after(backup(OTHER_RUN));
    }
}

#[test]
fn a_late_report_of_a_lost_backup_changes_nothing() {
    let because = LostBecause::NoWorker;
    ready().when(lost(RUN, because)).then_rejected("run-not-active");
    ready().after(backup(RUN)).when(lost(OTHER_RUN, because)).then_rejected("run-not-active");
    ready()
        .after(backup(RUN))
        .after(lost(RUN, because))
        .when(lost(RUN, because))
        .then_rejected("run-not-active");
}

#[test]
fn sc_283_a_restore_leaves_the_status_until_a_worker_begins() {
    for availability in [Availability::Online, Availability::Offline] {
        let state = in_state(ManagementState::Unmanaged, S::Complete, availability).when(restore()).then([
            DeployRunRequested { run_id: RUN, phases: vec![Phase::Restore], inputs: RunInputs::default() }
                .into(),
            RestoreRequested { run_id: RUN, task: restore().task }.into(),
        ]);
        assert_eq!(state.state().deploy, S::Complete);
        assert_eq!(state.state().run.as_ref().unwrap().kind(), RunKind::Restore);
        state
            .when(restore())
            .then_rejected("run-active")
            .when(restore())
            .then_refused_saying("deployment in progress");
    }
}

#[test]
fn sc_290_291_not_managed_and_not_at_work() {
    in_state(ManagementState::Managed, S::Complete, Availability::Online)
        .when(restore())
        .then_rejected("not-restorable");
    for status in S::ALL.iter().copied() {
        let asked = in_state(ManagementState::Unmanaged, status, Availability::Offline).when(restore());
        match status {
            S::Creating
            | S::PreInstall
            | S::Installing
            | S::PreBootstrap
            | S::Bootstrapping
            | S::PreConfig
            | S::Configuring
            | S::PreRehome
            | S::Rehoming
            | S::PreRestore
            | S::Restoring => drop(asked.then_rejected("not-restorable")),
            _ => drop(asked.then_accepted()),
        }
    }
}

#[test]
fn a_restore_that_nobody_begins_is_restore_prep_failed() {
    let waiting = in_state(ManagementState::Unmanaged, S::Complete, Availability::Offline).after(restore());
    let ended = waiting.after(LoseRun { run_id: RUN, because: LostBecause::NoWorker });
    assert_eq!(ended.state().deploy, S::RestorePrepFailed);
    assert_eq!(ended.state().error_description, "no worker for restore");
}
