//! Read model `options`: the default update options and those of single subclouds.

use std::sync::Arc;

use async_trait::async_trait;
use dcm_domain::aggregate::Aggregate;
use dcm_domain::options::{
    OptionValues, StoredOptions, SwUpdateOptions, SwUpdateOptionsEvent, SwUpdateOptionsImported,
    SwUpdateOptionsSet,
};
use dcm_domain::subcloud::{Subcloud, SubcloudEvent};
use dcm_domain::value::Timestamp;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};
use uuid::Uuid;

use crate::batch::Event;
use crate::checkpoint::signed;
use crate::projection::{ProjectError, Projection, Source};
use crate::rows;
use crate::store::{ReadModels, bounded, sql};
use crate::table::Table;

/// The one projection of options.
pub(crate) const PROJECTION: OptionsProjection = OptionsProjection;

pub(crate) struct OptionsProjection;

/// Key of the row of the default.
const DEFAULT: &str = "default";

/// What a row is read from, in the order of [`row`].
const COLUMNS: &str = "id, subcloud_id, storage_apply_type, worker_apply_type, max_parallel_workers, \
     alarm_restriction_type, default_instance_action, created_at, updated_at";

/// The default options and those of single subclouds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionsRows {
    /// The default; `None` if it was removed.
    pub default: Option<StoredOptions>,
    /// Options of single subclouds by the id of the subcloud, with its name.
    pub own: Vec<(String, StoredOptions)>,
}

/// Queries of options.
pub struct Options {
    models: Arc<ReadModels>,
}

impl Options {
    pub(crate) const fn new(models: Arc<ReadModels>) -> Self {
        Self { models }
    }

    /// All options.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn all(&self) -> Result<OptionsRows, sqlx::Error> {
        bounded(async {
            let mut tx = self.models.reads.begin().await?;
            let version = ReadModels::active_version(&mut tx, PROJECTION.name()).await?;
            let subclouds = ReadModels::active_version(&mut tx, crate::subclouds::PROJECTION.name()).await?;
            let default = default(&mut tx, version).await?;
            let columns =
                COLUMNS.split(", ").map(|column| format!("o.{}", column.trim())).collect::<Vec<_>>();
            let text = format!(
                "select {}, s.name from sw_update_options_v{version} o
             join subcloud_v{subclouds} s on s.uuid = o.owner where s.deleted = 0 order by s.id",
                columns.join(", ")
            );
            let own = sqlx::query(sql(text)).fetch_all(&mut *tx).await?;
            let own = own.iter().map(|found| Ok((found.try_get(9)?, row(found)?)));
            Ok(OptionsRows { default, own: own.collect::<Result<_, sqlx::Error>>()? })
        })
        .await
    }

    /// The default; `None` if it was removed.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn default(&self) -> Result<Option<StoredOptions>, sqlx::Error> {
        bounded(async {
            let mut tx = self.models.reads.begin().await?;
            let version = ReadModels::active_version(&mut tx, PROJECTION.name()).await?;
            default(&mut tx, version).await
        })
        .await
    }

    /// The options of one subcloud, if it has its own.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn of(&self, subcloud: Uuid) -> Result<Option<StoredOptions>, sqlx::Error> {
        bounded(async {
            let mut tx = self.models.reads.begin().await?;
            let version = ReadModels::active_version(&mut tx, PROJECTION.name()).await?;
            let text = format!("select {COLUMNS} from sw_update_options_v{version} where owner = $1");
            let found = sqlx::query(sql(text)).bind(subcloud.to_string()).fetch_optional(&mut *tx).await?;
            found.as_ref().map(row).transpose()
        })
        .await
    }
}

/// The default: as installed until something happened to it.
async fn default(connection: &mut AnyConnection, version: i64) -> Result<Option<StoredOptions>, sqlx::Error> {
    let text = format!("select {COLUMNS}, removed from sw_update_options_v{version} where owner = $1");
    match sqlx::query(sql(text)).bind(DEFAULT).fetch_optional(connection).await? {
        None => Ok(SwUpdateOptions::default().stored(None).cloned()),
        Some(found) if found.try_get::<i64, _>(9)? != 0 => Ok(None),
        Some(found) => row(&found).map(Some),
    }
}

fn row(row: &AnyRow) -> Result<StoredOptions, sqlx::Error> {
    let at = |index: usize| {
        Ok::<_, sqlx::Error>(row.try_get::<Option<i64>, _>(index)?.map(Timestamp::from_micros))
    };
    Ok(StoredOptions {
        id: row.try_get(0)?,
        subcloud_id: row.try_get(1)?,
        values: OptionValues {
            storage_apply_type: row.try_get(2)?,
            worker_apply_type: row.try_get(3)?,
            max_parallel_workers: row.try_get(4)?,
            alarm_restriction_type: row.try_get(5)?,
            default_instance_action: row.try_get(6)?,
        },
        created_at: at(7)?,
        updated_at: at(8)?,
    })
}

#[async_trait]
impl Projection for OptionsProjection {
    fn name(&self) -> &'static str {
        "options"
    }

    fn tables(&self) -> Vec<Table> {
        let columns = "owner text not null, id bigint not null, subcloud_id bigint, storage_apply_type text, \
             worker_apply_type text, max_parallel_workers bigint, alarm_restriction_type text, \
             default_instance_action text, created_at bigint, updated_at bigint, removed bigint not null, \
             position bigint not null";
        vec![Table::new("sw_update_options", &["owner"], columns)]
    }

    fn source(&self) -> Source {
        Source::Together
    }

    fn needs_transaction(&self, event: &Event) -> Result<bool, ProjectError> {
        Ok(match event.kind() {
            SwUpdateOptions::KIND => true,
            Subcloud::KIND => matches!(event.subcloud()?, SubcloudEvent::SubcloudDeleted(_)),
            _ => false,
        })
    }

    async fn apply(
        &self,
        connection: &mut AnyConnection,
        version: i64,
        batch: &[Event],
    ) -> Result<(), ProjectError> {
        // Deleted subclouds take their options along: together, before the next change of options.
        let mut deleted = Vec::new();
        for event in batch {
            let change = Change { version, order: event.order() };
            match event.kind() {
                SwUpdateOptions::KIND => {
                    forget(connection, version, &mut deleted).await?;
                    change.apply(connection, event.decode()?).await?;
                }
                Subcloud::KIND => {
                    if let (SubcloudEvent::SubcloudDeleted(_), Some(uuid)) = (event.subcloud()?, event.uuid())
                    {
                        deleted.push(uuid);
                    }
                }
                _ => {}
            }
        }
        Ok(forget(connection, version, &mut deleted).await?)
    }
}

/// Deletes the options of `deleted` subclouds, which it empties.
async fn forget(
    connection: &mut AnyConnection,
    version: i64,
    deleted: &mut Vec<Uuid>,
) -> Result<(), sqlx::Error> {
    let table = format!("sw_update_options_v{version}");
    rows::delete(connection, &table, "owner", &rows::keys(&*deleted)).await?;
    deleted.clear();
    Ok(())
}

/// One event's place.
struct Change {
    version: i64,
    order: u64,
}

impl Change {
    async fn apply(
        &self,
        connection: &mut AnyConnection,
        event: SwUpdateOptionsEvent,
    ) -> Result<(), sqlx::Error> {
        match event {
            SwUpdateOptionsEvent::SwUpdateOptionsSet(set) => self.set(connection, set).await,
            SwUpdateOptionsEvent::SwUpdateOptionsImported(imported) => {
                let SwUpdateOptionsImported { subcloud, id, subcloud_id, values, created_at, updated_at } =
                    imported;
                let stored = StoredOptions { id, subcloud_id, values, created_at, updated_at };
                self.write(connection, owner(subcloud), stored, false).await
            }
            SwUpdateOptionsEvent::SwUpdateOptionsRemoved(removed) => match removed.subcloud {
                Some(uuid) => forget(connection, self.version, &mut vec![uuid]).await,
                None => {
                    let values = OptionValues::default();
                    let gone = StoredOptions {
                        id: 0,
                        subcloud_id: None,
                        values,
                        created_at: None,
                        updated_at: None,
                    };
                    self.write(connection, DEFAULT.to_owned(), gone, true).await
                }
            },
        }
    }

    /// Sets options; what was there already keeps the time of its creation.
    async fn set(&self, connection: &mut AnyConnection, set: SwUpdateOptionsSet) -> Result<(), sqlx::Error> {
        let before = match set.subcloud {
            None => default(connection, self.version).await?,
            Some(uuid) => {
                let text =
                    format!("select {COLUMNS} from sw_update_options_v{} where owner = $1", self.version);
                let found = sqlx::query(sql(text)).bind(uuid.to_string()).fetch_optional(&mut *connection);
                found.await?.as_ref().map(row).transpose()?
            }
        };
        let stored = StoredOptions {
            id: set.id,
            subcloud_id: set.subcloud_id,
            values: set.values,
            created_at: before.as_ref().map_or(Some(set.at), |before| before.created_at),
            updated_at: before.map(|_| set.at),
        };
        self.write(connection, owner(set.subcloud), stored, false).await
    }

    async fn write(
        &self,
        connection: &mut AnyConnection,
        owner: String,
        stored: StoredOptions,
        removed: bool,
    ) -> Result<(), sqlx::Error> {
        let updates = COLUMNS.split(", ").map(|column| column.trim());
        let updates = updates.map(|column| format!("{column} = excluded.{column}")).collect::<Vec<_>>();
        let StoredOptions { id, subcloud_id, values, created_at, updated_at } = stored;
        sqlx::query(sql(format!(
            "insert into sw_update_options_v{} (owner, {COLUMNS}, removed, position)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
             on conflict (owner) do update set {}, removed = excluded.removed, position = excluded.position",
            self.version,
            updates.join(", ")
        )))
        .bind(owner)
        .bind(id)
        .bind(subcloud_id)
        .bind(values.storage_apply_type)
        .bind(values.worker_apply_type)
        .bind(values.max_parallel_workers)
        .bind(values.alarm_restriction_type)
        .bind(values.default_instance_action)
        .bind(created_at.map(Timestamp::micros))
        .bind(updated_at.map(Timestamp::micros))
        .bind(i64::from(removed))
        .bind(signed(self.order))
        .execute(connection)
        .await
        .map(drop)
    }
}

fn owner(subcloud: Option<Uuid>) -> String {
    subcloud.map_or_else(|| DEFAULT.to_owned(), |uuid| uuid.to_string())
}
