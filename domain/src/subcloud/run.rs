//! A run: one piece of long work on the deploy axis, from its request to its one terminal event.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Document, RunKind, Task};
use crate::value::{Phase, SecretRef};

/// What a run was asked to work with. Passwords are vault references, deleted when the run ends.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunInputs {
    /// The subcloud's administrator password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sysadmin_password: Option<SecretRef>,
    /// Files of the deployment manager, when a deploy config is applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifacts: Option<DeployArtifacts>,
    /// What a secondary subcloud will need to be rehomed; stored once its creation is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rehome: Option<Document>,
}

/// Deployment manager files found for the release (subclouds.md V9).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeployArtifacts {
    /// Path of the deployment manager's playbook.
    pub deploy_playbook: String,
    /// Path of its overrides.
    pub deploy_overrides: String,
    /// Path of its chart.
    pub deploy_chart: String,
    /// False if they are the product's own fall-back files.
    pub user_uploaded_artifacts: bool,
}

/// The run that is active on a subcloud.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Names the run everywhere: commands, leases, log lines.
    pub id: Uuid,
    /// Phases still to do, in order; the first is the one it is at.
    pub phases: Vec<Phase>,
    /// What it works with.
    pub inputs: RunInputs,
    /// The worker that claimed it; none while it waits.
    pub worker: Option<String>,
    /// Whether an abort was asked for.
    pub abort_requested: bool,
    /// What the run is to do beyond its phases' own work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<Task>,
}

impl Run {
    /// Which worker it is for.
    pub fn kind(&self) -> RunKind {
        RunKind::of(&self.phases)
    }
}

impl RunOutcome {
    /// The word it is written as.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Aborted => "aborted",
            Self::AbortSuperseded => "abort-superseded",
            Self::Lost => "lost",
        }
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RunOutcome {
    /// Every phase succeeded.
    Succeeded,
    /// A phase failed; the error says why.
    Failed,
    /// An abort ended it.
    Aborted,
    /// The phase ended by itself before the abort took hold; its own result stands and no further phase runs.
    AbortSuperseded,
    /// Its worker died, or none claimed it in time.
    Lost,
}

/// What became of one step of a phase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "result", rename_all = "kebab-case")]
pub enum StepOutcome {
    /// It was done.
    Done,
    /// Its outside system is not configured.
    Skipped {
        /// Why, in a sentence fragment.
        reason: String,
    },
}
