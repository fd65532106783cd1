//! Read model `groups`: subcloud groups.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use dcm_domain::aggregate::Aggregate;
use dcm_domain::group::{SubcloudGroup, SubcloudGroupEvent};
use dcm_domain::value::Timestamp;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};
use uuid::Uuid;

use crate::batch::Event;
use crate::checkpoint::signed;
use crate::projection::{ProjectError, Projection, Source};
use crate::rows::{self, AnyQuery, Cell, Known, Target};
use crate::store::{ReadModels, bounded, sql};
use crate::table::Table;

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
        bounded(async {
            let mut tx = self.models.reads.begin().await?;
            let version = ReadModels::active_version(&mut tx, PROJECTION.name()).await?;
            let text = format!("select {COLUMNS} from subcloud_group_v{version} order by id");
            sqlx::query(sql(text)).fetch_all(&mut *tx).await?.iter().map(row).collect()
        })
        .await
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
        bounded(async {
            let mut tx = self.models.reads.begin().await?;
            let version = ReadModels::active_version(&mut tx, PROJECTION.name()).await?;
            // Imported rows may share a name: the older one is meant.
            let text = format!(
                "select {COLUMNS} from subcloud_group_v{version} where {condition} order by id limit 1"
            );
            bind(sqlx::query(sql(text))).fetch_optional(&mut *tx).await?.as_ref().map(row).transpose()
        })
        .await
    }
}

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

    fn tables(&self) -> Vec<Table> {
        let columns = "uuid text not null, id bigint not null, name text not null, description text not null, \
             update_apply_type text not null, max_parallel_subclouds bigint not null, created_at bigint not null, \
             updated_at bigint, position bigint not null";
        vec![Table::new("subcloud_group", &["uuid"], columns).index("id", "id").index("name", "name")]
    }

    fn source(&self) -> Source {
        Source::Each(SubcloudGroup::KIND)
    }

    fn needs_transaction(&self, event: &Event) -> Result<bool, ProjectError> {
        Ok(event.kind() == SubcloudGroup::KIND)
    }

    async fn apply(
        &self,
        connection: &mut AnyConnection,
        version: i64,
        batch: &[Event],
    ) -> Result<(), ProjectError> {
        let ours = batch.iter().filter(|event| event.kind() == SubcloudGroup::KIND);
        let ours: Vec<(Uuid, &Event)> = ours.filter_map(|event| Some((event.uuid()?, event))).collect();
        if ours.is_empty() {
            return Ok(());
        }
        let table = format!("subcloud_group_v{version}");
        let touched: BTreeSet<Uuid> = ours.iter().map(|(uuid, _)| *uuid).collect();
        let read = format!("{COLUMNS}, position");
        let stored = rows::fetch(connection, &table, &read, &["uuid"], &rows::keys(&touched)).await?;
        let mut folded: BTreeMap<Uuid, Option<(GroupRow, i64)>> =
            touched.into_iter().map(|uuid| (uuid, None)).collect();
        for found in &stored {
            let group = row(found)?;
            folded.insert(group.uuid, Some((group, found.try_get(8)?)));
        }
        for (uuid, event) in ours {
            if let Some(before) = folded.get_mut(&uuid) {
                *before = fold(before.take(), uuid, event)?;
            }
        }
        let gone: Vec<&Uuid> = folded.iter().filter(|(_, row)| row.is_none()).map(|(uuid, _)| uuid).collect();
        rows::delete(connection, &table, "uuid", &rows::keys(gone)).await?;
        let target = Target { table: &table, columns: &WRITTEN, key: 1, known: Known::Replace };
        target.write(connection, folded.into_values().flatten().map(cells).collect()).await?;
        Ok(())
    }
}

/// Every column, in the order rows are written.
const WRITTEN: [&str; 9] = [
    "uuid",
    "id",
    "name",
    "description",
    "update_apply_type",
    "max_parallel_subclouds",
    "created_at",
    "updated_at",
    "position",
];

fn cells((group, position): (GroupRow, i64)) -> [Cell; WRITTEN.len()] {
    [
        group.uuid.into(),
        group.id.into(),
        group.name.into(),
        group.description.into(),
        group.update_apply_type.into(),
        group.max_parallel_subclouds.into(),
        group.created_at.into(),
        group.updated_at.into(),
        position.into(),
    ]
}

/// The group, and where it last changed, after `event`; `None` if there is none.
fn fold(
    before: Option<(GroupRow, i64)>,
    uuid: Uuid,
    event: &Event,
) -> Result<Option<(GroupRow, i64)>, ProjectError> {
    let at = event.at();
    let after = match event.decode()? {
        SubcloudGroupEvent::SubcloudGroupAdded(added) => GroupRow {
            uuid,
            id: added.id,
            name: added.name,
            description: added.description,
            update_apply_type: added.update_apply_type,
            max_parallel_subclouds: added.max_parallel_subclouds.into(),
            created_at: at,
            updated_at: None,
        },
        SubcloudGroupEvent::SubcloudGroupImported(imported) => GroupRow {
            uuid,
            id: imported.id,
            name: imported.name,
            description: imported.description,
            update_apply_type: imported.update_apply_type,
            max_parallel_subclouds: imported.max_parallel_subclouds,
            created_at: imported.created_at,
            updated_at: imported.updated_at,
        },
        SubcloudGroupEvent::SubcloudGroupUpdated(updated) => {
            let Some((before, _)) = before else { return Ok(None) };
            GroupRow {
                name: updated.name.unwrap_or(before.name),
                description: updated.description.unwrap_or(before.description),
                update_apply_type: updated.update_apply_type.unwrap_or(before.update_apply_type),
                max_parallel_subclouds: updated
                    .max_parallel_subclouds
                    .map_or(before.max_parallel_subclouds, i64::from),
                updated_at: Some(at),
                ..before
            }
        }
        SubcloudGroupEvent::SubcloudGroupDeleted(_) => return Ok(None),
        SubcloudGroupEvent::SubcloudGroupAbandoned(_) => return Ok(before),
    };
    Ok(Some((after, signed(event.order()))))
}
