//! §14.5: prestaging a subcloud.

use dcm_domain::subcloud::command::{
    ClaimRun, FailPhase, ManageSubcloud, RequestBackup, StartPhase, UnmanageSubcloud,
};
use dcm_domain::subcloud::{BackupTask, RunKind, Task};
use dcm_domain::value::{Phase, SecretRef};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::fixture::*;
use crate::site::platform::{FakePlatform, silent};
use crate::site::{Answer, Site};

const ALARMS: &str = "No alarms: [Fail]\n[3] alarms found, [2] of which are management affecting\n";
const HARMLESS: &str =
    "Ceph: [Fail]\nNo alarms: [Fail]\n[3] alarms found, [0] of which are management affecting\n";

/// SC[managed online] on a simplex that is healthy.
async fn sc() -> (Site, Uuid, FakePlatform) {
    let platform = FakePlatform::default();
    platform.tells(|facts| {
        facts.upgrade = Ok(false);
        facts.loads = Ok(vec!["22.12".to_owned()]);
        facts.system_mode = Ok("simplex".to_owned());
        facts.health = Ok("No alarms: [OK]\n".to_owned());
    });
    let site = controller_on(&platform).await;
    let entity = site.add(1).await;
    manage(&site, entity).await;
    (site, entity, platform)
}

async fn prestage(site: &Site, body: Value) -> Answer {
    send_json(site, "PATCH", "/v1.0/subclouds/1/prestage", &body).await
}

/// The password, and `more`.
fn body(more: Value) -> Value {
    let mut body = json!({"sysadmin_password": PASSWORD});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

async fn refused(site: &Site, more: Value, text: &str, case: &str) {
    expect(&prestage(site, body(more)).await, 400, text, case);
}

async fn history(site: &Site) -> Vec<Value> {
    let page = site.get("/v1.0/subclouds/1/history").await.json();
    page["events"].as_array().unwrap().clone()
}

#[tokio::test]
async fn sc_195_a_managed_simplex_is_prestaged() {
    let (site, entity, _) = sc().await;
    let answer = prestage(&site, body(json!({"release": "22.12"}))).await;
    expect(&answer, 200, "prestaging-packages", "195");
    let row = answer.json();
    assert_eq!(row["prestage-software-version"], "22.12");
    assert_eq!((&row["deploy-status"], row.as_object().unwrap().len()), (&json!("prestaging-packages"), 26));
    assert_eq!(row["software-version"], "18.03");
    let stored = state(&site, entity).await;
    let run = stored.run.as_ref().unwrap();
    assert_eq!(run.kind(), RunKind::Prestage);
    let Some(Task::Prestage(task)) = &run.task else { panic!("{:?}", run.task) };
    assert_eq!((task.release.as_str(), task.force), ("22.12", false));
    assert!(history(&site).await.iter().all(|event| event["type"] != "ChecksSkipped"), "all were made");
    refused(&site, json!({}), "only allowed while", "once at a time").await;
    assert_eq!(site.app.vault().list(entity).await.unwrap().len(), 1, "a refused one left no password");
}

#[tokio::test]
async fn checks_that_nobody_can_answer_are_skipped_and_recorded() {
    let site = controller().await;
    let entity = site.add(1).await;
    manage(&site, entity).await;
    let answer = prestage(&site, body(json!({"release": "21.12"}))).await;
    expect(&answer, 200, "prestaging-packages", "nothing is configured");
    assert_eq!(answer.json()["prestage-software-version"], "21.12");
    let events = history(&site).await;
    let skipped = events.iter().find(|event| event["type"] == "ChecksSkipped").unwrap();
    let checks: Vec<_> = skipped["data"]["checks"].as_array().unwrap().iter().collect();
    let names: Vec<_> = checks.iter().map(|check| check["check"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        ["upgrade in progress", "release imported", "system mode", "management affecting alarms"]
    );
    assert!(checks.iter().all(|check| check["reason"].as_str().unwrap().contains("is configured")));
    let asked = events.iter().find(|event| event["type"] == "PrestageRequested").unwrap();
    assert_eq!(skipped["request_id"], asked["request_id"], "in the same append");
}

#[tokio::test]
async fn sc_196_200_205_what_the_platform_forbids() {
    let (site, _, platform) = sc().await;
    refused(&site, json!({"release": "21.12"}), "Prestage skipped 'subcloud1': Specified release", "196")
        .await;
    refused(&site, json!({"release": "21.12"}), "must first be imported", "196").await;
    platform.tells(|facts| facts.system_mode = Ok("duplex".to_owned()));
    refused(&site, json!({}), "only accepted for a simplex", "200").await;
    platform.tells(|facts| facts.system_mode = silent());
    refused(&site, json!({}), "Prestage failed 'subcloud1': Failed to retrieve subcloud system mode", "14")
        .await;
    platform.tells(|facts| facts.upgrade = Ok(true));
    refused(&site, json!({}), "Prestage failed 'SystemController': ", "205").await;
    refused(&site, json!({}), "upgrade is in progress", "205").await;
    platform.tells(|facts| facts.upgrade = silent());
    let answer = prestage(&site, body(json!({}))).await;
    expect(&answer, 503, "does not answer", "a dependency is away");
    assert!(!answer.header("retry-after").is_empty());
}

#[tokio::test]
async fn sc_201_202_203_alarms() {
    let (site, entity, platform) = sc().await;
    platform.tells(|facts| facts.health = Ok(ALARMS.to_owned()));
    for force in [json!({}), json!({"force": "false"}), json!({"force": "F"}), json!({"force": false})] {
        refused(&site, force, "management affecting alarm", "202").await;
    }
    expect(&prestage(&site, body(json!({"force": "true"}))).await, 200, "", "203");
    for (health, more) in [(ALARMS, json!({"force": true})), (HARMLESS, json!({"force": "f"}))] {
        fail(&site, entity).await;
        platform.tells(|facts| facts.health = Ok(health.to_owned()));
        expect(&prestage(&site, body(more)).await, 200, "", "201, 203");
    }
    fail(&site, entity).await;
    platform.tells(|facts| facts.health = silent());
    refused(&site, json!({}), "Prestage failed 'subcloud1': ", "16").await;
}

/// Lets the active prestage fail.
async fn fail(site: &Site, entity: Uuid) {
    let (run_id, phase) = (state(site, entity).await.run.as_ref().unwrap().id, Phase::Prestage);
    site.run(entity, &ClaimRun { run_id, worker: "w".to_owned() }).await;
    site.run(entity, &StartPhase { run_id, phase }).await;
    site.run(entity, &FailPhase { run_id, phase, started: true, error: "no".to_owned() }).await;
    assert_eq!(deploy_status(site, 1).await, "prestage-failed");
}

#[tokio::test]
async fn sc_197_198_204_which_subclouds_are_prestaged() {
    let (site, entity, platform) = sc().await;
    site.run(entity, &UnmanageSubcloud::default()).await;
    refused(&site, json!({}), "Prestage skipped 'subcloud1': Subcloud is not managed", "197").await;
    platform.tells(|facts| facts.upgrade = Ok(true));
    refused(&site, json!({}), "upgrade is in progress", "the controller comes first").await;
    platform.tells(|facts| facts.upgrade = Ok(false));

    let site = controller_on(&platform).await;
    let entity = site.add(1).await;
    site.run(entity, &ManageSubcloud { force: true, ..ManageSubcloud::default() }).await;
    refused(&site, json!({}), "Prestage skipped 'subcloud1': Subcloud is offline", "198").await;

    let site = controller_on(&platform).await;
    let entity = site.add_failed(1, Phase::Configure, "boom").await;
    manage(&site, entity).await;
    refused(&site, json!({}), "only allowed while", "204").await;
}

#[tokio::test]
async fn sc_199_not_during_a_backup() {
    let (site, entity, _) = sc().await;
    let task = BackupTask {
        local_only: false,
        registry_images: false,
        backup_values: None,
        sysadmin_password: SecretRef(Uuid::now_v7()),
    };
    site.run(entity, &RequestBackup { run_id: Uuid::now_v7(), task }).await;
    refused(&site, json!({}), "Prestage skipped 'subcloud1': Subcloud backup is in progress", "199").await;
    site.run(entity, &UnmanageSubcloud::default()).await;
    let offline =
        dcm_domain::subcloud::command::ReportAvailability { to: dcm_domain::value::Availability::Offline };
    site.run(entity, &offline).await;
    let deleted = site.ask("DELETE", "/v1.0/subclouds/1", &[("accept", "application/json")], "").await;
    expect(&deleted, 422, "deployment in progress", "nor is it deleted");
}

#[tokio::test]
async fn sc_206_207_passwords_and_other_fields() {
    let (site, _, _) = sc().await;
    for (sent, phrase) in [
        (json!({}), "sysadmin_password is required"),
        (json!({"sysadmin_password": null}), "sysadmin_password is required"),
        (json!({"sysadmin_password": "notencoded"}), "Failed to decode subcloud sysadmin_password"),
        (json!({"sysadmin_password": 1}), "Failed to decode subcloud sysadmin_password"),
        (json!({"sysadmin_password": ""}), "Prestage failed: Missing required parameter"),
        (body(json!({"force": "yes"})), "Invalid value for force option"),
        (body(json!({"force": 1})), "Invalid value for force option"),
        (body(json!({"release": "99.9"})), "must first be imported"),
        (body(json!({"release": []})), "invalid release version parameter"),
    ] {
        expect(&prestage(&site, sent.clone()).await, 400, phrase, &sent.to_string());
    }
    let form = Form::new().field("sysadmin_password", PASSWORD);
    let answer = send(&site, "PATCH", "/v1.0/subclouds/1/prestage", &form).await;
    expect(&answer, 400, "Request body is malformed", "a form");
}
