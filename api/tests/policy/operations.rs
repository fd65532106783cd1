//! Which rule guards which operation (access.md §5; subclouds.md and fleet.md, indices of endpoints).

use serde_json::Value;

use super::site::Site;

/// Who may use an operation while no file says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// Administrators of the system's projects.
    Admin,
    /// Readers of the system's projects.
    Reader,
    /// Anyone who is identified.
    Anyone,
}

use Guard::{Admin, Anyone, Reader};

/// Operations under `/v1.0`, references as `{}`; those not built yet too. Any one of the rules lets pass where which one
/// it is shows in the body only.
const GUARDS: &[(&str, &str, Guard, &[&str])] = &[
    ("GET", "/subclouds", Reader, &["subclouds:get"]),
    ("POST", "/subclouds", Admin, &["subclouds:create"]),
    ("PATCH", "/subclouds", Admin, &["subclouds:modify"]),
    ("DELETE", "/subclouds", Admin, &["subclouds:delete"]),
    ("GET", "/subclouds/{}", Reader, &["subclouds:get"]),
    ("PATCH", "/subclouds/{}", Admin, &["subclouds:modify"]),
    ("DELETE", "/subclouds/{}", Admin, &["subclouds:delete"]),
    ("GET", "/subclouds/{}/detail", Reader, &["subclouds:get"]),
    ("PATCH", "/subclouds/{}/redeploy", Admin, &["subclouds:modify"]),
    ("PATCH", "/subclouds/{}/prestage", Admin, &["subclouds:modify"]),
    ("PATCH", "/subclouds/{}/migrate", Admin, &["subclouds:modify"]),
    ("PATCH", "/subclouds/{}/update_status", Admin, &["subclouds:modify"]),
    ("PATCH", "/subclouds/{}/update_availability", Admin, &["subclouds:modify"]),
    ("PATCH", "/subclouds/{}/restore", Admin, &["subclouds:modify"]),
    ("PATCH", "/subclouds/{}/reconfigure", Admin, &["subclouds:modify"]),
    ("PATCH", "/subclouds/{}/reinstall", Admin, &["subclouds:modify"]),
    ("GET", "/subclouds/{}/history", Reader, &["history:get"]),
    ("GET", "/subclouds/{}/diff", Reader, &["history:get"]),
    ("GET", "/events", Admin, &["events:get"]),
    ("POST", "/phased-subcloud-deploy", Admin, &["phased_subcloud_deploy:create"]),
    ("PATCH", "/phased-subcloud-deploy", Admin, &["phased_subcloud_deploy:modify"]),
    ("PATCH", "/phased-subcloud-deploy/{}/install", Admin, &["phased_subcloud_deploy:modify"]),
    ("PATCH", "/phased-subcloud-deploy/{}/bootstrap", Admin, &["phased_subcloud_deploy:modify"]),
    ("PATCH", "/phased-subcloud-deploy/{}/configure", Admin, &["phased_subcloud_deploy:modify"]),
    ("PATCH", "/phased-subcloud-deploy/{}/complete", Admin, &["phased_subcloud_deploy:modify"]),
    ("PATCH", "/phased-subcloud-deploy/{}/abort", Admin, &["phased_subcloud_deploy:modify"]),
    ("PATCH", "/phased-subcloud-deploy/{}/resume", Admin, &["phased_subcloud_deploy:modify"]),
    ("POST", "/subcloud-backup", Admin, &["subcloud_backup:create"]),
    ("PATCH", "/subcloud-backup", Admin, &["subcloud_backup:delete", "subcloud_backup:restore"]),
    ("PATCH", "/subcloud-backup/delete/{}", Admin, &["subcloud_backup:delete"]),
    ("PATCH", "/subcloud-backup/restore", Admin, &["subcloud_backup:restore"]),
    ("POST", "/subcloud-deploy", Admin, &["subcloud_deploy:upload"]),
    ("GET", "/subcloud-deploy", Reader, &["subcloud_deploy:get"]),
    ("GET", "/subcloud-deploy/{}", Reader, &["subcloud_deploy:get"]),
    ("GET", "/subcloud-groups", Reader, &["subcloud_groups:get"]),
    ("POST", "/subcloud-groups", Admin, &["subcloud_groups:create"]),
    ("PATCH", "/subcloud-groups", Admin, &["subcloud_groups:modify"]),
    ("DELETE", "/subcloud-groups", Admin, &["subcloud_groups:delete"]),
    ("GET", "/subcloud-groups/{}", Reader, &["subcloud_groups:get"]),
    ("PATCH", "/subcloud-groups/{}", Admin, &["subcloud_groups:modify"]),
    ("DELETE", "/subcloud-groups/{}", Admin, &["subcloud_groups:delete"]),
    ("GET", "/subcloud-groups/{}/subclouds", Reader, &["subcloud_groups:get"]),
    ("GET", "/subcloud-peer-groups", Admin, &["subcloud_peer_groups:get"]),
    ("POST", "/subcloud-peer-groups", Admin, &["subcloud_peer_groups:create"]),
    ("PATCH", "/subcloud-peer-groups", Admin, &["subcloud_peer_groups:modify"]),
    ("DELETE", "/subcloud-peer-groups", Admin, &["subcloud_peer_groups:delete"]),
    ("GET", "/subcloud-peer-groups/{}", Admin, &["subcloud_peer_groups:get"]),
    ("PATCH", "/subcloud-peer-groups/{}", Admin, &["subcloud_peer_groups:modify"]),
    ("DELETE", "/subcloud-peer-groups/{}", Admin, &["subcloud_peer_groups:delete"]),
    ("GET", "/subcloud-peer-groups/{}/subclouds", Admin, &["subcloud_peer_groups:get"]),
    ("GET", "/subcloud-peer-groups/{}/status", Admin, &["subcloud_peer_groups:get"]),
    ("PATCH", "/subcloud-peer-groups/{}/migrate", Admin, &["subcloud_peer_groups:modify"]),
    ("PATCH", "/subcloud-peer-groups/{}/audit", Admin, &["subcloud_peer_groups:modify"]),
    ("GET", "/system-peers", Reader, &["system_peers:get"]),
    ("POST", "/system-peers", Admin, &["system_peers:create"]),
    ("PATCH", "/system-peers", Admin, &["system_peers:modify"]),
    ("DELETE", "/system-peers", Admin, &["system_peers:delete"]),
    ("GET", "/system-peers/{}", Reader, &["system_peers:get"]),
    ("PATCH", "/system-peers/{}", Admin, &["system_peers:modify"]),
    ("DELETE", "/system-peers/{}", Admin, &["system_peers:delete"]),
    ("GET", "/system-peers/{}/subcloud-peer-groups", Reader, &["system_peers:get"]),
    ("GET", "/peer-group-associations", Reader, &["peer_group_associations:get"]),
    ("POST", "/peer-group-associations", Admin, &["peer_group_associations:create"]),
    ("PATCH", "/peer-group-associations", Admin, &["peer_group_associations:modify"]),
    ("DELETE", "/peer-group-associations", Admin, &["peer_group_associations:delete"]),
    ("GET", "/peer-group-associations/{}", Reader, &["peer_group_associations:get"]),
    ("PATCH", "/peer-group-associations/{}", Admin, &["peer_group_associations:modify"]),
    ("DELETE", "/peer-group-associations/{}", Admin, &["peer_group_associations:delete"]),
    ("PATCH", "/peer-group-associations/{}/sync", Admin, &["peer_group_associations:modify"]),
    ("GET", "/sw-update-strategy", Reader, &["sw_update_strategy:get"]),
    ("POST", "/sw-update-strategy", Admin, &["sw_update_strategy:create"]),
    ("DELETE", "/sw-update-strategy", Admin, &["sw_update_strategy:delete"]),
    ("GET", "/sw-update-strategy/steps", Reader, &["sw_update_strategy:get"]),
    ("GET", "/sw-update-strategy/steps/{}", Reader, &["sw_update_strategy:get"]),
    ("POST", "/sw-update-strategy/actions", Admin, &["sw_update_strategy:apply", "sw_update_strategy:abort"]),
    ("GET", "/sw-update-options", Reader, &["sw_update_options:get"]),
    ("POST", "/sw-update-options", Admin, &["sw_update_options:update"]),
    ("PATCH", "/sw-update-options", Admin, &["sw_update_options:update"]),
    ("DELETE", "/sw-update-options", Admin, &["sw_update_options:delete"]),
    ("GET", "/sw-update-options/{}", Reader, &["sw_update_options:get"]),
    ("POST", "/sw-update-options/{}", Admin, &["sw_update_options:update"]),
    ("DELETE", "/sw-update-options/{}", Admin, &["sw_update_options:delete"]),
    ("GET", "/alarms", Reader, &["alarm_manager:get"]),
    ("SUMMARY", "/alarms", Reader, &["alarm_manager:get"]),
    ("POST", "/notifications", Anyone, &[]),
    ("GET", "/projections", Reader, &["projections:get"]),
    ("POST", "/projections/{}/rebuild", Admin, &["projections:modify"]),
    ("POST", "/projections/{}/rollback", Admin, &["projections:modify"]),
    ("POST", "/projections/{}/cancel", Admin, &["projections:modify"]),
    ("POST", "/projections/verify", Admin, &["projections:modify"]),
];

/// An operation of the API.
#[derive(Clone, Debug)]
pub struct Operation {
    pub method: String,
    /// A path that names nothing that exists, and ends at once.
    pub path: String,
    pub guard: Guard,
    /// The rules, without their prefix, of which one must allow it.
    pub rules: &'static [&'static str],
}

/// Every operation under `/v1.0` that the API's description has. Panics at one that the table above does not know: who
/// adds an operation says there who may use it.
pub async fn operations(site: &Site) -> Vec<Operation> {
    let description = site.get("/openapi.json").await.json();
    let mut operations = Vec::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        let Some(resource) = path.strip_prefix("/v1.0") else { continue };
        for method in methods(item) {
            let (guard, rules) = guarded(&method, &with_references(resource, "{}"));
            let query = if resource == "/events" { "?follow=false" } else { "" };
            let path = format!("/v1.0{}{query}", with_references(resource, "nosuch"));
            operations.push(Operation { method, path, guard, rules });
        }
    }
    assert!(operations.len() > 20, "{operations:?}");
    operations
}

fn methods(item: &Value) -> Vec<String> {
    const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
    let keys = item.as_object().unwrap().keys();
    keys.filter(|key| METHODS.contains(&key.as_str())).map(|key| key.to_uppercase()).collect()
}

fn guarded(method: &str, resource: &str) -> (Guard, &'static [&'static str]) {
    let found = GUARDS.iter().find(|(known, path, ..)| (*known, *path) == (method, resource));
    let Some(&(.., guard, rules)) = found else { panic!("nobody said who may use {method} /v1.0{resource}") };
    (guard, rules)
}

/// The path with `reference` for every one of its parameters.
fn with_references(path: &str, reference: &str) -> String {
    let segment =
        |segment: &str| if segment.starts_with('{') { reference.to_owned() } else { segment.to_owned() };
    path.split('/').map(segment).collect::<Vec<_>>().join("/")
}
