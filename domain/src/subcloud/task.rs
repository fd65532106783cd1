//! What runs are asked to do: the facts of each intention. Documents and passwords are vault references.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Document, command::NewAddresses};
use crate::value::{Phase, SecretRef};

/// A kind of run: which worker carries it out. The word is the kind of its job hints (design §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RunKind {
    /// Create, install, bootstrap, configure.
    Deploy,
    /// Take over a subcloud from another controller.
    Rehome,
    /// Bring packages and images of a release onto a subcloud.
    Prestage,
    /// Restore a subcloud from a backup.
    Restore,
    /// Move a subcloud to another management network.
    NetworkReconfiguration,
    /// Back a subcloud up.
    Backup,
}

impl RunKind {
    /// The kind of a run on the deploy axis with these phases still to do.
    pub fn of(phases: &[Phase]) -> Self {
        let has = |phase| phases.contains(&phase);
        match () {
            () if has(Phase::Rehome) => Self::Rehome,
            () if has(Phase::Prestage) => Self::Prestage,
            () if has(Phase::Restore) => Self::Restore,
            () if has(Phase::ReconfigureNetwork) => Self::NetworkReconfiguration,
            () => Self::Deploy,
        }
    }

    /// The word it is written as.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deploy => "deploy",
            Self::Rehome => "rehome",
            Self::Prestage => "prestage",
            Self::Restore => "restore",
            Self::NetworkReconfiguration => "network-reconfiguration",
            Self::Backup => "backup",
        }
    }
}

/// What a run on the deploy axis is to do beyond its phases' own work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    /// Of a prestage run.
    Prestage(PrestageTask),
    /// Of a restore run.
    Restore(RestoreTask),
    /// Of a network reconfiguration.
    Network(Box<NetworkTask>),
}

impl Task {
    /// The document that came with it, if one did.
    pub const fn document(&self) -> Option<&Document> {
        match self {
            Self::Prestage(_) => None,
            Self::Restore(task) => task.restore_values.as_ref(),
            Self::Network(task) => task.install.as_ref(),
        }
    }
}

/// What to prestage (subclouds.md §6.6).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PrestageTask {
    /// The release to prestage.
    pub release: String,
    /// Whether management affecting alarms are no obstacle.
    pub force: bool,
}

/// What to restore (subclouds.md §7.12).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RestoreTask {
    /// Whether the subcloud is installed first.
    pub with_install: bool,
    /// The release to install; absent: the subcloud's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// Whether the backup lies on the subcloud itself.
    pub local_only: bool,
    /// Whether registry images are restored too.
    pub registry_images: bool,
    /// Further values of the playbook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restore_values: Option<Document>,
    /// Where the subcloud is reached.
    pub bootstrap_address: String,
}

/// Where to move a subcloud to (subclouds.md §6.4 steps 10–16). What goes with it is stored once the job succeeds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NetworkTask {
    /// The new addresses.
    pub addresses: NewAddresses,
    /// Where the subcloud is reached meanwhile.
    pub bootstrap_address: String,
    /// Description to be stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Location to be stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// Group to move to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_id: Option<i64>,
    /// Install values to be stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub install: Option<Document>,
}

/// What to back up (subclouds.md §7.10).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BackupTask {
    /// Whether the backup stays on the subcloud itself.
    pub local_only: bool,
    /// Whether registry images are saved too.
    pub registry_images: bool,
    /// Further values of the playbook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup_values: Option<Document>,
    /// The subcloud's administrator password.
    pub sysadmin_password: SecretRef,
}

/// The run that is active on the backup axis.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BackupRun {
    /// Names the run everywhere.
    pub id: Uuid,
    /// What it is to do.
    pub task: BackupTask,
}

/// A check that was left out (design §8).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SkippedCheck {
    /// Name of the check, for example `patching in progress`.
    pub check: String,
    /// Why, in a sentence fragment.
    pub reason: String,
}

/// Counts of a subcloud's alarms (fleet.md §11).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AlarmSummary {
    /// Critical alarms; -1 if not known.
    pub critical_alarms: i64,
    /// Major alarms; -1 if not known.
    pub major_alarms: i64,
    /// Minor alarms; -1 if not known.
    pub minor_alarms: i64,
    /// Warnings; -1 if not known.
    pub warnings: i64,
    /// `OK`, `degraded`, `critical` or `disabled`.
    pub cloud_status: String,
}
