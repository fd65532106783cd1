//! §14.3: adding a subcloud, in one go and in phases.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::fixture::*;
use crate::site::{Answer, Site};

const BOTH: [&str; 2] = ["/v1.0/subclouds", "/v1.0/phased-subcloud-deploy"];

/// ADD with these values and fields on both endpoints is refused alike.
pub async fn refused(
    site: &Site,
    values: &Map<String, Value>,
    more: &Form,
    status: u16,
    phrase: &str,
    case: &str,
) {
    for path in BOTH {
        let form = joined(values, more);
        expect(&send(site, "POST", path, &form).await, status, phrase, &format!("{case} {path}"));
    }
}

fn joined(values: &Map<String, Value>, more: &Form) -> Form {
    more.clone()
        .yaml("bootstrap_values", values.clone())
        .field("bootstrap-address", "10.10.10.12")
        .field("sysadmin_password", PASSWORD)
}

/// ADD with these values and fields succeeds on both endpoints; the answer of the first.
pub async fn accepted(values: &Map<String, Value>, more: &Form, case: &str) -> Value {
    let site = Arc::new(controller().await);
    prepare(&site);
    accepted_on(&site, &joined(values, more), case).await
}

async fn accepted_on(site: &Arc<Site>, form: &Form, case: &str) -> Value {
    let worker = creator(site, false);
    let phased = send(site, "POST", BOTH[1], form).await;
    expect(&phased, 200, "create-complete", case);
    drop(worker);
    let path = format!("/v1.0/subclouds/{}", phased.json()["id"]);
    expect(&site.ask("DELETE", &path, &[], "").await, 200, "null", case);
    let added = send(site, "POST", BOTH[0], form).await;
    expect(&added, 200, "not-deployed", case);
    added.json()
}

/// What some of the accepted cases need beside the active release.
pub fn prepare(site: &Site) {
    stock(site, "loads/21.12", &["boot.iso", "boot.sig"]);
    put(
        site,
        "playbooks/21.12/roles/bootstrap/validate-config/vars/main.yml",
        "fresh_install_k8s_version: 1.23.1\n",
    );
}

#[tokio::test]
async fn sc_040_041_113_125_a_subcloud_is_added() {
    let site = Arc::new(controller().await);
    let answer = add(&site, bv(), Form::new()).await;
    expect(&answer, 200, "subcloud2", "40");
    let row = answer.json();
    let expected = json!({
        "id": 1, "name": "subcloud2", "description": "an edge", "location": "Vienna", "software-version": "22.12",
        "management-state": "unmanaged", "availability-status": "offline", "deploy-status": "not-deployed",
        "backup-status": null, "backup-datetime": null, "error-description": "No errors present",
        "region-name": row["region-name"], "management-subnet": "192.168.101.0/24",
        "management-start-ip": "192.168.101.2", "management-end-ip": "192.168.101.50",
        "management-gateway-ip": "192.168.101.1", "openstack-installed": false,
        "systemcontroller-gateway-ip": "192.168.204.101", "data_install": null, "data_upgrade": null,
        "created-at": row["created-at"], "updated-at": null, "group_id": 1, "peer_group_id": null,
        "rehome_data": null,
    });
    assert_eq!(row, expected);
    assert_eq!(row.as_object().unwrap().len(), 25);
    let region = row["region-name"].as_str().unwrap();
    assert!(region.len() == 32 && region.bytes().all(|b| b.is_ascii_hexdigit()), "{region}");
    assert_eq!(row["created-at"].as_str().unwrap().as_bytes()[10], b' ');
    assert!(endpoints(&site, 1).await.iter().all(|(_, status)| status == "unknown"));
    assert_eq!(endpoints(&site, 1).await.len(), 8);
    let stored = state(&site, entity(&site, 1).await).await;
    let run = stored.run.as_ref().unwrap();
    let phases: Vec<_> = run.phases.iter().map(|phase| phase.as_str()).collect();
    assert_eq!(phases, ["create", "bootstrap", "complete"]);
    assert!(run.inputs.sysadmin_password.is_some());
    assert_eq!(stored.bootstrap_address.as_deref(), Some("10.10.10.12"));
    assert_eq!(send(&site, "POST", "/v1.0/wrong", &form()).await.status, 404);

    let worker = creator(&site, false);
    let values = with(with(bv(), "name", "subcloud3"), "management_subnet", "192.168.103.0/24");
    let values = values.into_iter().map(|(key, value)| {
        let text = value.as_str().unwrap().replace("192.168.101.", "192.168.103.");
        (key, Value::String(text))
    });
    let phased = Form::new()
        .yaml("bootstrap_values", values.collect())
        .field("bootstrap-address", "10.10.10.12")
        .field("region_name", "ignored");
    let answer = send(&site, "POST", "/v1.0/phased-subcloud-deploy/", &phased).await;
    expect(&answer, 200, "create-complete", "125: no password was sent");
    assert_ne!(answer.json()["region-name"], "ignored");
    assert_eq!(answer.json()["created-at"].as_str().unwrap().as_bytes()[10], b'T');
    assert_eq!(answer.json()["updated-at"].as_str().unwrap().len(), "2023-11-06T14:28:04.123456".len());
    drop(worker);
}

#[tokio::test]
async fn sc_123_ac_029_a_failed_creation_is_still_answered_200_and_a_slow_one_503() {
    let site =
        Site::start_with(|settings, _| settings.creation_wait = std::time::Duration::from_millis(200)).await;
    let phased = Form::new().yaml("bootstrap_values", bv()).field("bootstrap-address", "10.10.10.12");
    let answer = send(&site, "POST", "/v1.0/phased-subcloud-deploy", &phased).await;
    expect(&answer, 503, "Unable to create subcloud", "nobody works on it");
    assert!(!answer.header("retry-after").is_empty());
    assert_eq!(deploy_status(&site, 1).await, "not-deployed", "the row stays");

    let site = Arc::new(controller().await);
    let _worker = creator(&site, true);
    expect(&send(&site, "POST", "/v1.0/phased-subcloud-deploy", &phased).await, 200, "create-failed", "§7.1");
}

#[tokio::test]
async fn sc_042_043_111_112_124_what_must_be_sent() {
    let site = controller().await;
    for path in BOTH {
        assert_eq!(site.ask("POST", path, &[], "").await.status, 400);
        assert_eq!(send(&site, "POST", path, &Form::new()).await.status, 400, "no part");
        assert_eq!(
            send_json(&site, "POST", path, &json!({"name": "a"})).await.status,
            400,
            "JSON is no fields"
        );
        for malformed in ["name: [", "a: b: c", "\t- x"] {
            let form = form().file("bootstrap_values", malformed);
            expect(&send(&site, "POST", path, &form).await, 400, "Unable to load bootstrap_values", "43");
        }
        for (content, phrase) in [("", "empty file"), ("null", "empty file"), ("- 1", "not a mapping")] {
            let form = form().file("bootstrap_values", content);
            expect(&send(&site, "POST", path, &form).await, 400, phrase, "§1.4");
        }
        let plain = form().field("bootstrap_values", "name: x");
        expect(&send(&site, "POST", path, &plain).await, 400, "Unable to load bootstrap_values", "Q5");
    }
    let file = Form::new().yaml("bootstrap_values", bv()).field("bootstrap-address", "10.10.10.12");
    expect(&send(&site, "POST", BOTH[0], &file).await, 400, "sysadmin_password required", "111");
    let bad = file.clone().field("sysadmin_password", "a");
    expect(&send(&site, "POST", BOTH[0], &bad).await, 400, "Failed to decode", "112");
    let no_address = Form::new().yaml("bootstrap_values", bv());
    let answer = send(&site, "POST", BOTH[1], &no_address).await;
    expect(&answer, 400, "Missing required parameter(s): bootstrap-address", "124");
    let good = file.field("sysadmin_password", PASSWORD);
    expect(&send(&site, "POST", BOTH[0], &good).await, 200, "", "43: repaired");
}

#[tokio::test]
async fn sc_044_053_bootstrap_keys() {
    let site = controller().await;
    for key in [
        "system_mode",
        "name",
        "management_subnet",
        "management_start_address",
        "management_end_address",
        "management_gateway_address",
        "external_oam_subnet",
        "external_oam_gateway_address",
        "external_oam_floating_address",
        "systemcontroller_gateway_address",
    ] {
        refused(&site, &without(bv(), key), &Form::new(), 400, "required", key).await;
    }
    // Any key may be sent as a plain field instead, and wins.
    let field = Form::new().field("management_gateway_address", "192.168.101.60").field("name", "plain");
    let row = accepted(&without(bv(), "management_gateway_address"), &field, "plain fields").await;
    assert_eq!((&row["name"], &row["management-gateway-ip"]), (&json!("plain"), &json!("192.168.101.60")));
}

#[tokio::test]
async fn sc_054_055_bootstrap_address() {
    let site = controller().await;
    for address in [
        "10.10.10.wut",
        "10.10.10.276",
        "2620::10a:a103::1135",
        "2620:10a:a001:a103::wut",
        "2620:10a:a001:a103:1135",
    ] {
        for path in BOTH {
            let form = Form::new()
                .yaml("bootstrap_values", bv())
                .field("bootstrap-address", address)
                .field("sysadmin_password", PASSWORD);
            expect(&send(&site, "POST", path, &form).await, 400, "bootstrap-address invalid", address);
        }
    }
    for address in ["10.10.10.3", "2620:10a:a001:a103::1135"] {
        let site = controller().await;
        let form = form().yaml("bootstrap_values", bv()).field("bootstrap-address", address);
        expect(&send(&site, "POST", BOTH[0], &form).await, 200, "", address);
    }
}

#[tokio::test]
async fn sc_056_057_058_059_060_061_062_063_064_065_066_067_068_108_management_network() {
    let site = controller().await;
    let cases = [
        ("systemcontroller_gateway_address", "192.168.205.101", "Address must be in subnet"),
        ("systemcontroller_gateway_address", "192.168.204.99", "is within management pool"),
        ("systemcontroller_gateway_address", "192.168.276.276", "not a valid IP address"),
        ("systemcontroller_gateway_address", "192.168.206.wut", "not a valid IP address"),
        ("systemcontroller_gateway_address", "192.168.204", "not a valid IP address"),
        ("management_subnet", "192.168.101.0/32", "Subnet too small"),
        ("management_subnet", "192.168.101.0/33", "not a valid IP subnet"),
        ("management_subnet", "192.168.276.0/24", "not a valid IP subnet"),
        ("management_subnet", "192.168.206.wut/24", "not a valid IP subnet"),
        ("management_subnet", "192.168.204/24", "not a valid IP subnet"),
        ("management_start_address", "192.168.100.2", "Address must be in subnet"),
        ("management_start_address", "192.168.101.51", "not less than"),
        ("management_start_address", "192.168.101.48", "must contain at least 4"),
        ("management_start_address", "192.168.276.0", "management_start_address invalid"),
        ("management_start_address", "192.168.206.wut", "management_start_address invalid"),
        ("management_start_address", "192.168.204", "management_start_address invalid"),
        ("management_end_address", "192.168.100.50", "management_end_address invalid"),
        ("management_end_address", "192.168.101.1", "not less than"),
        ("management_end_address", "192.168.101.4", "must contain at least 4"),
        ("management_end_address", "192.168.276.50", "management_end_address invalid"),
        ("management_end_address", "192.168.206.wut", "management_end_address invalid"),
        ("management_end_address", "192.168.204", "management_end_address invalid"),
        ("management_gateway_address", "192.168.101.20", "is within management pool"),
    ];
    for (key, value, phrase) in cases {
        refused(&site, &with(bv(), key, value), &Form::new(), 400, phrase, value).await;
    }
}

#[tokio::test]
async fn sc_096_103_admin_network() {
    let row = accepted(&admin(), &Form::new(), "96").await;
    assert_eq!(row["management-subnet"], "192.168.102.0/24");
    assert_eq!(row["management-start-ip"], "192.168.102.5");
    assert_eq!(row["management-gateway-ip"], "192.168.102.1");
    assert_eq!(accepted(&bv(), &Form::new(), "97").await["management-subnet"], "192.168.101.0/24");
    let site = controller().await;
    for (key, value, phrase) in [
        ("admin_subnet", "192.168.102.0/32", "Subnet too small"),
        ("admin_start_address", "192.168.103.5", "Address must be in subnet"),
        ("admin_end_address", "192.168.103.49", "Address must be in subnet"),
        ("admin_gateway_address", "192.168.103.1", "Address must be in subnet"),
        ("management_gateway_address", "192.168.101.1", "cannot be specified at the same time"),
    ] {
        refused(&site, &with(admin(), key, value), &Form::new(), 400, phrase, key).await;
    }
    for key in ["admin_subnet", "admin_start_address", "admin_end_address", "admin_gateway_address"] {
        refused(&site, &without(admin(), key), &Form::new(), 400, &format!("{key} required"), "103").await;
    }
}

#[tokio::test]
async fn sc_104_105_106_107_109_110_121_122_names_releases_groups_files() {
    let site = controller().await;
    let named = |name: &str| with(bv(), "name", name);
    refused(&site, &named("123"), &Form::new(), 400, "must contain alphabetic characters", "104").await;
    for name in ["RegionOne", "SystemController"] {
        refused(&site, &named(name), &Form::new(), 400, "name cannot be", "105").await;
    }
    for hostile in ["../x", "a/b", "{{ x }}", "-x", "a\nb", ".hidden"] {
        refused(&site, &named(hostile), &Form::new(), 400, "name invalid", hostile).await;
    }
    site.add(1).await;
    // SC is in 192.168.101.0/24 and is called subcloud1.
    refused(&site, &named("subcloud1"), &Form::new(), 409, "already exists", "106").await;
    refused(&site, &bv(), &Form::new(), 400, "Subnet overlaps", "107").await;
    let release = |text| Form::new().field("release", text);
    refused(&site, &bv(), &release("99.9"), 400, "invalid release version parameter", "109").await;
    let bare = Site::start().await;
    refused(&bare, &bv(), &release("21.12"), 503, "unable to validate the release version", "110").await;
    let group = |text| Form::new().field("group_id", text);
    let fresh = controller().await;
    for wrong in ["9", "Default"] {
        refused(&fresh, &bv(), &group(wrong), 400, "Invalid group_id", "121").await;
    }
    let config = Form::new().file("deploy_config", "kind: List\n");
    accepted(&bv(), &config, "311: a deploy config").await;
    std::fs::remove_dir_all(fresh.dir.path().join("deploy")).unwrap();
    refused(&fresh, &bv(), &config, 400, "Missing required deploy files", "122").await;
    let no_file = Form::new().field("deploy_config", "x");
    refused(&fresh, &bv(), &no_file, 400, "No deploy_config file uploaded", "V10").await;
    accepted(&named("a subcloud 1"), &group("1"), "121; Q13: blanks").await;
}

#[tokio::test]
async fn sc_114_115_116_118_119_flags() {
    let site = controller().await;
    let config = Form::new().file("deploy_config", "x");
    for (more, phrase) in [
        (Form::new().field("migrate", "True"), "migrate option is invalid"),
        (config.clone().field("migrate", "false"), "migrate with deploy-config"),
        (Form::new().field("migrate", "true").field("name", "other"), "does not match"),
        (Form::new().field("secondary", "yes"), "secondary option is invalid"),
        (config.field("secondary", "true"), "secondary with deploy-config"),
        (Form::new().field("secondary", "true").field("migrate", "false"), "secondary with migrate"),
        (Form::new().field("region_name", "a b"), "region_name invalid"),
        (Form::new().field("region_name", ""), "region_name invalid"),
        (Form::new().field("region_name", "RegionOne"), "region_name cannot be"),
    ] {
        expect(&add(&site, bv(), more).await, 400, phrase, phrase);
    }
    let migrate = Form::new().field("migrate", "true");
    let given = migrate.clone().field("region_name", "abc");
    let incomplete = without(bv(), "system_mode");
    expect(&add(&site, incomplete, given).await, 400, "system_mode required", "checked like any creation");
    let no_region = "Unable to retrieve subcloud region";
    expect(&add(&site, bv(), migrate).await, 400, no_region, "nobody can be asked");
    assert_eq!(site.get("/v1.0/subclouds").await.json(), json!({"subclouds": []}));
    expect(&add(&site, bv(), Form::new().field("secondary", "false")).await, 200, "", "secondary=false");
    let stored = state(&site, entity(&site, 1).await).await;
    assert!(stored.run.as_ref().unwrap().inputs.sysadmin_password.is_some());
}

#[tokio::test]
async fn sc_120_a_secondary_needs_no_password() {
    let site = controller().await;
    let form = Form::new()
        .yaml("bootstrap_values", with(bv(), "admin_password", "St8rlingX*"))
        .field("bootstrap-address", "10.10.10.12")
        .field("secondary", "true")
        .field("region_name", "abc");
    let answer: Answer = send(&site, "POST", "/v1.0/subclouds", &form).await;
    expect(&answer, 200, "\"abc\"", "120");
    let stored = state(&site, entity(&site, 1).await).await;
    let run = stored.run.as_ref().unwrap();
    assert_eq!(run.phases, [dcm_domain::value::Phase::Secondary]);
    let shown = &run.inputs.rehome.as_ref().unwrap().shown;
    assert_eq!((&shown["region_name"], &shown["admin_password"]), (&json!("abc"), &json!("***")));
    assert_eq!(shown["bootstrap-address"], "10.10.10.12");
    let again = with(bv(), "name", "other");
    let again = add(&site, again, Form::new().field("region_name", "abc")).await;
    expect(&again, 409, "already exists", "a region is unique");
}
