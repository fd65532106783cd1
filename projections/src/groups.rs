//! Read model `groups`: subcloud groups.

use std::sync::Arc;

use async_trait::async_trait;
use dcm_domain::aggregate::Aggregate;
use dcm_domain::group::{SubcloudGroup, SubcloudGroupEvent, SubcloudGroupImported, SubcloudGroupUpdated};
use dcm_domain::value::Timestamp;
use dcm_schemas::{Recorded, registry};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};
use uuid::Uuid;

use crate::checkpoint::signed;
use crate::projection::{ProjectError, Projection};
use crate::store::{ReadModels, sql};

/// The one projection of groups.
pub(crate) const PROJECTION: GroupsProjection = GroupsProjection;

pub(crate) struct GroupsProjection;

/// A group, as its row says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRow {
    /// Uuid of the group and of its stream.
    pub uuid: Uuid,
    /// The small integer id.
    pub id: i64,
    /// Unique name.
    pub name: String,
    /// Free text.
    pub description: String,
    /// `parallel` or `serial`.
    pub update_apply_type: String,
    /// How many members are worked on at once.
    pub max_parallel_subclouds: i64,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it last changed; `None` since it was added.
    pub updated_at: Option<Timestamp>,
}

/// What a row is read from, in the order of [`row`].
const COLUMNS: &str =
    "uuid, id, name, description, update_apply_type, max_parallel_subclouds, created_at, updated_at";

/// Queries of groups.
pub struct Groups {
    models: Arc<ReadModels>,
}

impl Groups {
    pub(crate) const fn new(models: Arc<ReadModels>) -> Self {
        Self { models }
    }

    /// Every group, by id.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn all(&self) -> Result<Vec<GroupRow>, sqlx::Error> {
        let mut tx = self.models.reads.begin().await?;
        let version = ReadModels::active_version(&mut tx, PROJECTION.name()).await?;
        let text = format!("select {COLUMNS} from subcloud_group_v{version} order by id");
        sqlx::query(sql(text)).fetch_all(&mut *tx).await?.iter().map(row).collect()
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
        // Imported rows may share a name: the older one is meant.
        let text =
            format!("select {COLUMNS} from subcloud_group_v{version} where {condition} order by id limit 1");
        bind(sqlx::query(sql(text))).fetch_optional(&mut *tx).await?.as_ref().map(row).transpose()
    }
}

pub(crate) type AnyQuery<'q> = sqlx::query::Query<'q, sqlx::Any, sqlx::any::AnyArguments>;

fn row(row: &AnyRow) -> Result<GroupRow, sqlx::Error> {
    let uuid: String = row.try_get(0)?;
    Ok(GroupRow {
        uuid: uuid.parse().map_err(|error: uuid::Error| sqlx::Error::Decode(error.into()))?,
        id: row.try_get(1)?,
        name: row.try_get(2)?,
        description: row.try_get(3)?,
        update_apply_type: row.try_get(4)?,
        max_parallel_subclouds: row.try_get(5)?,
        created_at: Timestamp::from_micros(row.try_get(6)?),
        updated_at: row.try_get::<Option<i64>, _>(7)?.map(Timestamp::from_micros),
    })
}

#[async_trait]
impl Projection for GroupsProjection {
    fn name(&self) -> &'static str {
        "groups"
    }

    fn tables(&self, version: i64) -> Vec<String> {
        let table = format!("subcloud_group_v{version}");
        vec![
            format!(
                "create table if not exists {table} (
                    uuid text primary key,
                    id bigint not null,
                    name text not null,
                    description text not null,
                    update_apply_type text not null,
                    max_parallel_subclouds bigint not null,
                    created_at bigint not null,
                    updated_at bigint,
                    position bigint not null
                )"
            ),
            format!("create index if not exists {table}_id on {table} (id)"),
            format!("create index if not exists {table}_name on {table} (name)"),
        ]
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
            let Some(uuid) = event.envelope.stream.uuid() else { continue };
            let decoded = registry::decode::<SubcloudGroupEvent>(&event.envelope)
                .map_err(|cause| ProjectError::Unreadable { position: event.position, cause })?;
            let change =
                Change { version, uuid, at: event.envelope.recorded_at, order: event.position.order };
            change.apply(connection, decoded).await?;
        }
        Ok(())
    }
}

/// One event's place.
struct Change {
    version: i64,
    uuid: Uuid,
    at: Timestamp,
    order: u64,
}

impl Change {
    async fn apply(
        &self,
        connection: &mut AnyConnection,
        event: SubcloudGroupEvent,
    ) -> Result<(), sqlx::Error> {
        match event {
            SubcloudGroupEvent::SubcloudGroupAdded(added) => {
                let imported = SubcloudGroupImported {
                    id: added.id,
                    name: added.name,
                    description: added.description,
                    update_apply_type: added.update_apply_type,
                    max_parallel_subclouds: added.max_parallel_subclouds.into(),
                    created_at: self.at,
                    updated_at: None,
                };
                self.insert(connection, imported).await
            }
            SubcloudGroupEvent::SubcloudGroupImported(imported) => self.insert(connection, imported).await,
            SubcloudGroupEvent::SubcloudGroupUpdated(updated) => self.update(connection, updated).await,
            SubcloudGroupEvent::SubcloudGroupDeleted(_) => {
                let text = format!("delete from subcloud_group_v{} where uuid = $1", self.version);
                sqlx::query(sql(text)).bind(self.uuid.to_string()).execute(connection).await.map(drop)
            }
            SubcloudGroupEvent::SubcloudGroupAbandoned(_) => Ok(()),
        }
    }

    async fn insert(
        &self,
        connection: &mut AnyConnection,
        group: SubcloudGroupImported,
    ) -> Result<(), sqlx::Error> {
        sqlx::query(sql(format!(
            "insert into subcloud_group_v{} ({COLUMNS}, position) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            self.version
        )))
        .bind(self.uuid.to_string())
        .bind(group.id)
        .bind(group.name)
        .bind(group.description)
        .bind(group.update_apply_type)
        .bind(group.max_parallel_subclouds)
        .bind(group.created_at.micros())
        .bind(group.updated_at.map(Timestamp::micros))
        .bind(signed(self.order))
        .execute(connection)
        .await
        .map(drop)
    }

    async fn update(
        &self,
        connection: &mut AnyConnection,
        updated: SubcloudGroupUpdated,
    ) -> Result<(), sqlx::Error> {
        sqlx::query(sql(format!(
            "update subcloud_group_v{} set
                name = coalesce($2, name),
                description = coalesce($3, description),
                update_apply_type = coalesce($4, update_apply_type),
                max_parallel_subclouds = coalesce($5, max_parallel_subclouds),
                updated_at = $6,
                position = $7
             where uuid = $1",
            self.version
        )))
        .bind(self.uuid.to_string())
        .bind(updated.name)
        .bind(updated.description)
        .bind(updated.update_apply_type)
        .bind(updated.max_parallel_subclouds)
        .bind(self.at.micros())
        .bind(signed(self.order))
        .execute(connection)
        .await
        .map(drop)
    }
}
