//! E22.

use dcm_api::platform::PlatformError;
use dcm_domain::subcloud::command::{LoseBackupRun, LostBecause, ReportAvailability, UnmanageSubcloud};
use dcm_domain::subcloud::{Subcloud, SubcloudEvent};
use dcm_domain::value::{Availability, BackupStatus, DeployStatus, Phase};
use dcm_schemas::{StreamId, registry};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::fixture::*;
use crate::given::*;
use crate::site::Site;

const HEALTHY: &str = "All hosts are provisioned: [OK]\nNo alarms: [OK]\n";
const HARMLESS: &str = "No alarms: [Fail]\n[2] alarms found, [0] of which are management affecting\n";
const AFFECTING: &str = "No alarms: [Fail]\n[2] alarms found, [1] of which are management affecting\n";
const CEPH: &str = "Ceph Storage Healthy: [Fail]\nNo alarms: [OK]\n";
const KUBERNETES: &str =
    "All kubernetes nodes are ready: [Fail]\nAll kubernetes control plane pods are ready: [Fail]\n";

async fn status(site: &Site, id: i64) -> Value {
    site.get(&format!("/v1.0/subclouds/{id}")).await.json()["backup-status"].clone()
}

async fn events(site: &Site, entity: Uuid) -> Vec<SubcloudEvent> {
    let stream = StreamId::of("subcloud", entity).unwrap();
    let all = site.journal.read_stream(&stream, 0, 1000).await.unwrap();
    all.iter().map(|one| registry::decode(&one.envelope).unwrap()).collect()
}

#[tokio::test]
async fn sc_247_a_healthy_subcloud_is_backed_up() {
    for report in [HEALTHY, HARMLESS] {
        let site = controller_with(Ok(report)).await;
        let entity = managed(&site, 1).await;
        let before = site.get("/v1.0/subclouds/1").await.json();
        let answer = create(&site, json!({"subcloud": "1"})).await;
        expect(&answer, 200, "", report);
        assert!(answer.headers.contains_key("dcm-position"));
        let shown = &answer.json()["subclouds"][0];
        assert_eq!(shown.as_object().unwrap().len(), 25);
        for key in ["id", "name", "backup-status", "updated-at", "created-at", "deploy-status"] {
            assert_eq!(shown[key], before[key], "{key}: unchanged");
        }
        assert_eq!(status(&site, 1).await, "initial");
        let state = state(&site, entity).await;
        let run = state.backup_run.clone().unwrap();
        let password = site.app.vault().get(&run.task.sysadmin_password, entity).await.unwrap();
        assert_eq!(password.expose(), "testpass");
        assert!(
            !events(&site, entity).await.iter().any(|event| matches!(event, SubcloudEvent::ChecksSkipped(_)))
        );
    }
}

#[tokio::test]
async fn sc_248_an_unhealthy_one_is_not() {
    for report in [AFFECTING, CEPH, KUBERNETES] {
        let site = controller_with(Ok(report)).await;
        managed(&site, 1).await;
        expect(&create(&site, json!({"subcloud": "1"})).await, 400, "must be in good health", report);
        assert_eq!(status(&site, 1).await, Value::Null);
    }
}

#[tokio::test]
async fn a_health_nobody_can_tell_is_recorded_as_skipped_and_a_failure_is_not() {
    let site = controller().await;
    let entity = managed(&site, 1).await;
    expect(&create(&site, json!({"subcloud": "subcloud1"})).await, 200, "", "by name");
    let events = events(&site, entity).await;
    let skipped = events.iter().find_map(|event| match event {
        SubcloudEvent::ChecksSkipped(skipped) => Some(skipped.checks.clone()),
        _ => None,
    });
    assert_eq!(skipped.unwrap()[0].check, "health");

    let site = controller_with(Err(PlatformError::Failed("secret address".to_owned()))).await;
    managed(&site, 1).await;
    let answer = create(&site, json!({"subcloud": "1"})).await;
    assert_eq!(answer.status, 503, "{}", answer.text);
    assert!(!answer.text.contains("secret") && !answer.header("retry-after").is_empty());
}

#[tokio::test]
async fn sc_249_250_251_which_subclouds_can_be_backed_up() {
    let site = controller_with(Ok(HEALTHY)).await;
    let entity = managed(&site, 1).await;
    expect(&create(&site, json!({"subcloud": "123"})).await, 400, "Subcloud not found", "249");
    expect(&create(&site, json!({"subcloud": "unheard of"})).await, 400, "Subcloud not found", "249");
    site.run(entity, &ReportAvailability { to: Availability::Offline }).await;
    expect(
        &create(&site, json!({"subcloud": "1"})).await,
        400,
        "must be online, managed and have valid",
        "250",
    );
    site.run(entity, &ReportAvailability { to: Availability::Online }).await;
    site.run(entity, &UnmanageSubcloud::default()).await;
    expect(
        &create(&site, json!({"subcloud": 1})).await,
        400,
        "must be online, managed and have valid",
        "251",
    );
}

#[tokio::test]
async fn sc_252_257_not_while_it_is_bootstrapped() {
    let site = controller_with(Ok(HEALTHY)).await;
    let (entity, run_id) = site.add_with_run(1, Phase::Create).await;
    let worker = "w".to_owned();
    site.run(entity, &dcm_domain::subcloud::command::ClaimRun { run_id, worker }).await;
    let phase = Phase::Create;
    site.run(entity, &dcm_domain::subcloud::command::CompletePhase { run_id, phase }).await;
    bring(&site, entity, DeployStatus::Bootstrapping).await;
    manage(&site, entity).await;
    expect(
        &create(&site, json!({"subcloud": "1"})).await,
        400,
        "must be online, managed and have valid",
        "252",
    );
    expect(&create(&site, json!({"group": "1"})).await, 400, "None of the subclouds in group", "257");
}

#[tokio::test]
async fn sc_253_to_257_groups() {
    let site = controller_with(Ok(AFFECTING)).await;
    expect(&create(&site, json!({"group": "Fake"})).await, 404, "Group not found", "254");
    expect(&create(&site, json!({"group": "99999999999999999999"})).await, 404, "Group not found", "254");
    expect(&create(&site, json!({"group": "1"})).await, 400, "No subclouds present in group", "empty");
    let entity = site.add(1).await;
    expect(&create(&site, json!({"group": "1"})).await, 400, "None of the subclouds in group", "255, 256");
    site.online(entity).await;
    expect(&create(&site, json!({"group": "1"})).await, 400, "None of the subclouds in group", "256");
    managed(&site, 2).await;
    let answer = create(&site, json!({"group": "Default"})).await;
    expect(&answer, 200, "", "253: health is not asked for");
    assert_eq!(names(&answer), ["subcloud1", "subcloud2"], "all members, unchanged");
    assert_eq!((status(&site, 1).await, status(&site, 2).await), (Value::Null, json!("initial")));
    let again = create(&site, json!({"group": 1})).await;
    expect(&again, 400, "None of the subclouds in group", "the only valid one is being backed up");
}

#[tokio::test]
async fn a_large_group_is_backed_up_as_a_whole() {
    let site = controller().await;
    for number in 1..=20 {
        managed(&site, number).await;
    }
    let values = json!({"backup_dir": "/opt/x", "encryption_password": "hidden"});
    let answer = create(&site, json!({"group": "1", "backup_values": values})).await;
    expect(&answer, 200, "", "20 members");
    assert_eq!(names(&answer).len(), 20);
    let mut secrets = std::collections::BTreeSet::new();
    for row in site.models.subclouds().all().await.unwrap() {
        let task = row.subcloud.backup_run.unwrap().task;
        assert_eq!(row.subcloud.backup, Some(BackupStatus::Initial));
        assert!(secrets.insert(task.sysadmin_password), "a password of its own");
        let values = task.backup_values.unwrap();
        assert!(!values.shown.to_string().contains("hidden"));
        let text = site.app.vault().get(&values.secret, row.uuid).await.unwrap();
        assert!(text.expose().contains("hidden"));
    }
}

#[tokio::test]
async fn sc_258_to_266_fields() {
    let site = controller_with(Ok(HEALTHY)).await;
    let entity = managed(&site, 1).await;
    let again = async || {
        if let Some(run) = state(&site, entity).await.backup_run.clone() {
            site.run(entity, &LoseBackupRun { run_id: run.id, because: LostBecause::NoWorker }).await;
        }
    };
    let both = json!({"subcloud": "1", "group": "1"});
    expect(&create(&site, both).await, 400, "should not be given at the same time", "258");
    expect(&create(&site, json!({})).await, 400, "parameter is required", "259");
    let without = json!({"subcloud": "1"});
    let path = "/v1.0/subcloud-backup/";
    expect(&send_json(&site, "POST", path, &without).await, 400, "sysadmin_password required", "261");
    let bad = json!({"subcloud": "1", "sysadmin_password": "x"});
    expect(&send_json(&site, "POST", path, &bad).await, 400, "Failed to decode", "261");
    let registry = "registry_images can not be used without";
    for more in [
        json!({"registry_images": "True"}),
        json!({"registry_images": true}),
        json!({"registry_images": "false"}),
        json!({"registry_images": "true", "local_only": "false"}),
    ] {
        let mut more = more;
        more["subcloud"] = json!("1");
        expect(&create(&site, more.clone()).await, 400, registry, &format!("264 {more}"));
    }
    expect(&create(&site, json!({"subcloud": "1", "a": 1})).await, 400, "Unexpected parameter", "265");
    expect(&send_json(&site, "POST", path, &json!("x")).await, 400, "Invalid request body format", "266");
    expect(
        &site.ask("POST", path, &[("accept", "application/json")], "{").await,
        400,
        "malformed",
        "malformed",
    );
    expect(&site.ask("POST", path, &[("accept", "application/json")], "").await, 400, "malformed", "empty");
    let wrong = json!({"subcloud": "1", "local_only": "yes"});
    expect(&create(&site, wrong).await, 400, "Invalid local_only value, should be boolean", "boolean");
    for wrong in [json!({"subcloud": {}}), json!({"subcloud": "1", "backup_values": "x"})] {
        expect(&create(&site, wrong).await, 400, "Invalid", "type");
    }
    assert_eq!(status(&site, 1).await, Value::Null, "nothing happened yet");
    assert!(site.app.vault().list(entity).await.unwrap().is_empty());
    for (case, more) in [
        ("260", json!({"subcloud": "1", "backup_values": {"backup_dir": "/opt"}})),
        ("262", json!({"subcloud": "1", "local_only": "True"})),
        ("263", json!({"subcloud": "1", "local_only": "True", "registry_images": "True"})),
        ("S-Q28", json!({"subcloud": 1, "local_only": true, "registry_images": true})),
        ("CLI", json!({"subcloud": "1", "local_only": "false", "registry_images": "false"})),
        ("null", json!({"subcloud": "1", "group": null, "backup_values": null})),
    ] {
        expect(&create(&site, more).await, 200, "", case);
        again().await;
    }
}

#[tokio::test]
async fn sc_260_a_form_as_the_cli_sends_it() {
    let site = controller_with(Ok(HEALTHY)).await;
    let entity = managed(&site, 1).await;
    let form = |values: &str| {
        Form::new()
            .field("subcloud", "subcloud1")
            .field("local_only", "true")
            .field("registry_images", "false")
            .field("sysadmin_password", PASSWORD)
            .file("backup_values", values)
    };
    let path = "/v1.0/subcloud-backup/";
    expect(&send(&site, "POST", path, &form("")).await, 400, "empty file provided", "empty");
    expect(&send(&site, "POST", path, &form("a: [")).await, 400, "problem on line", "broken");
    let plain = Form::new().field("subcloud", "1").field("backup_values", "a: b");
    expect(&send(&site, "POST", path, &plain).await, 400, "Unable to load backup_values", "no file");
    let unknown = Form::new().field("subcloud", "1").field("color", "red");
    expect(&send(&site, "POST", path, &unknown).await, 400, "Unexpected parameter", "265");
    expect(&send(&site, "POST", path, &form("backup_dir: /opt/x\n")).await, 200, "", "260");
    let task = state(&site, entity).await.backup_run.clone().unwrap().task;
    assert!(task.local_only && !task.registry_images && task.backup_values.is_some());
}

#[tokio::test]
async fn sc_267_268_a_second_backup_waits_for_the_first() {
    let site = controller_with(Ok(HEALTHY)).await;
    let entity = managed(&site, 1).await;
    expect(&create(&site, json!({"subcloud": "1"})).await, 200, "", "null");
    expect(
        &create(&site, json!({"subcloud": "1"})).await,
        400,
        "already have a backup operation in progress",
        "267",
    );
    let run_id = state(&site, entity).await.backup_run.as_ref().map(|run| run.id).unwrap();
    site.run(entity, &LoseBackupRun { run_id, because: LostBecause::NoWorker }).await;
    let row = site.get("/v1.0/subclouds/1").await.json();
    assert_eq!(row["backup-status"], "validate-failed");
    assert_eq!(row["error-description"], "no worker for backup");
    expect(&create(&site, json!({"subcloud": "1"})).await, 200, "", "268");
}

#[tokio::test]
async fn of_many_requests_at_once_one_starts_a_backup() {
    let site = controller_with(Ok(HEALTHY)).await;
    let entity = managed(&site, 1).await;
    let answers = futures::future::join_all((0..8).map(|_| create(&site, json!({"subcloud": "1"})))).await;
    let started = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(started, 1);
    assert!(answers.iter().all(|answer| matches!(answer.status, 200 | 400)));
    let kept: Vec<_> = site.app.vault().list(entity).await.unwrap();
    assert_eq!(kept.len(), 1, "no password of a refused one is left");
    let state: &Subcloud = &*state(&site, entity).await;
    assert!(state.backup_run.is_some());
}
