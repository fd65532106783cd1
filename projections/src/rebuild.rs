//! Rebuilding a read model: a new version is filled from the beginning of the journal beside the one that is read,
//! then one statement makes it the one that is read, and another would take that back.

use std::sync::Arc;

use dcm_journal::store::Journal;
use sqlx::Row;
use tokio::sync::Mutex;

use crate::checkpoint::{self, Advance, signed};
use crate::projection::{ProjectError, Projection};
use crate::store::{ReadModels, sql};

/// Events of one transaction.
const BATCH: usize = 2000;

/// Serialises rebuilds of this process.
#[derive(Default)]
pub struct RebuildState(Mutex<()>);

/// What a rebuild did.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Rebuilt {
    /// The read model.
    pub name: String,
    /// The version that is read from now on.
    pub version: i64,
    /// The version that was read before, kept to roll back to.
    pub previous_version: i64,
    /// How many events were folded.
    pub events: u64,
    /// Where the new version was when it took over.
    pub position: u64,
}

/// Why a read model was not rebuilt or rolled back.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// There is no such read model.
    #[error("there is no read model {0:?}")]
    Unknown(String),
    /// There is no version to go back to.
    #[error("the read model {0:?} has no version to go back to")]
    NothingBefore(String),
    /// It could not be filled.
    #[error(transparent)]
    Project(#[from] ProjectError),
}

impl From<sqlx::Error> for RebuildError {
    fn from(error: sqlx::Error) -> Self {
        Self::Project(error.into())
    }
}

impl ReadModels {
    /// Fills a new version of the read model `name` from the beginning of `journal`, and makes it the one that is read.
    /// Only versions before the last one are dropped. `state` keeps two rebuilds of a process apart.
    ///
    /// # Errors
    /// [`RebuildError`]; the version that is read stays as it was.
    pub async fn rebuild(
        self: &Arc<Self>,
        state: &RebuildState,
        journal: &Arc<dyn Journal>,
        name: &str,
    ) -> Result<Rebuilt, RebuildError> {
        let _one_at_a_time = state.0.lock().await;
        let projection = find(name)?;
        let (version, previous_version) = self.prepare(projection).await?;
        let (mut position, mut events) = (0, 0);
        loop {
            let batch = journal.read_all(position, BATCH).await.map_err(ProjectError::from)?;
            let Some(last) = batch.last() else {
                match self.take_over(journal, projection, version, position).await? {
                    true => break,
                    false => continue,
                }
            };
            let mut tx = self.writes.begin().await?;
            projection.apply(&mut tx, version, &batch).await?;
            let (to, event_time) = (last.position.order, last.envelope.recorded_at);
            let step = Advance { from: position, to, epoch: 0, event_time };
            if !checkpoint::advance(&mut tx, projection.name(), version, step).await? {
                return Err(ProjectError::Fenced.into());
            }
            tx.commit().await?;
            events += batch.len() as u64;
            position = to;
        }
        Ok(Rebuilt { name: name.to_owned(), version, previous_version, events, position })
    }

    /// Makes the version before the last rebuild the one that is read; the projector then brings it up to date.
    ///
    /// # Errors
    /// [`RebuildError::NothingBefore`] if there is none.
    pub async fn roll_back(&self, name: &str) -> Result<i64, RebuildError> {
        let projection = find(name)?;
        let row = sqlx::query(
            "update read_model set active_version = previous_version, previous_version = active_version
             where name = $1 and previous_version is not null returning active_version",
        )
        .bind(projection.name())
        .fetch_optional(&self.writes)
        .await?;
        match row {
            Some(row) => Ok(row.try_get(0)?),
            None => Err(RebuildError::NothingBefore(name.to_owned())),
        }
    }

    /// Creates the tables of the next version, and drops what is neither read nor the one before.
    async fn prepare(&self, projection: &dyn Projection) -> Result<(i64, i64), RebuildError> {
        let mut tx = self.writes.begin().await?;
        let active = Self::active_version(&mut tx, projection.name()).await?;
        let versions: Vec<i64> =
            sqlx::query_scalar("select version from projection_checkpoint where name = $1")
                .bind(projection.name())
                .fetch_all(&mut *tx)
                .await?;
        let next = versions.iter().copied().max().unwrap_or(active) + 1;
        for old in versions.into_iter().filter(|version| *version != active) {
            for table in projection.table_names(old) {
                sqlx::query(sql(format!("drop table if exists {table}"))).execute(&mut *tx).await?;
            }
            sqlx::query("delete from projection_checkpoint where name = $1 and version = $2")
                .bind(projection.name())
                .bind(old)
                .execute(&mut *tx)
                .await?;
        }
        sqlx::query("update read_model set previous_version = null where name = $1")
            .bind(projection.name())
            .execute(&mut *tx)
            .await?;
        for statement in projection.tables(next) {
            sqlx::query(sql(statement)).execute(&mut *tx).await?;
        }
        checkpoint::register(&mut tx, projection.name(), next, self.journal).await?;
        tx.commit().await?;
        Ok((next, active))
    }

    /// Makes `version` the one that is read, if it is as far as the one read now: no reader ever sees time go back.
    async fn take_over(
        &self,
        journal: &Arc<dyn Journal>,
        projection: &dyn Projection,
        version: i64,
        position: u64,
    ) -> Result<bool, RebuildError> {
        let mut tx = self.writes.begin().await?;
        let active = Self::active_version(&mut tx, projection.name()).await?;
        let live = checkpoint::position(&mut tx, projection.name(), active).await?;
        if live.is_some_and(|(_, live)| live > position) {
            return Ok(false);
        }
        // Events that arrived since are the projector's, under its own epoch.
        let epoch = "update projection_checkpoint set epoch =
            (select max(epoch) from projection_checkpoint where name = $1) where name = $1 and version = $2";
        sqlx::query(epoch).bind(projection.name()).bind(version).execute(&mut *tx).await?;
        sqlx::query(
            "update read_model set active_version = $1, previous_version = active_version where name = $2",
        )
        .bind(version)
        .bind(projection.name())
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        let head = journal.head().await.ok();
        tracing::info!(name = projection.name(), version, position = signed(position), ?head, "rebuilt");
        Ok(true)
    }
}

fn find(name: &str) -> Result<&'static dyn Projection, RebuildError> {
    let known = ReadModels::projections().into_iter().find(|projection| projection.name() == name);
    known.ok_or_else(|| RebuildError::Unknown(name.to_owned()))
}
