//! §14.3 and §14.5: taking a subcloud over, when it is added and when it is a copy already; and what asks the platform
//! when a subcloud is added.

use dcm_domain::subcloud::RunKind;
use dcm_domain::subcloud::command::{ClaimRun, CompletePhase, LoseRun, LostBecause};
use dcm_domain::value::{Phase, Region};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::create::refused;
use crate::fixture::*;
use crate::site::platform::{FakePlatform, silent};
use crate::site::{Answer, Site};

async fn migrate(site: &Site, body: &Value) -> Answer {
    send_json(site, "PATCH", "/v1.0/subclouds/1/migrate", body).await
}

async fn unable(site: &Site, body: &Value, why: &str, case: &str) {
    let answer = migrate(site, body).await;
    expect(&answer, 400, "Unable to migrate subcloud", case);
    expect(&answer, 400, why, case);
}

fn password() -> Value {
    json!({"sysadmin_password": PASSWORD})
}

/// A secondary subcloud made by E5.
async fn secondary(address: &str) -> (Site, Uuid) {
    let site = controller().await;
    let form = Form::new().yaml("bootstrap_values", bv()).field("secondary", "true");
    let form = if address.is_empty() { form } else { form.field("bootstrap-address", address) };
    expect(&send(&site, "POST", "/v1.0/subclouds", &form).await, 200, "not-deployed", "given");
    let entity = entity(&site, 1).await;
    let run_id = state(&site, entity).await.run.as_ref().unwrap().id;
    site.run(entity, &ClaimRun { run_id, worker: "w".to_owned() }).await;
    site.run(entity, &CompletePhase { run_id, phase: Phase::Secondary }).await;
    assert_eq!(deploy_status(&site, 1).await, "secondary");
    (site, entity)
}

#[tokio::test]
async fn sc_211_a_secondary_subcloud_is_taken_over() {
    let (site, entity) = secondary("10.10.10.12").await;
    let answer = migrate(&site, &password()).await;
    expect(&answer, 200, "\"deploy-status\":\"secondary\"", "211");
    let stored = state(&site, entity).await;
    let run = stored.run.as_ref().unwrap();
    assert_eq!((run.kind(), run.phases.as_slice()), (RunKind::Rehome, &[Phase::Rehome][..]));
    assert!(run.inputs.sysadmin_password.is_some());
    expect(&migrate(&site, &password()).await, 422, "deployment in progress", "one run at a time");
    for (body, case) in
        [(json!({"sysadmin_password": "a"}), "no base64"), (json!({"sysadmin_password": null}), "null")]
    {
        let run_id = state(&site, entity).await.run.as_ref().unwrap().id;
        site.run(entity, &LoseRun { run_id, because: LostBecause::NoWorker }).await;
        assert_eq!(deploy_status(&site, 1).await, "rehome-prep-failed");
        expect(&migrate(&site, &body).await, 200, "rehome-prep-failed", case);
        assert!(state(&site, entity).await.run.as_ref().unwrap().inputs.sysadmin_password.is_none());
    }
}

#[tokio::test]
async fn sc_209_210_what_cannot_be_taken_over() {
    let site = controller().await;
    let sc = site.add(1).await;
    unable(&site, &password(), "'secondary'", "209").await;
    make_secondary(&site, sc).await;
    unable(&site, &password(), "no rehome data", "210").await;

    let (site, entity) = secondary("").await;
    unable(&site, &password(), "no bootstrap-address", "§6.7").await;
    assert!(state(&site, entity).await.run.is_none());
    let (site, _) = secondary("10.10.10.12").await;
    for body in [json!({}), json!([]), json!(null)] {
        unable(&site, &body, "", &body.to_string()).await;
    }
    let broken = site.ask("PATCH", "/v1.0/subclouds/1/migrate", &[("accept", "application/json")], "{").await;
    expect(&broken, 400, "Unable to migrate subcloud", "no JSON");
}

#[tokio::test]
async fn sc_117_a_running_subcloud_tells_its_region() {
    let platform = FakePlatform::default();
    let site = controller_on(&platform).await;
    let migrate = || Form::new().field("migrate", "true");
    let no_region = "Unable to retrieve subcloud region";
    platform.tells(|facts| facts.live_region = silent());
    expect(&add(&site, bv(), migrate()).await, 400, no_region, "117");
    for reserved in ["RegionOne", "SystemController"] {
        platform.tells(|facts| facts.live_region = Ok(Region::parse(reserved).unwrap()));
        expect(&add(&site, bv(), migrate()).await, 400, no_region, reserved);
    }
    platform.tells(|facts| facts.live_region = Ok(Region::parse("edge-region").unwrap()));
    let form = migrate().yaml("bootstrap_values", bv()).field("sysadmin_password", PASSWORD);
    let no_address = send(&site, "POST", "/v1.0/subclouds", &form).await;
    expect(&no_address, 400, no_region, "no bootstrap-address");
    let answer = add(&site, bv(), migrate()).await;
    expect(&answer, 200, "\"region-name\":\"edge-region\"", "117");
    assert_eq!(answer.json()["deploy-status"], "not-deployed");
    let stored = state(&site, entity(&site, 1).await).await;
    assert_eq!(stored.run.as_ref().unwrap().kind(), RunKind::Rehome);
    assert!(!stored.initial_deployment, "it was first deployed elsewhere");
    let other = with(bv(), "name", "other");
    expect(&add(&site, other.clone(), migrate()).await, 400, no_region, "its region is in use");
    let given = migrate().field("region_name", "edge-region");
    expect(&add(&site, other, given).await, 409, "already exists", "a region that was named");
}

#[tokio::test]
async fn sc_073_nothing_is_added_while_the_controller_is_patched() {
    let platform = FakePlatform::default();
    let site = controller_on(&platform).await;
    platform.tells(|facts| facts.patching = Ok(true));
    refused(&site, &bv(), &Form::new(), 422, "patching is still in progress", "73").await;
    refused(&site, &bv(), &Form::new(), 422, "create", "73").await;
    platform.tells(|facts| facts.patching = silent());
    refused(&site, &bv(), &Form::new(), 503, "patching service does not answer", "a dependency is away")
        .await;
    for (patching, skipped) in [(Ok(false), false), (platform_default(), true)] {
        platform.tells(|facts| facts.patching = patching);
        let name = if skipped { "subcloud3" } else { "subcloud2" };
        let subnet = if skipped { "192.168.103." } else { "192.168.101." };
        let values = with(bv(), "name", name).into_iter().map(|(key, value)| {
            (key, Value::String(value.as_str().unwrap().replace("192.168.101.", subnet)))
        });
        let added = add(&site, values.collect(), Form::new()).await;
        expect(&added, 200, name, "73");
        let events = site.get(&format!("/v1.0/subclouds/{name}/history")).await.json();
        let events = events["events"].as_array().unwrap();
        assert_eq!(events.iter().any(|event| event["type"] == "ChecksSkipped"), skipped);
    }
}

fn platform_default() -> Result<bool, dcm_api::platform::PlatformError> {
    crate::site::platform::Facts::default().patching
}
