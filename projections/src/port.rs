//! What a projector needs of the database that its read models are in, so that a simulation can have another.

use async_trait::async_trait;
use dcm_schemas::JournalId;
use tokio::time::Instant;

use crate::batch::Event;
use crate::failure::Failure;
use crate::place::Place;
use crate::projection::ProjectError;

/// Read models as a projector takes them further: rows and checkpoint of each together, and only while nobody else does.
#[async_trait]
pub trait ReadModelStore: Send + Sync + 'static {
    /// What is kept from one batch to the next, at first nothing: it holds while every batch in between was applied by the
    /// one that keeps it.
    type Kept: Default + Send + 'static;

    /// The journal that the read models are of.
    fn journal(&self) -> JournalId;

    /// Where every active read model is that this program fills.
    ///
    /// # Errors
    /// If the database fails; bounded in time.
    async fn places(&self) -> Result<Vec<Place>, sqlx::Error>;

    /// Applies `batch`, in journal order, to all of `places`, which are equally far, moves their checkpoints behind it under
    /// `epoch`, and forgets that one had stopped; or nothing of that. Returns `kept` as this batch leaves it; without a
    /// batch that was applied there is nothing to keep.
    ///
    /// # Errors
    /// [`NotApplied`]; with [`ProjectError::Fenced`] if one of them is elsewhere by now, or was moved under a later epoch. If
    /// the database fails, the batch may or may not have been applied.
    async fn apply(
        &self,
        places: &[&Place],
        batch: &[Event],
        epoch: i64,
        kept: Self::Kept,
    ) -> Result<Self::Kept, NotApplied>;

    /// Notes that a read model has stopped at `place`, and why, unless it is elsewhere by now, or was moved under a later
    /// epoch than `epoch`.
    ///
    /// # Errors
    /// If the database fails; it may or may not be noted then.
    async fn stop(&self, place: &Place, epoch: i64, failure: &Failure) -> Result<(), sqlx::Error>;

    /// Whether this process has not told yet that the read model of `place` stops so: a new projector tries it again.
    fn is_news(&self, place: &Place, failure: &Failure) -> bool;

    /// Makes sure that no read model that is read is moved under an epoch before `epoch` any more, and waits for whoever is
    /// about to. False if one was moved under a later epoch: then the caller is fenced itself.
    ///
    /// # Errors
    /// If the database fails; bounded in time.
    async fn fence(&self, epoch: i64) -> Result<bool, sqlx::Error>;

    /// Somebody else has written what is read, or may have.
    fn renewed(&self);

    /// Nobody but the caller writes what is read before `moment`.
    fn alone_until(&self, moment: Instant);

    /// Others may write from now on.
    fn not_alone(&self);

    /// Every read model that is waited for has everything up to `order`.
    fn reached(&self, order: u64);
}

/// Why a batch was applied to no read model.
#[derive(Debug)]
pub struct NotApplied {
    /// Name and version of the read model that it is due to; `None` if it is due to no single one.
    pub due_to: Option<(&'static str, i64)>,
    /// What is wrong.
    pub error: ProjectError,
}

impl From<ProjectError> for NotApplied {
    fn from(error: ProjectError) -> Self {
        Self { due_to: None, error }
    }
}

impl From<sqlx::Error> for NotApplied {
    fn from(error: sqlx::Error) -> Self {
        ProjectError::from(error).into()
    }
}
