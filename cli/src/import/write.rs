//! Writing what was translated: secrets first, then the events, each stream once.

use std::collections::HashSet;
use std::sync::Arc;

use dcm_domain::aggregate::{Aggregate, Command};
use dcm_domain::association::PeerGroupAssociation;
use dcm_domain::association::command::ImportAssociation;
use dcm_domain::directory::{Directory, ImportEntries};
use dcm_domain::group::SubcloudGroup;
use dcm_domain::group::command::ImportSubcloudGroup;
use dcm_domain::key_directory::Listed;
use dcm_domain::options::{ImportSwUpdateOptions, SwUpdateOptions};
use dcm_domain::peer_group::SubcloudPeerGroup;
use dcm_domain::peer_group::command::ImportPeerGroup;
use dcm_domain::strategy::SwUpdateStrategy;
use dcm_domain::strategy::command::ImportStrategy;
use dcm_domain::subcloud::Subcloud;
use dcm_domain::subcloud::command::ImportSubcloud;
use dcm_domain::system_peer::SystemPeer;
use dcm_domain::system_peer::command::ImportSystemPeer;
use dcm_domain::takeover::{
    BeginTakeOver, FinishTakeOver, Rejection, TakeOver, TakeOverBegun, TakeOverFinished,
};
use dcm_domain::value::{Actor, Timestamp};
use dcm_journal::collection::{Collection, CollectionError, NewEntity};
use dcm_journal::repository::{CommandError, Meta, Repository, Unavailable};
use dcm_journal::singleton::Singleton;
use dcm_journal::store::{Journal, ReadError};
use dcm_journal::vault::{NewEntry, Vault, VaultError};
use dcm_schemas::StreamId;
use dcm_schemas::stream::InvalidStreamId;
use futures::{StreamExt, TryStreamExt, stream};
use uuid::Uuid;

use super::ids::Ids;
use super::report::Report;
use super::source::Snapshot;
use super::translate::Translation;

/// Subclouds that are under way at once: they share flushes of the journal.
const AT_ONCE: usize = 256;
/// Vault entries of one transaction.
const ENTRIES: usize = 250;
/// Events read at once.
const PAGE: usize = 1000;
/// Directory entries of one append: its command names them once more, and an event must fit into a message.
const PER_APPEND: usize = 250;

/// Where an installation is taken over to.
pub struct Target {
    /// The journal.
    pub journal: Arc<dyn Journal>,
    /// The vault.
    pub vault: Arc<dyn Vault>,
}

/// How far a take-over is.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// When it began, if it has.
    pub begun_at: Option<Timestamp>,
    /// The digest of what it began with, if it has.
    pub digest: Option<String>,
    /// Whether everything is there.
    pub finished: bool,
}

/// Why not everything was written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The journal is somebody's.
    #[error(
        "the journal holds {0} events that do not come from this source; an import wants an empty journal: choose \
         another --data-dir or --journal"
    )]
    NotEmpty(u64),
    /// Something was begun and not ended.
    #[error(
        "an import into this journal was interrupted; run the same `dcm import dcmanager` again to finish it"
    )]
    Unfinished,
    /// The source is not what it was when the import began.
    #[error(
        "the source has changed since this import began, or the files beside it have (--overrides-dir counts); stop \
         the old service, empty the journal and the vault, and import again"
    )]
    Changed,
    /// There is nothing to finish.
    #[error(transparent)]
    TakeOver(#[from] Rejection),
    /// The domain refused something, which is a defect of the translation.
    #[error("{what}: {cause}")]
    Refused {
        /// What was to be written.
        what: String,
        /// Why it was refused.
        cause: String,
    },
    /// The journal did not answer; running the import again goes on.
    #[error("the journal: {0}; run the import again to go on")]
    Journal(#[from] Unavailable),
    /// The vault did not answer, or holds something else.
    #[error("the vault: {0}")]
    Vault(#[from] VaultError),
    /// A kind's name is no stream name: a defect.
    #[error(transparent)]
    Stream(#[from] InvalidStreamId),
}

impl From<ReadError> for WriteError {
    fn from(error: ReadError) -> Self {
        Self::Journal(error.into())
    }
}

/// Refuses a journal in which an import was begun and not finished: half a fleet is served by nobody.
///
/// # Errors
/// [`WriteError::Unfinished`], or that the journal cannot be read.
pub async fn refuse_unfinished(journal: &Arc<dyn Journal>) -> Result<(), WriteError> {
    let first = journal.read_all(0, 1).await?;
    let Some(stream) = first.first().map(|recorded| &recorded.envelope.stream) else { return Ok(()) };
    if stream.kind() != TakeOver::KIND {
        return Ok(());
    }
    let state = Repository::<TakeOver>::new(Arc::clone(journal)).load(stream).await?.state;
    match state.is_some_and(|take_over| take_over.finished) {
        true => Ok(()),
        false => Err(WriteError::Unfinished),
    }
}

impl Target {
    /// How far the take-over of the source with `ids` is.
    ///
    /// # Errors
    /// [`WriteError::NotEmpty`] if the journal holds anything else.
    pub async fn find(&self, ids: &Ids) -> Result<Progress, WriteError> {
        let repository = Repository::<TakeOver>::new(Arc::clone(&self.journal));
        let loaded = repository.load(&take_over(ids)).await?;
        match loaded.state {
            Some(state) => Ok(Progress {
                begun_at: loaded.created_at,
                digest: Some(state.begun.digest.clone()),
                finished: state.finished,
            }),
            None => match self.journal.head().await? {
                0 => Ok(Progress::default()),
                head => Err(WriteError::NotEmpty(head)),
            },
        }
    }

    /// How the vault tells documents apart.
    pub fn digest(&self) -> impl Fn(Uuid, &[u8]) -> String + Send + Sync + use<> {
        let vault = Arc::clone(&self.vault);
        move |owner, text| vault.digest(owner, text)
    }

    /// Writes everything that is not there yet.
    ///
    /// # Errors
    /// [`WriteError`]; what is written by then stays.
    pub async fn write(
        &self,
        ids: &Ids,
        snapshot: &Snapshot,
        translation: Translation,
        report: &Report,
    ) -> Result<(), WriteError> {
        let writer = Writer { journal: &self.journal, ids };
        let begun = TakeOverBegun { source: snapshot.source.clone(), digest: translation.digest };
        writer.take_over(&BeginTakeOver { begun }, "begin").await?;
        self.keep(translation.entries).await?;
        for (entity, imported) in translation.groups {
            let command = ImportSubcloudGroup { imported };
            writer.listed::<SubcloudGroup, _>("group", entity, command).await?;
        }
        let entries: Vec<_> = translation.subclouds.iter().map(|subcloud| subcloud.entry()).collect();
        let subclouds = Repository::<Subcloud>::new(Arc::clone(&self.journal));
        let there = self.streams().await?;
        let missing = translation.subclouds.into_iter().filter(|subcloud| !there.contains(&subcloud.entity));
        stream::iter(missing)
            .map(|subcloud| {
                let (writer, subclouds) = (&writer, &subclouds);
                async move {
                    let what = format!("subcloud {}", subcloud.row.id);
                    let command = ImportSubcloud { id: subcloud.row.id, row: subcloud.row };
                    let stream = StreamId::aggregate(Subcloud::KIND, subcloud.entity);
                    done(&what, subclouds.run(&stream, &command, &writer.meta(&what)).await)
                }
            })
            .buffer_unordered(AT_ONCE)
            .try_for_each(|()| async { Ok(()) })
            .await?;
        writer.directory(entries).await?;
        for (entity, imported) in translation.peer_groups {
            writer.listed::<SubcloudPeerGroup, _>("peer group", entity, ImportPeerGroup { imported }).await?;
        }
        for (entity, imported) in translation.peers {
            writer.listed::<SystemPeer, _>("system peer", entity, ImportSystemPeer { imported }).await?;
        }
        for (entity, imported) in translation.associations {
            let command = ImportAssociation { imported };
            writer.listed::<PeerGroupAssociation, _>("association", entity, command).await?;
        }
        let options = ImportSwUpdateOptions { rows: translation.options };
        writer.single::<SwUpdateOptions, _>("options", options).await?;
        if let Some((strategy, steps)) = translation.strategy {
            writer.single::<SwUpdateStrategy, _>("strategy", ImportStrategy { strategy, steps }).await?;
        }
        let rows = report.tables.iter().map(|(table, count)| ((*table).to_owned(), count.rows)).collect();
        let finished = TakeOverFinished { rows, findings: report.findings.len() as u64 };
        writer.take_over(&FinishTakeOver { finished }, "finish").await
    }

    /// The subclouds that an earlier run wrote: asked for one by one, they would crowd the journal's readers.
    async fn streams(&self) -> Result<HashSet<Uuid>, WriteError> {
        let (mut found, mut after) = (HashSet::new(), 0);
        loop {
            let page = self.journal.read_all(after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(found) };
            after = last.position.order;
            let streams = page.iter().map(|event| &event.envelope.stream);
            found.extend(streams.filter(|stream| stream.kind() == Subcloud::KIND).filter_map(StreamId::uuid));
        }
    }

    async fn keep(&self, entries: Vec<NewEntry>) -> Result<(), WriteError> {
        let mut entries = entries.into_iter().peekable();
        while entries.peek().is_some() {
            self.vault.put_all(entries.by_ref().take(ENTRIES).collect()).await?;
        }
        Ok(())
    }
}

struct Writer<'a> {
    journal: &'a Arc<dyn Journal>,
    ids: &'a Ids,
}

impl Writer<'_> {
    /// The same for the same `what` in every run, so that nothing is written twice.
    fn meta(&self, what: &str) -> Meta {
        let correlation_id = self.ids.take_over();
        let command_id = self.ids.command(what);
        Meta { command_id, correlation_id, ..Meta::new(Actor::system("import")) }
    }

    async fn take_over<C>(&self, command: &C, what: &str) -> Result<(), WriteError>
    where
        C: Command<TakeOver, Rejection = Rejection>,
    {
        let repository = Repository::<TakeOver>::new(Arc::clone(self.journal));
        match repository.run(&take_over(self.ids), command, &self.meta(what)).await {
            Ok(_) => Ok(()),
            // It began with another source, and under the same id.
            Err(CommandError::IdReused | CommandError::Rejected(Rejection::SourceChanged)) => {
                Err(WriteError::Changed)
            }
            Err(CommandError::Rejected(rejection)) => Err(rejection.into()),
            Err(CommandError::Unavailable(cause)) => Err(cause.into()),
        }
    }

    async fn listed<A: Listed, C>(&self, kind: &str, new: NewEntity, command: C) -> Result<(), WriteError>
    where
        C: Command<A, Rejection = A::Rejection>,
    {
        let collection = Collection::<A>::new(self.journal)?;
        let what = format!("{kind} {}", new.id.unwrap_or_default());
        match collection.add(new, &self.meta(&what), |_| command).await {
            Ok(_) | Err(CollectionError::IdReused) => Ok(()),
            Err(CollectionError::Unavailable(cause)) => Err(cause.into()),
            Err(refused) => Err(WriteError::Refused { what, cause: refused.to_string() }),
        }
    }

    async fn single<A: Aggregate, C: Command<A>>(&self, what: &str, command: C) -> Result<(), WriteError> {
        done(what, Singleton::<A>::new(self.journal)?.run(&command, &self.meta(what)).await)
    }

    async fn directory(&self, entries: Vec<dcm_domain::directory::EntryToImport>) -> Result<(), WriteError> {
        let directory = Repository::<Directory>::new(Arc::clone(self.journal));
        let stream: StreamId = Directory::STREAM.parse()?;
        for (place, entries) in entries.chunks(PER_APPEND).enumerate() {
            let what = format!("entries {place}");
            let command = ImportEntries { entries: entries.to_vec() };
            done(&what, directory.run(&stream, &command, &self.meta(&what)).await)?;
        }
        Ok(())
    }
}

fn take_over(ids: &Ids) -> StreamId {
    StreamId::aggregate(TakeOver::KIND, ids.take_over())
}

/// What was written before, by this run or an earlier one, is written.
fn done<A: Aggregate, R: std::error::Error>(
    what: &str,
    outcome: Result<dcm_journal::repository::Done<A>, CommandError<R>>,
) -> Result<(), WriteError> {
    match outcome {
        Ok(_) | Err(CommandError::IdReused) => Ok(()),
        Err(CommandError::Unavailable(cause)) => Err(cause.into()),
        Err(CommandError::Rejected(rejection)) => {
            Err(WriteError::Refused { what: what.to_owned(), cause: rejection.to_string() })
        }
    }
}
