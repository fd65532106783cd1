//! The vocabularies of strategies and steps (fleet.md §8, §9).

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::value::{Endpoint, words};

words!(
    /// What a strategy updates (fleet.md §8).
    StrategyType {
        Firmware = "firmware",
        KubeRootca = "kube-rootca-update",
        Kubernetes = "kubernetes",
        Patch = "patch",
        Prestage = "prestage",
        Upgrade = "upgrade",
    }
);

impl StrategyType {
    /// The endpoint whose status says whether a subcloud needs it (fleet.md §8.4 step 4); prestage has none.
    pub const fn endpoint(self) -> Option<Endpoint> {
        match self {
            Self::Firmware => Some(Endpoint::Firmware),
            Self::KubeRootca => Some(Endpoint::KubeRootca),
            Self::Kubernetes => Some(Endpoint::Kubernetes),
            Self::Patch => Some(Endpoint::Patching),
            Self::Upgrade => Some(Endpoint::Load),
            Self::Prestage => None,
        }
    }

    /// Whether `force` lifts that a subcloud must be out of sync (fleet.md §8.4 step 4, §8.6).
    pub const fn is_forced_in_sync(self) -> bool {
        matches!(self, Self::Kubernetes | Self::KubeRootca)
    }
}

words!(
    /// Whether subclouds are updated one after another.
    ApplyType { Parallel = "parallel", Serial = "serial" }
);

words!(
    /// Where a strategy stands (fleet.md §9.1).
    StrategyState {
        Initial = "initial",
        Applying = "applying",
        AbortRequested = "abort requested",
        Aborting = "aborting",
        Complete = "complete",
        Aborted = "aborted",
        Failed = "failed",
        Deleting = "deleting",
    }
);

impl StrategyState {
    /// Whether somebody has to work on it.
    pub const fn is_under_way(self) -> bool {
        matches!(self, Self::Applying | Self::AbortRequested | Self::Aborting)
    }

    /// Whether it may be deleted (fleet.md §8.7).
    pub const fn is_deletable(self) -> bool {
        matches!(self, Self::Initial | Self::Complete | Self::Failed | Self::Aborted)
    }
}

/// Where a step stands: `initial`, one of its type's states (fleet.md §9.5), or one of the three terminal ones. An old
/// row may have any word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct StepState(String);

impl StepState {
    /// The state called `word`.
    pub fn new(word: impl Into<String>) -> Self {
        Self(word.into())
    }

    /// The state of a step that was not started.
    pub fn initial() -> Self {
        Self::new("initial")
    }

    /// The end of a step that did its work, or was skipped.
    pub fn complete() -> Self {
        Self::new("complete")
    }

    /// The end of a step that was never started.
    pub fn aborted() -> Self {
        Self::new("aborted")
    }

    /// The end of a step that went wrong.
    pub fn failed() -> Self {
        Self::new("failed")
    }

    /// The word.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the step was not started.
    pub fn is_initial(&self) -> bool {
        self.0 == "initial"
    }

    /// Whether the step has ended (fleet.md §9.5).
    pub fn is_terminal(&self) -> bool {
        matches!(self.0.as_str(), "complete" | "aborted" | "failed")
    }
}

impl fmt::Display for StepState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
