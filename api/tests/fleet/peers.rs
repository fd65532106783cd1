//! What the tests of peer groups, system peers and associations have in common.

use std::sync::Arc;

use dcm_api::platform::LocalSystem;
use dcm_domain::subcloud::Document;
use dcm_domain::subcloud::command::{
    ChangeDeployStatus, Details, ManageSubcloud, PeerGroupMembership, UpdateSubcloud,
};
use dcm_domain::value::SecretRef;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::ask::*;
use crate::site::platform::FakePlatform;
use crate::site::{PATIENCE, Site};

pub const GROUPS: &str = "/v1.0/subcloud-peer-groups";
pub const PEERS: &str = "/v1.0/system-peers";
pub const ASSOCIATIONS: &str = "/v1.0/peer-group-associations";
/// The system this controller is.
pub const LOCAL: &str = "d9dea83f-f271-470d-9cce-44b0162a800b";
/// The other one.
pub const OTHER: &str = "ac62f555-9386-42f1-b3a1-51ecb709409d";
/// The password of the other one, base64.
pub const PASSWORD: &str = "UGVlcjgtUGFzc3dvcmQ=";

/// A controller that knows that it is `dc-1`.
pub async fn dc_1() -> Site {
    let platform = FakePlatform::default();
    platform.tells(|facts| {
        facts.local_system = Ok(LocalSystem { uuid: LOCAL.to_owned(), name: "dc-1".to_owned() });
    });
    let site = Site::start_on(Arc::new(platform), |settings, _| settings.wait = PATIENCE).await;
    let head = site.journal.head().await.unwrap();
    assert!(site.models.progress().wait(head, PATIENCE).await);
    site
}

/// Adds a peer group; its id.
pub async fn add_group(site: &Site, name: &str, priority: i64) -> i64 {
    let body = json!({"peer-group-name": name, "group-priority": priority});
    added(site, GROUPS, &body).await
}

/// Adds a system peer; its id.
pub async fn add_peer(site: &Site) -> i64 {
    added(site, PEERS, &peer()).await
}

/// Associates the two; the association's id.
pub async fn associate(site: &Site, group: i64, peer: i64, priority: Option<i64>) -> i64 {
    let body = json!({"peer_group_id": group, "system_peer_id": peer, "peer_group_priority": priority});
    added(site, ASSOCIATIONS, &body).await
}

async fn added(site: &Site, path: &str, body: &Value) -> i64 {
    let answer = send(site, "POST", path, body).await;
    assert_eq!(answer.status, 200, "{path} {body}: {}", answer.text);
    answer.json()["id"].as_i64().unwrap()
}

/// The body of a valid new peer, all eleven members as the CLI sends them.
pub fn peer() -> Value {
    json!({
        "peer_uuid": OTHER,
        "peer_name": "dc-2",
        "manager_endpoint": "http://128.128.128.1:5000/v3",
        "manager_username": "admin",
        "manager_password": PASSWORD,
        "peer_controller_gateway_address": "192.168.204.1",
        "administrative_state": "enabled",
        "heartbeat_interval": 60,
        "heartbeat_failure_threshold": 3,
        "heartbeat_failure_policy": "alarm",
        "heartbeat_maintenance_timeout": 600,
    })
}

/// A `complete`, unmanaged member with what a rehoming needs.
pub async fn member(site: &Site, number: u8, group: i64) -> Uuid {
    let entity = site.add(number).await;
    rehome_data(site, entity, json!({"bootstrap-address": "10.10.10.12", "name": "subcloud"})).await;
    let peer_group = Some(PeerGroupMembership::Of(group));
    site.run(entity, &UpdateSubcloud { details: Details { peer_group, ..Details::default() } }).await;
    entity
}

/// A member that waits to be rehomed.
pub async fn secondary(site: &Site, number: u8, group: i64) -> Uuid {
    let entity = member(site, number, group).await;
    site.run(entity, &ChangeDeployStatus::mark_secondary()).await;
    entity
}

/// Gives a subcloud rehome data with this payload.
pub async fn rehome_data(site: &Site, entity: Uuid, payload: Value) {
    let digest = payload.to_string();
    let rehome = Some(Document { secret: SecretRef(Uuid::now_v7()), digest, shown: payload });
    site.run(entity, &UpdateSubcloud { details: Details { rehome, ..Details::default() } }).await;
}

/// Takes a member under management.
pub async fn manage(site: &Site, entity: Uuid) {
    site.online(entity).await;
    let details = Details::default();
    site.run(entity, &ManageSubcloud { force: false, migrate: false, details }).await;
}

/// Sends a body that must be refused with 400 and a text.
pub async fn refused(site: &Site, method: &str, path: &str, body: &Value) {
    let answer = send(site, method, path, body).await;
    assert_eq!(answer.status, 400, "{method} {path} {body}: {}", answer.text);
    assert!(answer.json()["description"].is_string(), "{}", answer.text);
}

/// The keys of an object, in order.
pub fn keys(body: &Value) -> Vec<&str> {
    body.as_object().unwrap().keys().map(String::as_str).collect()
}

/// Events of the journal so far.
pub async fn events(site: &Site) -> u64 {
    site.journal.head().await.unwrap()
}
