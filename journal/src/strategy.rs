//! The update strategy: commands on the one stream that all strategies share.

use std::sync::Arc;

use dcm_domain::aggregate::{Command, Facts};
use dcm_domain::strategy::{Rejection, SwUpdateStrategy};
use dcm_domain::value::Timestamp;
use dcm_schemas::StreamId;
use dcm_schemas::stream::InvalidStreamId;

use crate::repository::{CommandError, Done, Loaded, Meta, Repository, Unavailable};
use crate::store::Journal;

/// The strategies over one journal.
pub struct Strategies {
    repository: Repository<SwUpdateStrategy>,
    stream: StreamId,
}

impl Strategies {
    /// The strategies over `journal`.
    ///
    /// # Errors
    /// Never in practice: the stream has a valid name.
    pub fn new(journal: &Arc<dyn Journal>) -> Result<Self, InvalidStreamId> {
        Ok(Self {
            repository: Repository::new(Arc::clone(journal)),
            stream: SwUpdateStrategy::STREAM.parse()?,
        })
    }

    /// The strategies, brought up to date.
    ///
    /// # Errors
    /// [`Unavailable`] if the stream cannot be read.
    pub async fn load(&self) -> Result<Loaded<SwUpdateStrategy>, Unavailable> {
        self.repository.load(&self.stream).await
    }

    /// Whether `command` would be carried out on what is there now; nothing is written.
    ///
    /// # Errors
    /// [`CommandError::Rejected`] if it would not, [`CommandError::Unavailable`] if nobody can tell.
    pub async fn check<C>(&self, command: &C) -> Result<(), CommandError<Rejection>>
    where
        C: Command<SwUpdateStrategy, Rejection = Rejection>,
    {
        let loaded = self.load().await?;
        let facts = Facts { now: Timestamp::from(chrono::Utc::now()).max(loaded.changed_at()) };
        command.decide(loaded.state.as_deref(), &facts).map(drop).map_err(CommandError::Rejected)
    }

    /// Carries out `command`.
    ///
    /// # Errors
    /// [`CommandError`]; then nothing was changed.
    pub async fn run<C>(
        &self,
        command: &C,
        meta: &Meta,
    ) -> Result<Done<SwUpdateStrategy>, CommandError<Rejection>>
    where
        C: Command<SwUpdateStrategy, Rejection = Rejection>,
    {
        self.repository.run(&self.stream, command, meta).await
    }
}
