//! The state a subcloud's decisions are made on.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{AlarmSummary, BackupRun, Document, Run};
use crate::value::{
    Availability, BackupStatus, DeployStatus, Endpoint, ManagementState, Name, Region, SyncStatus, Timestamp,
};

/// The `error-description` of a subcloud without errors (subclouds.md §2.2).
pub const NO_ERROR: &str = "No errors present";

/// The management network of a subcloud, or its admin network where it has one (subclouds.md §3.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ManagementNetwork {
    /// CIDR, as given.
    pub subnet: String,
    /// First address of the pool.
    pub start_ip: String,
    /// Last address of the pool.
    pub end_ip: String,
    /// Gateway address.
    pub gateway_ip: String,
}

/// When a row of an existing installation was made and last changed there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportedTimes {
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// When it last changed.
    pub updated_at: Option<Timestamp>,
}

/// A subcloud as its events tell it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Subcloud {
    /// Revision of the last folded event.
    pub revision: u64,
    /// The small integer the contract shows.
    pub id: i64,
    /// Unique name.
    pub name: Name,
    /// Keystone region; stable across renames.
    pub region: Region,
    /// Free text.
    pub description: Option<String>,
    /// Free text.
    pub location: Option<String>,
    /// Release the subcloud runs.
    pub software_version: String,
    /// Management axis.
    pub management: ManagementState,
    /// Availability axis.
    pub availability: Availability,
    /// Deploy axis.
    pub deploy: DeployStatus,
    /// Backup axis; `None` until the first backup.
    pub backup: Option<BackupStatus>,
    /// When the last good backup was stored.
    pub backup_datetime: Option<Timestamp>,
    /// Text of the last deploy error, or [`NO_ERROR`].
    pub error_description: String,
    /// Management or admin network.
    pub network: ManagementNetwork,
    /// Gateway on the controller's side.
    pub systemcontroller_gateway_ip: String,
    /// Group the subcloud belongs to.
    pub group_id: i64,
    /// Peer group the subcloud belongs to.
    #[serde(default)]
    pub peer_group_id: Option<i64>,
    /// Whether OpenStack was reported installed.
    #[serde(default)]
    pub openstack_installed: bool,
    /// What an interrupted upgrade had stored before the subcloud was imported, as shown.
    #[serde(default)]
    pub data_upgrade: Option<Value>,
    /// Install values.
    pub install: Option<Document>,
    /// Bootstrap values.
    pub bootstrap: Option<Document>,
    /// Address the bootstrap playbook connects to.
    pub bootstrap_address: Option<String>,
    /// Deployment manager configuration.
    pub deploy_config: Option<Document>,
    /// What another controller needs to rehome it.
    pub rehome: Option<Document>,
    /// Whether it was first deployed from here (subclouds.md V12).
    pub initial_deployment: bool,
    /// Endpoint axis.
    pub endpoints: BTreeMap<Endpoint, SyncStatus>,
    /// Active run on the deploy axis.
    pub run: Option<Run>,
    /// Active run on the backup axis.
    #[serde(default)]
    pub backup_run: Option<BackupRun>,
    /// Failed availability audits in a row.
    #[serde(default)]
    pub audit_fail_count: i64,
    /// Whether identities were synchronised once.
    #[serde(default)]
    pub first_identity_sync_complete: bool,
    /// Counts of its alarms; `None` until they are known.
    #[serde(default)]
    pub alarms: Option<AlarmSummary>,
    /// The times of the row it was imported from; `None` if it was added here.
    #[serde(default)]
    pub imported: Option<ImportedTimes>,
    /// Revision at which management or deploy status last changed: an older report is late (design, late reports).
    pub status_revision: u64,
    /// Whether it is gone; only history remains.
    pub deleted: bool,
}

impl Subcloud {
    /// The endpoints that are not `unknown`, leaving out `kept`: what a reset has to change.
    pub(super) fn known_endpoints(&self, kept: Option<Endpoint>) -> Vec<Endpoint> {
        self.endpoints
            .iter()
            .filter(|(endpoint, status)| Some(**endpoint) != kept && **status != SyncStatus::Unknown)
            .map(|(endpoint, _)| *endpoint)
            .collect()
    }
}
