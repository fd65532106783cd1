//! The fleet: commands that touch more than one stream, and how a subcloud is found.
//!
//! A name is reserved in the directory, then the subcloud's own stream is written, then the directory is told. Each
//! step can be made again; what a crash leaves half-way is settled by [`Fleet::settle`].

mod groups;
mod network;

use std::sync::Arc;

use dcm_domain::aggregate::Command;
use dcm_domain::directory::{
    ChangeSubnet, ConfirmEntry, ConfirmName, Directory, Entry, MoveToGroup, Rejection as DirectoryRejection,
    ReleaseEntry, ReleaseGroupMove, ReleaseName, ReserveEntry, ReserveName,
};
use dcm_domain::subcloud::command::{AbandonCreation, DeleteSubcloud, RenameSubcloud};
use dcm_domain::subcloud::{CreationAbandoned, Rejection, Subcloud, SubcloudEvent};
use dcm_domain::value::{DeployStatus, Name, Region, Subnet, Timestamp};
use dcm_schemas::StreamId;
use dcm_schemas::stream::InvalidStreamId;
use uuid::Uuid;

pub use network::NetworkMove;

use crate::collections::Collections;
use crate::outage::Told;
use crate::repository::{CommandError, Done, Loaded, Meta, Repository, Unavailable};
use crate::store::Journal;
use crate::strategy::Strategies;

/// A reservation older than this that was never confirmed belongs to a creation that died, in microseconds.
const STALE_AFTER: i64 = 60_000_000;

/// How a request names a subcloud (subclouds.md §4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// By the small integer id.
    Id(i64),
    /// By name.
    Name(Name),
    /// By region.
    Region(Region),
}

/// Why a command on the fleet was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// The directory refused it.
    #[error(transparent)]
    Directory(DirectoryRejection),
    /// The subcloud refused it.
    #[error(transparent)]
    Subcloud(Rejection),
    /// The same command id was used for another request.
    #[error("this command id was used for another request")]
    IdReused,
    /// It could not be decided or written now.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

impl From<CommandError<Rejection>> for FleetError {
    fn from(error: CommandError<Rejection>) -> Self {
        match error {
            CommandError::Rejected(rejection) => Self::Subcloud(rejection),
            CommandError::IdReused => Self::IdReused,
            CommandError::Unavailable(cause) => Self::Unavailable(cause),
        }
    }
}

impl From<CommandError<DirectoryRejection>> for FleetError {
    fn from(error: CommandError<DirectoryRejection>) -> Self {
        match error {
            CommandError::Rejected(rejection) => Self::Directory(rejection),
            CommandError::IdReused => Self::IdReused,
            CommandError::Unavailable(cause) => Self::Unavailable(cause),
        }
    }
}

/// What must be unique about a subcloud to be.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Uuid of the subcloud and of its stream, drawn by the caller.
    pub entity: Uuid,
    /// Its name.
    pub name: Name,
    /// Its region.
    pub region: Region,
    /// Its management or admin subnet.
    pub subnet: Subnet,
    /// Its group, which exists.
    pub group_id: i64,
}

/// Subclouds and their directory, and the collections beside them, over one journal.
pub struct Fleet {
    subclouds: Repository<Subcloud>,
    directory: Repository<Directory>,
    collections: Collections,
    strategies: Strategies,
    directory_stream: StreamId,
    /// Entries that cannot be settled.
    told: Told<Uuid>,
}

impl Fleet {
    /// A fleet over `journal`.
    ///
    /// # Errors
    /// Never in practice: the directory's stream has a valid name.
    pub fn new(journal: &Arc<dyn Journal>) -> Result<Self, InvalidStreamId> {
        Ok(Self {
            subclouds: Repository::new(Arc::clone(journal)),
            directory: Repository::new(Arc::clone(journal)),
            collections: Collections::new(journal)?,
            strategies: Strategies::new(journal)?,
            directory_stream: Directory::STREAM.parse()?,
            told: Told::default(),
        })
    }

    /// Makes sure that the `Default` group exists.
    ///
    /// # Errors
    /// [`Unavailable`] if the journal is.
    pub async fn ensure_default_group(&self, meta: &Meta) -> Result<(), Unavailable> {
        self.collections.ensure_default_group(meta).await
    }

    /// Groups and the other small kinds.
    pub const fn collections(&self) -> &Collections {
        &self.collections
    }

    /// The update strategy.
    pub const fn strategies(&self) -> &Strategies {
        &self.strategies
    }

    /// Finds a subcloud; the directory is brought up to date before the answer is "none".
    ///
    /// # Errors
    /// [`Unavailable`] if the directory cannot be read.
    pub async fn resolve(&self, reference: &Reference) -> Result<Option<Uuid>, Unavailable> {
        Ok(self.find(reference).await?.map(|(entity, _)| entity))
    }

    /// As [`resolve`](Self::resolve), with the subcloud, brought up to date.
    ///
    /// # Errors
    /// [`Unavailable`] if the directory or the subcloud's stream cannot be read.
    pub async fn find(&self, reference: &Reference) -> Result<Option<(Uuid, Loaded<Subcloud>)>, Unavailable> {
        let cached = self.directory.load_cached(&self.directory_stream).await?;
        if let Some(entity) = find(cached.state.as_deref(), reference) {
            let loaded = self.subcloud(entity).await?;
            // Another process may have renamed or deleted it since the directory was last read here.
            if loaded.state.as_deref().is_some_and(|subcloud| goes_by(subcloud, reference)) {
                return Ok(Some((entity, loaded)));
            }
        }
        let fresh = self.directory.load(&self.directory_stream).await?;
        match find(fresh.state.as_deref(), reference) {
            Some(entity) => Ok(Some((entity, self.subcloud(entity).await?))),
            None => Ok(None),
        }
    }

    /// The directory, brought up to date.
    ///
    /// # Errors
    /// [`Unavailable`] if it cannot be read.
    pub async fn directory(&self) -> Result<Arc<Directory>, Unavailable> {
        Ok(self.directory.load(&self.directory_stream).await?.state.unwrap_or_default())
    }

    /// A subcloud, brought up to date; its state is `None` if there never was one.
    ///
    /// # Errors
    /// [`Unavailable`] if its stream cannot be read.
    pub async fn subcloud(&self, entity: Uuid) -> Result<Loaded<Subcloud>, Unavailable> {
        self.subclouds.load(&stream::<Subcloud>(entity)).await
    }

    /// A subcloud as it was after the event with `revision`.
    ///
    /// # Errors
    /// [`Unavailable`] if its stream cannot be read.
    pub async fn subcloud_as_of(&self, entity: Uuid, revision: u64) -> Result<Loaded<Subcloud>, Unavailable> {
        self.subclouds.as_of(&stream::<Subcloud>(entity), revision).await
    }

    /// Carries out a command on one subcloud. What it changes of group or subnet is told to the directory.
    ///
    /// # Errors
    /// [`FleetError`]; then nothing was changed, or, if it is [`FleetError::Unavailable`], perhaps.
    pub async fn run<C>(&self, entity: Uuid, command: &C, meta: &Meta) -> Result<Done<Subcloud>, FleetError>
    where
        C: Command<Subcloud, Rejection = Rejection>,
    {
        let done = self.subclouds.run(&stream::<Subcloud>(entity), command, meta).await?;
        for event in &done.events {
            match self.follow(entity, event, meta).await {
                // What the subcloud's stream says stands, and housekeeping makes the directory agree with it.
                Err(FleetError::Directory(refused)) => {
                    tracing::warn!(%entity, %refused, "the directory does not follow a subcloud");
                }
                followed => followed?,
            }
        }
        Ok(done)
    }

    async fn follow(&self, entity: Uuid, event: &SubcloudEvent, meta: &Meta) -> Result<(), FleetError> {
        match event {
            SubcloudEvent::GroupMoved(moved) => {
                let command = MoveToGroup { entity, group_id: moved.to };
                self.tell(&command, "move-to-group", meta).await
            }
            SubcloudEvent::NetworkUpdated(updated) => {
                self.confirm_subnet(entity, &updated.network.subnet, meta).await
            }
            SubcloudEvent::DeployStatusChanged(changed)
                if changed.to == DeployStatus::NetworkReconfigurationFailed =>
            {
                self.release_subnet(entity, meta).await?;
                self.release_group_move(entity, meta).await
            }
            _ => Ok(()),
        }
    }

    /// Adds a subcloud: reserves what must be unique, then starts the stream with the command (an [`AddSubcloud`](dcm_domain::subcloud::command::AddSubcloud)) that
    /// `build` makes of the id handed out.
    ///
    /// # Errors
    /// [`FleetError`]; a refused reservation leaves nothing behind.
    pub async fn add<C>(
        &self,
        claim: Claim,
        meta: &Meta,
        build: impl FnOnce(i64) -> C + Send,
    ) -> Result<Done<Subcloud>, FleetError>
    where
        C: Command<Subcloud, Rejection = Rejection>,
    {
        let Claim { entity, name, region, subnet, group_id } = claim;
        let reserve = ReserveEntry { entity, name, region, subnet, group_id };
        let reserved = self.directory.run(&self.directory_stream, &reserve, &meta.step("reserve")).await?;
        let id = reserved.loaded.state.and_then(|directory| directory.entry(entity).map(|entry| entry.id));
        let id = id.ok_or(FleetError::Directory(DirectoryRejection::Unknown))?;
        let done = self.subclouds.run(&stream::<Subcloud>(entity), &build(id), meta).await?;
        self.tell(&ConfirmEntry { entity }, "confirm", meta).await?;
        Ok(done)
    }

    /// Renames a subcloud: reserves the new name, renames, frees the old name.
    ///
    /// # Errors
    /// [`FleetError`]; then the subcloud keeps its name.
    pub async fn rename(&self, entity: Uuid, to: Name, meta: &Meta) -> Result<Done<Subcloud>, FleetError> {
        let reserve = ReserveName { entity, name: to.clone() };
        let reserved =
            self.directory.run(&self.directory_stream, &reserve, &meta.step("reserve-name")).await?;
        let directory = reserved.loaded.state.unwrap_or_default();
        let entry = directory.entry(entity).ok_or(FleetError::Directory(DirectoryRejection::Unknown))?;
        let rename = RenameSubcloud { to: to.clone(), reserved_at: entry.reserved_at };
        let renamed = self.subclouds.run(&stream::<Subcloud>(entity), &rename, meta).await;
        match renamed {
            Ok(done) => {
                self.tell(&ConfirmName { entity, name: to }, "confirm-name", meta).await?;
                Ok(done)
            }
            // Whoever finds it stale releases it, or has: what is reserved by now may be another request's.
            Err(CommandError::Rejected(rejection @ Rejection::ReservationStale { .. })) => {
                Err(FleetError::Subcloud(rejection))
            }
            Err(CommandError::Rejected(rejection)) => {
                self.tell(&ReleaseName { entity, name: to }, "release-name", meta).await?;
                Err(FleetError::Subcloud(rejection))
            }
            // The outcome is not known: the reservation is settled once it is.
            Err(error) => Err(error.into()),
        }
    }

    /// Deletes a subcloud and frees what it held; the answer comes after that, so that the name can be used at once.
    ///
    /// # Errors
    /// [`FleetError`].
    pub async fn delete(&self, entity: Uuid, meta: &Meta) -> Result<Done<Subcloud>, FleetError> {
        let done = self.subclouds.run(&stream::<Subcloud>(entity), &DeleteSubcloud, meta).await?;
        self.tell(&ReleaseEntry { entity }, "release", meta).await?;
        Ok(done)
    }

    /// Moves the subcloud's reservation to another subnet.
    ///
    /// # Errors
    /// [`FleetError::Directory`] if it overlaps another subcloud's.
    pub async fn change_subnet(&self, entity: Uuid, subnet: Subnet, meta: &Meta) -> Result<(), FleetError> {
        let change = ChangeSubnet { entity, subnet };
        self.tell(&change, "change-subnet", meta).await?;
        Ok(())
    }

    /// Finishes what crashes left half-way in the directory: stale creations are closed and released, renames ended
    /// one way or the other. Returns how many were settled.
    ///
    /// # Errors
    /// [`FleetError::Unavailable`] if the journal is; what is settled by then stays settled.
    pub async fn settle(&self, now: Timestamp, meta: &Meta) -> Result<usize, FleetError> {
        let directory = self.directory().await?;
        let mut settled = 0;
        for (entity, entry) in directory.unsettled() {
            let stale = now.micros().saturating_sub(entry.reserved_at.micros()) >= STALE_AFTER;
            if stale && !self.waits_for_run(entity, entry).await? {
                match self.settle_entry(entity, entry, meta).await {
                    Ok(()) => settled += 1,
                    Err(error @ FleetError::Unavailable(_)) => return Err(error),
                    // The others must not wait for this one, and nobody needs to read of it each time.
                    Err(error) if self.told.is_news(entity, &error) => {
                        tracing::error!(%entity, %error, "a directory entry cannot be settled");
                    }
                    Err(_) => {}
                }
            }
        }
        settled += self.settle_groups(&directory, now, meta).await?;
        Ok(settled + self.collections.settle(now, meta).await?)
    }

    /// As [`settle`](Self::settle), however fresh a reservation is: for a process that is alone with its journal and has
    /// not begun to serve, so that whoever reserved something is dead.
    ///
    /// # Errors
    /// [`FleetError::Unavailable`] if the journal is; what is settled by then stays settled.
    pub async fn settle_all(&self, now: Timestamp, meta: &Meta) -> Result<usize, FleetError> {
        self.settle(Timestamp::from_micros(now.micros().saturating_add(STALE_AFTER)), meta).await
    }

    /// Makes the directory agree with one subcloud's own stream, which wins.
    ///
    /// # Errors
    /// [`FleetError::Unavailable`] if the journal is.
    pub async fn settle_entry(&self, entity: Uuid, entry: &Entry, meta: &Meta) -> Result<(), FleetError> {
        let meta = Meta { command_id: Uuid::now_v7(), ..meta.clone() };
        match self.subcloud(entity).await?.state {
            None => self.abandon(entity, entry, &meta).await,
            Some(subcloud) if subcloud.deleted => self.tell(&ReleaseEntry { entity }, "release", &meta).await,
            Some(subcloud) => {
                self.tell(&ConfirmEntry { entity }, "confirm", &meta).await?;
                self.settle_membership(entity, entry, &subcloud, &meta).await?;
                match entry.next_name.clone() {
                    Some(name) if name == subcloud.name => {
                        self.tell(&ConfirmName { entity, name }, "confirm-name", &meta).await
                    }
                    Some(name) => self.tell(&ReleaseName { entity, name }, "release-name", &meta).await,
                    None => Ok(()),
                }
            }
        }
    }

    /// Group and subnet as the subcloud has them.
    async fn settle_membership(
        &self,
        entity: Uuid,
        entry: &Entry,
        subcloud: &Subcloud,
        meta: &Meta,
    ) -> Result<(), FleetError> {
        if entry.group_id != subcloud.group_id {
            self.tell(&MoveToGroup { entity, group_id: subcloud.group_id }, "move-to-group", meta).await?;
        }
        let to_join = network::target(subcloud).and_then(|task| task.group_id);
        let came_to_nothing = |next: &i64| *next != subcloud.group_id && Some(*next) != to_join;
        if let Some(group_id) = entry.next_group.filter(came_to_nothing) {
            self.tell(&ReleaseGroupMove { entity, group_id }, "release-group", meta).await?;
        }
        self.settle_subnet(entity, entry, subcloud, meta).await?;
        match Subnet::parse(&subcloud.network.subnet) {
            Ok(subnet) if Some(&subnet) != entry.subnet.as_ref() => {
                self.change_subnet(entity, subnet, meta).await
            }
            _ => Ok(()),
        }
    }

    /// Closes the stream of a creation that never began, so that its reservation can be released safely.
    async fn abandon(&self, entity: Uuid, entry: &Entry, meta: &Meta) -> Result<(), FleetError> {
        let abandoned = CreationAbandoned {
            id: entry.id,
            name: entry.name.clone(),
            region: entry.region.clone(),
            reason: "the creation was not finished in time".to_owned(),
        };
        match self.subclouds.run(&stream::<Subcloud>(entity), &AbandonCreation { abandoned }, meta).await {
            Ok(_) => self.tell(&ReleaseEntry { entity }, "release", meta).await,
            // The creator won after all.
            Err(CommandError::Rejected(_)) => self.tell(&ConfirmEntry { entity }, "confirm", meta).await,
            Err(error) => Err(error.into()),
        }
    }

    async fn tell<C>(&self, command: &C, step: &str, meta: &Meta) -> Result<(), FleetError>
    where
        C: Command<Directory, Rejection = DirectoryRejection>,
    {
        self.directory.run(&self.directory_stream, command, &meta.step(step)).await?;
        Ok(())
    }
}

/// Whether a subcloud goes by `reference`.
fn goes_by(subcloud: &Subcloud, reference: &Reference) -> bool {
    !subcloud.deleted
        && match reference {
            Reference::Id(id) => subcloud.id == *id,
            Reference::Name(name) => subcloud.name == *name,
            Reference::Region(region) => subcloud.region == *region,
        }
}

/// The stream of one aggregate.
fn stream<A: dcm_domain::aggregate::Aggregate>(entity: Uuid) -> StreamId {
    StreamId::aggregate(A::KIND, entity)
}

fn find(directory: Option<&Directory>, reference: &Reference) -> Option<Uuid> {
    let directory = directory?;
    match reference {
        Reference::Id(id) => directory.by_id(*id),
        Reference::Name(name) => directory.by_name(name),
        Reference::Region(region) => directory.by_region(region),
    }
}
