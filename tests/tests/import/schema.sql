-- The database of a running DC Manager as contract/database.md describes it.

create table peer_group_association (
    id serial primary key,
    peer_group_id integer,
    system_peer_id integer,
    peer_group_priority integer,
    sync_status varchar(255),
    sync_message text,
    created_at timestamp,
    updated_at timestamp,
    deleted_at timestamp,
    deleted integer default 0,
    reserved_1 text,
    reserved_2 text
);

create table strategy_steps (
    id serial primary key,
    subcloud_id integer,
    stage integer,
    state varchar(255),
    details varchar(255),
    started_at timestamp,
    finished_at timestamp,
    created_at timestamp,
    updated_at timestamp,
    deleted_at timestamp,
    deleted integer default 0,
    reserved_1 text,
    reserved_2 text,
    unique (subcloud_id)
);

create table subcloud_alarms (
    id serial primary key,
    uuid varchar(36),
    name varchar(255),
    critical_alarms integer,
    major_alarms integer,
    minor_alarms integer,
    warnings integer,
    cloud_status varchar(64),
    created_at timestamp,
    updated_at timestamp,
    deleted_at timestamp,
    deleted integer default 0,
    reserved_1 text,
    reserved_2 text,
    unique (uuid),
    unique (name)
);

create table subcloud_audits (
    id serial primary key,
    subcloud_id integer,
    audit_started_at timestamp,
    audit_finished_at timestamp,
    state_update_requested boolean not null,
    patch_audit_requested boolean not null,
    load_audit_requested boolean not null,
    firmware_audit_requested boolean not null,
    kubernetes_audit_requested boolean not null,
    spare_audit_requested boolean not null,
    spare2_audit_requested boolean not null,
    reserved text,
    kube_rootca_update_audit_requested boolean not null default false,
    created_at timestamp,
    updated_at timestamp,
    deleted_at timestamp,
    deleted integer default 0,
    reserved_1 text,
    reserved_2 text,
    unique (subcloud_id)
);

create table subcloud_group (
    id serial primary key,
    name varchar(255),
    description varchar(255),
    update_apply_type varchar(255),
    max_parallel_subclouds integer,
    created_at timestamp,
    updated_at timestamp,
    deleted_at timestamp,
    deleted integer default 0,
    reserved_1 text,
    reserved_2 text,
    unique (name)
);

create table subcloud_peer_group (
    id serial primary key,
    peer_group_name varchar(255),
    group_priority integer,
    group_state varchar(255),
    system_leader_id varchar(255),
    system_leader_name varchar(255),
    max_subcloud_rehoming integer,
    migration_status varchar(255),
    created_at timestamp,
    updated_at timestamp,
    deleted_at timestamp,
    deleted integer default 0,
    reserved_1 text,
    reserved_2 text,
    unique (peer_group_name)
);

create table subcloud_status (
    id serial primary key,
    subcloud_id integer,
    endpoint_type varchar(255),
    sync_status varchar(255),
    created_at timestamp,
    updated_at timestamp,
    deleted_at timestamp,
    deleted integer default 0,
    reserved_1 text,
    reserved_2 text
);

create table subclouds (
    id serial primary key,
    name varchar(255),
    description varchar(255),
    location varchar(255),
    software_version varchar(255),
    management_state varchar(255),
    availability_status varchar(255),
    management_subnet varchar(255),
    management_gateway_ip varchar(255),
    management_start_ip varchar(255),
    management_end_ip varchar(255),
    systemcontroller_gateway_ip varchar(255),
    audit_fail_count integer,
    deploy_status varchar(255),
    openstack_installed boolean not null default false,
    group_id integer default 1,
    data_install text,
    data_upgrade text,
    backup_status varchar(255),
    backup_datetime timestamp,
    error_description varchar(2048),
    first_identity_sync_complete boolean,
    rehome_data text,
    peer_group_id integer,
    region_name varchar(255),
    created_at timestamp,
    updated_at timestamp,
    deleted_at timestamp,
    deleted integer default 0,
    reserved_1 text,
    reserved_2 text,
    unique (name)
);

create table sw_update_opts (
    id serial primary key,
    subcloud_id integer,
    storage_apply_type varchar(255),
    worker_apply_type varchar(255),
    max_parallel_workers integer,
    default_instance_action varchar(255),
    alarm_restriction_type varchar(255),
    created_at timestamp,
    updated_at timestamp,
    deleted_at timestamp,
    deleted integer default 0,
    reserved_1 text,
    reserved_2 text
);

create table sw_update_opts_default (
    id serial primary key,
    subcloud_id integer,
    storage_apply_type varchar(255),
    worker_apply_type varchar(255),
    max_parallel_workers integer,
    default_instance_action varchar(255),
    alarm_restriction_type varchar(255),
    created_at timestamp,
    updated_at timestamp,
    deleted_at timestamp,
    deleted integer default 0,
    reserved_1 text,
    reserved_2 text
);

create table sw_update_strategy (
    id serial primary key,
    type varchar(255),
    subcloud_apply_type varchar(255),
    max_parallel_subclouds integer,
    stop_on_failure boolean,
    state varchar(255),
    extra_args text,
    created_at timestamp,
    updated_at timestamp,
    deleted_at timestamp,
    deleted integer default 0,
    reserved_1 text,
    reserved_2 text,
    unique (type)
);

create table system_peer (
    id serial primary key,
    peer_uuid varchar(36),
    peer_name varchar(255),
    manager_endpoint varchar(255),
    manager_username varchar(255),
    manager_password varchar(255),
    peer_controller_gateway_ip varchar(255),
    administrative_state varchar(255),
    heartbeat_interval integer,
    heartbeat_failure_threshold integer,
    heartbeat_failure_policy varchar(255),
    heartbeat_maintenance_timeout integer,
    heartbeat_status varchar(255),
    created_at timestamp,
    updated_at timestamp,
    deleted_at timestamp,
    deleted integer default 0,
    reserved_1 text,
    reserved_2 text,
    unique (peer_uuid),
    unique (peer_name)
);

alter table peer_group_association add foreign key (peer_group_id) references subcloud_peer_group(id) on delete cascade;

alter table peer_group_association add foreign key (system_peer_id) references system_peer(id) on delete cascade;

alter table strategy_steps add foreign key (subcloud_id) references subclouds(id) on delete cascade;

alter table subcloud_audits add foreign key (subcloud_id) references subclouds(id) on delete cascade;

alter table subcloud_status add foreign key (subcloud_id) references subclouds(id) on delete cascade;

alter table sw_update_opts add foreign key (subcloud_id) references subclouds(id) on delete cascade;
