//! Rebuilding a read model: a new version is filled from the beginning of the journal beside the one that is read,
//! then one statement makes it the one that is read, and another would take that back.

use std::sync::Arc;

use dcm_journal::store::Journal;
use sqlx::Row;
use tokio::sync::Mutex;

use crate::batch;
use crate::checkpoint::{self, Advance};
use crate::failure;
use crate::projection::{ProjectError, Projection};
use crate::store::{ReadModels, sql};

/// Events of one transaction.
const BATCH: usize = 2000;

/// Epoch of a version that is not read: no projector may move it, and who was about to is fenced off.
const NOT_READ: i64 = i64::MAX;

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
        let projection = self.find(name)?;
        let (version, previous_version) = self.prepare(projection).await?;
        let (position, events) = self.fill(journal, projection, version, 0).await?;
        tracing::info!(name, version, position, events, "rebuilt");
        Ok(Rebuilt { name: name.to_owned(), version, previous_version, events, position })
    }

    /// Makes the version before the last rebuild the one that is read, once it is as far as the one read now.
    ///
    /// # Errors
    /// [`RebuildError::NothingBefore`] if there is none.
    pub async fn roll_back(
        self: &Arc<Self>,
        state: &RebuildState,
        journal: &Arc<dyn Journal>,
        name: &str,
    ) -> Result<i64, RebuildError> {
        let _one_at_a_time = state.0.lock().await;
        let projection = self.find(name)?;
        let nothing_before = || RebuildError::NothingBefore(name.to_owned());
        let previous: Option<i64> =
            sqlx::query_scalar("select previous_version from read_model where name = $1")
                .bind(projection.name())
                .fetch_one(&self.writes)
                .await?;
        let version = previous.ok_or_else(nothing_before)?;
        let mut connection = self.writes.acquire().await?;
        let place = checkpoint::position(&mut connection, projection.name(), version).await?;
        drop(connection);
        let (_, position) = place.ok_or_else(nothing_before)?;
        self.fill(journal, projection, version, position).await?;
        tracing::info!(name, version, "rolled back");
        Ok(version)
    }

    /// Folds what `version`, which is not read, lacks after `position`, and makes it the one that is read. Returns where
    /// it was then, and how many events were folded.
    async fn fill(
        &self,
        journal: &Arc<dyn Journal>,
        projection: &dyn Projection,
        version: i64,
        mut position: u64,
    ) -> Result<(u64, u64), RebuildError> {
        let mut events = 0;
        loop {
            let batch = batch::events(journal.read_all(position, BATCH).await.map_err(ProjectError::from)?);
            let Some(last) = batch.last() else {
                match self.take_over(journal, projection, version, position).await? {
                    true => return Ok((position, events)),
                    false => continue,
                }
            };
            let mut tx = self.writes.begin().await?;
            projection.apply(&mut tx, version, &batch).await?;
            let (to, event_time) = (last.order(), last.at());
            let step = Advance { from: position, to, epoch: NOT_READ, event_time };
            if !checkpoint::advance(&mut tx, &[(projection.name(), version)], step).await? {
                return Err(ProjectError::Fenced.into());
            }
            tx.commit().await?;
            events += batch.len() as u64;
            position = to;
        }
    }

    fn find(&self, name: &str) -> Result<&'static dyn Projection, RebuildError> {
        self.projection(name).ok_or_else(|| RebuildError::Unknown(name.to_owned()))
    }

    /// Creates the tables of the next version, and drops what is neither read nor the one before.
    async fn prepare(&self, projection: &dyn Projection) -> Result<(i64, i64), RebuildError> {
        let mut tx = self.writes.begin().await?;
        // Written first: another process that rebuilds the same waits here, and drops nothing that is read by then.
        let active: i64 = sqlx::query_scalar(
            "update read_model set previous_version = null where name = $1 returning active_version",
        )
        .bind(projection.name())
        .fetch_one(&mut *tx)
        .await?;
        let versions: Vec<i64> =
            sqlx::query_scalar("select version from projection_checkpoint where name = $1")
                .bind(projection.name())
                .fetch_all(&mut *tx)
                .await?;
        let next = versions.iter().copied().max().unwrap_or(active) + 1;
        for old in versions.into_iter().filter(|version| *version != active) {
            for table in projection.tables() {
                sqlx::query(sql(table.drop(old))).execute(&mut *tx).await?;
            }
            sqlx::query("delete from projection_checkpoint where name = $1 and version = $2")
                .bind(projection.name())
                .bind(old)
                .execute(&mut *tx)
                .await?;
            failure::clear(&mut tx, projection.name(), old).await?;
        }
        for table in projection.tables() {
            for statement in std::iter::once(table.create(next)).chain(table.create_indices(next)) {
                sqlx::query(sql(statement)).execute(&mut *tx).await?;
            }
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
        let Some((of, live, epoch)) = retire(&mut tx, projection.name(), active).await? else {
            return Err(ProjectError::Fenced.into());
        };
        // What is read may belong to a journal that was replaced: then there is nothing to catch up with.
        if of == self.journal.to_string() && live > position {
            let head = journal.head().await.map_err(ProjectError::from)?;
            if live <= head {
                return Ok(false);
            }
        }
        // Events that arrived since are the projector's, under its own epoch.
        let given =
            sqlx::query("update projection_checkpoint set epoch = $1 where name = $2 and version = $3")
                .bind(epoch)
                .bind(projection.name())
                .bind(version)
                .execute(&mut *tx)
                .await?;
        let moved = sqlx::query(
            "update read_model set active_version = $1, previous_version = active_version
             where name = $2 and active_version = $3",
        )
        .bind(version)
        .bind(projection.name())
        .bind(active)
        .execute(&mut *tx)
        .await?;
        if given.rows_affected() != 1 || moved.rows_affected() != 1 {
            return Err(ProjectError::Fenced.into());
        }
        tx.commit().await?;
        Ok(true)
    }
}

/// Keeps projectors from moving the checkpoint of the version that is read, until the transaction ends or for good: a
/// step that is under way is waited for, a later one is fenced off. Returns its journal, position and epoch.
async fn retire(
    connection: &mut sqlx::AnyConnection,
    name: &str,
    version: i64,
) -> Result<Option<(String, u64, i64)>, sqlx::Error> {
    // Locked by a write that changes nothing: the epoch must be read as it is under the lock.
    let locked = sqlx::query(
        "update projection_checkpoint set epoch = epoch where name = $1 and version = $2
         returning journal, position, epoch",
    )
    .bind(name.to_owned())
    .bind(version)
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = locked else { return Ok(None) };
    sqlx::query("update projection_checkpoint set epoch = $1 where name = $2 and version = $3")
        .bind(NOT_READ)
        .bind(name.to_owned())
        .bind(version)
        .execute(connection)
        .await?;
    let position = u64::try_from(row.try_get::<i64, _>(1)?).unwrap_or(0);
    Ok(Some((row.try_get(0)?, position, row.try_get(2)?)))
}
