//! Writes to subclouds that were taken over with what today's rules would refuse (decisions.md, "Import").

use dcm_domain::subcloud::ImportedSubcloud;
use dcm_domain::subcloud::command::{LoseRun, LostBecause};
use dcm_domain::value::{DeployStatus, Name, Region};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::fixture::*;
use crate::site::{Answer, Site};

const NAME: &str = "Größe {{ 1 }}";
/// The same in a path.
const NAME_IN_PATH: &str = "Gr%C3%B6%C3%9Fe%20%7B%7B%201%20%7D%7D";
const REGION: &str = "Region with blanks";
const REGION_IN_PATH: &str = "Region%20with%20blanks";

fn odd(row: &mut ImportedSubcloud) {
    row.name = Name::imported(NAME).unwrap();
    row.region = Region::imported(REGION).unwrap();
}

fn password() -> Form {
    Form::new().field("sysadmin_password", PASSWORD)
}

/// Everything a deployment takes, in 192.168.101.0/24.
fn everything(name: &str) -> Form {
    password()
        .field("bmc_password", PASSWORD)
        .field("bootstrap-address", "10.10.10.12")
        .yaml("install_values", iv())
        .yaml("bootstrap_values", with(bv(), "name", name))
        .file("deploy_config", "kind: List\n")
}

async fn lose(site: &Site, entity: Uuid) {
    let run_id = state(site, entity).await.run.as_ref().unwrap().id;
    site.run(entity, &LoseRun { run_id, because: LostBecause::NoWorker }).await;
}

/// E24 of one subcloud, with an address.
async fn restore(site: &Site, subcloud: &str, with_install: bool) -> Answer {
    let address = json!({ (subcloud): "10.10.10.12" });
    let body = json!({"subcloud": subcloud, "with_install": with_install, "sysadmin_password": PASSWORD,
        "restore_values": {"bootstrap_address": address}});
    send_json(site, "PATCH", "/v1.0/subcloud-backup/restore", &body).await
}

#[tokio::test]
async fn every_write_finds_an_odd_name() {
    let site = controller().await;
    let entity = site.import(1, odd).await;
    let path = format!("/v1.0/subclouds/{NAME_IN_PATH}");
    let answer = send(&site, "PATCH", &path, &Form::new().field("description", "found")).await;
    expect(&answer, 200, "found", "E6");
    assert_eq!(answer.json()["name"], NAME);
    for (verb, status, phrase) in [
        ("prestage", 400, "sysadmin_password is required"),
        ("migrate", 400, "Unable to migrate subcloud"),
        ("restore", 410, "deprecated"),
        ("reinstall", 410, "deprecated"),
    ] {
        let answer = send_json(&site, "PATCH", &format!("{path}/{verb}"), &json!({})).await;
        expect(&answer, status, phrase, verb);
    }
    let report = json!({"endpoint": "dc-cert", "status": "in-sync"});
    expect(&send_json(&site, "PATCH", &format!("{path}/update_status"), &report).await, 200, "OK", "E10");
    for verb in ["install", "bootstrap", "configure", "complete", "abort", "resume"] {
        let path = format!("/v1.0/phased-subcloud-deploy/{NAME_IN_PATH}/{verb}");
        assert_eq!(send(&site, "PATCH", &path, &Form::new()).await.status, 400, "{verb}");
    }
    expect(&restore(&site, NAME, false).await, 200, NAME, "E24");
    lose(&site, entity).await;
    let backup = json!({"subcloud": NAME, "sysadmin_password": PASSWORD});
    let answer = send_json(&site, "POST", "/v1.0/subcloud-backup", &backup).await;
    expect(&answer, 400, "must be online, managed and have valid", "E22");
    assert_eq!(send(&site, "PATCH", "/v1.0/subclouds/Gr%C3%B6", &Form::new()).await.status, 404);
    assert_eq!(site.ask("DELETE", &path, &[], "").await.status, 200, "E14");
    assert_eq!(site.get(&path).await.status, 404);
}

#[tokio::test]
async fn peers_and_cert_mon_find_an_odd_region() {
    let site = controller().await;
    site.import(1, odd).await;
    let path = format!("/v1.0/subclouds/{REGION_IN_PATH}");
    let kind = "multipart/form-data; boundary=c1f2e3d4c5b6a7988796a5b4c3d2e1f0";
    let form = Form::new().field("location", "found").body();
    let ask = async |agent: &str| {
        let headers = [("user-agent", agent), ("content-type", kind)];
        site.ask("PATCH", &path, &headers, &form).await.status
    };
    assert_eq!((ask("dcmanager/1.0").await, ask("curl").await), (200, 404));
    let report = r#"{"endpoint": "dc-cert", "status": "in-sync"}"#;
    let answer =
        site.ask("PATCH", &format!("{path}/update_status"), &[("user-agent", "cert-mon/1.0")], report).await;
    assert_eq!((answer.status, answer.json()), (200, json!({"result": "OK"})));
}

#[tokio::test]
async fn new_bootstrap_values_may_repeat_an_odd_name() {
    for (deploy, path, first) in [
        (DeployStatus::Complete, format!("/v1.0/subclouds/{NAME_IN_PATH}/redeploy"), "pre-install"),
        (
            DeployStatus::InstallComplete,
            "/v1.0/phased-subcloud-deploy/1/bootstrap".to_owned(),
            "pre-bootstrap",
        ),
        (DeployStatus::CreateComplete, "/v1.0/phased-subcloud-deploy/1/resume".to_owned(), "pre-install"),
    ] {
        let site = controller().await;
        let given = |row: &mut ImportedSubcloud| {
            odd(row);
            row.deploy = deploy;
        };
        site.import(1, given).await;
        let answer = send(&site, "PATCH", &path, &everything("Größe {{ 2 }}")).await;
        expect(&answer, 400, "must match the current subcloud name", first);
        let answer = send(&site, "PATCH", &path, &everything(NAME)).await;
        expect(&answer, 200, first, deploy.as_str());
        assert_eq!(answer.json()["name"], NAME);
    }
}

/// What the old service may have had instead of install values, and what answers show of it.
fn no_install_values() -> [(&'static str, Value); 5] {
    [
        ("not json", json!("not json")),
        ("{'bmc_password': 'x'}", json!("***")),
        ("[1, 2]", json!("[1, 2]")),
        ("\"x\"", json!("\"x\"")),
        ("null", json!("null")),
    ]
}

/// Install values with their password, whole.
fn whole() -> String {
    Value::Object(with(iv(), "bmc_password", PASSWORD)).to_string()
}

async fn installed(site: &Site, number: u8, text: &str, shown: Value, deploy: DeployStatus) -> Uuid {
    let entity = Uuid::now_v7();
    let install = site.document(entity, text, shown).await;
    let given = |row: &mut ImportedSubcloud| {
        row.install = Some(install);
        row.deploy = deploy;
    };
    site.import_as(entity, number, given).await;
    entity
}

#[tokio::test]
async fn what_is_no_mapping_counts_as_no_install_values() {
    const MISSING: &str = "Failed to read data install from db";
    let site = controller().await;
    for (number, (text, shown)) in (1..).zip(no_install_values()) {
        installed(&site, number, text, shown, DeployStatus::CreateComplete).await;
        let phased = |verb| format!("/v1.0/phased-subcloud-deploy/{number}/{verb}");
        expect(&send(&site, "PATCH", &phased("install"), &password()).await, 400, MISSING, text);
        let all = password().yaml("bootstrap_values", bv()).field("bootstrap-address", "10.10.10.12");
        expect(&send(&site, "PATCH", &phased("resume"), &all).await, 400, MISSING, text);
        let path = format!("/v1.0/subclouds/{number}/redeploy");
        expect(&send(&site, "PATCH", &path, &password()).await, 400, MISSING, text);
        let answer = restore(&site, &format!("old{number}"), true).await;
        expect(&answer, 400, "does not contain install values", text);
        let sent = password().yaml("install_values", iv()).field("bmc_password", PASSWORD);
        expect(&send(&site, "PATCH", &phased("install"), &sent).await, 200, "pre-install", text);
    }
}

#[tokio::test]
async fn install_values_beside_the_row_are_none_and_those_shown_as_a_text_are_some() {
    let site = controller().await;
    for (number, (shown, there)) in (1..).zip([(Value::Null, false), (json!("***"), true)]) {
        installed(&site, number, &whole(), shown.clone(), DeployStatus::CreateComplete).await;
        let path = format!("/v1.0/phased-subcloud-deploy/{number}/install");
        let answer = send(&site, "PATCH", &path, &password()).await;
        match there {
            true => expect(&answer, 200, "pre-install", "E16"),
            false => expect(&answer, 400, "Failed to read data install from db", "E16"),
        }
        let number = number + 10;
        installed(&site, number, &whole(), shown.clone(), DeployStatus::Complete).await;
        let answer = restore(&site, &format!("old{number}"), true).await;
        match there {
            true => expect(&answer, 200, "pre-restore", "E24"),
            false => expect(&answer, 400, "does not contain install values", "E24"),
        }
    }
}

#[tokio::test]
async fn rehome_data_without_a_payload_is_none_and_can_be_mended() {
    let site = controller().await;
    let texts =
        ["not json", r#"{"saved_payload": null}"#, "{}", "null", r#"{"saved_payload": {}, "more": 1}"#];
    for (number, text) in (1..).zip(texts) {
        let entity = Uuid::now_v7();
        let rehome = site.document(entity, text, json!(text)).await;
        let given = |row: &mut ImportedSubcloud| {
            row.rehome = Some(rehome);
            row.deploy = DeployStatus::Secondary;
        };
        site.import_as(entity, number, given).await;
        let path = format!("/v1.0/subclouds/{number}");
        let address = Form::new().field("bootstrap_address", "10.1.1.1");
        let answer = send(&site, "PATCH", &path, &address).await;
        expect(&answer, 422, "need to import bootstrap_values first", text);
        let migrate = json!({"sysadmin_password": PASSWORD});
        let answer = send_json(&site, "PATCH", &format!("{path}/migrate"), &migrate).await;
        expect(&answer, 400, "Unable to migrate subcloud", text);
        let values = address.field("bootstrap_values", "name: new\n");
        expect(&send(&site, "PATCH", &path, &values).await, 200, "", text);
        let shown = site.get(&path).await.json()["rehome_data"].as_str().unwrap().to_owned();
        let expected = json!({"saved_payload": {"name": "new", "bootstrap-address": "10.1.1.1"}});
        assert_eq!(serde_json::from_str::<Value>(&shown).unwrap(), expected, "{text}");
        let answer = send_json(&site, "PATCH", &format!("{path}/migrate"), &migrate).await;
        expect(&answer, 200, "secondary", text);
    }
}
