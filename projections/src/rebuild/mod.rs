//! Rebuilding a read model: a new version is filled from the beginning of the journal beside the one that is read, then
//! compared with it, then one statement makes it the one that is read, and another would take that back.
//!
//! The first failure ends a rebuild, and what is read stays as it was. Nothing but rows comes of it: no signal is given and
//! no work is begun.

mod claim;
mod fill;
mod pace;
mod renew;
mod tables;
mod take_over;

use std::sync::Arc;

use dcm_journal::store::Journal;
use tokio_util::sync::CancellationToken;

use crate::compare::{self, Comparison, Connections, Difference, Sides, WalkInside};
use crate::memory::Memory;
use crate::projection::{ProjectError, Projection};
use crate::store::ReadModels;
use claim::{Claim, Ending};
use take_over::Live;

pub use claim::{Phase, RebuildStatus};
pub(crate) use claim::{TABLE, status};
pub use renew::Outdated;

/// How a rebuild is carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RebuildOptions {
    /// Whether the new version is read also if its rows are others: after a defect was put right they are.
    pub accept_differences: bool,
    /// Events a second at most; 0 for as many as it can. It always waits while live work lags.
    pub events_per_second: u64,
}

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
    /// How many rows were others than in the version before; `None` if they could not be compared.
    pub differing: Option<u64>,
}

/// Why a read model was not rebuilt or rolled back.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// There is no such read model.
    #[error("there is no read model {0:?}")]
    Unknown(String),
    /// There is no version to go back to that this program can go on with.
    #[error("the read model {0:?} has no version to go back to")]
    NothingBefore(String),
    /// One is at work on it, here or in another process.
    #[error("the read model {0:?} is being rebuilt")]
    Busy(String),
    /// Nothing is at work on it.
    #[error("the read model {0:?} is not being rebuilt")]
    NotBusy(String),
    /// Somebody wanted it to end, or the program stops.
    #[error("the rebuild was cancelled")]
    Cancelled,
    /// It stood still for so long that another began anew.
    #[error("another rebuild took its place")]
    TakenOver,
    /// The rows are others than those that are read, and nobody said that they may be.
    #[error("{0} rows are others than in the version that is read; accept differences if that is meant")]
    Differs(u64),
    /// An event cannot be folded.
    #[error("event {event_type} at {position}: {cause}")]
    Event {
        /// Its order.
        position: u64,
        /// Its name.
        event_type: String,
        /// What is wrong with it.
        cause: ProjectError,
    },
    /// It could not be filled.
    #[error(transparent)]
    Project(#[from] ProjectError),
}

impl From<sqlx::Error> for RebuildError {
    fn from(error: sqlx::Error) -> Self {
        Self::Project(error.into())
    }
}

impl RebuildError {
    /// What is wrong, for anyone who may see rebuilds.
    pub fn public_reason(&self) -> String {
        match self {
            Self::Project(cause) => cause.public_reason(),
            Self::Event { position, event_type, cause } => {
                format!("event {event_type} at {position}: {}", cause.public_reason())
            }
            other => other.to_string(),
        }
    }
}

/// A rebuild that was begun: nobody else works on the same read model.
pub struct Rebuild {
    models: Arc<ReadModels>,
    journal: Arc<dyn Journal>,
    projection: &'static dyn Projection,
    claim: Claim,
    options: RebuildOptions,
    version: i64,
    memory: Memory,
}

impl ReadModels {
    /// Fills a new version of the read model `name` from the beginning of `journal`, compares it with the one that is read,
    /// and makes it the one that is read. The version before is kept to roll back to. Ends early once `cancel` is
    /// cancelled.
    ///
    /// # Errors
    /// [`RebuildError`]; the version that is read stays as it was.
    pub async fn rebuild(
        self: &Arc<Self>,
        journal: &Arc<dyn Journal>,
        name: &str,
        options: RebuildOptions,
        cancel: &CancellationToken,
    ) -> Result<Rebuilt, RebuildError> {
        self.begin_rebuild(journal, name, options).await?.run(cancel).await
    }

    /// Begins a rebuild, which is [run](Rebuild::run) then. What an abandoned one has left behind is dropped.
    ///
    /// # Errors
    /// [`RebuildError`].
    pub async fn begin_rebuild(
        self: &Arc<Self>,
        journal: &Arc<dyn Journal>,
        name: &str,
        options: RebuildOptions,
    ) -> Result<Rebuild, RebuildError> {
        let projection = self.known(name)?;
        let (claim, version) = Claim::take(self, projection).await?;
        let (models, journal) = (Arc::clone(self), Arc::clone(journal));
        let memory = Memory::default();
        Ok(Rebuild { models, journal, projection, claim, options, version, memory })
    }

    /// Makes the version before the last rebuild the one that is read, once it is as far as the one read now.
    ///
    /// # Errors
    /// [`RebuildError::NothingBefore`] if there is none, [`RebuildError::Busy`] during a rebuild.
    pub async fn roll_back(
        self: &Arc<Self>,
        journal: &Arc<dyn Journal>,
        name: &str,
    ) -> Result<i64, RebuildError> {
        let projection = self.known(name)?;
        let options = RebuildOptions::default();
        let (claim, version) = Claim::take_back(self, projection).await?;
        let (models, journal) = (Arc::clone(self), Arc::clone(journal));
        let memory = Memory::default();
        let mut back = Rebuild { models, journal, projection, claim, options, version, memory };
        let outcome = back.catch_up_and_take_over(&CancellationToken::new()).await;
        back.end(outcome.as_ref().map(|_| Ending::Done(None))).await;
        let (position, _) = outcome?;
        tracing::info!(name, version, position, "rolled back");
        Ok(version)
    }

    /// Asks a rebuild to end, in whatever process it runs.
    ///
    /// # Errors
    /// [`RebuildError::NotBusy`] if there is none.
    pub async fn cancel_rebuild(&self, name: &str) -> Result<(), RebuildError> {
        let projection = self.known(name)?;
        match claim::cancel(self, projection.name()).await? {
            true => Ok(()),
            false => Err(RebuildError::NotBusy(name.to_owned())),
        }
    }

    fn known(&self, name: &str) -> Result<&'static dyn Projection, RebuildError> {
        self.projection(name).ok_or_else(|| RebuildError::Unknown(name.to_owned()))
    }
}

impl Rebuild {
    /// The version that is filled.
    pub const fn version(&self) -> i64 {
        self.version
    }

    /// Carries it out, until `cancel` is cancelled.
    ///
    /// # Errors
    /// [`RebuildError`]; the version that is read stays as it was.
    pub async fn run(self, cancel: &CancellationToken) -> Result<Rebuilt, RebuildError> {
        let (name, version) = (self.projection.name(), self.version);
        let ended = self.carry_out(cancel).await;
        if let Err(error) = &ended {
            tracing::warn!(name, version, %error, "not rebuilt");
        }
        ended
    }

    /// As [`run`](Self::run); the caller says why it was not rebuilt.
    async fn carry_out(mut self, cancel: &CancellationToken) -> Result<Rebuilt, RebuildError> {
        let (name, version) = (self.projection.name(), self.version);
        let outcome = self.fill_and_take_over(cancel).await;
        match &outcome {
            Ok((rebuilt, comparison)) => {
                tracing::info!(
                    name,
                    version,
                    position = rebuilt.position,
                    events = rebuilt.events,
                    "rebuilt"
                );
                self.end(Ok(Ending::Done(comparison.as_ref()))).await;
                if let Err(error) = tables::drop_old(&self.models, self.projection, None).await {
                    tracing::warn!(name, %error, "tables of old versions stay until the next rebuild");
                }
            }
            Err((error, comparison)) => {
                let ending = comparison.as_ref().map_or(Err(error), |found| Ok(Ending::Refused(found)));
                self.end(ending).await;
                if !matches!(error, RebuildError::TakenOver) {
                    let dropped = tables::drop_version(&self.models, self.projection, version).await;
                    if let Err(error) = dropped {
                        tracing::warn!(name, %error, "the tables stay until the next rebuild");
                    }
                }
            }
        }
        outcome.map(|(rebuilt, _)| rebuilt).map_err(|(error, _)| error)
    }

    /// On success with what was compared; on failure too, if that is why.
    async fn fill_and_take_over(
        &mut self,
        cancel: &CancellationToken,
    ) -> Result<(Rebuilt, Option<Comparison>), (RebuildError, Option<Comparison>)> {
        let failed = |error| (error, None);
        tables::create(&self.models, self.projection, self.version).await.map_err(failed)?;
        let live = self.live().await.map_err(failed)?;
        let until = match live.can_be_compared {
            true => live.position,
            false => self.journal.head().await.map_err(|error| failed(ProjectError::from(error).into()))?,
        };
        self.fill(until, cancel).await.map_err(failed)?;
        tables::create_indices(&self.models, self.projection, self.version, &mut self.claim)
            .await
            .map_err(failed)?;
        tables::analyse(&self.models, self.projection, self.version, &mut self.claim)
            .await
            .map_err(failed)?;
        let mut compared = None;
        if live.can_be_compared {
            // The indices took their time.
            let until = self.live().await.map_err(failed)?.position;
            self.fill(until, cancel).await.map_err(failed)?;
            compared = Some(self.compare(&live, cancel).await.map_err(failed)?);
        }
        let (position, found) = self.take_over_compared(live, compared, cancel).await?;
        let rebuilt = Rebuilt {
            name: self.projection.name().to_owned(),
            version: self.version,
            previous_version: live.version,
            events: self.claim.events(),
            position,
            differing: found.as_ref().map(Comparison::count),
        };
        Ok((rebuilt, found))
    }

    /// Compares the new version with the one that is read, which goes on meanwhile: rows that differ are looked at again
    /// when it is held still.
    async fn compare(&mut self, live: &Live, cancel: &CancellationToken) -> Result<Comparison, RebuildError> {
        self.claim.enter(&self.models, Phase::Comparing).await?;
        let mut connection = self.models.reads.acquire().await?;
        let mut walk = WalkInside::new(self.projection);
        while walk.step(&mut connection, self.version, live.version).await? {
            self.claim.still(&self.models, cancel).await?;
        }
        let found = walk.end();
        // Most of them are what happened meanwhile: they are folded, so that little is left for the moment of stillness.
        self.fill(self.live().await?.position, cancel).await?;
        let connections = Connections::One(&mut connection);
        let mut sides = Sides { connections, looked_at: self.version, right: live.version };
        Ok(compare::again(self.projection, &mut sides, &found).await?)
    }

    /// Notes how it ended; if that cannot be noted, the claim runs out.
    async fn end(&self, outcome: Result<Ending<'_>, &RebuildError>) {
        let ending = outcome.unwrap_or_else(|error| match error {
            RebuildError::Cancelled => Ending::Cancelled,
            error => Ending::Failed(error.public_reason()),
        });
        if let Err(error) = self.claim.end(&self.models, ending).await {
            tracing::warn!(name = self.projection.name(), %error, "the end of the rebuild is not noted");
        }
    }
}

/// The differences that are kept of a rebuild.
const KEPT: usize = 20;

/// The first of `found`, to be shown later.
fn kept(found: &Comparison) -> Vec<Difference> {
    found.differences().iter().take(KEPT).cloned().collect()
}
