//! Read models that stopped in front of an event: what every process, and the operator, must know.

use dcm_domain::value::Timestamp;
use sqlx::{AnyConnection, AnyPool, Row};

use crate::batch::Event;
use crate::checkpoint::signed;
use crate::projection::ProjectError;

/// One row for each version that has stopped.
pub(crate) const TABLE: &str = "create table if not exists projection_failure (
    name text not null,
    version bigint not null,
    position bigint not null,
    event_id text,
    event_type text,
    reason text not null,
    failed_at bigint not null,
    primary key (name, version)
)";

/// Why a read model stopped.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Failure {
    /// Order of the event that it cannot take; where it is, if it is no single event.
    pub position: u64,
    /// Id of that event.
    pub event_id: Option<String>,
    /// Name of that event.
    pub event_type: Option<String>,
    /// What is wrong, for anyone to read.
    pub reason: String,
    /// Since when.
    pub failed_at: Timestamp,
}

impl Failure {
    /// `error` at `event`.
    pub(crate) fn at(event: &Event, error: &ProjectError) -> Self {
        let envelope = event.envelope();
        Self {
            event_id: Some(envelope.id.to_string()),
            event_type: Some(envelope.r#type.clone()),
            ..Self::of(event.order(), error)
        }
    }

    /// `error` at no single event.
    pub(crate) fn of(position: u64, error: &ProjectError) -> Self {
        let failed_at = Timestamp::from(chrono::Utc::now());
        Self { position, event_id: None, event_type: None, reason: error.public_reason(), failed_at }
    }
}

/// Notes that a version has stopped at `position`, unless it is elsewhere by now, or somebody with a later epoch than `epoch`
/// moves it: then it has not.
pub(crate) async fn set(
    connection: &mut AnyConnection,
    (name, version): (&str, i64),
    (position, epoch): (u64, i64),
    failure: &Failure,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into projection_failure (name, version, position, event_id, event_type, reason, failed_at)
         select c.name, c.version, cast($3 as bigint), cast($4 as text), cast($5 as text), cast($6 as text),
            cast($7 as bigint)
         from projection_checkpoint c where c.name = $1 and c.version = $2 and c.position = $8 and c.epoch <= $9
         on conflict (name, version) do update set position = excluded.position, event_id = excluded.event_id,
            event_type = excluded.event_type, reason = excluded.reason, failed_at = excluded.failed_at",
    )
    .bind(name.to_owned())
    .bind(version)
    .bind(signed(failure.position))
    .bind(failure.event_id.clone())
    .bind(failure.event_type.clone())
    .bind(failure.reason.replace('\0', "\u{fffd}"))
    .bind(failure.failed_at.micros())
    .bind(signed(position))
    .bind(epoch)
    .execute(connection)
    .await
    .map(drop)
}

/// Forgets that a version had stopped.
pub(crate) async fn clear(
    connection: &mut AnyConnection,
    name: &str,
    version: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query("delete from projection_failure where name = $1 and version = $2")
        .bind(name.to_owned())
        .bind(version)
        .execute(connection)
        .await
        .map(drop)
}

/// Why a version has stopped, if it has.
pub(crate) async fn of(pool: &AnyPool, name: &str, version: i64) -> Result<Option<Failure>, sqlx::Error> {
    let row = sqlx::query(
        "select position, event_id, event_type, reason, failed_at from projection_failure
         where name = $1 and version = $2",
    )
    .bind(name.to_owned())
    .bind(version)
    .fetch_optional(pool)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Failure {
        position: u64::try_from(row.try_get::<i64, _>(0)?).unwrap_or(0),
        event_id: row.try_get(1)?,
        event_type: row.try_get(2)?,
        reason: row.try_get(3)?,
        failed_at: Timestamp::from_micros(row.try_get(4)?),
    }))
}
