//! Folding a batch: the rows it touches are read, folded in memory by the aggregate's own rules, and written once.

use std::collections::{HashMap, HashSet};

use dcm_domain::aggregate::Aggregate;
use dcm_domain::subcloud::{Subcloud, SubcloudEvent};
use dcm_schemas::{Recorded, registry};
use sqlx::{AnyConnection, Row};
use uuid::Uuid;

use super::row::SubcloudRow;
use super::tables::COLUMNS;
use crate::checkpoint::signed;
use crate::projection::ProjectError;
use crate::store::sql;

/// Values of one statement; PostgreSQL takes 65,535, SQLite 32,766.
const MOST_VALUES: usize = 32_000;

/// Applies the subcloud events of `batch`.
pub(super) async fn apply(
    connection: &mut AnyConnection,
    version: i64,
    batch: &[Recorded],
) -> Result<(), ProjectError> {
    let ours: Vec<(Uuid, &Recorded)> = batch
        .iter()
        .filter(|event| event.envelope.stream.kind() == Subcloud::KIND)
        .filter_map(|event| Some((event.envelope.stream.uuid()?, event)))
        .collect();
    if ours.is_empty() {
        return Ok(());
    }
    let touched: HashSet<Uuid> = ours.iter().map(|(uuid, _)| *uuid).collect();
    let mut rows = read(connection, version, &touched).await?;
    let mut runs = Vec::new();
    for (uuid, event) in ours {
        fold(&mut rows, &mut runs, uuid, event)?;
    }
    let rows: Vec<SubcloudRow> = rows.into_values().collect();
    write(connection, version, &rows).await?;
    write_endpoints(connection, version, &rows).await?;
    for change in &runs {
        change.write(connection, version).await?;
    }
    Ok(())
}

fn fold(
    rows: &mut HashMap<Uuid, SubcloudRow>,
    runs: &mut Vec<RunChange>,
    uuid: Uuid,
    event: &Recorded,
) -> Result<(), ProjectError> {
    let unreadable = |cause| ProjectError::Unreadable { position: event.position, cause };
    let decoded = registry::decode::<SubcloudEvent>(&event.envelope).map_err(unreadable)?;
    let at = event.envelope.recorded_at;
    let before = rows.remove(&uuid);
    let times = before.as_ref().map(|row| (row.created_at, row.updated_at));
    let subcloud = Subcloud::evolve(before.map(|row| row.subcloud), &decoded)
        .map_err(|cause| unreadable(cause.into()))?;
    // A subcloud that was taken over has the times of the row it came from.
    let times = times.or_else(|| {
        let imported = subcloud.imported?;
        Some((imported.created_at.unwrap_or(at), imported.updated_at))
    });
    let (created_at, updated_at) = times.unwrap_or((at, None));
    let order = event.position.order;
    let mut row = SubcloudRow { uuid, subcloud, created_at, updated_at, position: order, event_time: at };
    row.mark(&decoded, order, at);
    rows.insert(uuid, row);
    runs.extend(RunChange::of(uuid, &decoded, at.micros()));
    Ok(())
}

async fn read(
    connection: &mut AnyConnection,
    version: i64,
    touched: &HashSet<Uuid>,
) -> Result<HashMap<Uuid, SubcloudRow>, ProjectError> {
    let uuids: Vec<&Uuid> = touched.iter().collect();
    let mut found = HashMap::new();
    for some in uuids.chunks(MOST_VALUES) {
        let places = placeholders(1, some.len());
        let text = format!("select state from subcloud_v{version} where uuid in ({places})");
        let query = some.iter().fold(sqlx::query(sql(text)), |query, uuid| query.bind(uuid.to_string()));
        for row in query.fetch_all(&mut *connection).await? {
            let row: SubcloudRow = serde_json::from_str(&row.try_get::<String, _>(0)?)?;
            found.insert(row.uuid, row);
        }
    }
    Ok(found)
}

async fn write(
    connection: &mut AnyConnection,
    version: i64,
    rows: &[SubcloudRow],
) -> Result<(), ProjectError> {
    let columns = COLUMNS.join(", ");
    let updates = COLUMNS
        .iter()
        .skip(1)
        .map(|column| format!("{column} = excluded.{column}"))
        .collect::<Vec<_>>()
        .join(", ");
    for some in rows.chunks(MOST_VALUES / COLUMNS.len()) {
        let values = tuples(some.len(), COLUMNS.len());
        let mut query = sqlx::query(sql(format!(
            "insert into subcloud_v{version} ({columns}) values {values} on conflict (uuid) do update set {updates}"
        )));
        for row in some {
            let subcloud = &row.subcloud;
            query = query
                .bind(row.uuid.to_string())
                .bind(subcloud.id)
                .bind(subcloud.name.to_string())
                .bind(subcloud.region.to_string())
                .bind(subcloud.description.as_deref().map(text))
                .bind(subcloud.location.as_deref().map(text))
                .bind(subcloud.software_version.clone())
                .bind(subcloud.management.as_str().to_owned())
                .bind(subcloud.availability.as_str().to_owned())
                .bind(subcloud.deploy.as_str().to_owned())
                .bind(subcloud.backup.map(|status| status.as_str().to_owned()))
                .bind(subcloud.backup_datetime.map(|at| at.micros()))
                .bind(text(&subcloud.error_description))
                .bind(subcloud.network.subnet.clone())
                .bind(subcloud.network.start_ip.clone())
                .bind(subcloud.network.end_ip.clone())
                .bind(subcloud.network.gateway_ip.clone())
                .bind(subcloud.systemcontroller_gateway_ip.clone())
                .bind(subcloud.group_id)
                .bind(subcloud.peer_group_id)
                .bind(subcloud.install.as_ref().map(|document| document.shown.to_string()))
                .bind(subcloud.rehome.as_ref().map(|document| document.shown.to_string()))
                .bind(i64::from(subcloud.initial_deployment))
                .bind(subcloud.run.as_ref().map(|run| run.id.to_string()))
                .bind(subcloud.run.as_ref().and_then(|run| run.worker.clone()))
                .bind(subcloud.backup_run.as_ref().map(|run| run.id.to_string()))
                .bind(row.sync_status().as_str().to_owned())
                .bind(serde_json::to_string(row)?)
                .bind(signed(subcloud.revision))
                .bind(row.created_at.micros())
                .bind(row.updated_at.map(|at| at.micros()))
                .bind(signed(row.position))
                .bind(row.event_time.micros())
                .bind(i64::from(subcloud.deleted));
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

async fn write_endpoints(
    connection: &mut AnyConnection,
    version: i64,
    rows: &[SubcloudRow],
) -> Result<(), ProjectError> {
    let gone: Vec<Uuid> = rows.iter().filter(|row| row.subcloud.deleted).map(|row| row.uuid).collect();
    for some in gone.chunks(MOST_VALUES) {
        let places = placeholders(1, some.len());
        let text = format!("delete from subcloud_endpoint_v{version} where uuid in ({places})");
        let query = some.iter().fold(sqlx::query(sql(text)), |query, uuid| query.bind(uuid.to_string()));
        query.execute(&mut *connection).await?;
    }
    let statuses: Vec<_> = rows
        .iter()
        .filter(|row| !row.subcloud.deleted)
        .flat_map(|row| {
            row.subcloud.endpoints.iter().map(|(endpoint, status)| (row.uuid, *endpoint, *status))
        })
        .collect();
    for some in statuses.chunks(MOST_VALUES / 3) {
        let values = tuples(some.len(), 3);
        let mut query = sqlx::query(sql(format!(
            "insert into subcloud_endpoint_v{version} (uuid, endpoint_type, sync_status) values {values}
             on conflict (uuid, endpoint_type) do update set sync_status = excluded.sync_status"
        )));
        for (uuid, endpoint, status) in some {
            query = query
                .bind(uuid.to_string())
                .bind(endpoint.as_str().to_owned())
                .bind(status.as_str().to_owned());
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

/// A change of a run's row.
enum RunChange {
    Requested { run_id: Uuid, uuid: Uuid, phases: String, at: i64 },
    Claimed { run_id: Uuid, worker: String, at: i64 },
    Finished { run_id: Uuid, outcome: String, error: Option<String>, at: i64 },
}

impl RunChange {
    fn of(uuid: Uuid, event: &SubcloudEvent, at: i64) -> Option<Self> {
        match event {
            SubcloudEvent::DeployRunRequested(requested) => Some(Self::Requested {
                run_id: requested.run_id,
                uuid,
                phases: requested.phases.iter().map(|phase| phase.as_str()).collect::<Vec<_>>().join(","),
                at,
            }),
            SubcloudEvent::DeployRunClaimed(claimed) => {
                Some(Self::Claimed { run_id: claimed.run_id, worker: claimed.worker.clone(), at })
            }
            SubcloudEvent::DeployRunFinished(finished) => Some(Self::Finished {
                run_id: finished.run_id,
                outcome: finished.outcome.as_str().to_owned(),
                error: finished.error.clone(),
                at,
            }),
            _ => None,
        }
    }

    async fn write(&self, connection: &mut AnyConnection, version: i64) -> Result<(), sqlx::Error> {
        let table = format!("deploy_run_v{version}");
        let query = match self {
            Self::Requested { run_id, uuid, phases, at } => sqlx::query(sql(format!(
                "insert into {table} (run_id, uuid, phases, requested_at) values ($1, $2, $3, $4)"
            )))
            .bind(run_id.to_string())
            .bind(uuid.to_string())
            .bind(phases.clone())
            .bind(*at),
            Self::Claimed { run_id, worker, at } => {
                sqlx::query(sql(format!("update {table} set worker = $1, claimed_at = $2 where run_id = $3")))
                    .bind(worker.clone())
                    .bind(*at)
                    .bind(run_id.to_string())
            }
            Self::Finished { run_id, outcome, error, at } => sqlx::query(sql(format!(
                "update {table} set outcome = $1, error = $2, finished_at = $3 where run_id = $4"
            )))
            .bind(outcome.clone())
            .bind(error.as_deref().map(text))
            .bind(*at)
            .bind(run_id.to_string()),
        };
        query.execute(connection).await.map(drop)
    }
}

/// A text as every database takes it: PostgreSQL refuses NUL, and one such event must not stop the read model.
fn text(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// `$first, $first+1, …`
fn placeholders(first: usize, count: usize) -> String {
    (first..first + count).map(|place| format!("${place}")).collect::<Vec<_>>().join(", ")
}

/// `rows` groups of `columns` numbered placeholders.
fn tuples(rows: usize, columns: usize) -> String {
    (0..rows)
        .map(|row| format!("({})", placeholders(row * columns + 1, columns)))
        .collect::<Vec<_>>()
        .join(", ")
}
