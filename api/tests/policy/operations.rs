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

/// Operations under `/v1.0`, references as `{}`; those not built yet too.
const GUARDS: &[(&str, &str, Guard)] = &[
    ("GET", "/subclouds", Reader),
    ("POST", "/subclouds", Admin),
    ("PATCH", "/subclouds", Admin),
    ("DELETE", "/subclouds", Admin),
    ("GET", "/subclouds/{}", Reader),
    ("PATCH", "/subclouds/{}", Admin),
    ("DELETE", "/subclouds/{}", Admin),
    ("GET", "/subclouds/{}/detail", Reader),
    ("PATCH", "/subclouds/{}/redeploy", Admin),
    ("PATCH", "/subclouds/{}/prestage", Admin),
    ("PATCH", "/subclouds/{}/migrate", Admin),
    ("PATCH", "/subclouds/{}/update_status", Admin),
    ("PATCH", "/subclouds/{}/update_availability", Admin),
    ("PATCH", "/subclouds/{}/restore", Admin),
    ("PATCH", "/subclouds/{}/reconfigure", Admin),
    ("PATCH", "/subclouds/{}/reinstall", Admin),
    ("GET", "/subclouds/{}/history", Reader),
    ("GET", "/subclouds/{}/diff", Reader),
    ("GET", "/events", Admin),
    ("POST", "/phased-subcloud-deploy", Admin),
    ("PATCH", "/phased-subcloud-deploy", Admin),
    ("PATCH", "/phased-subcloud-deploy/{}/install", Admin),
    ("PATCH", "/phased-subcloud-deploy/{}/bootstrap", Admin),
    ("PATCH", "/phased-subcloud-deploy/{}/configure", Admin),
    ("PATCH", "/phased-subcloud-deploy/{}/complete", Admin),
    ("PATCH", "/phased-subcloud-deploy/{}/abort", Admin),
    ("PATCH", "/phased-subcloud-deploy/{}/resume", Admin),
    ("POST", "/subcloud-backup", Admin),
    ("PATCH", "/subcloud-backup", Admin),
    ("PATCH", "/subcloud-backup/delete/{}", Admin),
    ("PATCH", "/subcloud-backup/restore", Admin),
    ("POST", "/subcloud-deploy", Admin),
    ("GET", "/subcloud-deploy", Reader),
    ("GET", "/subcloud-deploy/{}", Reader),
    ("GET", "/subcloud-groups", Reader),
    ("POST", "/subcloud-groups", Admin),
    ("PATCH", "/subcloud-groups", Admin),
    ("DELETE", "/subcloud-groups", Admin),
    ("GET", "/subcloud-groups/{}", Reader),
    ("PATCH", "/subcloud-groups/{}", Admin),
    ("DELETE", "/subcloud-groups/{}", Admin),
    ("GET", "/subcloud-groups/{}/subclouds", Reader),
    ("GET", "/subcloud-peer-groups", Admin),
    ("POST", "/subcloud-peer-groups", Admin),
    ("PATCH", "/subcloud-peer-groups", Admin),
    ("DELETE", "/subcloud-peer-groups", Admin),
    ("GET", "/subcloud-peer-groups/{}", Admin),
    ("PATCH", "/subcloud-peer-groups/{}", Admin),
    ("DELETE", "/subcloud-peer-groups/{}", Admin),
    ("GET", "/subcloud-peer-groups/{}/subclouds", Admin),
    ("GET", "/subcloud-peer-groups/{}/status", Admin),
    ("PATCH", "/subcloud-peer-groups/{}/migrate", Admin),
    ("PATCH", "/subcloud-peer-groups/{}/audit", Admin),
    ("GET", "/system-peers", Reader),
    ("POST", "/system-peers", Admin),
    ("PATCH", "/system-peers", Admin),
    ("DELETE", "/system-peers", Admin),
    ("GET", "/system-peers/{}", Reader),
    ("PATCH", "/system-peers/{}", Admin),
    ("DELETE", "/system-peers/{}", Admin),
    ("GET", "/system-peers/{}/subcloud-peer-groups", Reader),
    ("GET", "/peer-group-associations", Reader),
    ("POST", "/peer-group-associations", Admin),
    ("PATCH", "/peer-group-associations", Admin),
    ("DELETE", "/peer-group-associations", Admin),
    ("GET", "/peer-group-associations/{}", Reader),
    ("PATCH", "/peer-group-associations/{}", Admin),
    ("DELETE", "/peer-group-associations/{}", Admin),
    ("PATCH", "/peer-group-associations/{}/sync", Admin),
    ("GET", "/sw-update-strategy", Reader),
    ("POST", "/sw-update-strategy", Admin),
    ("DELETE", "/sw-update-strategy", Admin),
    ("GET", "/sw-update-strategy/steps", Reader),
    ("GET", "/sw-update-strategy/steps/{}", Reader),
    ("POST", "/sw-update-strategy/actions", Admin),
    ("GET", "/sw-update-options", Reader),
    ("POST", "/sw-update-options", Admin),
    ("PATCH", "/sw-update-options", Admin),
    ("DELETE", "/sw-update-options", Admin),
    ("GET", "/sw-update-options/{}", Reader),
    ("POST", "/sw-update-options/{}", Admin),
    ("DELETE", "/sw-update-options/{}", Admin),
    ("GET", "/alarms", Reader),
    ("SUMMARY", "/alarms", Reader),
    ("POST", "/notifications", Anyone),
    ("GET", "/projections", Reader),
    ("POST", "/projections/{}/rebuild", Admin),
    ("POST", "/projections/{}/rollback", Admin),
    ("POST", "/projections/{}/cancel", Admin),
    ("POST", "/projections/verify", Admin),
];

/// An operation of the API.
#[derive(Clone, Debug)]
pub struct Operation {
    pub method: String,
    /// A path that names nothing that exists, and ends at once.
    pub path: String,
    pub guard: Guard,
}

/// Every operation under `/v1.0` that the API's description has. Panics at one that the table above does not know: who
/// adds an operation says there who may use it.
pub async fn operations(site: &Site) -> Vec<Operation> {
    let description = site.get("/openapi.json").await.json();
    let mut operations = Vec::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        let Some(resource) = path.strip_prefix("/v1.0") else { continue };
        for method in methods(item) {
            let guard = guard(&method, &with_references(resource, "{}"));
            let query = if resource == "/events" { "?follow=false" } else { "" };
            let path = format!("/v1.0{}{query}", with_references(resource, "nosuch"));
            operations.push(Operation { method, path, guard });
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

fn guard(method: &str, resource: &str) -> Guard {
    let found = GUARDS.iter().find(|(known, path, _)| (*known, *path) == (method, resource));
    found.unwrap_or_else(|| panic!("nobody said who may use {method} /v1.0{resource}")).2
}

/// The path with `reference` for every one of its parameters.
fn with_references(path: &str, reference: &str) -> String {
    let segment =
        |segment: &str| if segment.starts_with('{') { reference.to_owned() } else { segment.to_owned() };
    path.split('/').map(segment).collect::<Vec<_>>().join("/")
}
