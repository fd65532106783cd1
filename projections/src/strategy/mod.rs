//! Read model `strategy`: the update strategy and its steps.

mod fold;
mod query;

use async_trait::async_trait;
use dcm_domain::aggregate::Aggregate;
use dcm_domain::strategy::{StrategyEvent, SwUpdateStrategy};
use dcm_schemas::{Recorded, registry};
use sqlx::AnyConnection;

use crate::projection::{ProjectError, Projection};

pub use query::{StepRow, Strategies, StrategyRow};

/// The one projection of strategies.
pub(crate) const PROJECTION: StrategyProjection = StrategyProjection;

pub(crate) struct StrategyProjection;

#[async_trait]
impl Projection for StrategyProjection {
    fn name(&self) -> &'static str {
        "strategy"
    }

    fn tables(&self, version: i64) -> Vec<String> {
        vec![
            format!(
                "create table if not exists sw_update_strategy_v{version} (
                    id bigint primary key,
                    type text not null,
                    subcloud_apply_type text,
                    max_parallel_subclouds bigint not null,
                    stop_on_failure bigint not null,
                    state text not null,
                    extra_args text not null,
                    created_at bigint,
                    updated_at bigint
                )"
            ),
            format!(
                "create table if not exists strategy_step_v{version} (
                    id bigint primary key,
                    uuid text not null,
                    stage bigint not null,
                    state text not null,
                    details text not null,
                    started_at bigint,
                    finished_at bigint,
                    created_at bigint,
                    updated_at bigint
                )"
            ),
            format!(
                "create index if not exists strategy_step_v{version}_uuid on strategy_step_v{version} (uuid)"
            ),
        ]
    }

    fn table_names(&self, version: i64) -> Vec<String> {
        ["sw_update_strategy", "strategy_step"].map(|table| format!("{table}_v{version}")).to_vec()
    }

    async fn apply(
        &self,
        connection: &mut AnyConnection,
        version: i64,
        batch: &[Recorded],
    ) -> Result<(), ProjectError> {
        for event in batch.iter().filter(|event| event.envelope.stream.kind() == SwUpdateStrategy::KIND) {
            let decoded = registry::decode::<StrategyEvent>(&event.envelope)
                .map_err(|cause| ProjectError::Unreadable { position: event.position, cause })?;
            fold::apply(connection, version, event.envelope.recorded_at, decoded).await?;
        }
        Ok(())
    }
}
