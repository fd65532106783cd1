//! The tables of an existing installation and the columns that are read (database.md).

/// A table that is read.
#[derive(Debug)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// The columns that are read, beside the common ones.
    pub columns: &'static [&'static str],
}

/// Columns that every table has.
pub const COMMON: [&str; 3] = ["created_at", "updated_at", "deleted"];
/// Columns that may be there and mean nothing.
const IDLE: [&str; 3] = ["deleted_at", "reserved_1", "reserved_2"];

/// Subclouds.
pub const SUBCLOUDS: &str = "subclouds";
/// Endpoint statuses of subclouds.
pub const STATUS: &str = "subcloud_status";
/// Alarm counts of subclouds.
pub const ALARMS: &str = "subcloud_alarms";
/// Subcloud groups.
pub const GROUPS: &str = "subcloud_group";
/// Subcloud peer groups.
pub const PEER_GROUPS: &str = "subcloud_peer_group";
/// System peers.
pub const PEERS: &str = "system_peer";
/// Associations of peer groups with system peers.
pub const ASSOCIATIONS: &str = "peer_group_association";
/// The update strategy.
pub const STRATEGY: &str = "sw_update_strategy";
/// Its steps.
pub const STEPS: &str = "strategy_steps";
/// Update options of subclouds.
pub const OPTIONS: &str = "sw_update_opts";
/// The default update options.
pub const DEFAULT_OPTIONS: &str = "sw_update_opts_default";

/// Tables that are known and not read: when audits were last run is nobody's state.
pub const IGNORED: [&str; 1] = ["subcloud_audits"];

const OPTION_COLUMNS: &[&str] = &[
    "id",
    "subcloud_id",
    "storage_apply_type",
    "worker_apply_type",
    "max_parallel_workers",
    "default_instance_action",
    "alarm_restriction_type",
];

/// Every table that is read.
pub const READ: [Table; 11] = [
    Table {
        name: SUBCLOUDS,
        columns: &[
            "id",
            "name",
            "description",
            "location",
            "software_version",
            "management_state",
            "availability_status",
            "management_subnet",
            "management_gateway_ip",
            "management_start_ip",
            "management_end_ip",
            "systemcontroller_gateway_ip",
            "audit_fail_count",
            "deploy_status",
            "openstack_installed",
            "group_id",
            "data_install",
            "data_upgrade",
            "backup_status",
            "backup_datetime",
            "error_description",
            "first_identity_sync_complete",
            "rehome_data",
            "peer_group_id",
            "region_name",
        ],
    },
    Table { name: STATUS, columns: &["id", "subcloud_id", "endpoint_type", "sync_status"] },
    Table {
        name: ALARMS,
        columns: &[
            "id",
            "uuid",
            "name",
            "critical_alarms",
            "major_alarms",
            "minor_alarms",
            "warnings",
            "cloud_status",
        ],
    },
    Table {
        name: GROUPS,
        columns: &["id", "name", "description", "update_apply_type", "max_parallel_subclouds"],
    },
    Table {
        name: PEER_GROUPS,
        columns: &[
            "id",
            "peer_group_name",
            "group_priority",
            "group_state",
            "system_leader_id",
            "system_leader_name",
            "max_subcloud_rehoming",
            "migration_status",
        ],
    },
    Table {
        name: PEERS,
        columns: &[
            "id",
            "peer_uuid",
            "peer_name",
            "manager_endpoint",
            "manager_username",
            "manager_password",
            "peer_controller_gateway_ip",
            "administrative_state",
            "heartbeat_interval",
            "heartbeat_failure_threshold",
            "heartbeat_failure_policy",
            "heartbeat_maintenance_timeout",
            "heartbeat_status",
        ],
    },
    Table {
        name: ASSOCIATIONS,
        columns: &[
            "id",
            "peer_group_id",
            "system_peer_id",
            "peer_group_priority",
            "sync_status",
            "sync_message",
        ],
    },
    Table {
        name: STRATEGY,
        columns: &[
            "id",
            "type",
            "subcloud_apply_type",
            "max_parallel_subclouds",
            "stop_on_failure",
            "state",
            "extra_args",
        ],
    },
    Table {
        name: STEPS,
        columns: &["id", "subcloud_id", "stage", "state", "details", "started_at", "finished_at"],
    },
    Table { name: OPTIONS, columns: OPTION_COLUMNS },
    Table { name: DEFAULT_OPTIONS, columns: OPTION_COLUMNS },
];

impl Table {
    /// Every column that must be there.
    pub fn needed(&self) -> impl Iterator<Item = &'static str> {
        self.columns.iter().copied().chain(COMMON)
    }

    /// Whether `column` is one this program knows.
    pub fn knows(&self, column: &str) -> bool {
        self.needed().chain(IDLE).any(|known| known == column)
    }
}
