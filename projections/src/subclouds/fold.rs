//! Folding a batch: the rows it touches are read, folded in memory by the aggregate's own rules, and written once.

use std::collections::{BTreeMap, BTreeSet};

use dcm_domain::aggregate::Aggregate;
use dcm_domain::subcloud::Subcloud;
use sqlx::{AnyConnection, Row};
use uuid::Uuid;

use super::row::SubcloudRow;
use super::runs::Runs;
use super::tables::COLUMNS;
use crate::batch::Event;
use crate::memory::Memory;
use crate::projection::ProjectError;
use crate::rows::{self, Cell, Known, Target};
use crate::writing::Writing;

/// Applies the subcloud events of `batch`, on the rows that `memory` holds where it does.
pub(super) async fn apply(
    writing: &mut Writing<'_>,
    version: i64,
    batch: &[Event],
    memory: &mut Memory,
) -> Result<(), ProjectError> {
    let ours = batch.iter().filter(|event| event.kind() == Subcloud::KIND);
    let ours: Vec<(Uuid, &Event)> = ours.filter_map(|event| Some((event.uuid()?, event))).collect();
    if ours.is_empty() {
        return Ok(());
    }
    let mut folded = before(writing.connection(), version, &ours, memory).await?;
    let mut runs = Runs::touched(writing.connection(), version, &ours).await?;
    for (uuid, event) in ours {
        let row = fold(folded.remove(&uuid), uuid, event)?;
        folded.insert(uuid, row);
        runs.fold(uuid, event)?;
    }
    write(writing, version, &folded).await?;
    for (uuid, row) in folded {
        memory.subclouds.put(uuid, row);
    }
    Ok(runs.write(writing, version).await?)
}

/// The rows that `events` go on from. A stream that begins here has none, what is remembered need not be read.
async fn before(
    connection: &mut AnyConnection,
    version: i64,
    events: &[(Uuid, &Event)],
    memory: &mut Memory,
) -> Result<BTreeMap<Uuid, SubcloudRow>, ProjectError> {
    let (mut rows, mut begun, mut unknown) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
    for (uuid, event) in events {
        if rows.contains_key(uuid) || begun.contains(uuid) || unknown.contains(uuid) {
            continue;
        }
        match memory.subclouds.pop(uuid) {
            Some(row) => drop(rows.insert(*uuid, row)),
            None if event.envelope().revision == 0 => drop(begun.insert(*uuid)),
            None => drop(unknown.insert(*uuid)),
        }
    }
    rows.extend(read(connection, version, &unknown).await?);
    Ok(rows)
}

fn fold(before: Option<SubcloudRow>, uuid: Uuid, event: &Event) -> Result<SubcloudRow, ProjectError> {
    let decoded = event.subcloud()?;
    let at = event.at();
    let times = before.as_ref().map(|row| (row.created_at, row.updated_at));
    let subcloud =
        Subcloud::evolve(before.map(|row| row.subcloud), decoded).map_err(|cause| event.unreadable(cause))?;
    // A subcloud that was taken over has the times of the row it came from.
    let times = times.or_else(|| {
        let imported = subcloud.imported?;
        Some((imported.created_at.unwrap_or(at), imported.updated_at))
    });
    let (created_at, updated_at) = times.unwrap_or((at, None));
    let order = event.order();
    let mut row = SubcloudRow { uuid, subcloud, created_at, updated_at, position: order, event_time: at };
    row.mark(decoded, order, at);
    Ok(row)
}

async fn read(
    connection: &mut AnyConnection,
    version: i64,
    touched: &BTreeSet<Uuid>,
) -> Result<BTreeMap<Uuid, SubcloudRow>, ProjectError> {
    let table = format!("subcloud_v{version}");
    let found = rows::fetch(connection, &table, "state", &["uuid"], &rows::keys(touched)).await?;
    let row = |row: &sqlx::any::AnyRow| {
        let row: SubcloudRow = serde_json::from_str(&row.try_get::<String, _>(0)?)?;
        Ok((row.uuid, row))
    };
    found.iter().map(row).collect()
}

async fn write(
    writing: &mut Writing<'_>,
    version: i64,
    folded: &BTreeMap<Uuid, SubcloudRow>,
) -> Result<(), ProjectError> {
    let table = format!("subcloud_v{version}");
    let target = Target { table: &table, columns: &COLUMNS, key: 1, known: Known::Replace };
    writing.write(target, folded.values().map(cells).collect::<Result<_, _>>()?).await?;
    let table = format!("subcloud_change_v{version}");
    let target = Target { table: &table, columns: &["uuid", "position"], key: 1, known: Known::Replace };
    let changes = folded.values().map(|row| [row.uuid.into(), row.position.into()]).collect();
    Ok(writing.write(target, changes).await?)
}

fn cells(row: &SubcloudRow) -> Result<[Cell; COLUMNS.len()], serde_json::Error> {
    let subcloud = &row.subcloud;
    Ok([
        row.uuid.into(),
        subcloud.id.into(),
        subcloud.name.as_ref().into(),
        subcloud.region.as_ref().into(),
        subcloud.management.as_str().into(),
        subcloud.deploy.as_str().into(),
        subcloud.group_id.into(),
        subcloud.peer_group_id.into(),
        subcloud.backup_run.as_ref().map(|run| run.id.to_string()).into(),
        serde_json::to_string(row)?.into(),
        row.position.into(),
        row.event_time.into(),
        subcloud.deleted.into(),
    ])
}
