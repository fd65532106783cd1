//! Read model `strategy`: the update strategy and its steps.

mod fold;
mod query;

use async_trait::async_trait;
use dcm_domain::aggregate::Aggregate;
use dcm_domain::strategy::SwUpdateStrategy;
use sqlx::AnyConnection;

use crate::batch::Event;
use crate::projection::{ProjectError, Projection, Source};
use crate::table::Table;

pub use query::{StepRow, Strategies, StrategyRow};

/// The one projection of strategies.
pub(crate) const PROJECTION: StrategyProjection = StrategyProjection;

pub(crate) struct StrategyProjection;

#[async_trait]
impl Projection for StrategyProjection {
    fn name(&self) -> &'static str {
        "strategy"
    }

    fn tables(&self) -> Vec<Table> {
        let strategy = "id bigint not null, type text not null, subcloud_apply_type text, \
             max_parallel_subclouds bigint not null, stop_on_failure bigint not null, state text not null, \
             extra_args text not null, created_at bigint, updated_at bigint";
        let step = "id bigint not null, uuid text not null, stage bigint not null, state text not null, \
             details text not null, started_at bigint, finished_at bigint, created_at bigint, updated_at bigint";
        vec![
            Table::new("sw_update_strategy", &["id"], strategy),
            Table::new("strategy_step", &["id"], step).index("uuid", "uuid"),
        ]
    }

    fn source(&self) -> Source {
        Source::Together
    }

    fn needs_transaction(&self, event: &Event) -> Result<bool, ProjectError> {
        Ok(event.kind() == SwUpdateStrategy::KIND)
    }

    async fn apply(
        &self,
        connection: &mut AnyConnection,
        version: i64,
        batch: &[Event],
    ) -> Result<(), ProjectError> {
        for event in batch.iter().filter(|event| event.kind() == SwUpdateStrategy::KIND) {
            fold::apply(connection, version, event.at(), event.decode()?).await?;
        }
        Ok(())
    }
}
