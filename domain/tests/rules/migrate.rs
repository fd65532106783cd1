//! Taking a subcloud over from another controller (subclouds.md §6.7; fleet.md §3.4 step 4).

use dcm_domain::subcloud::command::*;
use dcm_domain::subcloud::{
    ChecksSkipped, DeployRunRequested, Document, RehomeDataUpdated, RunInputs, RunOutcome, SkippedCheck,
    Subcloud,
};
use dcm_domain::value::{DeployStatus as S, Phase, SecretRef};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::kit::Given;
use crate::run_samples::{UNCLAIMED, complete, finished};
use crate::samples::*;

const PASSWORD: SecretRef = SecretRef(Uuid::from_u128(7));
const MIGRATE: MigrateSubcloud = MigrateSubcloud { run_id: RUN, sysadmin_password: Some(PASSWORD) };

fn with_rehome(status: S, shown: Value) -> Given<Subcloud> {
    subcloud(status).and([RehomeDataUpdated { rehome: Document { shown, ..document("rehome") } }.into()])
}

fn ready(status: S) -> Given<Subcloud> {
    with_rehome(status, rehome_data().shown)
}

fn asked() -> DeployRunRequested {
    let inputs = RunInputs { sysadmin_password: Some(PASSWORD), ..RunInputs::default() };
    DeployRunRequested { run_id: RUN, phases: vec![Phase::Rehome], inputs }
}

#[test]
fn sc_211_a_secondary_subcloud_is_asked_for_and_keeps_its_status() {
    let after = ready(S::Secondary).when(MIGRATE).then([asked().into()]);
    assert_eq!(after.state().deploy, S::Secondary);
    for status in [S::RehomeFailed, S::RehomePrepFailed] {
        ready(status).when(MIGRATE).then([asked().into()]);
    }
}

#[test]
fn sc_209_other_statuses_are_refused() {
    for status in S::ALL.iter().copied().filter(|status| !MigrateSubcloud::ALLOWED.contains(status)) {
        ready(status).when(MIGRATE).then_rejected("not-migratable");
    }
}

#[test]
fn sc_210_rehome_data_must_hold_an_address() {
    subcloud(S::Secondary).when(MIGRATE).then_rejected("rehome-data-missing");
    with_rehome(S::Secondary, Value::Null).when(MIGRATE).then_rejected("rehome-data-missing");
    with_rehome(S::Secondary, json!({})).when(MIGRATE).then_rejected("rehome-payload-empty");
    for address in [json!({"name": "x"}), json!({"bootstrap-address": ""}), json!({"bootstrap-address": 1})] {
        with_rehome(S::Secondary, address).when(MIGRATE).then_rejected("rehome-address-missing");
    }
}

#[test]
fn only_one_run_at_a_time() {
    ready(S::Secondary)
        .after(MIGRATE)
        .when(MigrateSubcloud { run_id: OTHER_RUN, ..MIGRATE })
        .then_rejected("run-active");
}

#[test]
fn a_migration_that_nobody_takes_fails_its_preparation() {
    let because = Some("no worker for rehome");
    ready(S::Secondary)
        .after(MIGRATE)
        .when(UNCLAIMED)
        .then([ran(S::Secondary, S::RehomePrepFailed, because), finished(RunOutcome::Lost, because)])
        .after(MIGRATE);
}

#[test]
fn what_was_not_checked_is_recorded_with_what_was_done() {
    let check = SkippedCheck { check: "patching".to_owned(), reason: "not configured".to_owned() };
    let unchecked = |skipped: Vec<SkippedCheck>| WithSkippedChecks { command: MIGRATE, skipped };
    ready(S::Secondary)
        .when(unchecked(vec![check.clone()]))
        .then([asked().into(), ChecksSkipped { checks: vec![check.clone()] }.into()]);
    ready(S::Secondary).when(unchecked(Vec::new())).then([asked().into()]);
    ready(S::Complete).when(unchecked(vec![check])).then_rejected("not-migratable");
    assert_eq!(
        serde_json::to_value(unchecked(Vec::new())).unwrap(),
        serde_json::to_value(MIGRATE).unwrap(),
        "recorded as the command itself"
    );
}

#[test]
fn a_subcloud_taken_over_was_first_deployed_elsewhere() {
    let after = ready(S::RehomeFailed).after(MIGRATE).and([claimed()]).after(complete(Phase::Rehome));
    let state = after.state();
    assert_eq!((state.deploy, state.initial_deployment), (S::Complete, false));
}
