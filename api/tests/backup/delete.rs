//! E23: every check, then what is missing.

use serde_json::json;

use crate::fixture::*;
use crate::given::*;

const MISSING: &str = "no worker for backup-delete";

#[tokio::test]
async fn sc_269_to_282_everything_is_checked_before_the_job_is_missed() {
    let site = controller().await;
    managed(&site, 1).await;
    site.add(2).await;
    let answer = delete(&site, json!({"subcloud": "1"})).await;
    expect(&answer, 503, MISSING, "269, 275, 276");
    assert!(!answer.header("retry-after").is_empty());
    expect(&delete(&site, json!({"group": "999"})).await, 404, "Group not found", "270");
    expect(&delete(&site, json!({"group": "1"})).await, 503, MISSING, "271");
    let both = json!({"subcloud": "1", "group": "1"});
    expect(&delete(&site, both).await, 400, "should not be given at the same time", "272");
    expect(&delete(&site, json!({})).await, 400, "parameter is required", "272");
    let local = json!({"subcloud": "1", "local_only": "True", "sysadmin_password": PASSWORD});
    expect(&delete(&site, local).await, 503, MISSING, "277");
    expect(&delete(&site, json!({"subcloud": "1", "local_only": "False"})).await, 503, MISSING, "278");
    let fake = json!({"subcloud": "1", "local_only": "Fake"});
    expect(&delete(&site, fake).await, 400, "Invalid local_only value, should be boolean", "279");
    let unknown = json!({"subcloud": "123", "local_only": "true", "sysadmin_password": PASSWORD});
    expect(&delete(&site, unknown).await, 400, "Subcloud not found", "280");
    let offline = json!({"subcloud": "2", "local_only": "true", "sysadmin_password": PASSWORD});
    expect(&delete(&site, offline).await, 400, "must be online and managed", "281");
    expect(&delete(&site, json!({"subcloud": "2"})).await, 503, MISSING, "281");
    let bare = json!({"subcloud": "1", "local_only": "true"});
    expect(&delete(&site, bare).await, 400, "sysadmin_password required", "282");
    let alien = json!({"subcloud": "1", "registry_images": "true"});
    expect(&delete(&site, alien).await, 400, "Unexpected parameter", "fields");
    let form =
        Form::new().field("release", "22.12").field("subcloud", "subcloud1").field("local_only", "false");
    expect(&send(&site, "PATCH", "/v1.0/subcloud-backup/delete/22.12", &form).await, 503, MISSING, "CLI");
}

#[tokio::test]
async fn a_local_delete_of_a_group_needs_one_that_is_there() {
    let site = controller().await;
    site.add(1).await;
    let local = || json!({"group": "1", "local_only": true, "sysadmin_password": PASSWORD});
    expect(&delete(&site, local()).await, 400, "None of the subclouds in group", "none");
    managed(&site, 2).await;
    expect(&delete(&site, local()).await, 503, MISSING, "one");
}

#[tokio::test]
async fn sc_273_274_verbs_and_releases() {
    let site = controller().await;
    let patch = async |path: &str| send_json(&site, "PATCH", path, &json!({})).await;
    expect(&patch("/v1.0/subcloud-backup/fake/").await, 400, "Unexpected verb", "273");
    expect(&patch("/v1.0/subcloud-backup/").await, 400, "Unexpected verb", "273");
    expect(&patch("/v1.0/subcloud-backup/delete/").await, 400, "Release version required", "274");
    let body = send_json(&site, "PATCH", "/v1.0/subcloud-backup/delete", &json!([])).await;
    expect(&body, 400, "Invalid request body format", "the body comes first");
    for (method, path) in [
        ("GET", "/v1.0/subcloud-backup"),
        ("DELETE", "/v1.0/subcloud-backup/"),
        ("PUT", "/v1.0/subcloud-backup/fake"),
        ("GET", "/v1.0/subcloud-backup/restore"),
        ("POST", "/v1.0/subcloud-backup/delete/22.12"),
    ] {
        let answer = site.ask(method, path, &[("accept", "application/json")], "").await;
        assert_eq!(answer.status, 405, "{method} {path}");
        assert!(!answer.header("allow").is_empty(), "{method} {path}");
    }
    let deep = site.ask("PATCH", "/v1.0/subcloud-backup/delete/22.12/x", &[], "{}").await;
    assert_eq!(deep.status, 404);
}
