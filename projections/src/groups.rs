//! Read model `groups`: subcloud groups.

use std::sync::Arc;

use async_trait::async_trait;
use dcm_domain::aggregate::Aggregate;
use dcm_domain::group::{SubcloudGroup, SubcloudGroupEvent};
use dcm_schemas::{Recorded, registry};
use sqlx::{AnyConnection, Row};

use crate::projection::{ProjectError, Projection};
use crate::store::{ReadModels, sql};

/// The one projection of groups.
pub(crate) const PROJECTION: GroupsProjection = GroupsProjection;

pub(crate) struct GroupsProjection;

/// A group, as its row says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRow {
    /// The small integer id.
    pub id: i64,
    /// Unique name.
    pub name: String,
}

/// Queries of groups.
pub struct Groups {
    models: Arc<ReadModels>,
}

impl Groups {
    pub(crate) const fn new(models: Arc<ReadModels>) -> Self {
        Self { models }
    }

    /// The group with this id.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn by_id(&self, id: i64) -> Result<Option<GroupRow>, sqlx::Error> {
        self.one("id = $1", |query| query.bind(id)).await
    }

    /// The group with this name.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn by_name(&self, name: &str) -> Result<Option<GroupRow>, sqlx::Error> {
        let name = name.to_owned();
        self.one("name = $1", |query| query.bind(name)).await
    }

    async fn one(
        &self,
        condition: &str,
        bind: impl FnOnce(AnyQuery<'_>) -> AnyQuery<'_>,
    ) -> Result<Option<GroupRow>, sqlx::Error> {
        let mut tx = self.models.reads.begin().await?;
        let version = ReadModels::active_version(&mut tx, PROJECTION.name()).await?;
        let query =
            sqlx::query(sql(format!("select id, name from subcloud_group_v{version} where {condition}")));
        let row = bind(query).fetch_optional(&mut *tx).await?;
        row.map(|row| Ok(GroupRow { id: row.try_get(0)?, name: row.try_get(1)? })).transpose()
    }
}

pub(crate) type AnyQuery<'q> = sqlx::query::Query<'q, sqlx::Any, sqlx::any::AnyArguments>;

#[async_trait]
impl Projection for GroupsProjection {
    fn name(&self) -> &'static str {
        "groups"
    }

    fn tables(&self, version: i64) -> Vec<String> {
        vec![format!(
            "create table if not exists subcloud_group_v{version} (
                uuid text primary key,
                id bigint not null,
                name text not null,
                description text not null,
                update_apply_type text not null,
                max_parallel_subclouds bigint not null,
                position bigint not null
            )"
        )]
    }

    fn table_names(&self, version: i64) -> Vec<String> {
        vec![format!("subcloud_group_v{version}")]
    }

    async fn apply(
        &self,
        connection: &mut AnyConnection,
        version: i64,
        batch: &[Recorded],
    ) -> Result<(), ProjectError> {
        for event in batch.iter().filter(|event| event.envelope.stream.kind() == SubcloudGroup::KIND) {
            let decoded = registry::decode::<SubcloudGroupEvent>(&event.envelope)
                .map_err(|cause| ProjectError::Unreadable { position: event.position, cause })?;
            let SubcloudGroupEvent::SubcloudGroupAdded(added) = decoded;
            sqlx::query(sql(format!(
                "insert into subcloud_group_v{version}
                 (uuid, id, name, description, update_apply_type, max_parallel_subclouds, position)
                 values ($1, $2, $3, $4, $5, $6, $7)"
            )))
            .bind(event.envelope.stream.uuid().unwrap_or_default().to_string())
            .bind(added.id)
            .bind(added.name)
            .bind(added.description)
            .bind(added.update_apply_type)
            .bind(i64::from(added.max_parallel_subclouds))
            .bind(crate::checkpoint::signed(event.position.order))
            .execute(&mut *connection)
            .await?;
        }
        Ok(())
    }
}
