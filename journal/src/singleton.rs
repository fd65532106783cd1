//! An aggregate of which there is only one: its stream has a fixed name.

use std::sync::Arc;

use dcm_domain::aggregate::{Aggregate, Command};
use dcm_schemas::StreamId;
use dcm_schemas::stream::InvalidStreamId;

use crate::repository::{CommandError, Done, Loaded, Meta, Repository, Unavailable};
use crate::store::Journal;

/// The one aggregate `A` over one journal.
pub struct Singleton<A: Aggregate> {
    repository: Repository<A>,
    stream: StreamId,
}

impl<A: Aggregate> Singleton<A> {
    /// The aggregate on the stream called as its kind.
    ///
    /// # Errors
    /// If the kind is no stream name, which is a defect.
    pub fn new(journal: &Arc<dyn Journal>) -> Result<Self, InvalidStreamId> {
        Ok(Self { repository: Repository::new(Arc::clone(journal)), stream: A::KIND.parse()? })
    }

    /// The aggregate, brought up to date; its state is `None` if nothing happened yet.
    ///
    /// # Errors
    /// [`Unavailable`] if its stream cannot be read.
    pub async fn load(&self) -> Result<Loaded<A>, Unavailable> {
        self.repository.load(&self.stream).await
    }

    /// Carries out a command.
    ///
    /// # Errors
    /// [`CommandError`]; then nothing was changed.
    pub async fn run<C: Command<A>>(
        &self,
        command: &C,
        meta: &Meta,
    ) -> Result<Done<A>, CommandError<C::Rejection>> {
        self.repository.run(&self.stream, command, meta).await
    }
}
