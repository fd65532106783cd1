//! §14.5: deploying a subcloud again.

use dcm_domain::subcloud::Subcloud;
use dcm_domain::subcloud::command::{ManageSubcloud, ReportAvailability};
use dcm_domain::value::{Availability, Phase};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::fixture::*;
use crate::site::{Answer, Site};

const PATH: &str = "/v1.0/subclouds/1/redeploy";

/// SC, and what its deploy configs and images need.
async fn sc() -> (Site, Uuid) {
    let site = controller().await;
    let entity = site.add(1).await;
    for file in ["deploy_playbook_a.yaml", "deploy_overrides_a.yaml", "deploy_chart_a.tgz"] {
        stock(&site, "deploy/18.03", &[file]);
    }
    stock(&site, "loads/18.03", &["boot.iso", "boot.sig"]);
    (site, entity)
}

async fn redeploy(site: &Site, form: &Form) -> Answer {
    send(site, "PATCH", PATH, form).await
}

fn password() -> Form {
    Form::new().field("sysadmin_password", PASSWORD)
}

/// BV of SC.
fn own() -> Map<String, Value> {
    with(bv(), "name", "subcloud1")
}

/// The three files and both passwords.
fn everything(bootstrap: Map<String, Value>) -> Form {
    password()
        .field("bmc_password", PASSWORD)
        .yaml("install_values", iv())
        .yaml("bootstrap_values", bootstrap)
        .file("deploy_config", "kind: List\n")
}

/// Redeploys SC with everything and ends the run, so that everything is stored.
async fn stored() -> (Site, Uuid) {
    let (site, entity) = sc().await;
    expect(&redeploy(&site, &everything(own())).await, 200, "pre-install", "given");
    lose(&site, entity).await;
    (site, entity)
}

async fn lose(site: &Site, entity: Uuid) {
    use dcm_domain::subcloud::command::{LoseRun, LostBecause};
    let run_id = state(site, entity).await.run.as_ref().unwrap().id;
    site.run(entity, &LoseRun { run_id, because: LostBecause::NoWorker }).await;
}

async fn untouched(site: &Site, entity: Uuid, before: &Subcloud) {
    assert_eq!(state(site, entity).await.as_ref(), before);
}

#[tokio::test]
async fn sc_186_a_subcloud_is_deployed_again_with_three_files() {
    let (site, entity) = sc().await;
    let form = everything(with(own(), "location", "Graz")).field("description", "again");
    let answer = redeploy(&site, &form).await;
    expect(&answer, 200, "pre-install", "186");
    let row = answer.json();
    assert_eq!(row["software-version"], "22.12", "ACT");
    assert_eq!((&row["description"], &row["location"]), (&json!("again"), &json!("Graz")));
    assert_eq!(row.as_object().unwrap().len(), 25);
    assert_eq!(row["created-at"].as_str().unwrap().as_bytes()[10], b' ');
    let install: Value = serde_json::from_str(row["data_install"].as_str().unwrap()).unwrap();
    assert_eq!((&install["software_version"], &install["bmc_password"]), (&json!("22.12"), &json!("***")));
    let stored = state(&site, entity).await;
    let run = stored.run.as_ref().unwrap();
    assert_eq!(run.phases, [Phase::Install, Phase::Bootstrap, Phase::Configure]);
    assert!(run.inputs.artifacts.is_some() && run.inputs.sysadmin_password.is_some());
    assert_eq!(stored.bootstrap_address.as_deref(), Some("10.10.10.12"), "out of the install values");
    expect(&redeploy(&site, &everything(own())).await, 422, "deployment in progress", "one run at a time");
    let entries = site.app.vault().list(entity).await.unwrap().len();
    assert_eq!(entries, 4, "the refused request left nothing in the vault");
}

#[tokio::test]
async fn sc_187_a_subcloud_is_deployed_again_with_what_is_stored() {
    let (site, entity) = stored().await;
    let answer = redeploy(&site, &password()).await;
    expect(&answer, 200, "pre-install", "187");
    assert_eq!(answer.json()["software-version"], "22.12");
    assert_eq!(answer.json()["description"], "an edge", "of the stored bootstrap values");
    let phases = state(&site, entity).await.run.as_ref().unwrap().phases.clone();
    assert_eq!(phases, [Phase::Install, Phase::Bootstrap, Phase::Configure]);
}

#[tokio::test]
async fn sc_188_the_release_may_be_named() {
    let (site, _) = sc().await;
    let wrong = everything(own()).field("release", "99.9");
    expect(&redeploy(&site, &wrong).await, 400, "invalid release version parameter", "V2");
    let no_image = everything(own()).field("release", "21.12");
    expect(&redeploy(&site, &no_image).await, 400, "Failed to get 21.12 load image", "V5.7");
    let answer = redeploy(&site, &everything(own()).field("release", "18.03")).await;
    expect(&answer, 200, "pre-install", "188");
    assert_eq!(answer.json()["software-version"], "18.03");
}

#[tokio::test]
async fn sc_185_189_192_what_a_redeployment_needs() {
    let (site, entity) = sc().await;
    let before = state(&site, entity).await;
    expect(&redeploy(&site, &password()).await, 400, "Failed to read data install from db", "V11");
    let install = password().field("bmc_password", PASSWORD).yaml("install_values", iv());
    let no_values = redeploy(&site, &install).await;
    expect(&no_values, 400, "Required bootstrap_values file was not provided", "V11");
    let no_bmc = password().yaml("install_values", iv()).yaml("bootstrap_values", own());
    expect(&redeploy(&site, &no_bmc).await, 400, "bmc_password required", "185");
    untouched(&site, entity, &before).await;

    let (site, entity) = stored().await;
    let before = state(&site, entity).await;
    expect(&redeploy(&site, &Form::new()).await, 400, "sysadmin_password required", "189");
    for (key, phrase) in [
        ("name", "must match the current subcloud name"),
        ("system_mode", "system_mode required"),
        ("external_oam_subnet", "external_oam_subnet required"),
        ("external_oam_gateway_address", "external_oam_gateway_address required"),
        ("external_oam_floating_address", "external_oam_floating_address required"),
        ("management_subnet", "management_subnet required"),
    ] {
        let form = password().yaml("bootstrap_values", without(own(), key));
        expect(&redeploy(&site, &form).await, 400, phrase, key);
    }
    let no_password = Form::new().yaml("bootstrap_values", own());
    expect(&redeploy(&site, &no_password).await, 400, "sysadmin_password required", "192");
    untouched(&site, entity, &before).await;
}

#[tokio::test]
async fn sc_193_network_keys_are_needed_in_a_new_file() {
    let (site, _) = stored().await;
    let keys = ["subnet", "start_address", "end_address", "gateway_address"];
    let values = keys.into_iter().fold(own(), |values, key| without(values, &format!("management_{key}")));
    let form = password().yaml("bootstrap_values", values);
    expect(&redeploy(&site, &form).await, 400, "management_subnet required", "193");
}

#[tokio::test]
async fn sc_190_191_what_is_in_use_is_not_deployed_again() {
    let (site, entity) = sc().await;
    site.online(entity).await;
    expect(&redeploy(&site, &everything(own())).await, 400, "Cannot re-deploy an online", "190");
    site.run(entity, &ReportAvailability { to: Availability::Offline }).await;
    site.run(entity, &ManageSubcloud { force: true, ..ManageSubcloud::default() }).await;
    expect(&redeploy(&site, &everything(own())).await, 400, "Cannot re-deploy an online", "191");
    assert!(state(&site, entity).await.run.is_none());
}

#[tokio::test]
async fn sc_194_a_copy_is_neither_deployed_again_nor_prestaged() {
    let (site, entity) = sc().await;
    make_secondary(&site, entity).await;
    let text = "Cannot perform on secondary state subcloud";
    expect(&redeploy(&site, &everything(own())).await, 400, text, "before any field");
    let prestage = send_json(&site, "PATCH", "/v1.0/subclouds/1/prestage", &json!(null)).await;
    expect(&prestage, 400, text, "before any field");
    for verb in ["redeploy", "prestage", "migrate"] {
        let missing = send_json(&site, "PATCH", &format!("/v1.0/subclouds/9/{verb}"), &json!({})).await;
        expect(&missing, 404, "Subcloud not found", verb);
    }
}
