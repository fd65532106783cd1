//! The tables of the read model.

use crate::table::Table;

/// Every column of a subcloud's row, in the order rows are written and read.
pub(super) const COLUMNS: [&str; 34] = [
    "uuid",
    "id",
    "name",
    "region",
    "description",
    "location",
    "software_version",
    "management_state",
    "availability_status",
    "deploy_status",
    "backup_status",
    "backup_datetime",
    "error_description",
    "management_subnet",
    "management_start_ip",
    "management_end_ip",
    "management_gateway_ip",
    "systemcontroller_gateway_ip",
    "group_id",
    "peer_group_id",
    "data_install",
    "rehome_data",
    "initial_deployment",
    "run_id",
    "run_worker",
    "backup_run_id",
    "sync_status",
    "state",
    "revision",
    "created_at",
    "updated_at",
    "position",
    "event_time",
    "deleted",
];

const SUBCLOUD: &str = "
    uuid text not null,
    id bigint not null,
    name text not null,
    region text not null,
    description text,
    location text,
    software_version text not null,
    management_state text not null,
    availability_status text not null,
    deploy_status text not null,
    backup_status text,
    backup_datetime bigint,
    error_description text not null,
    management_subnet text not null,
    management_start_ip text not null,
    management_end_ip text not null,
    management_gateway_ip text not null,
    systemcontroller_gateway_ip text not null,
    group_id bigint not null,
    peer_group_id bigint,
    data_install text,
    rehome_data text,
    initial_deployment bigint not null,
    run_id text,
    run_worker text,
    backup_run_id text,
    sync_status text not null,
    state text not null,
    revision bigint not null,
    created_at bigint not null,
    updated_at bigint,
    position bigint not null,
    event_time bigint not null,
    deleted bigint not null";

const ENDPOINT: &str = "uuid text not null, endpoint_type text not null, sync_status text not null";

const RUN: &str = "
    run_id text not null,
    uuid text not null,
    phases text not null,
    requested_at bigint not null,
    claimed_at bigint,
    worker text,
    finished_at bigint,
    outcome text,
    error text";

/// Subclouds, their endpoints, and their deployment runs.
pub(super) fn all() -> Vec<Table> {
    vec![
        Table::new("subcloud", &["uuid"], SUBCLOUD)
            .index("id", "id")
            .index("name", "name")
            .index("region", "region")
            .index("position", "position")
            .index("run", "run_id")
            .index("backup_run", "backup_run_id")
            .index("group", "group_id")
            .index("peer_group", "peer_group_id"),
        Table::new("subcloud_endpoint", &["uuid", "endpoint_type"], ENDPOINT),
        Table::new("deploy_run", &["run_id"], RUN)
            .index("open", "finished_at, requested_at")
            .index("uuid", "uuid"),
    ]
}
