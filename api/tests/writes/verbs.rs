//! §14.5: reports, retired verbs, delete.

use dcm_domain::subcloud::command::ReportAvailability;
use dcm_domain::value::Availability;
use serde_json::json;

use crate::fixture::*;
use crate::site::region;

#[tokio::test]
async fn sc_181_184_ac_092_093_certificate_reports() {
    let site = controller().await;
    let entity = site.add(1).await;
    site.online(entity).await;
    let path = "/v1.0/subclouds/1/update_status";
    let report = |status: &str| json!({"endpoint": "dc-cert", "status": status, "extra": 1});
    let answer = send_json(&site, "PATCH", path, &report("in-sync")).await;
    assert_eq!((answer.status, answer.text.as_str()), (200, r#"{"result":"OK"}"#));
    assert!(endpoints(&site, 1).await.contains(&("dc-cert".to_owned(), "in-sync".to_owned())));
    for body in [
        json!({"endpoint": "any-other-endpoint", "status": "in-sync"}),
        json!({"endpoint": "dc-cert", "status": "not-sure"}),
        json!([]),
        json!({}),
        json!(null),
        json!({"status": "in-sync"}),
        json!({"endpoint": "dc-cert"}),
    ] {
        assert_eq!(send_json(&site, "PATCH", path, &body).await.status, 400, "{body}");
    }
    assert_eq!(site.ask("PATCH", path, &[], "{").await.status, 400);
    let missing = send_json(&site, "PATCH", "/v1.0/subclouds/9/update_status", &json!({})).await;
    expect(&missing, 404, "Subcloud not found", "the lookup comes first");
    let by_region = format!("/v1.0/subclouds/{}/update_status", region(1));
    let monitor = [("user-agent", "cert-mon/1.0")];
    for status in ["out-of-sync", "in-sync"] {
        let before = site.journal.head().await.unwrap();
        let answer = site.ask("PATCH", &by_region, &monitor, &report(status).to_string()).await;
        assert_eq!((answer.status, answer.text.as_str()), (200, r#"{"result":"OK"}"#));
        assert_eq!(site.journal.head().await.unwrap(), before + 1, "one event");
    }
    make_secondary(&site, entity).await;
    assert_eq!(
        send_json(&site, "PATCH", path, &report("in-sync")).await.status,
        200,
        "ignored, and answered alike"
    );
    assert!(endpoints(&site, 1).await.iter().all(|(_, status)| status == "unknown"));
}

#[tokio::test]
async fn availability_is_reported() {
    let site = controller().await;
    site.add(1).await;
    let path = "/v1.0/subclouds/subcloud1/update_availability";
    for status in ["online", "online", "offline"] {
        let answer = send_json(&site, "PATCH", path, &json!({"status": status})).await;
        expect(&answer, 200, "", status);
        assert_eq!(answer.json()["availability-status"], status);
        assert_eq!(answer.json()["created-at"].as_str().unwrap().as_bytes()[10], b' ');
    }
    for body in [json!({}), json!({"status": "up"}), json!({"status": true}), json!([])] {
        assert_eq!(send_json(&site, "PATCH", path, &body).await.status, 400, "{body}");
    }
}

#[tokio::test]
async fn sc_212_retired_verbs_name_their_replacement() {
    let site = controller().await;
    site.add(1).await;
    for (verb, replacement) in [
        ("restore", "/v1.0/subcloud-backup/restore"),
        ("reconfigure", "/v1.0/phased-subcloud-deploy/{subcloud}/configure"),
        ("reinstall", "/v1.0/subclouds/{subcloud}/redeploy"),
    ] {
        let answer = send_json(&site, "PATCH", &format!("/v1.0/subclouds/1/{verb}"), &json!({})).await;
        expect(&answer, 410, replacement, verb);
        expect(&answer, 410, "deprecated", verb);
        let missing = send_json(&site, "PATCH", &format!("/v1.0/subclouds/9/{verb}"), &json!({})).await;
        expect(&missing, 404, "Subcloud not found", verb);
    }
    assert_eq!(send_json(&site, "PATCH", "/v1.0/subclouds/1/nonsense", &json!({})).await.status, 404);
}

#[tokio::test]
async fn sc_213_217_delete() {
    let site = controller().await;
    let entity = site.add(1).await;
    let delete = async |path: &str| site.ask("DELETE", path, &[("accept", "application/json")], "").await;
    manage(&site, entity).await;
    expect(&delete("/v1.0/subclouds/1").await, 422, "must be unmanaged to perform this operation", "215");
    let form = Form::new().field("management-state", "unmanaged").file("bootstrap_values", "name: x\n");
    expect(&send(&site, "PATCH", "/v1.0/subclouds/1", &form).await, 200, "", "given");
    expect(&delete("/v1.0/subclouds/1").await, 422, "must be powered down", "216");
    site.run(entity, &ReportAvailability { to: Availability::Offline }).await;
    expect(&delete("/v1.0/subclouds/9").await, 404, "Subcloud not found", "217");
    assert_eq!(delete("/v1.0/wrong/1").await.status, 404);
    expect(&delete("/v1.0/subclouds").await, 400, "Subcloud ID required", "decisions");
    assert!(!site.app.vault().list(entity).await.unwrap().is_empty());
    let answer = delete("/v1.0/subclouds/subcloud1").await;
    assert_eq!((answer.status, answer.text.as_str()), (200, "null"));
    assert_eq!(delete("/v1.0/subclouds/1").await.status, 404);
    assert!(site.app.vault().list(entity).await.unwrap().is_empty(), "its secrets are gone");
    site.add(1).await;

    // While a run is active (decisions.md).
    let values = with(bv(), "management_subnet", "192.168.120.0/24");
    let values = with(with(values, "management_start_address", "192.168.120.2"), "name", "busy");
    let values = with(with(values, "management_end_address", "192.168.120.50"), "location", "x");
    let values = with(values, "management_gateway_address", "192.168.120.1");
    expect(&add(&site, values, Form::new()).await, 200, "", "given");
    expect(&delete("/v1.0/subclouds/busy").await, 422, "deployment in progress", "decisions");
}
