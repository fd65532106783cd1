//! §14.4: update, rename, manage, unmanage, rehome.

use dcm_domain::subcloud::command::{ManageSubcloud, ReportAvailability};
use dcm_domain::value::{Availability, DeployStatus, Phase};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::fixture::*;
use crate::site::{Answer, Site, region};

pub const PATH: &str = "/v1.0/subclouds/1";

async fn patch(site: &Site, fields: &[(&str, &str)]) -> Answer {
    let form = fields.iter().fold(Form::new(), |form, (name, value)| form.field(name, value));
    send(site, "PATCH", PATH, &form).await
}

pub async fn check(site: &Site, fields: &[(&str, &str)], status: u16, phrase: &str) -> Value {
    let answer = patch(site, fields).await;
    expect(&answer, status, phrase, &format!("{fields:?}"));
    answer.json()
}

/// SC as subcloud 1.
pub async fn sc() -> (Site, Uuid) {
    let site = controller().await;
    let entity = site.add(1).await;
    (site, entity)
}

/// SC[managed online], every endpoint in sync.
pub async fn managed() -> (Site, Uuid) {
    let (site, entity) = sc().await;
    manage(&site, entity).await;
    (site, entity)
}

async fn axes(site: &Site) -> (String, String) {
    let row = site.get(PATH).await.json();
    let text = |key: &str| row[key].as_str().unwrap().to_owned();
    (text("management-state"), text("deploy-status"))
}

fn is(state: &str, status: &str) -> (String, String) {
    (state.to_owned(), status.to_owned())
}

async fn known(site: &Site) -> Vec<String> {
    let all = endpoints(site, 1).await;
    all.into_iter().filter(|(_, status)| status != "unknown").map(|(endpoint, _)| endpoint).collect()
}

#[tokio::test]
async fn sc_126_unmanage_keeps_dc_cert() {
    let (site, _) = managed().await;
    let row = check(&site, &[("management-state", "unmanaged")], 200, "").await;
    assert_eq!((&row["management-state"], &row["deploy-status"]), (&json!("unmanaged"), &json!("complete")));
    assert_eq!(row["updated-at"].as_str().unwrap().as_bytes()[10], b'T');
    assert_eq!(known(&site).await, ["dc-cert"]);
}

#[tokio::test]
async fn sc_127_129_groups() {
    let (site, _) = sc().await;
    for group in ["1", "Default"] {
        assert_eq!(check(&site, &[("group_id", group)], 200, "").await["group_id"], 1);
    }
    for group in ["0", "-1", "2", "0.5", "BadName", "False", "True", "", "99999999999999999999"] {
        check(&site, &[("group_id", group)], 400, "Invalid group").await;
    }
}

#[tokio::test]
async fn sc_130_132_install_values() {
    let (site, entity) = sc().await;
    stock(&site, "loads/18.03", &["boot.iso", "boot.sig"]);
    let image = site.dir.path().join("loads/18.03/boot.iso").display().to_string();
    for values in [with(iv(), "persistent_size", 40000), iv(), with(iv(), "install_type", 2)] {
        let form = Form::new().yaml("install_values", values.clone()).field("bmc_password", PASSWORD);
        let answer = send(&site, "PATCH", PATH, &form).await;
        expect(&answer, 200, "", "130 to 132");
        let all = with(with(values, "software_version", "18.03"), "image", image.as_str());
        let shown: Value = serde_json::from_str(answer.json()["data_install"].as_str().unwrap()).unwrap();
        assert_eq!(shown, Value::Object(with(all.clone(), "bmc_password", "***")));
        let install = state(&site, entity).await.install.clone().unwrap();
        let kept = site.app.vault().get(&install.secret, entity).await.unwrap();
        let kept: Value = serde_json::from_str(kept.expose()).unwrap();
        assert_eq!(
            kept,
            Value::Object(with(all, "bmc_password", PASSWORD)),
            "with the password, still encoded"
        );
    }
    let entries = site.app.vault().list(entity).await.unwrap().len();
    let form = Form::new().yaml("install_values", iv()).field("bmc_password", PASSWORD);
    expect(&send(&site, "PATCH", PATH, &form).await, 200, "", "the same again");
    assert_eq!(
        site.app.vault().list(entity).await.unwrap().len(),
        entries,
        "what was there is not kept twice"
    );
    let form = Form::new().yaml("install_values", iv());
    expect(&send(&site, "PATCH", PATH, &form).await, 400, "bmc_password required", "V5");
    let form = Form::new().field("install_values", "a: [");
    expect(&send(&site, "PATCH", PATH, &form).await, 400, "Unable to load install_values", "step 4");
}

#[tokio::test]
async fn sc_133_to_137_179_180_bodies_states_force() {
    let (site, _) = sc().await;
    expect(&send(&site, "PATCH", PATH, &Form::new()).await, 400, "Body required", "133");
    assert_eq!(site.ask("PATCH", PATH, &[], "").await.status, 400);
    let encoded = [("content-type", "application/x-www-form-urlencoded"), ("accept", "application/json")];
    expect(&site.ask("PATCH", PATH, &encoded, "description=x").await, 400, "Body required", "§1.4");
    expect(&send_json(&site, "PATCH", PATH, &json!({"description": "x"})).await, 400, "", "179");
    check(&site, &[("management-state", "bad-status")], 400, "Invalid management-state").await;
    check(&site, &[("management-state", "")], 422, "invalid value was provided").await;
    check(&site, &[("management-state", "managed"), ("force", "bad-value")], 400, "Invalid force value")
        .await;
    check(&site, &[("management-state", "managed"), ("force", "")], 400, "Unable to load force").await;
    check(&site, &[("management-state", "unmanaged"), ("force", "true")], 400, "Invalid option: force").await;
    check(&site, &[("force", "false")], 400, "Invalid option: force").await;
    check(&site, &[("unknown", "x")], 200, "").await;
    check(&site, &[("management-state", "managed"), ("force", "true")], 200, "\"managed\"").await;
    let missing =
        send(&site, "PATCH", "/v1.0/subclouds/nosuch", &Form::new().field("description", "x")).await;
    expect(&missing, 404, "Subcloud not found", "180");
    expect(&send(&site, "PATCH", "/v1.0/subclouds", &Form::new()).await, 400, "Subcloud ID required", "§4");
}

#[tokio::test]
async fn sc_147_148_149_150_161_162_migrate_and_back() {
    let (site, entity) = managed().await;
    let other = site.add(2).await;
    manage(&site, other).await;
    let row =
        check(&site, &[("management-state", "unmanaged"), ("migrate", "true")], 200, "rehome-pending").await;
    assert_eq!(row["management-state"], "unmanaged");
    assert_eq!(known(&site).await, Vec::<String>::new());
    assert!(endpoints(&site, 2).await.iter().all(|(_, status)| status == "in-sync"), "161");
    check(&site, &[("description", "x")], 200, "rehome-pending").await;
    check(&site, &[("migrate", "true")], 200, "rehome-pending").await;
    assert_eq!(known(&site).await, Vec::<String>::new(), "162");
    check(&site, &[("migrate", "true"), ("management-state", "unmanaged")], 422, "already unmanaged").await;
    check(&site, &[("migrate", "true"), ("management-state", "bogus")], 400, "Invalid management-state")
        .await;
    site.run(entity, &ReportAvailability { to: Availability::Offline }).await;
    check(&site, &[("management-state", "managed")], 422, "not online").await;
    assert_eq!(axes(&site).await, is("unmanaged", "rehome-pending"), "149");
    check(&site, &[("management-state", "managed"), ("force", "true")], 200, "").await;
    assert_eq!(axes(&site).await, is("managed", "complete"), "150");
    site.online(entity).await;
    check(&site, &[("management-state", "unmanaged"), ("migrate", "true")], 200, "rehome-pending").await;
    check(&site, &[("management-state", "managed"), ("migrate", "true")], 200, "").await;
    assert_eq!(axes(&site).await, is("managed", "complete"), "148, 159");
}

#[tokio::test]
async fn sc_151_152_155_156_157_158_160_migrate_rules() {
    let migrate = ("migrate", "true");
    let (site, entity) = sc().await;
    check(&site, &[migrate, ("management-state", "managed")], 400, "must be unmanaged").await;
    check(&site, &[migrate, ("management-state", "bogus")], 400, "must be unmanaged").await;
    check(&site, &[migrate, ("management-state", "unmanaged")], 422, "already unmanaged").await;
    assert_eq!(axes(&site).await, is("unmanaged", "complete"), "157");
    check(&site, &[migrate], 200, "rehome-pending").await;
    check(&site, &[migrate], 200, "rehome-pending").await;

    let (site, _) = managed().await;
    check(&site, &[migrate], 400, "must be unmanaged").await;
    check(&site, &[migrate, ("management-state", "managed")], 400, "must be unmanaged").await;
    check(&site, &[("migrate", "True"), ("management-state", "unmanaged")], 200, "\"complete\"").await;

    let _ = entity;
    let site = controller().await;
    let entity = site.add_failed(1, Phase::Install, "boom").await;
    site.run(entity, &ManageSubcloud { force: true, ..ManageSubcloud::default() }).await;
    let unmanaged = ("management-state", "unmanaged");
    check(&site, &[migrate, unmanaged], 400, "can only be updated to 'rehome-pending'").await;
    check(&site, &[migrate], 400, "must be unmanaged").await;
}

#[tokio::test]
async fn sc_164_165_167_168_manage_rules() {
    let managed = ("management-state", "managed");
    let site = controller().await;
    let entity = site.add_failed(1, Phase::Configure, "boom").await;
    site.online(entity).await;
    check(&site, &[managed], 422, "must be either").await;
    site.run(entity, &ReportAvailability { to: Availability::Offline }).await;
    check(&site, &[managed, ("force", "yes")], 200, "config-failed").await;
    check(&site, &[managed], 422, "already managed").await;
    check(&site, &[managed, ("force", "true")], 422, "already managed").await;

    let (site, entity) = sc().await;
    make_secondary(&site, entity).await;
    check(&site, &[managed], 422, "must be either").await;
    check(&site, &[managed, ("force", "1")], 200, "secondary").await;
}

#[tokio::test]
async fn sc_169_173_rename() {
    let (site, _) = sc().await;
    site.add(2).await;
    for name in ["New1", "a_b", "-a", "a..b", "", "../x"] {
        check(&site, &[("name", name)], 400, "must contain alphabetic characters").await;
    }
    check(&site, &[("name", "subcloud1")], 400, "is the same as").await;
    check(&site, &[("name", "subcloud2")], 422, "already exist").await;
    check(&site, &[("name", &region(2))], 422, "already exist").await;
    let both = [("name", "newname.example"), ("description", "renamed")];
    let row = check(&site, &both, 200, "newname.example").await;
    assert_eq!((&row["region-name"], &row["description"]), (&json!(region(1)), &json!("renamed")));
    let by_name = site.get("/v1.0/subclouds/newname.example").await;
    assert_eq!((by_name.status, site.get("/v1.0/subclouds/subcloud1").await.status), (200, 404));
    check(&site, &[("name", "third"), ("management-state", "unmanaged")], 422, "already unmanaged").await;
    assert_eq!(site.get("/v1.0/subclouds/third").await.status, 404, "a refused update leaves nothing");

    let (site, _) = managed().await;
    check(&site, &[("name", "other")], 400, "must be unmanaged and in a valid deploy state").await;
    let site = controller().await;
    site.add_failed(1, Phase::Install, "boom").await;
    check(&site, &[("name", "other")], 400, "must be unmanaged and in a valid deploy state").await;
}

#[tokio::test]
async fn sc_174_jb_038_a_subcloud_joins_and_leaves_a_peer_group() {
    let (site, _) = sc().await;
    let group = json!({"peer-group-name": "pg1", "system-leader-name": "dc-1",
        "system-leader-id": "d9dea83f-f271-470d-9cce-44b0162a800b"});
    let added = site.ask("POST", "/v1.0/subcloud-peer-groups", &[], &group.to_string()).await;
    assert_eq!(added.status, 200, "{}", added.text);
    for (given, shown) in [("pg1", json!(1)), ("1", json!(1)), ("None", Value::Null)] {
        let row = check(&site, &[("peer_group", given)], 200, "").await;
        assert_eq!(row["peer_group_id"], shown, "{given}");
        assert_eq!(site.get("/v1.0/subclouds/1").await.json()["peer_group_id"], shown, "{given}");
    }
    let joined = check(&site, &[("peer_group", "pg1")], 200, "").await;
    let again = check(&site, &[("peer_group", "1")], 200, "").await;
    assert_eq!(again["updated-at"], joined["updated-at"], "nothing changed");
    check(&site, &[("peer_group", "2")], 400, "Invalid peer group").await;
}

#[tokio::test]
async fn sc_175_jb_039_peer_groups_and_texts() {
    let (site, _) = sc().await;
    check(&site, &[("peer_group", "nosuch")], 400, "Invalid peer group").await;
    for none in ["none", "None", "NONE", "NoNe"] {
        assert_eq!(check(&site, &[("peer_group", none)], 200, "").await["peer_group_id"], Value::Null);
    }
    let row = check(&site, &[("description", ""), ("location", "Graz")], 200, "").await;
    assert_eq!((&row["description"], &row["location"]), (&json!(""), &json!("Graz")));
    let again = check(&site, &[("location", "Graz")], 200, "").await;
    assert_eq!(again["updated-at"], row["updated-at"], "it moves only when something changed");
}

#[tokio::test]
async fn sc_176_178_jb_035_037_rehome_data() {
    let (site, _) = sc().await;
    let address = |text: &'static str| [("bootstrap_address", text)];
    check(&site, &address("10.1.1.1"), 422, "need to import bootstrap_values first").await;
    let both = [("management-state", "unmanaged"), ("bootstrap_address", "10.1.1.1")];
    check(&site, &both, 422, "already unmanaged").await;
    for broken in ["a: [", "- 1", "just text", "null"] {
        check(&site, &[("bootstrap_values", broken)], 422, "Bad subcloud request").await;
    }
    let values = "name: subcloud1\nadmin_password: secret\nsysadmin_password: a\nansible_ssh_pass: b\n\
                  ansible_become_pass: c\n";
    let form = Form::new().file("bootstrap_values", values);
    let saved = |answer: &Answer| -> Value {
        serde_json::from_str::<Value>(answer.json()["rehome_data"].as_str().unwrap()).unwrap()["saved_payload"].take()
    };
    let answer = send(&site, "PATCH", PATH, &form).await;
    expect(&answer, 200, "", "177");
    assert_eq!(saved(&answer), json!({"name": "subcloud1", "admin_password": "***"}));
    let whole = stored_rehome(&site).await;
    assert_eq!(whole, json!({"name": "subcloud1", "admin_password": "c2VjcmV0"}));

    check(&site, &address("10.1.1.1"), 200, "10.1.1.1").await;
    let again = Form::new().file("bootstrap_values", "name: subcloud1\nbootstrap-address: 10.2.2.2\n");
    assert_eq!(saved(&send(&site, "PATCH", PATH, &again).await)["bootstrap-address"], "10.1.1.1", "178");
    let both = again.field("bootstrap_address", "10.3.3.3");
    assert_eq!(saved(&send(&site, "PATCH", PATH, &both).await)["bootstrap-address"], "10.3.3.3");
    let empty = [("bootstrap_values", ""), ("bootstrap_address", "")];
    check(&site, &empty, 200, "10.3.3.3").await;
}

async fn stored_rehome(site: &Site) -> Value {
    let entity = entity(site, 1).await;
    let document = state(site, entity).await.rehome.clone().unwrap();
    let text = site.app.vault().get(&document.secret, entity).await.unwrap();
    serde_json::from_str(text.expose()).unwrap()
}

#[tokio::test]
async fn peers_name_a_subcloud_by_its_region() {
    let (site, _) = managed().await;
    let form = Form::new().field("management-state", "unmanaged");
    let kind = "multipart/form-data; boundary=c1f2e3d4c5b6a7988796a5b4c3d2e1f0";
    let headers = [("user-agent", "dcmanager/1.0"), ("content-type", kind)];
    let path = format!("/v1.0/subclouds/{}", region(1));
    assert_eq!(site.ask("PATCH", &path, &headers, &form.body()).await.status, 200);
    assert_eq!(site.ask("PATCH", &path, &headers[1..], &form.body()).await.status, 404);
    assert_eq!(state(&site, entity(&site, 1).await).await.deploy, DeployStatus::Complete);
}

#[tokio::test]
async fn texts_are_bounded_and_without_nul() {
    let (site, _) = sc().await;
    check(&site, &[("description", &"é".repeat(255))], 200, "").await;
    check(&site, &[("location", &"é".repeat(256))], 400, "location must have at most 255").await;
    check(&site, &[("description", "a\0b")], 400, "description must not contain NUL").await;
    check(&site, &[("bootstrap_values", r#"name: "a\0b""#)], 422, "problem on line").await;
    let long = format!("name: {}", "x".repeat(70_000));
    check(&site, &[("bootstrap_values", &long)], 413, "rehome_data is larger").await;
    let hidden = format!("ca_certificate: {}", "x".repeat(70_000));
    check(&site, &[("bootstrap_values", &hidden)], 200, "").await;
}
