//! The aggregate repository: load, fold, decide, append, and again on conflict.
//!
//! Commands of one stream queue up behind its slot, so that a hot stream does not livelock; the expected revision of
//! every append keeps other processes out. A refusal, or the finding that there is nothing to do, is only given on
//! state that has just been brought up to date.

mod loaded;
mod measure;
mod meta;

use std::{num::NonZeroUsize, sync::Arc};

use dcm_domain::aggregate::{Aggregate, Command, Facts};
use dcm_domain::value::Timestamp;
use dcm_schemas::{Envelope, Position, StreamId, registry::Unreadable};
use tokio::sync::Mutex;
use tracing::Instrument;

use crate::store::{AppendError, Expected, Journal, ReadError};
pub use loaded::Loaded;
use loaded::Mark;
pub use meta::{Meta, derived_id};

/// How many aggregates of one kind are kept folded.
const CACHED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(8191);
/// How often a decision is made again after another process got in between.
const ATTEMPTS: u32 = 16;
/// Events read at once.
const PAGE: usize = 1000;

/// Loads aggregates of one kind and carries out commands on them.
pub struct Repository<A: Aggregate> {
    journal: Arc<dyn Journal>,
    slots: std::sync::Mutex<lru::LruCache<StreamId, Arc<Slot<A>>>>,
}

type Slot<A> = Mutex<Loaded<A>>;

/// A command that was carried out.
#[derive(Clone, Debug)]
pub struct Done<A: Aggregate> {
    /// The aggregate as the command left it.
    pub loaded: Loaded<A>,
    /// What happened; empty if it was so already, or the command had been carried out before.
    pub events: Vec<A::Event>,
    /// Position of the last event of the append; `None` without one.
    pub position: Option<Position>,
}

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum CommandError<R: std::error::Error> {
    /// The domain refused it; nothing was written.
    #[error(transparent)]
    Rejected(R),
    /// The same command id was used for another request.
    #[error("this command id was used for another request")]
    IdReused,
    /// It could not be decided or written now; trying again later is safe.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Why an aggregate cannot be read or written now.
#[derive(Debug, thiserror::Error)]
pub enum Unavailable {
    /// The stream cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The append was not confirmed.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The stream holds an event this program cannot use.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// Others kept getting in between.
    #[error("the stream is too busy")]
    Contended,
    /// An event has no JSON form: a defect of its type.
    #[error("an event cannot be written: {0}")]
    Unwritable(#[from] serde_json::Error),
}

impl<A: Aggregate> Repository<A> {
    /// A repository over `journal`, with an empty cache.
    pub fn new(journal: Arc<dyn Journal>) -> Self {
        Self { journal, slots: std::sync::Mutex::new(lru::LruCache::new(CACHED)) }
    }

    /// The aggregate, brought up to date from the journal.
    ///
    /// # Errors
    /// [`Unavailable`] if the stream cannot be read.
    pub async fn load(&self, stream: &StreamId) -> Result<Loaded<A>, Unavailable> {
        let slot = self.slot(stream);
        let mut loaded = slot.lock().await;
        self.catch_up(stream, &mut loaded).await?;
        Ok(loaded.clone())
    }

    /// The aggregate as this process last knew it, read from the journal only if it did not. It may be behind.
    ///
    /// # Errors
    /// [`Unavailable`] if the stream cannot be read.
    pub async fn load_cached(&self, stream: &StreamId) -> Result<Loaded<A>, Unavailable> {
        let slot = self.slot(stream);
        let mut loaded = slot.lock().await;
        if loaded.revision.is_none() {
            self.catch_up(stream, &mut loaded).await?;
        }
        Ok(loaded.clone())
    }

    /// Carries out `command` on the aggregate of `stream`.
    ///
    /// # Errors
    /// See [`CommandError`]; with any of them nothing is half-done.
    pub async fn run<C: Command<A>>(
        &self,
        stream: &StreamId,
        command: &C,
        meta: &Meta,
    ) -> Result<Done<A>, CommandError<C::Rejection>> {
        let measured = measure::Measured::begin::<A, C>();
        let meta = measured.traced(meta);
        let done = self.carry_out(stream, command, &meta).instrument(measured.span().clone()).await;
        measured.end(&done);
        done
    }

    async fn carry_out<C: Command<A>>(
        &self,
        stream: &StreamId,
        command: &C,
        meta: &Meta,
    ) -> Result<Done<A>, CommandError<C::Rejection>> {
        let fingerprint = meta::fingerprint(command).map_err(Unavailable::from)?;
        let slot = self.slot(stream);
        let mut loaded = slot.lock().await;
        let mut fresh = false;
        for _ in 0..ATTEMPTS {
            if let Some(seen) = loaded.recent(meta.command_id) {
                if seen.fingerprint != fingerprint {
                    return Err(CommandError::IdReused);
                }
                let first = self.as_of(stream, seen.revision).await?;
                return Ok(Done { loaded: first, events: Vec::new(), position: Some(seen.position) });
            }
            let facts = Facts { now: Timestamp::from(chrono::Utc::now()).max(loaded.changed_at()) };
            let decided = command.decide(loaded.state.as_deref(), &facts);
            let events = match decided {
                Ok(events) if !events.is_empty() => events,
                // No answer without an append is given on state that may be behind.
                _ if !fresh => {
                    self.catch_up(stream, &mut loaded).await?;
                    fresh = true;
                    continue;
                }
                Ok(events) => return Ok(Done { loaded: loaded.clone(), events, position: None }),
                Err(rejection) => return Err(CommandError::Rejected(rejection)),
            };
            let record = meta::record(command, &facts, &fingerprint).map_err(Unavailable::from)?;
            let sealed = loaded.seal(stream, &events, meta, record, facts.now).map_err(Unavailable::from)?;
            match self.append(stream, &mut loaded, &events, sealed).await? {
                Some(position) => {
                    return Ok(Done { loaded: loaded.clone(), events, position: Some(position) });
                }
                None => {
                    self.catch_up(stream, &mut loaded).await?;
                    fresh = true;
                }
            }
        }
        Err(Unavailable::Contended.into())
    }

    /// Appends and folds; `None` on a conflict.
    async fn append(
        &self,
        stream: &StreamId,
        loaded: &mut Loaded<A>,
        events: &[A::Event],
        sealed: Vec<Envelope>,
    ) -> Result<Option<Position>, Unavailable> {
        let expected = loaded.revision.map_or(Expected::NoStream, Expected::Revision);
        let marks: Vec<Mark> = sealed.iter().map(Mark::of).collect();
        match measure::append(sealed.len(), self.journal.append(stream, expected, sealed)).await {
            Ok(appended) => {
                // Only the last event's position is known, and only that is kept.
                for (event, mark) in events.iter().zip(marks) {
                    loaded.take_in(event, mark, appended.last)?;
                }
                Ok(Some(appended.last))
            }
            Err(AppendError::Conflict { .. }) => {
                metrics::counter!("dcm_command_retries_total", "aggregate" => A::KIND).increment(1);
                Ok(None)
            }
            // The outcome is not known: what is cached may be behind, but never ahead.
            Err(error) => Err(error.into()),
        }
    }

    async fn catch_up(&self, stream: &StreamId, loaded: &mut Loaded<A>) -> Result<(), Unavailable> {
        if let Some(last) = loaded.revision
            && self.journal.ends_before(stream, last + 1).await?
        {
            return Ok(());
        }
        self.fold_until(stream, loaded, u64::MAX).await
    }

    async fn fold_until(
        &self,
        stream: &StreamId,
        loaded: &mut Loaded<A>,
        last: u64,
    ) -> Result<(), Unavailable> {
        let mut next = loaded.revision.map_or(0, |revision| revision + 1);
        let mut page = self.journal.read_stream(stream, next, PAGE).await?;
        loop {
            next += PAGE as u64;
            let more = page.len() == PAGE && next <= last;
            // The next page is read and parsed while this one is folded.
            let ahead = more.then(|| {
                let (journal, stream) = (Arc::clone(&self.journal), stream.clone());
                tokio::spawn(async move { journal.read_stream(&stream, next, PAGE).await })
            });
            for recorded in page.iter().filter(|recorded| recorded.envelope.revision <= last) {
                loaded.fold(&recorded.envelope, recorded.position)?;
            }
            let Some(ahead) = ahead else { return Ok(()) };
            page = ahead.await.map_err(|error| ReadError::Unavailable(error.to_string()))??;
        }
    }

    /// The state of the aggregate after the event with `revision`; without an event so old, an empty one.
    ///
    /// # Errors
    /// [`Unavailable`] if the stream cannot be read.
    pub async fn as_of(&self, stream: &StreamId, revision: u64) -> Result<Loaded<A>, Unavailable> {
        let mut loaded = Loaded::default();
        self.fold_until(stream, &mut loaded, revision).await?;
        Ok(loaded)
    }

    fn slot(&self, stream: &StreamId) -> Arc<Slot<A>> {
        let mut slots = self.slots.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        Arc::clone(slots.get_or_insert(stream.clone(), Arc::default))
    }
}
