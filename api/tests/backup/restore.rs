//! E24.

use dcm_domain::subcloud::Task;
use dcm_domain::subcloud::command::DeployVerb;
use serde_json::{Value, json};

use crate::fixture::*;
use crate::given::*;

#[tokio::test]
async fn sc_283_the_answer_alone_says_pre_restore() {
    let site = controller().await;
    let entity = installed(&site, 1).await;
    let answer = restore(&site, json!({"subcloud": "1"})).await;
    expect(&answer, 200, "", "283");
    assert!(answer.headers.contains_key("dcm-position"));
    let shown = &answer.json()["subclouds"][0];
    assert_eq!(
        (shown["deploy-status"].as_str(), shown["name"].as_str()),
        (Some("pre-restore"), Some("subcloud1"))
    );
    assert_eq!(shown.as_object().unwrap().len(), 25);
    assert_eq!(deploy_status(&site, 1).await, "complete");
    let run = state(&site, entity).await.run.clone().unwrap();
    let Some(Task::Restore(task)) = run.task else { panic!("no restore") };
    assert_eq!(
        (task.with_install, task.release, task.bootstrap_address.as_str()),
        (false, None, "10.10.10.12")
    );
    let password = run.inputs.sysadmin_password.unwrap();
    assert_eq!(site.app.vault().get(&password, entity).await.unwrap().expose(), "testpass");
    expect(&restore(&site, json!({"subcloud": "1"})).await, 422, "deployment in progress", "a run is active");
}

#[tokio::test]
async fn sc_284_to_287_targets() {
    let site = controller().await;
    expect(&restore(&site, json!({"subcloud": "999"})).await, 400, "Subcloud not found", "284");
    expect(&restore(&site, json!({"group": "123"})).await, 404, "Group not found", "287");
    let busy = installed(&site, 1).await;
    let entity = installed(&site, 2).await;
    manage(&site, entity).await;
    let answer = restore(&site, json!({"group": "1"})).await;
    expect(&answer, 200, "", "285, 286");
    assert_eq!(names(&answer), ["subcloud1"], "286: only the unmanaged one");
    assert!(state(&site, busy).await.run.is_some());
    let none = restore(&site, json!({"group": "Default"})).await;
    expect(&none, 400, "None of the subclouds in group", "one is at work, one is managed");
    assert_eq!(site.app.vault().list(busy).await.unwrap().len(), 2, "install values and one password");
}

#[tokio::test]
async fn sc_288_to_292_295_296_fields() {
    let site = controller().await;
    let entity = installed(&site, 1).await;
    let path = "/v1.0/subcloud-backup/restore";
    expect(&send_json(&site, "PATCH", path, &json!({})).await, 400, "Body required", "288");
    expect(&send(&site, "PATCH", path, &Form::new()).await, 400, "Body required", "288");
    assert_eq!(site.ask("PATCH", path, &[], "").await.status, 400, "288");
    let bare = json!({"subcloud": "1"});
    expect(&send_json(&site, "PATCH", path, &bare).await, 400, "sysadmin_password required", "password");
    let registry = json!({"subcloud": "1", "local_only": "false", "registry_images": "true"});
    expect(&restore(&site, registry).await, 400, "cannot be used", "289");
    expect(&restore(&site, json!({"subcloud": "1", "group": "1"})).await, 400, "at the same time", "292");
    expect(&restore(&site, json!({})).await, 400, "parameter is required", "292");
    for release in [json!("22.12"), json!("00.00"), json!(22.12)] {
        let body = json!({"subcloud": "1", "release": release});
        expect(&restore(&site, body).await, 400, "Option release cannot be used", "295, 296");
    }
    let unsupported = json!({"subcloud": "1", "release": "00.00", "with_install": "true"});
    expect(&restore(&site, unsupported).await, 400, "is not a supported release version", "296");
    for wrong in [json!("10.10.10.12"), json!(["x"]), json!({"subcloud1": "{{ x }}"})] {
        let body = json!({"subcloud": "1", "restore_values": {"bootstrap_address": wrong}});
        expect(&restore(&site, body).await, 400, "is in invalid format", "298");
    }
    expect(
        &restore(&site, json!({"subcloud": "1", "backup_values": {}})).await,
        400,
        "Unexpected parameter",
        "fields",
    );
    manage(&site, entity).await;
    let managed = restore(&site, json!({"subcloud": "1"})).await;
    expect(&managed, 400, "must be unmanaged and in a valid deploy state", "290");
    assert_eq!(site.app.vault().list(entity).await.unwrap().len(), 1, "the install values alone");
}

#[tokio::test]
async fn sc_291_not_while_it_is_at_work() {
    let site = controller().await;
    let (entity, _) = site.add_with_run(1, dcm_domain::value::Phase::Complete).await;
    let run_id = state(&site, entity).await.run.as_ref().map(|run| run.id).unwrap();
    let (worker, phase) = ("w".to_owned(), dcm_domain::value::Phase::Complete);
    site.run(entity, &dcm_domain::subcloud::command::ClaimRun { run_id, worker }).await;
    site.run(entity, &dcm_domain::subcloud::command::CompletePhase { run_id, phase }).await;
    begin(&site, entity, DeployVerb::Configure).await;
    let values = json!({"bootstrap_address": {"subcloud1": "10.10.10.12"}});
    let body = json!({"subcloud": "1", "restore_values": values});
    expect(&restore(&site, body).await, 400, "must be unmanaged and in a valid deploy state", "pre-config");
}

#[tokio::test]
async fn sc_293_294_299_with_install() {
    let site = controller().await;
    installed(&site, 1).await;
    let entity = entity(&site, 1).await;
    let task = async || {
        let run = state(&site, entity).await.run.clone().unwrap();
        let because = dcm_domain::subcloud::command::LostBecause::NoWorker;
        site.run(entity, &dcm_domain::subcloud::command::LoseRun { run_id: run.id, because }).await;
        let Some(Task::Restore(task)) = run.task else { panic!("no restore") };
        task
    };
    expect(&restore(&site, json!({"subcloud": "1", "with_install": "True"})).await, 200, "", "293");
    assert_eq!(task().await.release.as_deref(), Some("22.12"), "the active one");
    let row = site.get("/v1.0/subclouds/1").await.json();
    assert_eq!(
        (row["deploy-status"].as_str(), row["error-description"].as_str()),
        (Some("restore-prep-failed"), Some("no worker for restore"),)
    );
    let body = json!({"subcloud": "1", "with_install": "True", "release": "18.03"});
    expect(&restore(&site, body).await, 200, "", "294");
    assert_eq!(task().await.release.as_deref(), Some("18.03"));
    let body = json!({"subcloud": "1", "with_install": "True", "release": "21.12"});
    expect(&restore(&site, body).await, 400, "Failed to get 21.12 load image", "no image");
    site.add(2).await;
    let answer = restore(&site, json!({"group": "1", "with_install": "true"})).await;
    expect(&answer, 400, "does not contain install values", "299");
    expect(&answer, 400, "subcloud2", "299: names");
}

#[tokio::test]
async fn sc_297_an_address_is_needed() {
    let site = controller().await;
    let entity = site.add(1).await;
    expect(&restore(&site, json!({"subcloud": "1"})).await, 400, "Unable to obtain the subcloud", "297");
    expect(&restore(&site, json!({"group": "1"})).await, 400, "None of the subclouds in group", "297");
    let other = json!({"subcloud": "1", "restore_values": {"bootstrap_address": {"subcloud2": "10.0.0.1"}}});
    expect(&restore(&site, other).await, 400, "Unable to obtain the subcloud", "of another");
    put(
        &site,
        "ansible/subcloud1_inventory.yml",
        "all:\n  hosts:\n    subcloud1:\n      ansible_host: 10.10.10.9\n",
    );
    expect(&restore(&site, json!({"subcloud": "1"})).await, 200, "", "of the inventory");
    let run = state(&site, entity).await.run.clone().unwrap();
    let Some(Task::Restore(task)) = run.task else { panic!("no restore") };
    assert_eq!(task.bootstrap_address, "10.10.10.9");
}

#[tokio::test]
async fn sc_283_a_form_as_the_cli_sends_it() {
    let site = controller().await;
    let entity = site.add(1).await;
    let values = json!({"bootstrap_address": {"subcloud1": "2620:010A::12"}, "restore_password": "hidden"});
    let form = Form::new()
        .field("with_install", "false")
        .field("local_only", "true")
        .field("registry_images", "true")
        .field("sysadmin_password", PASSWORD)
        .field("subcloud", "subcloud1")
        .yaml("restore_values", values.as_object().unwrap().clone());
    expect(&send(&site, "PATCH", "/v1.0/subcloud-backup/restore", &form).await, 200, "", "283");
    let run = state(&site, entity).await.run.clone().unwrap();
    let Some(Task::Restore(task)) = run.task else { panic!("no restore") };
    assert!(task.local_only && task.registry_images);
    assert_eq!(task.bootstrap_address, "2620:10a::12");
    let document = task.restore_values.unwrap();
    assert!(!document.shown.to_string().contains("hidden"));
    let stored: Value =
        serde_json::from_str(site.app.vault().get(&document.secret, entity).await.unwrap().expose()).unwrap();
    assert_eq!(stored, values);
}
