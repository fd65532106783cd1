//! What can happen to strategies. Names and shapes never change once written; a changed shape is a new version.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{ApplyType, StepState, StrategyState, StrategyType};
use crate::subcloud::SkippedCheck;
use crate::value::{Name, SecretRef, Timestamp};

/// An event of the strategies' stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
#[expect(missing_docs, reason = "each variant is named after, and documented at, its one field type")]
pub enum StrategyEvent {
    StrategyCreated(Box<StrategyCreated>),
    StepsPlanned(StepsPlanned),
    StrategyApplied(StrategyApplied),
    StrategyClaimed(StrategyClaimed),
    StrategyAbortRequested(StrategyAbortRequested),
    StrategyStateChanged(StrategyStateChanged),
    StepsChanged(StepsChanged),
    StrategyFinished(StrategyFinished),
    StrategyDeletionRequested(StrategyDeletionRequested),
    StrategyDeleted(StrategyDeleted),
    StrategyImported(Box<StrategyImported>),
    StepsImported(StepsImported),
}

macro_rules! event {
    ($(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $field:ident: $kind:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
        pub struct $name { $($(#[$fdoc])* pub $field: $kind),* }

        impl From<$name> for StrategyEvent {
            fn from(event: $name) -> Self {
                Self::$name(event.into())
            }
        }
    };
}

event!(
    /// A strategy was created, `initial`; its steps follow.
    StrategyCreated {
        /// Owner of its vault entries.
        uuid: Uuid,
        /// The small integer the contract shows; never used again.
        id: i64,
        /// What it updates.
        #[serde(rename = "type")]
        kind: StrategyType,
        /// As asked for, or its group's; absent if nobody said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        apply_type: Option<ApplyType>,
        /// How many subclouds are worked on at once.
        max_parallel_subclouds: u32,
        /// Whether no further step is started after one failed.
        stop_on_failure: bool,
        /// What its type needs, as it is shown: passwords as `***`; null for types that need nothing.
        extra_args: Value,
        /// The administrator password of a prestage.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sysadmin_password: Option<SecretRef>,
        /// Checks that nothing configured could answer.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        skipped_checks: Vec<SkippedCheck>,
        /// When it was created.
        at: Timestamp,
    }
);
event!(
    /// Some subclouds got a step each, in the order of execution: stage 1, `initial`, without details.
    StepsPlanned {
        /// The steps.
        steps: Vec<PlannedStep>,
    }
);

/// A new step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedStep {
    /// The small integer the contract shows; never used again.
    pub id: i64,
    /// Uuid of its subcloud.
    pub subcloud: Uuid,
    /// Id of its subcloud.
    pub subcloud_id: i64,
    /// Name the subcloud had.
    pub name: Name,
}

event!(
    /// An operator started the strategy.
    StrategyApplied {
        /// The strategy.
        id: i64,
        /// When.
        at: Timestamp,
    }
);
event!(
    /// A worker took the strategy; from now on it alone starts steps and reports on them.
    StrategyClaimed {
        /// The strategy.
        id: i64,
        /// The worker.
        worker: String,
    }
);
event!(
    /// An operator asked that no further step be started.
    StrategyAbortRequested {
        /// The strategy.
        id: i64,
        /// When.
        at: Timestamp,
    }
);
event!(
    /// The strategy went on to another state that it will leave by itself.
    StrategyStateChanged {
        /// The strategy.
        id: i64,
        /// State before.
        from: StrategyState,
        /// State now.
        to: StrategyState,
        /// When.
        at: Timestamp,
    }
);
event!(
    /// Steps changed, all of them in the same way.
    StepsChanged {
        /// The steps.
        steps: Vec<i64>,
        /// 1 created, 2 started, 3 processed.
        stage: i64,
        /// State now.
        state: StepState,
        /// Why, or how far; empty if there is nothing to say.
        details: String,
        /// When they were started, if this starts them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        started_at: Option<Timestamp>,
        /// When they ended, if this ends them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        finished_at: Option<Timestamp>,
        /// When they changed.
        at: Timestamp,
    }
);
event!(
    /// The strategy ended. Exactly one such event per strategy that was started.
    StrategyFinished {
        /// The strategy.
        id: i64,
        /// `complete`, `failed` or `aborted`.
        state: StrategyState,
        /// When.
        at: Timestamp,
    }
);
event!(
    /// The strategy is to be removed.
    StrategyDeletionRequested {
        /// The strategy.
        id: i64,
        /// Why, if nobody asked for it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// When.
        at: Timestamp,
    }
);
event!(
    /// The strategy and its steps are gone.
    StrategyDeleted {
        /// The strategy.
        id: i64,
        /// What was not removed with it, and why.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        skipped: Vec<SkippedCheck>,
    }
);
event!(
    /// A strategy was taken over as an old row has it; its steps follow.
    StrategyImported {
        /// Owner of its vault entries.
        uuid: Uuid,
        /// Its id there.
        id: i64,
        /// What it updates.
        #[serde(rename = "type")]
        kind: StrategyType,
        /// As the row says.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        apply_type: Option<ApplyType>,
        /// As the row says.
        max_parallel_subclouds: u32,
        /// As the row says.
        stop_on_failure: bool,
        /// As the row says.
        state: StrategyState,
        /// What its type needs, as it is shown: passwords as `***`.
        extra_args: Value,
        /// The administrator password of a prestage.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sysadmin_password: Option<SecretRef>,
        /// As the row says.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        created_at: Option<Timestamp>,
        /// As the row says.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        updated_at: Option<Timestamp>,
        /// When it was taken over.
        at: Timestamp,
    }
);
event!(
    /// Steps of the strategy were taken over as old rows have them, in the order of their ids.
    StepsImported {
        /// The steps.
        steps: Vec<ImportedStep>,
    }
);

/// A step as an old row has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ImportedStep {
    /// Its id there.
    pub id: i64,
    /// Uuid of its subcloud.
    pub subcloud: Uuid,
    /// Id of its subcloud.
    pub subcloud_id: i64,
    /// Name the subcloud has.
    pub name: Name,
    /// 1 created, 2 started, 3 processed.
    pub stage: i64,
    /// As the row says.
    pub state: StepState,
    /// As the row says.
    pub details: String,
    /// As the row says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// As the row says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// As the row says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// As the row says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Timestamp>,
}
