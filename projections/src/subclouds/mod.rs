//! Read model `subclouds`: subclouds with their endpoint statuses, deleted ones, and deployment runs.

mod fold;
mod query;
mod row;
mod tables;

use async_trait::async_trait;
use dcm_schemas::Recorded;
use sqlx::AnyConnection;

use crate::projection::{ProjectError, Projection};

pub use query::{BackupRunRow, Changes, RunRow, StateCount, Subclouds};
pub use row::SubcloudRow;

/// The one projection of subclouds.
pub(crate) const PROJECTION: SubcloudsProjection = SubcloudsProjection;

pub(crate) struct SubcloudsProjection;

#[async_trait]
impl Projection for SubcloudsProjection {
    fn name(&self) -> &'static str {
        "subclouds"
    }

    fn tables(&self, version: i64) -> Vec<String> {
        tables::create(version)
    }

    fn table_names(&self, version: i64) -> Vec<String> {
        tables::names(version)
    }

    async fn apply(
        &self,
        connection: &mut AnyConnection,
        version: i64,
        batch: &[Recorded],
    ) -> Result<(), ProjectError> {
        fold::apply(connection, version, batch).await
    }
}
