//! Read model `subclouds`: subclouds with their endpoint statuses, deleted ones, and deployment runs.

mod changes;
mod fold;
mod query;
mod row;
mod runs;
mod tables;

use async_trait::async_trait;
use dcm_domain::aggregate::Aggregate;
use dcm_domain::subcloud::Subcloud;
use sqlx::AnyConnection;

use crate::batch::Event;
use crate::memory::Memory;
use crate::projection::{ProjectError, Projection, Source};
use crate::table::Table;
use crate::writing::Writing;

pub(crate) use changes::News;
pub use changes::{Changes, Key};
pub use query::{BackupRunRow, RunRow, StateCount, Subclouds};
pub use row::SubcloudRow;

/// The one projection of subclouds.
pub(crate) const PROJECTION: SubcloudsProjection = SubcloudsProjection;

pub(crate) struct SubcloudsProjection;

#[async_trait]
impl Projection for SubcloudsProjection {
    fn name(&self) -> &'static str {
        "subclouds"
    }

    // The first generation had other columns.
    fn generation(&self) -> i64 {
        2
    }

    fn tables(&self) -> Vec<Table> {
        tables::all()
    }

    fn former_tables(&self) -> &'static [&'static str] {
        &["subcloud_endpoint"]
    }

    fn source(&self) -> Source {
        Source::Each(Subcloud::KIND)
    }

    async fn apply(
        &self,
        connection: &mut AnyConnection,
        version: i64,
        batch: &[Event],
    ) -> Result<(), ProjectError> {
        fold::apply(&mut Writing::now(connection), version, batch, &mut Memory::default()).await
    }

    async fn go_on(
        &self,
        writing: &mut Writing<'_>,
        version: i64,
        batch: &[Event],
        memory: &mut Memory,
    ) -> Result<(), ProjectError> {
        fold::apply(writing, version, batch, memory).await
    }

    fn needs_transaction(&self, _: &Event) -> Result<bool, ProjectError> {
        Ok(false)
    }
}
