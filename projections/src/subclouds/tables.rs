//! The tables of the read model, one set per version.

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

/// The statements that create the tables of `version`.
pub(super) fn create(version: i64) -> Vec<String> {
    let v = format!("v{version}");
    vec![
        format!(
            "create table if not exists subcloud_{v} (
                uuid text primary key,
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
                deleted bigint not null
            )"
        ),
        format!("create index if not exists subcloud_{v}_id on subcloud_{v} (id)"),
        format!("create index if not exists subcloud_{v}_name on subcloud_{v} (name)"),
        format!("create index if not exists subcloud_{v}_region on subcloud_{v} (region)"),
        format!("create index if not exists subcloud_{v}_position on subcloud_{v} (position)"),
        format!("create index if not exists subcloud_{v}_run on subcloud_{v} (run_id)"),
        format!("create index if not exists subcloud_{v}_backup_run on subcloud_{v} (backup_run_id)"),
        format!("create index if not exists subcloud_{v}_group on subcloud_{v} (group_id)"),
        format!("create index if not exists subcloud_{v}_peer_group on subcloud_{v} (peer_group_id)"),
        format!(
            "create table if not exists subcloud_endpoint_{v} (
                uuid text not null,
                endpoint_type text not null,
                sync_status text not null,
                primary key (uuid, endpoint_type)
            )"
        ),
        format!(
            "create table if not exists deploy_run_{v} (
                run_id text primary key,
                uuid text not null,
                phases text not null,
                requested_at bigint not null,
                claimed_at bigint,
                worker text,
                finished_at bigint,
                outcome text,
                error text
            )"
        ),
        format!(
            "create index if not exists deploy_run_{v}_open on deploy_run_{v} (finished_at, requested_at)"
        ),
        format!("create index if not exists deploy_run_{v}_uuid on deploy_run_{v} (uuid)"),
    ]
}

/// The names of the tables of `version`.
pub(super) fn names(version: i64) -> Vec<String> {
    ["subcloud", "subcloud_endpoint", "deploy_run"].map(|table| format!("{table}_v{version}")).to_vec()
}
