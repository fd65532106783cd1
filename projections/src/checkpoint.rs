//! Checkpoints: how far each version of each read model has folded the journal.

use dcm_domain::value::Timestamp;
use dcm_schemas::JournalId;
use sqlx::AnyPool;
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::projection::Projection;
use crate::rows::AnyQuery;
use crate::store::{bounded, sql};

/// The tables that say what is read and how far it is.
pub(crate) const TABLES: &[&str] = &[
    "create table if not exists read_model (
        name text primary key,
        active_version bigint not null,
        previous_version bigint
    )",
    "create table if not exists projection_checkpoint (
        name text not null,
        version bigint not null,
        journal text not null,
        position bigint not null,
        epoch bigint not null,
        event_time bigint,
        primary key (name, version)
    )",
    // A version without a row here was made by the first generation.
    "create table if not exists projection_generation (
        name text not null,
        version bigint not null,
        generation bigint not null,
        primary key (name, version)
    )",
    crate::failure::TABLE,
    crate::rebuild::TABLE,
];

/// Where one version of a read model is.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Checkpoint {
    /// Version of the tables.
    pub version: i64,
    /// Order of the last folded event in its journal; 0 before the first.
    pub position: u64,
    /// When that event was recorded.
    pub event_time: Option<Timestamp>,
}

/// Makes a version of `projection` known, at the start of the journal, unless it is.
pub(crate) async fn register(
    connection: &mut AnyConnection,
    projection: &dyn Projection,
    version: i64,
    journal: JournalId,
) -> Result<(), sqlx::Error> {
    let name = projection.name();
    sqlx::query(
        "insert into read_model (name, active_version, previous_version) values ($1, $2, null)
         on conflict (name) do nothing",
    )
    .bind(name)
    .bind(version)
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "insert into projection_generation (name, version, generation) values ($1, $2, $3)
         on conflict (name, version) do nothing",
    )
    .bind(name)
    .bind(version)
    .bind(projection.generation())
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "insert into projection_checkpoint (name, version, journal, position, epoch, event_time)
         values ($1, $2, $3, 0, 0, null) on conflict (name, version) do nothing",
    )
    .bind(name)
    .bind(version)
    .bind(journal.to_string())
    .execute(connection)
    .await?;
    Ok(())
}

/// Forgets a version whose tables are gone.
pub(crate) async fn forget(
    connection: &mut AnyConnection,
    name: &'static str,
    version: i64,
) -> Result<(), sqlx::Error> {
    for table in ["projection_checkpoint", "projection_generation", "projection_failure"] {
        sqlx::query(sql(format!("delete from {table} where name = $1 and version = $2")))
            .bind(name)
            .bind(version)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// Every version's checkpoint.
pub(crate) async fn of(pool: &AnyPool, name: &str) -> Result<Vec<Checkpoint>, sqlx::Error> {
    let rows = sqlx::query(
        "select version, position, event_time from projection_checkpoint where name = $1 order by version",
    )
    .bind(name.to_owned())
    .fetch_all(pool)
    .await?;
    rows.iter().map(read).collect()
}

fn read(row: &AnyRow) -> Result<Checkpoint, sqlx::Error> {
    Ok(Checkpoint {
        version: row.try_get(0)?,
        position: u64::try_from(row.try_get::<i64, _>(1)?).unwrap_or(0),
        event_time: row.try_get::<Option<i64>, _>(2)?.map(Timestamp::from_micros),
    })
}

/// The journal and position one version is at; `None` if there is no such version.
pub(crate) async fn position(
    connection: &mut AnyConnection,
    name: &str,
    version: i64,
) -> Result<Option<(String, u64)>, sqlx::Error> {
    let row =
        sqlx::query("select journal, position from projection_checkpoint where name = $1 and version = $2")
            .bind(name.to_owned())
            .bind(version)
            .fetch_optional(connection)
            .await?;
    row.map(|row| Ok((row.try_get(0)?, u64::try_from(row.try_get::<i64, _>(1)?).unwrap_or(0)))).transpose()
}

/// One step of one checkpoint.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Advance {
    pub from: u64,
    pub to: u64,
    pub epoch: i64,
    pub event_time: Timestamp,
}

/// Moves the checkpoints of `versions` together, if nobody else has moved one and no later epoch holds one. False if not
/// all were moved: the caller is fenced, and must roll back.
pub(crate) async fn advance(
    connection: &mut AnyConnection,
    versions: &[(&'static str, i64)],
    step: Advance,
) -> Result<bool, sqlx::Error> {
    let (text, _) = advancing(versions.len());
    let query = bound(sqlx::query(sql(text)), versions, step);
    Ok(query.execute(connection).await?.rows_affected() == versions.len() as u64)
}

/// The statement that does so for `count` versions, and the number of the parameter after its own: those of the step (to,
/// epoch, event time, from), then name and version of each.
pub(crate) fn advancing(count: usize) -> (String, usize) {
    let places = (0..count).map(|index| format!("(${}, ${})", 2 * index + 5, 2 * index + 6));
    let text = format!(
        "update projection_checkpoint set position = $1, epoch = $2, event_time = $3
         where position = $4 and epoch <= $2 and (name, version) in (values {})",
        places.collect::<Vec<_>>().join(", ")
    );
    (text, 2 * count + 5)
}

/// `query` with what [`advancing`] wants to know, in its order.
pub(crate) fn bound<'q>(
    query: AnyQuery<'q>,
    versions: &[(&'static str, i64)],
    step: Advance,
) -> AnyQuery<'q> {
    let query =
        query.bind(signed(step.to)).bind(step.epoch).bind(step.event_time.micros()).bind(signed(step.from));
    versions.iter().fold(query, |query, (name, version)| query.bind(*name).bind(*version))
}

/// Puts `epoch` on the checkpoints of everything that is read: who is about to move one is waited for, though not for ever,
/// and whoever has an earlier epoch moves none from then on. False if one has a later epoch: then the caller is fenced.
pub(crate) async fn fence(pool: &AnyPool, epoch: i64) -> Result<bool, sqlx::Error> {
    let text = "update projection_checkpoint set epoch = $1 where epoch <= $1
         and (name, version) in (select name, active_version from read_model)";
    bounded(sqlx::query(text).bind(epoch).execute(pool)).await?;
    let later = "select count(*) from projection_checkpoint c
         join read_model m on m.name = c.name and m.active_version = c.version where c.epoch > $1";
    let later: i64 = bounded(sqlx::query_scalar(later).bind(epoch).fetch_one(pool)).await?;
    Ok(later == 0)
}

/// An order as the databases hold it.
pub(crate) fn signed(order: u64) -> i64 {
    i64::try_from(order).unwrap_or(i64::MAX)
}
