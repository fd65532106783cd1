//! Aggregates of one small kind and their directory: commands that touch both, and how an entity is found.
//!
//! As with the fleet, keys are reserved in the directory, then the entity's own stream is written, then the directory is
//! told. Each step can be made again; what a crash leaves half-way is settled by [`Collection::settle`].

mod changing_keys;
mod settle;

use std::collections::BTreeSet;
use std::sync::Arc;

use dcm_domain::aggregate::Command;
use dcm_domain::key_directory::{
    CloseReference, ConfirmKeys, KeyDirectory, KeyEntry, Keys, Listed, Rejection as DirectoryRejection,
    ReleaseKeys, ReopenReference, ReserveKeys,
};
use dcm_domain::reservation::{InTime, InTimeRejection, STALE_AFTER};
use dcm_domain::value::Timestamp;
use dcm_schemas::StreamId;
use dcm_schemas::stream::InvalidStreamId;
use uuid::Uuid;

use crate::repository::{CommandError, Done, Loaded, Meta, Repository, Unavailable};
use crate::store::Journal;

/// How a request names an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup<'a> {
    /// By the small integer id.
    Id(i64),
    /// By one of its unique keys, such as `name:edge`.
    Key(&'a str),
}

/// What must be unique about an entity to be.
#[derive(Clone, Debug)]
pub struct NewEntity {
    /// Uuid of the entity and of its stream, drawn by the caller.
    pub entity: Uuid,
    /// The id it had elsewhere (import); the next free one if absent.
    pub id: Option<i64>,
    /// Its unique keys.
    pub keys: Keys,
    /// What it refers to, such as `peer-group:1`.
    pub refs: BTreeSet<String>,
}

impl NewEntity {
    /// A new entity with `keys`, a new uuid and the next id; it refers to nothing.
    pub fn new(keys: Keys) -> Self {
        Self { entity: Uuid::now_v7(), id: None, keys, refs: BTreeSet::new() }
    }

    /// The same, referring to `refs`.
    #[must_use]
    pub fn referring_to(self, refs: BTreeSet<String>) -> Self {
        Self { refs, ..self }
    }
}

/// Why a command on a collection was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum CollectionError<R: std::error::Error> {
    /// The entity or the directory refused it.
    #[error(transparent)]
    Rejected(R),
    /// It took so long that what was reserved for it may be gone; trying again is safe.
    #[error("the reservation for this request is too old")]
    Stale,
    /// The same command id was used for another request.
    #[error("this command id was used for another request")]
    IdReused,
    /// It could not be decided or written now.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl<R: std::error::Error> From<CommandError<R>> for CollectionError<R> {
    fn from(error: CommandError<R>) -> Self {
        match error {
            CommandError::Rejected(rejection) => Self::Rejected(rejection),
            CommandError::IdReused => Self::IdReused,
            CommandError::Unavailable(cause) => Self::Unavailable(cause),
        }
    }
}

impl<R: std::error::Error> From<CommandError<InTimeRejection<R>>> for CollectionError<R>
where
    InTimeRejection<R>: std::error::Error,
{
    fn from(error: CommandError<InTimeRejection<R>>) -> Self {
        match error {
            CommandError::Rejected(InTimeRejection::Refused(rejection)) => Self::Rejected(rejection),
            CommandError::Rejected(InTimeRejection::Stale) => Self::Stale,
            CommandError::IdReused => Self::IdReused,
            CommandError::Unavailable(cause) => Self::Unavailable(cause),
        }
    }
}

/// Aggregates of one small kind and their directory over one journal.
pub struct Collection<A: Listed> {
    entities: Repository<A>,
    directory: Repository<KeyDirectory>,
    stream: StreamId,
}

type Outcome<T, A> = Result<T, CollectionError<<A as Listed>::Rejection>>;

impl<A: Listed> Collection<A> {
    /// The collection of `A` over `journal`.
    ///
    /// # Errors
    /// If `A`'s kind is no stream name, which is a defect.
    pub fn new(journal: &Arc<dyn Journal>) -> Result<Self, InvalidStreamId> {
        Ok(Self {
            entities: Repository::new(Arc::clone(journal)),
            directory: Repository::new(Arc::clone(journal)),
            stream: KeyDirectory::stream(A::KIND).parse()?,
        })
    }

    /// Finds an entity; the directory is brought up to date before the answer is "none".
    ///
    /// # Errors
    /// [`Unavailable`] if the directory or the entity cannot be read.
    pub async fn resolve(&self, lookup: Lookup<'_>) -> Result<Option<Uuid>, Unavailable> {
        let cached = self.directory.load_cached(&self.stream).await?;
        if let Some(entity) = find(cached.state.as_deref(), lookup)
            && self.is_still(entity, lookup).await?
        {
            return Ok(Some(entity));
        }
        let fresh = self.directory.load(&self.stream).await?;
        Ok(find(fresh.state.as_deref(), lookup))
    }

    /// Whether the entity still goes by the lookup: another process may have changed or deleted it since the directory
    /// was last read here.
    async fn is_still(&self, entity: Uuid, lookup: Lookup<'_>) -> Result<bool, Unavailable> {
        let loaded = self.load(entity).await?;
        Ok(loaded.state.is_some_and(|state| {
            !state.is_deleted()
                && match lookup {
                    Lookup::Id(id) => state.id() == id,
                    Lookup::Key(key) => state.keys().contains(key),
                }
        }))
    }

    /// The directory, brought up to date.
    ///
    /// # Errors
    /// [`Unavailable`] if it cannot be read.
    pub async fn directory(&self) -> Result<Arc<KeyDirectory>, Unavailable> {
        Ok(self.directory.load(&self.stream).await?.state.unwrap_or_default())
    }

    /// An entity, brought up to date; its state is `None` if there never was one.
    ///
    /// # Errors
    /// [`Unavailable`] if its stream cannot be read.
    pub async fn load(&self, entity: Uuid) -> Result<Loaded<A>, Unavailable> {
        self.entities.load(&stream::<A>(entity)).await
    }

    /// Carries out a command on one entity that never changes its keys.
    ///
    /// # Errors
    /// [`CollectionError`]; then nothing was changed.
    pub async fn run<C>(&self, entity: Uuid, command: &C, meta: &Meta) -> Outcome<Done<A>, A>
    where
        C: Command<A, Rejection = A::Rejection>,
    {
        Ok(self.entities.run(&stream::<A>(entity), command, meta).await?)
    }

    /// Carries out a command that every state takes, such as one that makes sure of something.
    ///
    /// # Errors
    /// [`Unavailable`] if the journal is.
    pub async fn ensure<C>(&self, entity: Uuid, command: &C, meta: &Meta) -> Result<(), Unavailable>
    where
        C: Command<A, Rejection = std::convert::Infallible>,
    {
        match self.entities.run(&stream::<A>(entity), command, meta).await {
            Ok(_) | Err(CommandError::IdReused) => Ok(()),
            Err(CommandError::Unavailable(cause)) => Err(cause),
            Err(CommandError::Rejected(never)) => match never {},
        }
    }

    /// Adds an entity: reserves its keys, then starts the stream that `build` makes of the id handed out. Check values
    /// before: a refused command costs an id.
    ///
    /// # Errors
    /// [`CollectionError`]; a refusal leaves nothing reserved.
    pub async fn add<C>(
        &self,
        new: NewEntity,
        meta: &Meta,
        build: impl FnOnce(i64) -> C + Send,
    ) -> Outcome<Done<A>, A>
    where
        C: Command<A, Rejection = A::Rejection>,
    {
        let entity = new.entity;
        let entry = self.reserve(new, meta).await?;
        match self.entities.run(&stream::<A>(entity), &build(entry.id), meta).await {
            Ok(done) => {
                self.tell(&ConfirmKeys { entity }, "confirm", meta).await?;
                Ok(done)
            }
            Err(CommandError::Rejected(rejection)) => {
                self.settle_entry(entity, &entry, meta).await?;
                Err(CollectionError::Rejected(rejection))
            }
            // The outcome is not known: the reservation is settled once it is.
            Err(error) => Err(error.into()),
        }
    }

    /// Lists an entity whose stream is written elsewhere; listing it twice is once.
    ///
    /// # Errors
    /// [`CollectionError`] if its keys or id are another's.
    pub async fn list(&self, new: NewEntity, meta: &Meta) -> Outcome<(), A> {
        let entity = new.entity;
        self.reserve(new, meta).await?;
        self.tell(&ConfirmKeys { entity }, "confirm", meta).await
    }

    async fn reserve(&self, new: NewEntity, meta: &Meta) -> Outcome<KeyEntry, A> {
        let NewEntity { entity, id, keys, refs } = new;
        let reserve = ReserveKeys { entity, id, keys, refs };
        let reserved = self.directory.run(&self.stream, &reserve, &meta.step("reserve")).await;
        entry_of(reserved.map_err(refused::<A>)?, entity).ok_or_else(unknown::<A>)
    }

    /// Carries out the command that deletes an entity and frees its keys; the answer comes after that, so that they can
    /// be used at once. `closed_at` is when references to it were closed, if they were: the deletion is refused as
    /// [`CollectionError::Stale`] if that is too long ago.
    ///
    /// # Errors
    /// [`CollectionError`].
    pub async fn remove<C>(
        &self,
        entity: Uuid,
        command: &C,
        closed_at: Option<Timestamp>,
        meta: &Meta,
    ) -> Outcome<Done<A>, A>
    where
        C: Command<A, Rejection = A::Rejection>,
    {
        let stream = stream::<A>(entity);
        let done = match closed_at {
            Some(reserved_at) => self.entities.run(&stream, &InTime { command, reserved_at }, meta).await?,
            None => self.entities.run(&stream, command, meta).await?,
        };
        self.tell(&ReleaseKeys { entity }, "release", meta).await?;
        Ok(done)
    }

    /// Keeps anything new in this collection from referring to `reference`, which is to be deleted. Returns when it was
    /// closed, for [`Self::remove`] of what is deleted.
    ///
    /// # Errors
    /// [`DirectoryRejection::Referenced`] if an entity here refers to it.
    pub async fn close_reference(
        &self,
        reference: &str,
        meta: &Meta,
    ) -> Result<Timestamp, CollectionError<DirectoryRejection>> {
        let close = CloseReference { reference: reference.to_owned() };
        let step = meta.step(&format!("close {reference}"));
        let closed = self.directory.run(&self.stream, &close, &step).await?;
        let at = closed.loaded.state.and_then(|directory| directory.closed_at(reference));
        at.ok_or(CollectionError::Rejected(DirectoryRejection::Unknown))
    }

    /// Lets `reference` be referred to again: the deletion for which it was closed at `closed_at` came to nothing.
    ///
    /// # Errors
    /// [`CollectionError`].
    pub async fn reopen_reference(
        &self,
        reference: &str,
        closed_at: Timestamp,
        meta: &Meta,
    ) -> Result<(), CollectionError<DirectoryRejection>> {
        let reopen = ReopenReference { reference: reference.to_owned(), closed_at };
        let step = meta.step(&format!("reopen {reference}"));
        self.directory.run(&self.stream, &reopen, &step).await?;
        Ok(())
    }

    async fn tell<C>(&self, command: &C, step: &str, meta: &Meta) -> Outcome<(), A>
    where
        C: Command<KeyDirectory, Rejection = DirectoryRejection>,
    {
        let told = self.directory.run(&self.stream, command, &meta.step(step)).await;
        told.map(drop).map_err(refused::<A>)
    }
}

/// Whether what was reserved or closed at `since` belongs to a request that died.
pub(crate) fn is_stale(since: Timestamp, now: Timestamp) -> bool {
    now.micros().saturating_sub(since.micros()) >= STALE_AFTER
}

/// The directory's refusal as one of the kind's own.
fn refused<A: Listed>(error: CommandError<DirectoryRejection>) -> CollectionError<A::Rejection> {
    match error {
        CommandError::Rejected(rejection) => CollectionError::Rejected(rejection.into()),
        CommandError::IdReused => CollectionError::IdReused,
        CommandError::Unavailable(cause) => CollectionError::Unavailable(cause),
    }
}

fn unknown<A: Listed>() -> CollectionError<A::Rejection> {
    CollectionError::Rejected(DirectoryRejection::Unknown.into())
}

fn entry_of(done: Done<KeyDirectory>, entity: Uuid) -> Option<KeyEntry> {
    done.loaded.state.and_then(|directory| directory.entry(entity).cloned())
}

fn stream<A: Listed>(entity: Uuid) -> StreamId {
    StreamId::aggregate(A::KIND, entity)
}

fn find(directory: Option<&KeyDirectory>, lookup: Lookup<'_>) -> Option<Uuid> {
    let directory = directory?;
    match lookup {
        Lookup::Id(id) => directory.by_id(id),
        Lookup::Key(key) => directory.by_key(key),
    }
}
