//! The state the decisions about strategies are made on.

use serde_json::Value;
use uuid::Uuid;

use super::{ApplyType, Rejection, StepState, StrategyState, StrategyType};
use crate::value::{Name, SecretRef, Timestamp};

/// The one strategy there may be, and the ids that were handed out so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SwUpdateStrategy {
    /// The strategy, until it is gone.
    pub current: Option<Strategy>,
    pub(super) last_id: i64,
    pub(super) last_step_id: i64,
}

impl SwUpdateStrategy {
    /// The one stream of all strategies is named by kind alone.
    pub const STREAM: &'static str = "sw-update-strategy";

    /// The id the next strategy gets.
    pub const fn next_id(&self) -> i64 {
        self.last_id + 1
    }

    /// The id the next step gets.
    pub const fn next_step_id(&self) -> i64 {
        self.last_step_id + 1
    }
}

/// An update strategy.
#[derive(Clone, Debug, PartialEq)]
pub struct Strategy {
    /// Owner of its vault entries.
    pub uuid: Uuid,
    /// The small integer the contract shows.
    pub id: i64,
    /// What it updates.
    pub kind: StrategyType,
    /// Whether subclouds are updated one after another, if anybody said.
    pub apply_type: Option<ApplyType>,
    /// How many subclouds are worked on at once.
    pub max_parallel_subclouds: u32,
    /// Whether no further step is started after one failed.
    pub stop_on_failure: bool,
    /// Where it stands.
    pub state: StrategyState,
    /// What its type needs, as it is shown.
    pub extra_args: Value,
    /// The administrator password of a prestage.
    pub sysadmin_password: Option<SecretRef>,
    /// Its steps, in the order of execution.
    pub steps: Vec<Step>,
    /// The worker that took it.
    pub worker: Option<String>,
    /// Since when it is in its state, or was taken over in it.
    pub since: Timestamp,
    /// Whether it is still as it was taken over from an existing installation.
    pub taken_over: bool,
    /// When it was created; an old row may not say.
    pub created_at: Option<Timestamp>,
    /// When its row last changed.
    pub updated_at: Option<Timestamp>,
}

impl Strategy {
    /// The path of the certificate file that was copied for it, if there is one.
    pub fn cert_file(&self) -> Option<&str> {
        match self.kind {
            StrategyType::KubeRootca => self.extra_args.get("cert-file")?.as_str(),
            _ => None,
        }
    }

    /// The steps that were not started.
    pub fn initial(&self) -> Vec<i64> {
        self.ids(|state| state.is_initial())
    }

    /// The steps that have not ended.
    pub fn unfinished(&self) -> Vec<i64> {
        self.ids(|state| !state.is_terminal())
    }

    /// The refusal of what its state does not allow.
    pub(super) const fn wrong_state(&self) -> Rejection {
        Rejection::WrongState { kind: self.kind, state: self.state }
    }

    fn ids(&self, which: impl Fn(&StepState) -> bool) -> Vec<i64> {
        self.steps.iter().filter(|step| which(&step.state)).map(|step| step.id).collect()
    }
}

/// A step: one subcloud's part of the strategy.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The small integer the contract shows.
    pub id: i64,
    /// Uuid of its subcloud.
    pub subcloud: Uuid,
    /// Id of its subcloud.
    pub subcloud_id: i64,
    /// Name the subcloud had when the step was made.
    pub name: Name,
    /// 1 created, 2 started, 3 processed.
    pub stage: i64,
    /// Where it stands.
    pub state: StepState,
    /// Why, or how far.
    pub details: String,
    /// When it was started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}
