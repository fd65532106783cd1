//! The tables of the read model.

use crate::table::Table;

/// Every column of a subcloud's row, in the order rows are written and read: what is asked for, and its whole state.
pub(super) const COLUMNS: [&str; 13] = [
    "uuid",
    "id",
    "name",
    "region",
    "management_state",
    "deploy_status",
    "group_id",
    "peer_group_id",
    "backup_run_id",
    "state",
    "position",
    "event_time",
    "deleted",
];

const SUBCLOUD: &str = "
    uuid text not null,
    id bigint not null,
    name text not null,
    region text not null,
    management_state text not null,
    deploy_status text not null,
    group_id bigint not null,
    peer_group_id bigint,
    backup_run_id text,
    state text not null,
    position bigint not null,
    event_time bigint not null,
    deleted bigint not null";

/// Apart from the rows, so that a change of a subcloud moves no entry of their indices.
const CHANGE: &str = "uuid text not null, position bigint not null";

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

/// Subclouds (with their endpoints' statuses, in their state), where each changed, and their deployment runs.
pub(super) fn all() -> Vec<Table> {
    vec![
        Table::new("subcloud", &["uuid"], SUBCLOUD)
            .index("id", "id")
            .index("name", "name")
            .index("region", "region")
            .index("backup_run", "backup_run_id")
            .index("group", "group_id")
            .index("peer_group", "peer_group_id")
            .with_room(),
        Table::new("subcloud_change", &["uuid"], CHANGE).index("position", "position"),
        Table::new("deploy_run", &["run_id"], RUN)
            .index("open", "finished_at, requested_at")
            .index("uuid", "uuid"),
    ]
}
