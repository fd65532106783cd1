//! A subcloud as the database of an existing installation had it (database.md, `subclouds` and `subcloud_status`).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

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
    /// What an interrupted upgrade had stored, as shown.
    pub data_upgrade: Option<Value>,
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
    /// When it was added there.
    pub created_at: Option<Timestamp>,
    /// When its row last changed there.
    pub updated_at: Option<Timestamp>,
}
