//! Read model `alarms`: the alarm counts of each subcloud.

use std::sync::Arc;

use async_trait::async_trait;
use dcm_domain::aggregate::Aggregate;
use dcm_domain::subcloud::{AlarmRow as OldRow, AlarmSummary, Subcloud, SubcloudEvent};
use dcm_schemas::{Recorded, registry};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};
use uuid::Uuid;

use crate::checkpoint::signed;
use crate::projection::{ProjectError, Projection};
use crate::store::{ReadModels, sql};

/// The one projection of alarms.
pub(crate) const PROJECTION: AlarmsProjection = AlarmsProjection;

pub(crate) struct AlarmsProjection;

/// Status of a subcloud whose alarms are not known.
const DISABLED: &str = "disabled";

/// Rows of one statement that adds subclouds.
const MOST_ROWS: usize = 1000;

/// The alarm counts of one subcloud, as its row says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlarmRow {
    /// Name of the subcloud.
    pub name: String,
    /// Uuid of the row; rows that were taken over may have none.
    pub uuid: Option<String>,
    /// The counts.
    pub summary: AlarmSummary,
}

/// Queries of alarms.
pub struct Alarms {
    models: Arc<ReadModels>,
}

impl Alarms {
    pub(crate) const fn new(models: Arc<ReadModels>) -> Self {
        Self { models }
    }

    /// Every row, newest first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn all(&self) -> Result<Vec<AlarmRow>, sqlx::Error> {
        let mut tx = self.models.reads.begin().await?;
        let version = ReadModels::active_version(&mut tx, PROJECTION.name()).await?;
        // What was taken over is older than what was added here; it has an order of its own.
        let text = format!(
            "select name, alarm_uuid, critical_alarms, major_alarms, minor_alarms, warnings, cloud_status
             from subcloud_alarms_v{version} where shown = 1
             order by case when old_id is null then 1 else 0 end desc, coalesce(old_id, added) desc"
        );
        sqlx::query(sql(text)).fetch_all(&mut *tx).await?.iter().map(row).collect()
    }

    /// How many subclouds have each status, in no particular order.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn statuses(&self) -> Result<Vec<(String, i64)>, sqlx::Error> {
        let mut tx = self.models.reads.begin().await?;
        let version = ReadModels::active_version(&mut tx, PROJECTION.name()).await?;
        let text = format!(
            "select cloud_status, count(*) from subcloud_alarms_v{version} \
             where shown = 1 group by cloud_status"
        );
        let rows = sqlx::query(sql(text)).fetch_all(&mut *tx).await?;
        rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    }
}

fn row(row: &AnyRow) -> Result<AlarmRow, sqlx::Error> {
    Ok(AlarmRow {
        name: row.try_get(0)?,
        uuid: row.try_get(1)?,
        summary: AlarmSummary {
            critical_alarms: row.try_get(2)?,
            major_alarms: row.try_get(3)?,
            minor_alarms: row.try_get(4)?,
            warnings: row.try_get(5)?,
            cloud_status: row.try_get(6)?,
        },
    })
}

#[async_trait]
impl Projection for AlarmsProjection {
    fn name(&self) -> &'static str {
        "alarms"
    }

    fn tables(&self, version: i64) -> Vec<String> {
        vec![format!(
            "create table if not exists subcloud_alarms_v{version} (
                uuid text primary key,
                name text not null,
                alarm_uuid text,
                critical_alarms bigint not null,
                major_alarms bigint not null,
                minor_alarms bigint not null,
                warnings bigint not null,
                cloud_status text not null,
                shown bigint not null,
                old_id bigint,
                added bigint not null,
                position bigint not null
            )"
        )]
    }

    fn table_names(&self, version: i64) -> Vec<String> {
        vec![format!("subcloud_alarms_v{version}")]
    }

    async fn apply(
        &self,
        connection: &mut AnyConnection,
        version: i64,
        batch: &[Recorded],
    ) -> Result<(), ProjectError> {
        let mut pending = Added { version, rows: Vec::new() };
        for event in batch.iter().filter(|event| event.envelope.stream.kind() == Subcloud::KIND) {
            let Some(uuid) = event.envelope.stream.uuid() else { continue };
            let decoded = registry::decode::<SubcloudEvent>(&event.envelope)
                .map_err(|cause| ProjectError::Unreadable { position: event.position, cause })?;
            let order = event.position.order;
            match decoded {
                SubcloudEvent::SubcloudAdded(added) => pending.rows.push(NewRow {
                    uuid,
                    name: added.name.into(),
                    alarm_uuid: Some(row_uuid(uuid).to_string()),
                    summary: unknown(),
                    shown: true,
                    old_id: None,
                    order,
                }),
                SubcloudEvent::SubcloudImported(imported) => {
                    let row = imported.row;
                    // Without a row there, it is shown once its alarms are known.
                    let shown = row.alarms.is_some();
                    let summary = row.alarms.unwrap_or_else(unknown);
                    let OldRow { id, uuid: alarm_uuid } = row
                        .alarm_row
                        .unwrap_or_else(|| OldRow { id: row.id, uuid: Some(row_uuid(uuid).to_string()) });
                    let name = row.name.into();
                    pending.rows.push(NewRow {
                        uuid,
                        name,
                        alarm_uuid,
                        summary,
                        shown,
                        old_id: Some(id),
                        order,
                    });
                }
                SubcloudEvent::SubcloudRenamed(renamed) => {
                    pending.write(connection).await?;
                    rename(connection, version, uuid, renamed.to.into(), order).await?;
                }
                SubcloudEvent::AlarmSummaryChanged(changed) => {
                    pending.write(connection).await?;
                    count(connection, version, uuid, changed.summary, order).await?;
                }
                SubcloudEvent::SubcloudDeleted(_) => {
                    pending.write(connection).await?;
                    let text = format!("delete from subcloud_alarms_v{version} where uuid = $1");
                    sqlx::query(sql(text)).bind(uuid.to_string()).execute(&mut *connection).await?;
                }
                _ => {}
            }
        }
        pending.write(connection).await?;
        Ok(())
    }
}

/// A row to be added.
struct NewRow {
    uuid: Uuid,
    name: String,
    alarm_uuid: Option<String>,
    summary: AlarmSummary,
    shown: bool,
    old_id: Option<i64>,
    order: u64,
}

/// Rows to be added, written together: a take-over brings thousands at once.
struct Added {
    version: i64,
    rows: Vec<NewRow>,
}

impl Added {
    async fn write(&mut self, connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
        const COLUMNS: usize = 12;
        for some in self.rows.chunks(MOST_ROWS) {
            let tuples = (0..some.len()).map(|row| {
                let places = (1..=COLUMNS).map(|column| format!("${}", row * COLUMNS + column));
                format!("({})", places.collect::<Vec<_>>().join(", "))
            });
            let mut query = sqlx::query(sql(format!(
                "insert into subcloud_alarms_v{}
                 (uuid, name, alarm_uuid, critical_alarms, major_alarms, minor_alarms, warnings, cloud_status,
                  shown, old_id, added, position)
                 values {}",
                self.version,
                tuples.collect::<Vec<_>>().join(", ")
            )));
            for row in some {
                query = query
                    .bind(row.uuid.to_string())
                    .bind(row.name.clone())
                    .bind(row.alarm_uuid.clone())
                    .bind(row.summary.critical_alarms)
                    .bind(row.summary.major_alarms)
                    .bind(row.summary.minor_alarms)
                    .bind(row.summary.warnings)
                    .bind(row.summary.cloud_status.clone())
                    .bind(i64::from(row.shown))
                    .bind(row.old_id)
                    .bind(signed(row.order))
                    .bind(signed(row.order));
            }
            query.execute(&mut *connection).await?;
        }
        self.rows.clear();
        Ok(())
    }
}

async fn rename(
    connection: &mut AnyConnection,
    version: i64,
    uuid: Uuid,
    name: String,
    order: u64,
) -> Result<(), sqlx::Error> {
    let text = format!("update subcloud_alarms_v{version} set name = $2, position = $3 where uuid = $1");
    sqlx::query(sql(text))
        .bind(uuid.to_string())
        .bind(name)
        .bind(signed(order))
        .execute(connection)
        .await
        .map(drop)
}

/// Sets the counts of a subcloud's row.
async fn count(
    connection: &mut AnyConnection,
    version: i64,
    uuid: Uuid,
    summary: AlarmSummary,
    order: u64,
) -> Result<(), sqlx::Error> {
    sqlx::query(sql(format!(
        "update subcloud_alarms_v{version} set
            critical_alarms = $2, major_alarms = $3, minor_alarms = $4, warnings = $5, cloud_status = $6, position = $7,
            shown = 1
         where uuid = $1"
    )))
    .bind(uuid.to_string())
    .bind(summary.critical_alarms)
    .bind(summary.major_alarms)
    .bind(summary.minor_alarms)
    .bind(summary.warnings)
    .bind(summary.cloud_status)
    .bind(signed(order))
    .execute(connection)
    .await
    .map(drop)
}

/// A new subcloud's alarms are not known (fleet.md §11).
fn unknown() -> AlarmSummary {
    AlarmSummary {
        critical_alarms: -1,
        major_alarms: -1,
        minor_alarms: -1,
        warnings: -1,
        cloud_status: DISABLED.to_owned(),
    }
}

/// The uuid of a subcloud's alarm row: the same at every rebuild, and another than the subcloud's own.
fn row_uuid(subcloud: Uuid) -> Uuid {
    dcm_journal::repository::derived_id(&[b"alarm-summary", subcloud.as_bytes()])
}
