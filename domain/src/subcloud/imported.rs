//! A subcloud as the database of an existing installation had it (database.md, `subclouds` and `subcloud_status`).

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AlarmSummary, Document, ManagementNetwork};
use crate::value::{
    Availability, BackupStatus, DeployStatus, Endpoint, ManagementState, Name, Region, SyncStatus, Timestamp,
};

/// A subcloud's old row, with passwords and whole documents moved to the vault.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ImportedSubcloud {
    /// Its id there, kept.
    pub id: i64,
    /// Its name, kept whatever today's rules say.
    pub name: Name,
    /// Its region, or a fresh one if it had none.
    pub region: Region,
    /// Free text.
    pub description: Option<String>,
    /// Free text.
    pub location: Option<String>,
    /// Release.
    pub software_version: String,
    /// Management axis.
    pub management: ManagementState,
    /// Availability axis.
    pub availability: Availability,
    /// Deploy axis; a transitory status has no run and ends when workers first start (decisions.md, "Import").
    pub deploy: DeployStatus,
    /// Backup axis.
    pub backup: Option<BackupStatus>,
    /// When the last good backup was stored.
    pub backup_datetime: Option<Timestamp>,
    /// Text of the last deploy error.
    pub error_description: String,
    /// Management or admin network.
    pub network: ManagementNetwork,
    /// Gateway on the controller's side.
    pub systemcontroller_gateway_ip: String,
    /// Group.
    pub group_id: i64,
    /// Peer group.
    pub peer_group_id: Option<i64>,
    /// Whether OpenStack was reported installed.
    pub openstack_installed: bool,
    /// Install values.
    pub install: Option<Document>,
    /// What an interrupted upgrade had stored.
    pub data_upgrade: Option<Document>,
    /// Rehome data: the saved payload.
    pub rehome: Option<Document>,
    /// Bootstrap values, if the overrides were taken over.
    pub bootstrap: Option<Document>,
    /// Address the bootstrap playbook connects to, if known.
    pub bootstrap_address: Option<String>,
    /// Deployment manager configuration, if it was taken over.
    pub deploy_config: Option<Document>,
    /// Whether it was first deployed from there (subclouds.md V12).
    pub initial_deployment: bool,
    /// Endpoint axis: the rows that were there.
    pub endpoints: BTreeMap<Endpoint, SyncStatus>,
    /// Failed availability audits in a row.
    pub audit_fail_count: i64,
    /// Whether identities were synchronised once.
    pub first_identity_sync_complete: bool,
    /// Its alarm counts, if it had any.
    pub alarms: Option<AlarmSummary>,
    /// The row its alarm counts stood in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alarm_row: Option<AlarmRow>,
    /// When it was added there.
    pub created_at: Option<Timestamp>,
    /// When its row last changed there.
    pub updated_at: Option<Timestamp>,
    /// Columns that were null there and have an empty value here; answers show null until the value changes.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub nulls: BTreeSet<NullColumn>,
}

/// A row of `subcloud_alarms`: what the list of alarms shows of it beside the counts (fleet.md §11).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AlarmRow {
    /// Its id there: the list shows the newest row first.
    pub id: i64,
    /// Its uuid there.
    pub uuid: Option<String>,
}

/// A column that has no null here, but may have one in an old row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NullColumn {
    /// Release.
    SoftwareVersion,
    /// CIDR of the management network.
    ManagementSubnet,
    /// Gateway of the management network.
    ManagementGatewayIp,
    /// First address of the pool.
    ManagementStartIp,
    /// Last address of the pool.
    ManagementEndIp,
    /// Gateway on the controller's side.
    SystemcontrollerGatewayIp,
    /// Group, written as 0 here.
    GroupId,
    /// When it was added.
    CreatedAt,
}
