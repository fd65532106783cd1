//! What a strategy is asked to be, after the checks of fleet.md §8.3.

use serde::Serialize;
use serde_json::{Value, json};

use super::{ApplyType, Candidate, RootCa, StrategyType};
use crate::validate::HIDDEN;
use crate::value::{Name, SecretRef};

/// The name of a cloud that is none of the subclouds (fleet.md §8.4 step 4).
const SYSTEM_CONTROLLER: &str = "SystemController";

/// A strategy to be.
#[derive(Clone, Debug, Serialize)]
pub struct StrategyRequest {
    /// What it does, with what that needs.
    pub work: Work,
    /// Which subclouds it is about.
    pub scope: Scope,
    /// Whether subclouds are updated one after another; a group decides for itself.
    pub apply_type: Option<ApplyType>,
    /// How many subclouds are worked on at once, 1 to 500; a group decides for itself.
    pub max_parallel_subclouds: Option<u32>,
    /// Whether no further step is started after one failed.
    pub stop_on_failure: bool,
    /// Whether the usual conditions are waived, as far as the type allows.
    pub force: bool,
    /// The release to prestage.
    pub release: Option<String>,
}

impl StrategyRequest {
    /// Apply type and maximum (fleet.md §8.4 steps 2 and 9).
    pub(super) fn parallelism(&self) -> (Option<ApplyType>, u32) {
        let (apply_type, max) = match &self.scope {
            Scope::Group { apply_type, max_parallel_subclouds, .. } => {
                (*apply_type, Some(*max_parallel_subclouds))
            }
            Scope::All | Scope::Cloud { .. } => (self.apply_type, self.max_parallel_subclouds),
        };
        match apply_type {
            Some(ApplyType::Serial) => (apply_type, 1),
            _ => (apply_type, max.unwrap_or(2)),
        }
    }

    /// `extra-args` as they are shown (fleet.md §8.4 step 6).
    pub(super) fn extra_args(&self, active_release: &str) -> Value {
        match &self.work {
            Work::Firmware | Work::Upgrade => Value::Null,
            Work::Patch { upload_only } => json!({"upload-only": upload_only}),
            Work::Kubernetes { to_version } => json!({"to-version": to_version}),
            Work::KubeRootca(arguments) => json!({
                "expiry-date": arguments.expiry_date,
                "subject": arguments.subject,
                "cert-file": arguments.cert_file,
            }),
            Work::Prestage { .. } => json!({
                "sysadmin_password": HIDDEN,
                "force": self.force,
                "prestage-software-version": self.release.as_deref().unwrap_or(active_release),
            }),
        }
    }
}

/// Which subclouds a strategy is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// All of them.
    All,
    /// The one with this name.
    Cloud {
        /// As given: it need not exist.
        name: String,
    },
    /// The members of a group, which also says how many at once.
    Group {
        /// Id of the group.
        id: i64,
        /// Whether its members are updated one after another.
        apply_type: Option<ApplyType>,
        /// How many of its members are worked on at once.
        max_parallel_subclouds: u32,
    },
}

impl Scope {
    /// The name of the one subcloud it is about, if it must exist.
    pub(super) fn named(&self) -> Option<&str> {
        match self {
            Self::Cloud { name } if name != SYSTEM_CONTROLLER => Some(name),
            _ => None,
        }
    }

    /// Whether a subcloud with this name, in this group, is meant.
    pub(super) fn includes(&self, candidate: &Candidate) -> bool {
        match self {
            Self::All => true,
            Self::Cloud { name } => is_named(candidate, name),
            Self::Group { id, .. } => candidate.group_id == *id,
        }
    }
}

pub(super) fn is_named(candidate: &Candidate, name: &str) -> bool {
    let its_name: &Name = &candidate.name;
    its_name.as_ref() == name
}

/// What a strategy does, with what that needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Work {
    /// Updates device images.
    Firmware,
    /// Renews the Kubernetes root CA.
    KubeRootca(RootCa),
    /// Updates Kubernetes.
    Kubernetes {
        /// The version to update to, if not the controller's.
        to_version: Option<String>,
    },
    /// Applies patches.
    Patch {
        /// Whether to stop after uploading.
        upload_only: bool,
    },
    /// Brings packages and images of a release onto subclouds.
    Prestage {
        /// The administrator password of the subclouds.
        password: GivenPassword,
    },
    /// Upgrades the platform.
    Upgrade,
}

impl Work {
    /// Its word.
    pub const fn kind(&self) -> StrategyType {
        match self {
            Self::Firmware => StrategyType::Firmware,
            Self::KubeRootca(_) => StrategyType::KubeRootca,
            Self::Kubernetes { .. } => StrategyType::Kubernetes,
            Self::Patch { .. } => StrategyType::Patch,
            Self::Prestage { .. } => StrategyType::Prestage,
            Self::Upgrade => StrategyType::Upgrade,
        }
    }
}

/// The administrator password, as far as a decision may know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum GivenPassword {
    /// None was given, or an empty one.
    Missing,
    /// It is not base64 of UTF-8.
    Undecodable,
    /// It is, or will be, in this entry of the vault.
    Kept(SecretRef),
}

/// What the platform around the controller said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Asked<T> {
    /// It answered.
    Known(T),
    /// Nothing is configured that could answer; says what is missing.
    NotConfigured(String),
    /// What is configured did not answer; says why.
    Failed(String),
    /// It was not asked: the request does not depend on it.
    NotAsked,
}

/// What a decision knows about the controller.
#[derive(Clone, Debug, Serialize)]
pub struct PlatformFacts {
    /// The release the controller runs.
    pub active_release: String,
    /// Releases of its loads.
    pub loads: Asked<Vec<String>>,
    /// Whether a platform upgrade of it is under way.
    pub upgrading: Asked<bool>,
}
