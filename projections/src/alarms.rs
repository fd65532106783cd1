//! Read model `alarms`: the alarm counts of each subcloud.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use dcm_domain::aggregate::Aggregate;
use dcm_domain::subcloud::{
    AlarmRow as OldRow, AlarmSummary, ImportedSubcloud, Subcloud, SubcloudAdded, SubcloudEvent,
};
use dcm_domain::value::Name;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};
use uuid::Uuid;

use crate::batch::Event;
use crate::checkpoint::signed;
use crate::projection::{ProjectError, Projection, Source};
use crate::rows::{self, Cell, Known, Target};
use crate::store::{ReadModels, bounded, sql};
use crate::table::Table;

/// The one projection of alarms.
pub(crate) const PROJECTION: AlarmsProjection = AlarmsProjection;

pub(crate) struct AlarmsProjection;

/// Status of a subcloud whose alarms are not known.
const DISABLED: &str = "disabled";

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
        bounded(async {
            let mut tx = self.models.reads.begin().await?;
            let version = ReadModels::active_version(&mut tx, PROJECTION.name()).await?;
            // What was taken over is older than what was added here; it has an order of its own.
            let text = format!(
                "select name, alarm_uuid, critical_alarms, major_alarms, minor_alarms, warnings, cloud_status
             from subcloud_alarms_v{version} where shown = 1
             order by case when old_id is null then 1 else 0 end desc, coalesce(old_id, added) desc"
            );
            sqlx::query(sql(text)).fetch_all(&mut *tx).await?.iter().map(|row| shown(row, 0)).collect()
        })
        .await
    }

    /// How many subclouds have each status, in no particular order.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn statuses(&self) -> Result<Vec<(String, i64)>, sqlx::Error> {
        bounded(async {
            let mut tx = self.models.reads.begin().await?;
            let version = ReadModels::active_version(&mut tx, PROJECTION.name()).await?;
            let text = format!(
                "select cloud_status, count(*) from subcloud_alarms_v{version} \
             where shown = 1 group by cloud_status"
            );
            let rows = sqlx::query(sql(text)).fetch_all(&mut *tx).await?;
            rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
        })
        .await
    }
}

/// What is shown of a row, from its column `first` on.
fn shown(row: &AnyRow, first: usize) -> Result<AlarmRow, sqlx::Error> {
    Ok(AlarmRow {
        name: row.try_get(first)?,
        uuid: row.try_get(first + 1)?,
        summary: AlarmSummary {
            critical_alarms: row.try_get(first + 2)?,
            major_alarms: row.try_get(first + 3)?,
            minor_alarms: row.try_get(first + 4)?,
            warnings: row.try_get(first + 5)?,
            cloud_status: row.try_get(first + 6)?,
        },
    })
}

/// Every column, in the order rows are written and read.
const COLUMNS: [&str; 12] = [
    "uuid",
    "name",
    "alarm_uuid",
    "critical_alarms",
    "major_alarms",
    "minor_alarms",
    "warnings",
    "cloud_status",
    "shown",
    "old_id",
    "added",
    "position",
];

#[async_trait]
impl Projection for AlarmsProjection {
    fn name(&self) -> &'static str {
        "alarms"
    }

    fn tables(&self) -> Vec<Table> {
        let columns = "uuid text not null, name text not null, alarm_uuid text, critical_alarms bigint not null, \
             major_alarms bigint not null, minor_alarms bigint not null, warnings bigint not null, \
             cloud_status text not null, shown bigint not null, old_id bigint, added bigint not null, \
             position bigint not null";
        vec![Table::new("subcloud_alarms", &["uuid"], columns)]
    }

    fn source(&self) -> Source {
        Source::Each(Subcloud::KIND)
    }

    fn needs_transaction(&self, event: &Event) -> Result<bool, ProjectError> {
        Ok(event.kind() == Subcloud::KIND && Change::of(event.subcloud()?).is_some())
    }

    async fn apply(
        &self,
        connection: &mut AnyConnection,
        version: i64,
        batch: &[Event],
    ) -> Result<(), ProjectError> {
        let mut changes = Vec::new();
        for event in batch.iter().filter(|event| event.kind() == Subcloud::KIND) {
            if let (Some(uuid), Some(change)) = (event.uuid(), Change::of(event.subcloud()?)) {
                changes.push((uuid, event.order(), change));
            }
        }
        if changes.is_empty() {
            return Ok(());
        }
        let table = format!("subcloud_alarms_v{version}");
        let touched: BTreeSet<Uuid> = changes.iter().map(|(uuid, ..)| *uuid).collect();
        let stored =
            rows::fetch(connection, &table, &COLUMNS.join(", "), &["uuid"], &rows::keys(&touched)).await?;
        let mut folded: BTreeMap<Uuid, Option<Stored>> =
            touched.into_iter().map(|uuid| (uuid, None)).collect();
        for row in &stored {
            let row = Stored::read(row)?;
            folded.insert(row.uuid, Some(row));
        }
        for (uuid, order, change) in changes {
            if let Some(row) = folded.get_mut(&uuid) {
                *row = change.apply(row.take(), uuid, order);
            }
        }
        let gone: Vec<&Uuid> = folded.iter().filter(|(_, row)| row.is_none()).map(|(uuid, _)| uuid).collect();
        rows::delete(connection, &table, "uuid", &rows::keys(gone)).await?;
        let target = Target { table: &table, columns: &COLUMNS, key: 1, known: Known::Replace };
        target.write(connection, folded.into_values().flatten().map(Stored::cells).collect()).await?;
        Ok(())
    }
}

/// What an event means for a subcloud's alarms.
enum Change<'a> {
    Added(&'a SubcloudAdded),
    Imported(&'a ImportedSubcloud),
    Renamed(&'a Name),
    Counted(&'a AlarmSummary),
    Deleted,
}

impl<'a> Change<'a> {
    fn of(event: &'a SubcloudEvent) -> Option<Self> {
        match event {
            SubcloudEvent::SubcloudAdded(added) => Some(Self::Added(added)),
            SubcloudEvent::SubcloudImported(imported) => Some(Self::Imported(&imported.row)),
            SubcloudEvent::SubcloudRenamed(renamed) => Some(Self::Renamed(&renamed.to)),
            SubcloudEvent::AlarmSummaryChanged(changed) => Some(Self::Counted(&changed.summary)),
            SubcloudEvent::SubcloudDeleted(_) => Some(Self::Deleted),
            _ => None,
        }
    }

    /// The row after this change at `order` to the row `before`.
    fn apply(self, before: Option<Stored>, uuid: Uuid, order: u64) -> Option<Stored> {
        match self {
            Self::Added(added) => Some(Stored {
                uuid,
                shown: AlarmRow {
                    name: added.name.to_string(),
                    uuid: Some(row_uuid(uuid).to_string()),
                    summary: unknown(),
                },
                is_shown: true,
                old_id: None,
                added: signed(order),
                position: signed(order),
            }),
            Self::Imported(row) => {
                let old = row.alarm_row.clone();
                let old =
                    old.unwrap_or_else(|| OldRow { id: row.id, uuid: Some(row_uuid(uuid).to_string()) });
                let summary = row.alarms.clone().unwrap_or_else(unknown);
                Some(Stored {
                    uuid,
                    shown: AlarmRow { name: row.name.to_string(), uuid: old.uuid, summary },
                    // Without a row there, it is shown once its alarms are known.
                    is_shown: row.alarms.is_some(),
                    old_id: Some(old.id),
                    added: signed(order),
                    position: signed(order),
                })
            }
            Self::Renamed(name) => before.map(|mut row| {
                row.shown.name = name.to_string();
                Stored { position: signed(order), ..row }
            }),
            Self::Counted(summary) => before.map(|mut row| {
                row.shown.summary = summary.clone();
                Stored { is_shown: true, position: signed(order), ..row }
            }),
            Self::Deleted => None,
        }
    }
}

/// A row, whole.
struct Stored {
    uuid: Uuid,
    shown: AlarmRow,
    is_shown: bool,
    old_id: Option<i64>,
    added: i64,
    position: i64,
}

impl Stored {
    fn read(row: &AnyRow) -> Result<Self, sqlx::Error> {
        let uuid: String = row.try_get(0)?;
        Ok(Self {
            uuid: uuid.parse().map_err(|error: uuid::Error| sqlx::Error::Decode(error.into()))?,
            shown: shown(row, 1)?,
            is_shown: row.try_get::<i64, _>(8)? != 0,
            old_id: row.try_get(9)?,
            added: row.try_get(10)?,
            position: row.try_get(11)?,
        })
    }

    fn cells(self) -> [Cell; COLUMNS.len()] {
        let AlarmRow { name, uuid: alarm_uuid, summary } = self.shown;
        [
            self.uuid.into(),
            name.into(),
            alarm_uuid.into(),
            summary.critical_alarms.into(),
            summary.major_alarms.into(),
            summary.minor_alarms.into(),
            summary.warnings.into(),
            summary.cloud_status.into(),
            self.is_shown.into(),
            self.old_id.into(),
            self.added.into(),
            self.position.into(),
        ]
    }
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
