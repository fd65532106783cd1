//! §14.4: moving a subcloud to another network.

use dcm_domain::subcloud::command::{
    ClaimRun, CompletePhase, LoseRun, LostBecause, StartPhase, StartPlaybook,
};
use dcm_domain::subcloud::{RunKind, Task};
use dcm_domain::value::Phase;
use serde_json::{Map, Value, json};

use crate::fixture::*;
use crate::update::{PATH, check, managed, sc};

/// Everything a network reconfiguration needs.
const MOVE: [(&str, &str); 6] = [
    ("management_subnet", "192.168.111.0/24"),
    ("management_gateway_ip", "192.168.111.1"),
    ("management_start_ip", "192.168.111.2"),
    ("management_end_ip", "192.168.111.50"),
    ("bootstrap_address", "10.10.10.12"),
    ("sysadmin_password", PASSWORD),
];

#[tokio::test]
async fn sc_139_145_what_a_network_reconfiguration_needs() {
    let fields = MOVE;
    let (site, _) = managed().await;
    check(&site, &fields, 422, "must be unmanaged to perform network reconfiguration").await;
    check(&site, &[("management-state", "unmanaged")], 200, "").await;
    let more = [&fields[..], &[("management-state", "managed")]].concat();
    check(&site, &more, 422, "must be updated separately").await;
    check(&site, &[&fields[..4], &fields[5..]].concat(), 422, "bootstrap_address parameter is required")
        .await;
    let all = "--management-subnet, --management-gateway-ip, --management-start-ip, --management-end-ip";
    check(&site, &[fields[0], fields[4]], 422, all).await;
    let mut same = fields;
    same[2] = ("management_start_ip", "192.168.101.2");
    check(&site, &same, 422, "management_start_ip already in use").await;
    check(&site, &fields[..5], 400, "sysadmin_password required").await;
    check(&site, &[&fields[..], &[("group_id", "9")]].concat(), 400, "Invalid group").await;
    let before = site.get(PATH).await.json();
    let mut wrong = fields;
    wrong[0] = ("management_subnet", "192.168.111.0/33");
    let more = [&wrong[..], &[("description", "new"), ("name", "other")]].concat();
    check(&site, &more, 400, "management_subnet invalid").await;
    site.add(11).await;
    check(&site, &fields, 400, "Subnet overlaps").await;
    assert_eq!(site.get(PATH).await.json(), before, "nothing was written");

    let (site, entity) = sc().await;
    make_secondary(&site, entity).await;
    check(&site, &fields, 400, "Cannot perform on secondary state subcloud").await;
}

#[tokio::test]
async fn sc_138_a_network_reconfiguration_shows_the_subcloud_as_it_was() {
    let (site, entity) = sc().await;
    stock(&site, "loads/18.03", &["boot.iso", "boot.sig"]);
    let before = site.get(PATH).await.json();
    let form = MOVE.iter().fold(Form::new(), |form, (name, value)| form.field(name, value));
    let form = form
        .field("description", "moved")
        .yaml("install_values", iv())
        .field("bmc_password", PASSWORD)
        .field("bootstrap_values", "name: ignored");
    let answer = send(&site, "PATCH", PATH, &form).await;
    expect(&answer, 200, "192.168.101.0/24", "138");
    for key in ["deploy-status", "description", "data_install", "rehome_data", "management-start-ip"] {
        assert_eq!(answer.json()[key], before[key], "{key}");
    }
    let updated = before["updated-at"].as_str().unwrap().replace(' ', "T");
    assert_eq!(answer.json()["updated-at"], updated, "not yet changed");
    let stored = state(&site, entity).await;
    assert_eq!(stored.deploy.as_str(), "reconfiguring-network");
    let run = stored.run.as_ref().unwrap();
    assert_eq!(run.kind(), RunKind::NetworkReconfiguration);
    let Some(Task::Network(task)) = &run.task else { panic!("{:?}", run.task) };
    assert_eq!(task.addresses.network.start_ip, "192.168.111.2");
    assert_eq!(
        (task.description.as_deref(), task.bootstrap_address.as_str()),
        (Some("moved"), "10.10.10.12")
    );
    assert_eq!(site.app.vault().list(entity).await.unwrap().len(), 2, "the password and the install values");
    check(&site, &MOVE, 422, "deployment in progress").await;
    let other = with(with(bv(), "name", "other"), "management_subnet", "192.168.111.0/24");
    let other = other.into_iter().map(|(key, value)| {
        (key, Value::String(value.as_str().unwrap().replace("192.168.101.", "192.168.111.")))
    });
    let other: Map<String, Value> = other.collect();
    expect(&add(&site, other.clone(), Form::new()).await, 400, "Subnet overlaps", "the new subnet is held");
    let in_the_old = with(bv(), "name", "another");
    expect(&add(&site, in_the_old, Form::new()).await, 400, "Subnet overlaps", "so is the old one");

    let lost = LoseRun { run_id: run.id, because: LostBecause::NoWorker };
    site.run(entity, &lost).await;
    let row = site.get(PATH).await.json();
    assert_eq!(row["deploy-status"], "network-reconfiguration-failed");
    assert_eq!(row["error-description"], "no worker for network-reconfiguration");
    assert_eq!(row["management-subnet"], "192.168.101.0/24");
    expect(&add(&site, other, Form::new()).await, 200, "", "the new subnet is free again");
}

#[tokio::test]
async fn a_network_reconfiguration_that_succeeds_leaves_the_old_subnet() {
    let (site, entity) = sc().await;
    check(&site, &[&MOVE[..], &[("name", "renamed"), ("location", "there")]].concat(), 200, "renamed").await;
    let run_id = state(&site, entity).await.run.as_ref().unwrap().id;
    let phase = Phase::ReconfigureNetwork;
    site.run(entity, &ClaimRun { run_id, worker: "w".to_owned() }).await;
    site.run(entity, &StartPhase { run_id, phase }).await;
    site.run(entity, &StartPlaybook { run_id, phase }).await;
    site.run(entity, &CompletePhase { run_id, phase }).await;
    let row = site.get(PATH).await.json();
    assert_eq!((&row["deploy-status"], &row["location"]), (&json!("complete"), &json!("there")));
    assert_eq!(row["management-end-ip"], "192.168.111.50");
    expect(&add(&site, bv(), Form::new()).await, 200, "192.168.101.0/24", "the old subnet is free");
    let directory = site.fleet.directory().await.unwrap();
    assert_eq!(directory.entry(entity).unwrap().subnet.as_ref().unwrap().as_str(), "192.168.111.0/24");
    assert_eq!(directory.entry(entity).unwrap().next_subnet, None);
}
