//! STRATEGY and STEP (fleet.md §8). The structs are also their description.

use dcm_domain::strategy::Strategy;
use dcm_domain::value::Timestamp;
use dcm_projections::{StepRow, StrategyRow};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// An update strategy.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Strategy)]
#[serde(rename_all = "kebab-case")]
pub struct StrategyBody {
    /// Small integer, never used again.
    #[schema(example = 1)]
    pub id: i64,
    /// What it updates.
    #[schema(example = "patch")]
    pub r#type: String,
    /// `parallel` or `serial`; null if nobody said.
    #[schema(required, example = "parallel")]
    pub subcloud_apply_type: Option<String>,
    /// How many subclouds are worked on at once.
    #[schema(example = 2)]
    pub max_parallel_subclouds: i64,
    /// Whether no further step is started after one failed.
    pub stop_on_failure: bool,
    /// Where it stands.
    #[schema(example = "initial")]
    pub state: String,
    /// When it was created, in UTC; null for an old row that does not say.
    #[schema(required, example = "2023-11-20 10:00:00.123456")]
    pub created_at: Option<String>,
    /// When it last changed, in UTC.
    #[schema(required)]
    pub updated_at: Option<String>,
    /// What its type needs, passwords as `***`; null for types that need nothing.
    #[schema(example = json!({"upload-only": false}))]
    pub extra_args: Value,
}

impl From<StrategyRow> for StrategyBody {
    /// As reads show it.
    fn from(row: StrategyRow) -> Self {
        Self {
            id: row.id,
            r#type: row.kind,
            subcloud_apply_type: row.apply_type,
            max_parallel_subclouds: row.max_parallel_subclouds,
            stop_on_failure: row.stop_on_failure,
            state: row.state,
            created_at: row.created_at.map(Timestamp::blank_separated),
            updated_at: row.updated_at.map(Timestamp::blank_separated),
            extra_args: row.extra_args,
        }
    }
}

impl From<&Strategy> for StrategyBody {
    /// As the answers to commands show it (fleet.md §1, "Timestamps").
    fn from(strategy: &Strategy) -> Self {
        Self {
            id: strategy.id,
            r#type: strategy.kind.to_string(),
            subcloud_apply_type: strategy.apply_type.map(|word| word.to_string()),
            max_parallel_subclouds: strategy.max_parallel_subclouds.into(),
            stop_on_failure: strategy.stop_on_failure,
            state: strategy.state.to_string(),
            created_at: strategy.created_at.map(Timestamp::t_separated),
            updated_at: strategy.updated_at.map(Timestamp::t_separated),
            extra_args: strategy.extra_args.clone(),
        }
    }
}

/// One subcloud's part of the strategy.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = StrategyStep)]
#[serde(rename_all = "kebab-case")]
pub struct StepBody {
    /// Small integer, in the order of execution.
    #[schema(example = 1)]
    pub id: i64,
    /// Name of the subcloud.
    #[schema(example = "subcloud1")]
    pub cloud: String,
    /// 1 created, 2 started, 3 processed.
    #[schema(example = 1)]
    pub stage: i64,
    /// Where it stands.
    #[schema(example = "initial")]
    pub state: String,
    /// Why, or how far.
    pub details: String,
    /// When it was started.
    #[schema(required)]
    pub started_at: Option<String>,
    /// When it ended.
    #[schema(required)]
    pub finished_at: Option<String>,
    /// When it was made; null for an old row that does not say.
    #[schema(required, example = "2023-11-20 10:00:00.123456")]
    pub created_at: Option<String>,
    /// When it last changed.
    #[schema(required)]
    pub updated_at: Option<String>,
}

impl From<StepRow> for StepBody {
    fn from(row: StepRow) -> Self {
        let time = |at: Option<Timestamp>| at.map(Timestamp::blank_separated);
        Self {
            id: row.id,
            cloud: row.cloud,
            stage: row.stage,
            state: row.state,
            details: row.details,
            started_at: time(row.started_at),
            finished_at: time(row.finished_at),
            created_at: time(row.created_at),
            updated_at: time(row.updated_at),
        }
    }
}

/// The steps of the strategy.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct StrategySteps {
    /// In the order of execution.
    pub strategy_steps: Vec<StepBody>,
}
