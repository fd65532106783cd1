//! A synthetic installation: rows of every table, and what answers must make of them.

use dcm_domain::value::{Availability, BackupStatus, DeployStatus, Endpoint, ManagementState, SyncStatus};
use serde_json::{Map, Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// Stands wherever a password does; no answer may hold it.
pub const PASSWORD: &str = "PW-IMPORT-7f3a";
/// The same as the old service stored many: in base64.
pub const ENCODED: &str = "UFctSU1QT1JULTdmM2E=";

const SCHEMA: &str = include_str!("schema.sql");
/// What later levels may have added, and rows that are gone.
const LATER: &str = "alter table subclouds add prestage_status varchar(255);
    create table subcloud_backup_archive (id serial primary key, note text);
    create table migrate_version (repository_id varchar(250) primary key, version integer);
    insert into subclouds (id, name, region_name, deploy_status, deleted) values (99999, 'gone', 'gone', 'complete', 99999);
    insert into subcloud_audits (subcloud_id, state_update_requested, patch_audit_requested, load_audit_requested,
        firmware_audit_requested, kubernetes_audit_requested, spare_audit_requested, spare2_audit_requested)
        select id, false, false, false, false, false, false, false from subclouds where deleted = 0";

/// Rows of every table, as JSON objects with their columns.
#[derive(Clone, Debug, Default)]
pub struct Fleet {
    pub subclouds: Vec<Value>,
    pub statuses: Vec<Value>,
    pub alarms: Vec<Value>,
    pub groups: Vec<Value>,
    pub peer_groups: Vec<Value>,
    pub peers: Vec<Value>,
    pub associations: Vec<Value>,
    pub strategies: Vec<Value>,
    pub steps: Vec<Value>,
    pub options: Vec<Value>,
    pub default_options: Vec<Value>,
}

impl Fleet {
    /// One subcloud in every deploy, backup, management and availability state, and something odd in every table.
    pub fn in_every_state() -> Self {
        let mut subclouds = Vec::new();
        for deploy in DeployStatus::ALL {
            for backup in [None].into_iter().chain(BackupStatus::ALL.iter().map(Some)) {
                for management in ManagementState::ALL {
                    for availability in Availability::ALL {
                        let mut row = subcloud(subclouds.len() as i64 + 1);
                        row["deploy_status"] = deploy.as_str().into();
                        row["backup_status"] = backup.map(|backup| backup.as_str()).into();
                        row["management_state"] = management.as_str().into();
                        row["availability_status"] = availability.as_str().into();
                        subclouds.push(row);
                    }
                }
            }
        }
        odd(&mut subclouds);
        Self::of(subclouds)
    }

    /// `count` plain subclouds with eight endpoints each.
    pub fn plain(count: i64) -> Self {
        Self::of((1..=count).map(subcloud).collect())
    }

    fn of(subclouds: Vec<Value>) -> Self {
        let statuses = subclouds.iter().flat_map(|row| endpoints(row["id"].as_i64().unwrap())).collect();
        let alarms = subclouds.iter().filter(|row| row["id"].as_i64().unwrap() % 3 != 0).map(alarm).collect();
        let there = |row: &Value| {
            row["subcloud_id"].is_null()
                || subclouds.iter().any(|subcloud| subcloud["id"] == row["subcloud_id"])
        };
        let mut others = others();
        others.steps.retain(there);
        others.options.retain(there);
        Self { subclouds, statuses, alarms, ..others }
    }

    /// Fills an empty database.
    pub async fn fill(&self, url: &str) {
        let mut database = PgConnection::connect(url).await.unwrap();
        sqlx::raw_sql(SCHEMA).execute(&mut database).await.unwrap();
        for (table, rows) in [
            ("subcloud_group", &self.groups),
            ("subcloud_peer_group", &self.peer_groups),
            ("system_peer", &self.peers),
            ("peer_group_association", &self.associations),
            ("subclouds", &self.subclouds),
            ("subcloud_status", &self.statuses),
            ("subcloud_alarms", &self.alarms),
            ("sw_update_strategy", &self.strategies),
            ("strategy_steps", &self.steps),
            ("sw_update_opts", &self.options),
            ("sw_update_opts_default", &self.default_options),
        ] {
            let columns: Map<String, Value> =
                rows.iter().flat_map(|row| row.as_object().unwrap().clone()).collect();
            let names = columns.keys().cloned().collect::<Vec<_>>().join(", ");
            if names.is_empty() {
                continue;
            }
            let text = format!(
                "insert into {table} ({names}, deleted) select {names}, 0 from json_populate_recordset(null::{table}, $1::json)"
            );
            let rows = Value::Array(rows.clone()).to_string();
            sqlx::query(AssertSqlSafe(text)).bind(rows).execute(&mut database).await.unwrap();
        }
        sqlx::raw_sql(LATER).execute(&mut database).await.unwrap();
    }

    /// The endpoint rows of a subcloud, as answers list them.
    pub fn endpoints_of(&self, id: i64) -> Vec<Value> {
        let mut found: Vec<Value> = self
            .statuses
            .iter()
            .filter(|row| row["subcloud_id"] == id && row["endpoint_type"] != "from-the-future")
            .map(|row| json!({"endpoint_type": row["endpoint_type"], "sync_status": row["sync_status"]}))
            .collect();
        found.sort_by_key(|row| row["endpoint_type"].as_str().unwrap().to_owned());
        found
    }
}

/// A subcloud with a value in every column.
fn subcloud(id: i64) -> Value {
    let third = format!("10.{}.{}", id / 256, id % 256);
    let install = format!(
        r#"{{"software_version": "22.12", "bmc_address": "{third}.9", "bmc_username": "root", "bmc_password": "{ENCODED}", "ratio": 1.0, "nested": [{{"API_Token": "{PASSWORD}"}}], "note": "gr\u00fcn", "my_own": null}}"#
    );
    let rehome = format!(
        r#"{{"saved_payload": {{"name": "site{id}", "admin_password": "{ENCODED}", "bootstrap-address": "{third}.8", "system_mode": "simplex"}}}}"#
    );
    json!({
        "id": id, "name": format!("site{id}"), "description": format!("Site {id} ü"), "location": format!("{id} Road"),
        "software_version": "22.12", "management_state": "managed", "availability_status": "online",
        "management_subnet": format!("{third}.0/24"), "management_gateway_ip": format!("{third}.1"),
        "management_start_ip": format!("{third}.2"), "management_end_ip": format!("{third}.50"),
        "systemcontroller_gateway_ip": "192.168.204.101", "audit_fail_count": id % 4, "deploy_status": "complete",
        "openstack_installed": id % 2 == 0, "group_id": id % 2 + 1, "data_install": install,
        "data_upgrade": if id % 2 == 0 { json!(format!(r#"{{"bmc_password": "{ENCODED}", "n": 7}}"#)) } else { Value::Null },
        "backup_status": null,
        "backup_datetime": if id % 3 == 0 { json!("2023-10-01 02:03:04.000005") } else { Value::Null },
        "error_description": if id % 5 == 0 { "err_code = ping_bmc\nsecond line" } else { "No errors present" },
        "first_identity_sync_complete": id % 2 == 1, "rehome_data": rehome,
        "peer_group_id": if id % 7 == 0 { json!(1) } else { Value::Null },
        "region_name": region(id), "created_at": "2023-09-01 10:20:30.123456",
        "updated_at": if id % 3 == 1 { Value::Null } else { json!("2023-10-02 11:12:13") },
    })
}

fn region(id: i64) -> String {
    format!("c7e4b7d9e0a94f0d{id:016x}")
}

/// Values that today's rules would refuse, each somewhere.
fn odd(rows: &mut [Value]) {
    let mut set = |at: usize, column: &str, value: Value| rows[at][column] = value;
    for (at, column) in [
        "description",
        "location",
        "software_version",
        "management_subnet",
        "management_gateway_ip",
        "management_start_ip",
        "management_end_ip",
        "systemcontroller_gateway_ip",
        "group_id",
        "created_at",
        "data_install",
        "data_upgrade",
        "error_description",
        "rehome_data",
        "audit_fail_count",
        "first_identity_sync_complete",
        "region_name",
    ]
    .into_iter()
    .enumerate()
    {
        set(100 + at, column, Value::Null);
    }
    set(200, "name", "Größe {{ 1 }}".into());
    set(201, "region_name", "Region with blanks".into());
    set(202, "region_name", region(204).into());
    set(204, "management_subnet", "10.0.0.0/20".into());
    set(205, "management_subnet", "not a subnet".into());
    set(206, "group_id", 77.into());
    set(208, "data_install", "not json at all".into());
    set(209, "data_install", format!("{{'bmc_password': '{PASSWORD}'}}").into());
    set(210, "data_install", "[1,  2.50, \"x\"]".into());
    set(211, "rehome_data", "{\"saved_payload\": null}".into());
    set(212, "data_upgrade", "null".into());
    set(213, "description", "".into());
    set(214, "error_description", "x".repeat(2048).into());
}

fn endpoints(id: i64) -> Vec<Value> {
    let words = SyncStatus::ALL;
    let mut kinds: Vec<&str> = Endpoint::DEFAULT.iter().map(|endpoint| endpoint.as_str()).collect();
    match id % 11 {
        1 => kinds.push("identity_openstack"),
        2 => kinds.push("usm"),
        3 => kinds.clear(),
        4 => kinds.truncate(2),
        5 => kinds.push("from-the-future"),
        _ => {}
    }
    let status = |place: usize| match id % 5 {
        0 => words[place % words.len()],
        same => words[same as usize % words.len()],
    };
    let row = |(place, kind): (usize, &str)| {
        json!({
            "subcloud_id": id, "endpoint_type": kind, "sync_status": status(place).as_str(),
            "created_at": "2023-09-01 10:20:30.123456", "updated_at": null,
        })
    };
    kinds.into_iter().enumerate().map(row).collect()
}

fn alarm(subcloud: &Value) -> Value {
    let id = subcloud["id"].as_i64().unwrap();
    let words = ["OK", "degraded", "critical", "disabled"];
    json!({
        "id": 10_000 - id, "uuid": if id % 2 == 0 { json!(format!("{id:08x}-0000-4000-8000-000000000000")) } else { Value::Null },
        "name": subcloud["name"], "critical_alarms": id % 3, "major_alarms": -1, "minor_alarms": 2, "warnings": id,
        "cloud_status": words[id as usize % 4],
        "created_at": "2023-09-01 10:20:30.123456",
    })
}

fn others() -> Fleet {
    let times = |row: Value, updated: Value| {
        let mut row = row;
        row["created_at"] = "2023-08-01 01:02:03.000004".into();
        row["updated_at"] = updated;
        row
    };
    let group = |id: i64, name: &str, kind: &str, most: i64| {
        times(
            json!({"id": id, "name": name, "description": format!("{name} group"), "update_apply_type": kind, "max_parallel_subclouds": most}),
            if id == 1 { Value::Null } else { json!("2023-08-02 00:00:00") },
        )
    };
    let peer_group = |id: i64, status: Value| {
        times(
            json!({
                "id": id, "peer_group_name": format!("pg{id}"), "group_priority": id - 1, "group_state": "enabled",
                "system_leader_id": "d9dea83f-f271-470d-9cce-44b0162a800b", "system_leader_name": "dc-1",
                "max_subcloud_rehoming": 10 * id, "migration_status": status,
            }),
            Value::Null,
        )
    };
    let peer = |id: i64| {
        times(
            json!({
                "id": id, "peer_uuid": format!("ac62f555-9386-42f1-b3a1-51ecb709409{id}"), "peer_name": format!("dc-{id}"),
                "manager_endpoint": format!("http://128.128.128.{id}:5000/v3"), "manager_username": "admin",
                "manager_password": ENCODED, "peer_controller_gateway_ip": "192.168.204.1",
                "administrative_state": "enabled", "heartbeat_interval": 60, "heartbeat_failure_threshold": 3,
                "heartbeat_failure_policy": "alarm", "heartbeat_maintenance_timeout": 600, "heartbeat_status": "alive",
            }),
            json!("2023-08-03 00:00:00.5"),
        )
    };
    let association = |id: i64, peer: i64, status: &str, message: Value| {
        times(
            json!({
                "id": id, "peer_group_id": 1, "system_peer_id": peer, "peer_group_priority": 99, "sync_status": status,
                "sync_message": message,
            }),
            Value::Null,
        )
    };
    let step = |id: i64, subcloud: i64, state: &str| {
        times(
            json!({
                "id": id, "subcloud_id": subcloud, "stage": id % 3 + 1, "state": state, "details": "as it was",
                "started_at": "2023-08-04 05:06:07.1", "finished_at": null,
            }),
            Value::Null,
        )
    };
    let options = |id: i64, subcloud: Value| {
        times(
            json!({
                "id": id, "subcloud_id": subcloud, "storage_apply_type": "parallel", "worker_apply_type": "serial",
                "max_parallel_workers": id + 3, "default_instance_action": "migrate", "alarm_restriction_type": "strict",
            }),
            Value::Null,
        )
    };
    let strategy = json!({
        "id": 4, "type": "prestage", "subcloud_apply_type": "parallel", "max_parallel_subclouds": 2, "stop_on_failure": true,
        "state": "complete",
        "extra_args": format!(r#"{{"sysadmin_password": "{ENCODED}", "force": false, "oam_floating_ip_dict": {{}}}}"#),
    });
    Fleet {
        groups: vec![
            group(1, "Default", "parallel", 2),
            group(2, "edge", "serial", 500),
            group(9, "old", "rolling", 0),
        ],
        peer_groups: vec![
            peer_group(1, "complete".into()),
            peer_group(2, Value::Null),
            peer_group(3, "migrating".into()),
        ],
        peers: vec![peer(1), peer(2), peer(3)],
        associations: vec![
            association(1, 1, "in-sync", Value::Null),
            association(2, 2, "failed", "it broke".into()),
            association(3, 3, "syncing", Value::Null),
            association(4, 1, "out-of-sync", "a second of its pair".into()),
        ],
        strategies: vec![times(strategy, json!("2023-08-05 00:00:00"))],
        steps: vec![step(11, 1, "complete"), step(12, 2, "failed"), step(13, 4, "prestaging-images")],
        options: vec![options(5, 4.into()), options(6, 2.into())],
        default_options: vec![options(1, Value::Null)],
        ..Fleet::default()
    }
}
