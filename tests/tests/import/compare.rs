//! Every read of the contract beside the rows it must tell.

use dcm_tests::Http;
use futures::{StreamExt, stream};
use serde_json::{Map, Value, json};

use crate::fleet::{ENCODED, Fleet, PASSWORD};

/// Keys of SUBCLOUD and the columns they show.
const SHOWN: [(&str, &str); 23] = [
    ("id", "id"),
    ("name", "name"),
    ("description", "description"),
    ("location", "location"),
    ("software-version", "software_version"),
    ("management-state", "management_state"),
    ("availability-status", "availability_status"),
    ("deploy-status", "deploy_status"),
    ("backup-status", "backup_status"),
    ("backup-datetime", "backup_datetime"),
    ("management-subnet", "management_subnet"),
    ("management-start-ip", "management_start_ip"),
    ("management-end-ip", "management_end_ip"),
    ("management-gateway-ip", "management_gateway_ip"),
    ("openstack-installed", "openstack_installed"),
    ("systemcontroller-gateway-ip", "systemcontroller_gateway_ip"),
    ("data_install", "data_install"),
    ("data_upgrade", "data_upgrade"),
    ("created-at", "created_at"),
    ("updated-at", "updated_at"),
    ("group_id", "group_id"),
    ("peer_group_id", "peer_group_id"),
    ("rehome_data", "rehome_data"),
];

/// Asks for everything and compares it with the rows, field by field.
pub async fn compare(http: &Http, fleet: &Fleet) {
    subclouds(http, fleet).await;
    collection(http, "/v1.0/subcloud-groups", "subcloud_groups", &fleet.groups, group).await;
    collection(http, "/v1.0/subcloud-peer-groups", "subcloud_peer_groups", &fleet.peer_groups, peer_group)
        .await;
    collection(http, "/v1.0/system-peers", "system_peers", &fleet.peers, peer).await;
    collection(
        http,
        "/v1.0/peer-group-associations",
        "peer_group_associations",
        &fleet.associations,
        association,
    )
    .await;
    members(http, fleet).await;
    alarms(http, fleet).await;
    strategy(http, fleet).await;
    options(http, fleet).await;
}

async fn subclouds(http: &Http, fleet: &Fleet) {
    let list = http.get_json("/v1.0/subclouds").await;
    let listed = list["subclouds"].as_array().unwrap();
    assert_eq!(listed.len(), fleet.subclouds.len());
    for (listed, row) in listed.iter().zip(&fleet.subclouds) {
        let id = row["id"].as_i64().unwrap();
        check_subcloud(listed, row);
        let endpoints = fleet.endpoints_of(id);
        let expected = if endpoints.is_empty() { Value::Null } else { endpoints.clone().into() };
        assert_eq!(listed.get("endpoint_sync_status").unwrap_or(&Value::Null), &expected, "{id}");
        assert_eq!(listed["subcloud_id"], if endpoints.is_empty() { 0 } else { id }, "{id}");
        assert_eq!(listed["sync_status"], in_common(&endpoints), "{id}");
        check_region(&listed["region-name"], row);
        assert_eq!(listed.as_object().unwrap().len(), if endpoints.is_empty() { 27 } else { 28 }, "{id}");
    }
    let one = |row: &Value| {
        let path = format!("/v1.0/subclouds/{}", row["id"]);
        async move { http.get_json(&path).await }
    };
    let shown: Vec<Value> = stream::iter(fleet.subclouds.iter().map(one)).buffered(16).collect().await;
    for (shown, row) in shown.iter().zip(&fleet.subclouds) {
        let id = row["id"].as_i64().unwrap();
        check_subcloud(shown, row);
        assert_eq!(shown["endpoint_sync_status"], Value::from(fleet.endpoints_of(id)), "{id}");
        assert!(shown.get("region-name").is_none());
    }
    for (row, shown) in fleet.subclouds.iter().zip(&shown).step_by(37) {
        let as_it_came = http.get_json(&format!("/v1.0/subclouds/{}?as_of=0", row["id"])).await;
        assert_eq!(&as_it_came, shown);
        let detail = http.get_json(&format!("/v1.0/subclouds/{}/detail", row["id"])).await;
        check_subcloud(&detail, row);
        check_region(&detail["region_name"], row);
        let by_name = http.get_json(&format!("/v1.0/subclouds/{}", row["name"].as_str().unwrap())).await;
        assert_eq!(by_name["id"], row["id"]);
        if let Some(region) = row["region_name"].as_str() {
            let path = format!("/v1.0/subclouds/{region}");
            let shown = http.get(&path).header("User-Agent", "cert-mon/1.0").send().await.expect(200).json();
            assert_eq!(shown["id"], row["id"]);
        }
    }
}

/// A region that was missing is a fresh one.
#[track_caller]
fn check_region(shown: &Value, row: &Value) {
    match row["region_name"].as_str() {
        Some(region) => assert_eq!(shown, region),
        None => assert_eq!(shown.as_str().unwrap().len(), 32),
    }
}

#[track_caller]
fn check_subcloud(shown: &Value, row: &Value) {
    for (key, column) in SHOWN {
        let expected = match &row[column] {
            Value::String(text) if column == "data_install" && text.contains("'bmc_password'") => {
                json!("***")
            }
            Value::String(text) => Value::String(text.replace(ENCODED, "***").replace(PASSWORD, "***")),
            other => other.clone(),
        };
        assert_eq!(shown.get(key), Some(&expected), "{key} of subcloud {}", row["id"]);
    }
    let stored = row["error_description"].as_str().unwrap_or_default();
    let error = shown["error-description"].as_str().unwrap();
    let advised = stored.contains("err_code")
        || ["config-failed", "bootstrap-failed"].contains(&row["deploy_status"].as_str().unwrap());
    match advised {
        true => assert!(error.starts_with(stored) && error.len() > stored.len(), "{error}"),
        false => assert_eq!(error, stored),
    }
}

fn in_common(endpoints: &[Value]) -> &str {
    let mut statuses = endpoints.iter().map(|endpoint| endpoint["sync_status"].as_str().unwrap());
    match statuses.next() {
        None => "unknown",
        Some(first) if statuses.all(|status| status == first) => first,
        Some(_) => "out-of-sync",
    }
}

async fn collection(http: &Http, path: &str, key: &str, rows: &[Value], expected: fn(&Value) -> Value) {
    let list = http.get_json(path).await;
    let expected: Vec<Value> = rows.iter().map(expected).collect();
    let mut listed = expected.clone();
    for row in &mut listed {
        // The list leaves it out (fleet.md §7).
        row.as_object_mut().unwrap().shift_remove("sync-message");
    }
    assert_eq!(list, json!({ key: listed }), "{path}");
    for row in &expected {
        assert_eq!(&http.get_json(&format!("{path}/{}", row["id"])).await, row, "{path}");
    }
}

/// `row` with its keys renamed and its times as answers spell them.
fn renamed(row: &Value, keys: &[(&str, &str)]) -> Value {
    let value = |(key, column): &(&str, &str)| ((*key).to_owned(), spelt(&row[*column]));
    Value::Object(keys.iter().map(value).collect::<Map<_, _>>())
}

/// A time without all its digits gets them; no other text of these rows looks like one.
fn spelt(value: &Value) -> Value {
    match value.as_str() {
        Some(text) if text.len() == 21 && text.as_bytes()[19] == b'.' => json!(format!("{text}00000")),
        _ => value.clone(),
    }
}

fn group(row: &Value) -> Value {
    renamed(
        row,
        &[
            ("id", "id"),
            ("name", "name"),
            ("description", "description"),
            ("update_apply_type", "update_apply_type"),
            ("max_parallel_subclouds", "max_parallel_subclouds"),
            ("created-at", "created_at"),
            ("updated-at", "updated_at"),
        ],
    )
}

fn peer_group(row: &Value) -> Value {
    renamed(
        row,
        &[
            ("id", "id"),
            ("peer_group_name", "peer_group_name"),
            ("group_priority", "group_priority"),
            ("group_state", "group_state"),
            ("max_subcloud_rehoming", "max_subcloud_rehoming"),
            ("system_leader_id", "system_leader_id"),
            ("system_leader_name", "system_leader_name"),
            ("migration_status", "migration_status"),
            ("created-at", "created_at"),
            ("updated-at", "updated_at"),
        ],
    )
}

fn peer(row: &Value) -> Value {
    renamed(
        row,
        &[
            ("id", "id"),
            ("peer-uuid", "peer_uuid"),
            ("peer-name", "peer_name"),
            ("manager-endpoint", "manager_endpoint"),
            ("manager-username", "manager_username"),
            ("peer-controller-gateway-address", "peer_controller_gateway_ip"),
            ("administrative-state", "administrative_state"),
            ("heartbeat-interval", "heartbeat_interval"),
            ("heartbeat-failure-threshold", "heartbeat_failure_threshold"),
            ("heartbeat-failure-policy", "heartbeat_failure_policy"),
            ("heartbeat-maintenance-timeout", "heartbeat_maintenance_timeout"),
            ("heartbeat-status", "heartbeat_status"),
            ("created-at", "created_at"),
            ("updated-at", "updated_at"),
        ],
    )
}

fn association(row: &Value) -> Value {
    renamed(
        row,
        &[
            ("id", "id"),
            ("peer-group-id", "peer_group_id"),
            ("system-peer-id", "system_peer_id"),
            ("peer-group-priority", "peer_group_priority"),
            ("sync-status", "sync_status"),
            ("sync-message", "sync_message"),
            ("created-at", "created_at"),
            ("updated-at", "updated_at"),
        ],
    )
}

async fn members(http: &Http, fleet: &Fleet) {
    for (path, column, id) in
        [("subcloud-groups", "group_id", 2), ("subcloud-peer-groups", "peer_group_id", 1)]
    {
        let list = http.get_json(&format!("/v1.0/{path}/{id}/subclouds")).await;
        let rows: Vec<_> = fleet.subclouds.iter().filter(|row| row[column] == id).collect();
        let listed = list["subclouds"].as_array().unwrap();
        assert_eq!(listed.len(), rows.len(), "{path}");
        assert!(listed.iter().zip(rows).all(|(listed, row)| listed["id"] == row["id"]), "{path}");
    }
    let status = http.get_json("/v1.0/subcloud-peer-groups/1/status").await;
    let count = |column: &str, words: &[&str]| {
        let counts =
            |row: &&Value| row["peer_group_id"] == 1 && words.contains(&row[column].as_str().unwrap());
        fleet.subclouds.iter().filter(counts).count()
    };
    let expected = json!({
        "peer_group_id": 1, "peer_group_name": "pg1",
        "total_subclouds": count("management_state", &["managed", "unmanaged"]),
        "complete": count("deploy_status", &["complete"]),
        "waiting_for_migrate": count("deploy_status", &["secondary"]),
        "rehoming": count("deploy_status", &["rehoming"]),
        "rehome_failed": count("deploy_status", &["rehome-failed", "rehome-prep-failed"]),
        "managed": count("management_state", &["managed"]), "unmanaged": count("management_state", &["unmanaged"]),
    });
    assert_eq!(status, expected);
}

async fn alarms(http: &Http, fleet: &Fleet) {
    let mut rows = fleet.alarms.clone();
    rows.sort_by_key(|row| -row["id"].as_i64().unwrap());
    let keys = ["uuid", "critical_alarms", "major_alarms", "minor_alarms", "warnings", "cloud_status"];
    let keys: Vec<_> = [("region_name", "name")].into_iter().chain(keys.map(|key| (key, key))).collect();
    let expected: Vec<Value> = rows.iter().map(|row| renamed(row, &keys)).collect();
    let shown = http.get_json("/v1.0/alarms").await;
    let shown = shown["alarm_summary"].as_array().unwrap();
    assert_eq!(shown.len(), expected.len());
    for (shown, expected) in shown.iter().zip(&expected) {
        assert_eq!(shown, expected);
    }
}

async fn strategy(http: &Http, fleet: &Fleet) {
    let row = &fleet.strategies[0];
    let keys = [
        ("id", "id"),
        ("type", "type"),
        ("subcloud-apply-type", "subcloud_apply_type"),
        ("max-parallel-subclouds", "max_parallel_subclouds"),
        ("stop-on-failure", "stop_on_failure"),
        ("state", "state"),
        ("created-at", "created_at"),
        ("updated-at", "updated_at"),
    ];
    let mut expected = renamed(row, &keys);
    let args = row["extra_args"].as_str().unwrap().replace(ENCODED, "***");
    expected["extra-args"] = serde_json::from_str(&args).unwrap();
    assert_eq!(http.get_json("/v1.0/sw-update-strategy").await, expected);
    let keys = [
        ("id", "id"),
        ("stage", "stage"),
        ("state", "state"),
        ("details", "details"),
        ("started-at", "started_at"),
        ("finished-at", "finished_at"),
        ("created-at", "created_at"),
        ("updated-at", "updated_at"),
    ];
    let step = |row: &Value| {
        let mut step = renamed(row, &keys);
        let subcloud = fleet.subclouds.iter().find(|subcloud| subcloud["id"] == row["subcloud_id"]);
        step["cloud"] = subcloud.unwrap()["name"].clone();
        step
    };
    let steps: Vec<Value> = fleet.steps.iter().map(step).collect();
    assert_eq!(http.get_json("/v1.0/sw-update-strategy/steps").await, json!({ "strategy-steps": steps }));
    let cloud = steps[0]["cloud"].as_str().unwrap();
    assert_eq!(http.get_json(&format!("/v1.0/sw-update-strategy/steps/{cloud}")).await, steps[0]);
}

async fn options(http: &Http, fleet: &Fleet) {
    let keys = [
        ("id", "id"),
        ("subcloud-id", "subcloud_id"),
        ("storage-apply-type", "storage_apply_type"),
        ("worker-apply-type", "worker_apply_type"),
        ("max-parallel-workers", "max_parallel_workers"),
        ("alarm-restriction-type", "alarm_restriction_type"),
        ("default-instance-action", "default_instance_action"),
        ("created-at", "created_at"),
        ("updated-at", "updated_at"),
    ];
    let shown = |row: &Value| {
        let mut body = renamed(row, &keys);
        let subcloud = fleet.subclouds.iter().find(|subcloud| subcloud["id"] == row["subcloud_id"]);
        body["name"] = subcloud.map_or(json!("all clouds default"), |subcloud| subcloud["name"].clone());
        body
    };
    let mut own = fleet.options.clone();
    own.sort_by_key(|row| row["subcloud_id"].as_i64());
    let own = own.iter().map(shown);
    let expected: Vec<Value> = fleet.default_options.iter().map(shown).chain(own).collect();
    assert_eq!(http.get_json("/v1.0/sw-update-options").await, json!({ "sw-update-options": expected }));
    for body in &expected {
        let path = match body["name"].as_str().unwrap() {
            "all clouds default" => "RegionOne".to_owned(),
            name => name.to_owned(),
        };
        assert_eq!(&http.get_json(&format!("/v1.0/sw-update-options/{path}")).await, body);
    }
}
