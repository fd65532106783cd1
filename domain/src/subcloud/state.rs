//! The state a subcloud's decisions are made on.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AlarmRow, AlarmSummary, BackupRun, Document, NullColumn, Run, Task};
use crate::value::{
    Availability, BackupStatus, DeployStatus, Endpoint, ManagementState, Name, Region, SecretRef, SyncStatus,
    Timestamp,
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
    /// What an interrupted upgrade had stored before the subcloud was imported.
    #[serde(default)]
    pub data_upgrade: Option<Document>,
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
    /// Columns of that row that were null where there is no null here.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub nulls: BTreeSet<NullColumn>,
    /// The row its alarm counts came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alarm_row: Option<AlarmRow>,
    /// Revision at which management or deploy status last changed: an older report is late (design, late reports).
    pub status_revision: u64,
    /// Whether it is gone; only history remains.
    pub deleted: bool,
}

impl Subcloud {
    /// The text of `column`, which is `value`, or `None` if it is null since the row it was imported from was.
    pub fn unless_null<'a>(&self, column: NullColumn, value: &'a str) -> Option<&'a str> {
        (!value.is_empty() || !self.nulls.contains(&column)).then_some(value)
    }

    /// Whether install values were given that answers show (subclouds.md V11): values that only lay beside an imported
    /// row are none.
    pub fn has_install_values(&self) -> bool {
        self.install.as_ref().is_some_and(|install| !install.shown.is_null())
    }

    /// Every document it keeps, those of runs left out.
    pub fn documents(&self) -> impl Iterator<Item = &Document> {
        let kept = [&self.install, &self.data_upgrade, &self.bootstrap, &self.deploy_config, &self.rehome];
        kept.into_iter().flatten()
    }

    /// Every vault entry it refers to, those of its runs included.
    pub fn secrets(&self) -> impl Iterator<Item = SecretRef> {
        let inputs = self.run.as_ref().map(|run| &run.inputs);
        let backup = self.backup_run.as_ref().map(|run| &run.task);
        let of_task = self.run.as_ref().and_then(|run| run.task.as_ref()).and_then(Task::document);
        self.documents()
            .chain(inputs.and_then(|inputs| inputs.rehome.as_ref()))
            .chain(of_task)
            .chain(backup.and_then(|task| task.backup_values.as_ref()))
            .map(|document| document.secret)
            .chain(inputs.and_then(|inputs| inputs.sysadmin_password))
            .chain(backup.map(|task| task.sysadmin_password))
    }

    /// The endpoints that are not `unknown`, leaving out `kept`: what a reset has to change.
    pub(super) fn known_endpoints(&self, kept: Option<Endpoint>) -> Vec<Endpoint> {
        self.endpoints
            .iter()
            .filter(|(endpoint, status)| Some(**endpoint) != kept && **status != SyncStatus::Unknown)
            .map(|(endpoint, _)| *endpoint)
            .collect()
    }
}
