//! Who rebuilds what: one row for each read model, which two processes cannot hold at once, and which says how far it is.

use std::time::Duration;

use dcm_domain::value::Timestamp;
use sqlx::{AnyConnection, Row};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::RebuildError;
use super::kept;
use crate::checkpoint::signed;
use crate::compare::{Comparison, Difference};
use crate::projection::{ProjectError, Projection};
use crate::store::{ReadModels, sql};

/// The last rebuild, or roll-back, of each read model. Versions are not used twice: `highest` is the highest so far.
pub(crate) const TABLE: &str = "create table if not exists projection_rebuild (
    name text primary key,
    attempt text not null,
    version bigint not null,
    highest bigint not null,
    phase text not null,
    events_done bigint not null,
    events_total bigint,
    started_at bigint not null,
    updated_at bigint not null,
    expires_at bigint not null,
    cancelled bigint not null,
    differing bigint,
    differences text not null,
    reason text
)";

/// How long a claim holds without a sign of life.
const TTL: Duration = Duration::from_secs(30);
/// How often a sign of life is given where work gives none by itself.
const SIGN: Duration = Duration::from_secs(1);

/// Where a rebuild stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Events are folded.
    Filling,
    /// Indices are made.
    Indexing,
    /// Rows are compared with those that are read.
    Comparing,
    /// The new version is read.
    Done,
    /// Rows differ, and nobody said that they may.
    Refused,
    /// It failed.
    Failed,
    /// Somebody wanted it to end.
    Cancelled,
    /// Its process ended before it did.
    Abandoned,
}

impl Phase {
    const ALL: [Self; 8] = [
        Self::Filling,
        Self::Indexing,
        Self::Comparing,
        Self::Done,
        Self::Refused,
        Self::Failed,
        Self::Cancelled,
        Self::Abandoned,
    ];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Filling => "filling",
            Self::Indexing => "indexing",
            Self::Comparing => "comparing",
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Abandoned => "abandoned",
        }
    }

    /// Whether something is still at work.
    pub const fn is_under_way(self) -> bool {
        matches!(self, Self::Filling | Self::Indexing | Self::Comparing)
    }
}

/// The last rebuild of a read model.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct RebuildStatus {
    /// The version that it fills, or filled.
    pub version: i64,
    /// Where it stands.
    pub phase: Phase,
    /// How many events it has folded.
    pub events_done: u64,
    /// How many there were to fold when that was last looked at; `None` if the journal cannot tell.
    pub events_total: Option<u64>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it last gave a sign of life, or ended.
    pub updated_at: Timestamp,
    /// How many rows differ from those that are read; `None` if they are not compared.
    pub differing: Option<u64>,
    /// The first of them.
    pub differences: Vec<Difference>,
    /// Why it failed.
    pub reason: Option<String>,
}

/// The claim of one rebuild.
pub(super) struct Claim {
    name: &'static str,
    attempt: String,
    events: u64,
    total: Option<u64>,
    signed_at: Instant,
}

/// How a rebuild ends.
pub(super) enum Ending<'a> {
    Done(Option<&'a Comparison>),
    Refused(&'a Comparison),
    Cancelled,
    Failed(String),
}

impl Claim {
    /// Claims `projection` for a rebuild, unless somebody works on it, and says which version it is to fill.
    pub(super) async fn take(
        models: &ReadModels,
        projection: &'static dyn Projection,
    ) -> Result<(Self, i64), RebuildError> {
        let mut tx = models.writes.begin().await?;
        let claim = Self::take_row(&mut tx, models, projection).await?;
        let version: i64 = sqlx::query_scalar(
            "select max(version) from (
                select version from projection_checkpoint where name = $1
                union all select highest from projection_rebuild where name = $1
             ) versions",
        )
        .bind(claim.name)
        .fetch_one(&mut *tx)
        .await?;
        let version = version + 1;
        sqlx::query("update projection_rebuild set version = $1, highest = $1 where name = $2")
            .bind(version)
            .bind(claim.name)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok((claim, version))
    }

    /// Claims `projection` for a roll-back, and says to which version.
    pub(super) async fn take_back(
        models: &ReadModels,
        projection: &'static dyn Projection,
    ) -> Result<(Self, i64), RebuildError> {
        let mut tx = models.writes.begin().await?;
        let claim = Self::take_row(&mut tx, models, projection).await?;
        let (previous, generation): (Option<i64>, i64) = sqlx::query_as(
            "select m.previous_version, coalesce(g.generation, 1) from read_model m
             left join projection_generation g on g.name = m.name and g.version = m.previous_version
             where m.name = $1",
        )
        .bind(claim.name)
        .fetch_one(&mut *tx)
        .await?;
        // Into tables of another generation this program cannot fold: nobody could go on with them.
        let version = previous.filter(|_| projection.knows(generation));
        let version = version.ok_or_else(|| RebuildError::NothingBefore(claim.name.to_owned()))?;
        sqlx::query("update projection_rebuild set version = $1 where name = $2")
            .bind(version)
            .bind(claim.name)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok((claim, version))
    }

    async fn take_row(
        connection: &mut AnyConnection,
        models: &ReadModels,
        projection: &'static dyn Projection,
    ) -> Result<Self, RebuildError> {
        let (name, attempt, now) = (projection.name(), Uuid::now_v7().to_string(), models.clock());
        let text = format!(
            "insert into projection_rebuild (name, attempt, version, highest, phase, events_done, events_total,
                started_at, updated_at, expires_at, cancelled, differing, differences, reason)
             values ($1, $2, 0, 0, $3, 0, null, {now}, {now}, {now} + $4, 0, null, '[]', null)
             on conflict (name) do update set attempt = excluded.attempt, phase = excluded.phase, events_done = 0,
                events_total = null, started_at = excluded.started_at, updated_at = excluded.updated_at,
                expires_at = excluded.expires_at, cancelled = 0, differing = null, differences = '[]', reason = null
             where projection_rebuild.expires_at <= {now}"
        );
        let taken = sqlx::query(sql(text))
            .bind(name)
            .bind(attempt.clone())
            .bind(Phase::Filling.as_str())
            .bind(micros(TTL))
            .execute(connection)
            .await?;
        match taken.rows_affected() {
            1 => Ok(Self { name, attempt, events: 0, total: None, signed_at: Instant::now() }),
            _ => Err(RebuildError::Busy(name.to_owned())),
        }
    }

    /// How many events were folded.
    pub(super) const fn events(&self) -> u64 {
        self.events
    }

    /// Says how many events there are to fold.
    pub(super) const fn expect(&mut self, total: Option<u64>) {
        self.total = total;
    }

    /// Notes in the transaction of `connection` that `more` events are folded.
    pub(super) async fn folded(
        &mut self,
        connection: &mut AnyConnection,
        models: &ReadModels,
        more: u64,
    ) -> Result<(), RebuildError> {
        self.sign(connection, models, self.events + more, None).await?;
        self.events += more;
        Ok(())
    }

    /// Notes that another phase has begun.
    pub(super) async fn enter(&mut self, models: &ReadModels, phase: Phase) -> Result<(), RebuildError> {
        let mut connection = models.writes.acquire().await?;
        self.sign(&mut connection, models, self.events, Some(phase)).await
    }

    /// Gives a sign of life now and then.
    pub(super) async fn still(
        &mut self,
        models: &ReadModels,
        cancel: &CancellationToken,
    ) -> Result<(), RebuildError> {
        if cancel.is_cancelled() {
            return Err(RebuildError::Cancelled);
        }
        if self.signed_at.elapsed() < SIGN {
            return Ok(());
        }
        let mut connection = models.writes.acquire().await?;
        self.sign(&mut connection, models, self.events, None).await
    }

    /// A sign of life, which finds out whether it should go on.
    async fn sign(
        &mut self,
        connection: &mut AnyConnection,
        models: &ReadModels,
        events: u64,
        phase: Option<Phase>,
    ) -> Result<(), RebuildError> {
        let now = models.clock();
        let text = format!(
            "update projection_rebuild set events_done = $1, events_total = $2, phase = coalesce($3, phase),
                updated_at = {now}, expires_at = {now} + $4
             where name = $5 and attempt = $6 returning cancelled"
        );
        let cancelled: Option<i64> = sqlx::query_scalar(sql(text))
            .bind(signed(events))
            .bind(self.total.map(signed))
            .bind(phase.map(|phase| phase.as_str().to_owned()))
            .bind(micros(TTL))
            .bind(self.name)
            .bind(self.attempt.clone())
            .fetch_all(connection)
            .await?
            .first()
            .copied();
        self.signed_at = Instant::now();
        match cancelled {
            None => Err(RebuildError::TakenOver),
            Some(0) => Ok(()),
            Some(_) => Err(RebuildError::Cancelled),
        }
    }

    /// Gives the claim up.
    pub(super) async fn end(&self, models: &ReadModels, ending: Ending<'_>) -> Result<(), ProjectError> {
        let (phase, found, reason) = match ending {
            Ending::Done(found) => (Phase::Done, found, None),
            Ending::Refused(found) => (Phase::Refused, Some(found), None),
            Ending::Cancelled => (Phase::Cancelled, None, None),
            Ending::Failed(reason) => (Phase::Failed, None, Some(reason.replace('\0', "\u{fffd}"))),
        };
        let differences = serde_json::to_string(&found.map(kept).unwrap_or_default())?;
        let now = models.clock();
        let text = format!(
            "update projection_rebuild set phase = $1, differing = $2, differences = $3, reason = $4, updated_at = {now},
                expires_at = 0
             where name = $5 and attempt = $6"
        );
        sqlx::query(sql(text))
            .bind(phase.as_str())
            .bind(found.map(|found| signed(found.count())))
            .bind(differences)
            .bind(reason)
            .bind(self.name)
            .bind(self.attempt.clone())
            .execute(&models.writes)
            .await?;
        Ok(())
    }
}

/// Asks whoever rebuilds `name` to end. False if nobody does.
pub(super) async fn cancel(models: &ReadModels, name: &str) -> Result<bool, sqlx::Error> {
    let now = models.clock();
    let text = format!("update projection_rebuild set cancelled = 1 where name = $1 and expires_at > {now}");
    let done = sqlx::query(sql(text)).bind(name.to_owned()).execute(&models.writes).await?;
    Ok(done.rows_affected() == 1)
}

/// The last rebuild of `name`.
pub(crate) async fn status(models: &ReadModels, name: &str) -> Result<Option<RebuildStatus>, sqlx::Error> {
    let now = models.clock();
    let text = format!(
        "select version, phase, events_done, events_total, started_at, updated_at, differing, differences, reason,
            expires_at - {now}
         from projection_rebuild where name = $1"
    );
    let row = sqlx::query(sql(text)).bind(name.to_owned()).fetch_optional(&models.reads).await?;
    let Some(row) = row else { return Ok(None) };
    let name: String = row.try_get(1)?;
    let phase = Phase::ALL.into_iter().find(|phase| phase.as_str() == name).unwrap_or(Phase::Failed);
    let is_alive = row.try_get::<i64, _>(9)? > 0;
    let number =
        |index: usize| Ok::<_, sqlx::Error>(row.try_get::<Option<i64>, _>(index)?.map(i64::unsigned_abs));
    Ok(Some(RebuildStatus {
        version: row.try_get(0)?,
        phase: if phase.is_under_way() && !is_alive { Phase::Abandoned } else { phase },
        events_done: number(2)?.unwrap_or(0),
        events_total: number(3)?,
        started_at: Timestamp::from_micros(row.try_get(4)?),
        updated_at: Timestamp::from_micros(row.try_get(5)?),
        differing: number(6)?,
        differences: serde_json::from_str(&row.try_get::<String, _>(7)?).unwrap_or_default(),
        reason: row.try_get(8)?,
    }))
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}
