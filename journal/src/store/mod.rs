//! The journal port: where events are written once and read in one order. The truth of the system.

use std::sync::Arc;

use async_trait::async_trait;
use dcm_schemas::{Envelope, JournalId, Position, Recorded, StreamId};
use tokio::sync::watch;
use uuid::Uuid;

mod adapter;
mod batch;
mod ends;
mod esdb;
mod group_commit;
mod group_look;
mod open;
mod postgres;
mod readers;
mod scratch;
mod sql;
mod sqlite;
mod tail;

pub use open::{OpenError, open};
pub use scratch::Scratch;

/// The state of the stream that an append was decided on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// The stream has no event yet.
    NoStream,
    /// Its last event has this revision.
    Revision(u64),
}

impl Expected {
    /// The revision the next event gets.
    pub fn next(self) -> u64 {
        match self {
            Self::NoStream => 0,
            Self::Revision(last) => last.saturating_add(1),
        }
    }

    /// The revision of the stream's last event; `None` without events.
    pub fn last(self) -> Option<u64> {
        match self {
            Self::NoStream => None,
            Self::Revision(last) => Some(last),
        }
    }
}

/// The answer to an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Position of the append's last event.
    pub last: Position,
    /// Revision of the append's last event.
    pub revision: u64,
}

/// Why an append was not confirmed. All but [`Unavailable`](Self::Unavailable) and [`Corrupt`](Self::Corrupt) mean that nothing
/// was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The stream is not as expected: reload, decide again.
    #[error("the stream is at another revision (last event: {actual:?})")]
    Conflict {
        /// Revision of the stream's last event; `None` if it has none.
        actual: Option<u64>,
    },
    /// The stream is as expected, but an event id is already used elsewhere in the journal. Only told by adapters that
    /// [know all ids](Traits::ids_are_unique).
    #[error("event id {id} is already used")]
    IdTaken {
        /// The id.
        id: Uuid,
    },
    /// The events do not follow one another, are not sealed, do not continue the stream's hash chain, or are more than the
    /// store takes at once: a defect of the caller.
    #[error("not an append to this stream: {0}")]
    Invalid(&'static str),
    /// The store does not answer in time. The events may or may not be written: the identical append, made again later,
    /// tells.
    #[error("the journal is not available: {0}")]
    Unavailable(String),
    /// The store contradicts itself.
    #[error("the journal is damaged: {0}")]
    Corrupt(String),
}

/// An append among others, as [`Journal::append_all`] takes them.
#[derive(Clone, Debug, PartialEq)]
pub struct Append {
    /// The stream of its events.
    pub stream: StreamId,
    /// The state of the stream that they follow.
    pub expected: Expected,
    /// The events.
    pub events: Vec<Envelope>,
}

/// Why appends were not confirmed that were to be made in their order. None behind the one that failed was made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("append {at}: {cause}")]
pub struct NotAppended {
    /// The one that failed, counted from 0; the first where they failed as one.
    pub at: usize,
    /// Why.
    pub cause: AppendError,
}

/// Why a read has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The store does not answer in time.
    #[error("the journal is not available: {0}")]
    Unavailable(String),
    /// A stored event cannot be read, or is missing from the order.
    #[error("the journal is damaged at {order}: {reason}")]
    Corrupt {
        /// Order of the event.
        order: u64,
        /// What is wrong with it.
        reason: String,
    },
}

/// What one adapter keeps beyond the contract of all, because its store happens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traits {
    /// Orders are dense from 1: an event's order is also its number, and a missing event leaves a gap that is seen.
    pub orders_are_dense: bool,
    /// An event id that is used anywhere in the journal is refused ([`AppendError::IdTaken`]). Elsewhere only the
    /// repetition of an append is known by its ids; ids made as the envelope demands do not meet by chance.
    pub ids_are_unique: bool,
}

/// A journal: streams of events with optimistic concurrency, and the order of all events, which grows strictly from
/// above 0 in the order of commit, though not always by 1. No event ever becomes visible behind a reader's position.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Which journal this is: fixed when it was created.
    fn id(&self) -> JournalId;

    /// What it keeps beyond this contract.
    fn traits(&self) -> Traits;

    /// Writes all `events` (sealed, revisions following `expected`) or none; the answer comes when they are on disk.
    ///
    /// Idempotent as a whole: the same stream, expected revision and event ids give the first answer again.
    /// A caller that is dropped while it waits may or may not have its events written.
    ///
    /// # Errors
    /// See [`AppendError`]; bounded in time.
    async fn append(
        &self,
        stream: &StreamId,
        expected: Expected,
        events: Vec<Envelope>,
    ) -> Result<Appended, AppendError>;

    /// Makes `appends`, each on top of those before it, such as to fill a journal with what another one holds: whatever
    /// fails, what is written is a whole beginning of them. Stores that can write them in one step do so, all or none; then
    /// they share what one write costs, and must not be more than the store takes at once (some MiB).
    ///
    /// Idempotent as each [`append`](Self::append) is.
    ///
    /// # Errors
    /// See [`NotAppended`]; bounded in time, where they are made one by one for each of them.
    async fn append_all(&self, appends: Vec<Append>) -> Result<(), NotAppended> {
        for (at, Append { stream, expected, events }) in appends.into_iter().enumerate() {
            let answer = self.append(&stream, expected, events).await;
            answer.map_err(|cause| NotAppended { at, cause })?;
        }
        Ok(())
    }

    /// At most `limit` events of one stream, from revision `from` on; none if there is no such stream.
    ///
    /// # Errors
    /// See [`ReadError`]; bounded in time.
    async fn read_stream(
        &self,
        stream: &StreamId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Recorded>, ReadError>;

    /// Whether a stream has no event with revision `next` or a later one, now: what is cached of it is up to date then.
    ///
    /// # Errors
    /// See [`ReadError`]; bounded in time.
    async fn ends_before(&self, stream: &StreamId, next: u64) -> Result<bool, ReadError> {
        Ok(self.read_stream(stream, next, 1).await?.is_empty())
    }

    /// At most `limit` events of all streams that stand after `after`, none left out; `after` is the order of an event of
    /// this journal, or 0 for the start. Fewer than `limit` means that there were no more.
    ///
    /// # Errors
    /// See [`ReadError`]; bounded in time.
    async fn read_all(&self, after: u64, limit: usize) -> Result<Vec<Recorded>, ReadError>;

    /// As [`read_all`](Self::read_all), of events that were appended through this adapter lately and are still in memory.
    /// `None` if they are not, or there are none: then the store must be asked. There may be more behind them.
    fn recent(&self, _after: u64, _limit: usize) -> Option<Vec<Arc<Recorded>>> {
        None
    }

    /// The last `limit` events that stand at or before `until`, the earlier first; `until` is the order of an event of
    /// this journal. With a limit of 1, the event at `until`.
    ///
    /// # Errors
    /// See [`ReadError`]; bounded in time.
    async fn read_back(&self, until: u64, limit: usize) -> Result<Vec<Recorded>, ReadError>;

    /// How many events stand after `after`, as in [`read_all`](Self::read_all). Where orders are not dense they must be
    /// counted, and no more than `limit` are.
    ///
    /// # Errors
    /// See [`ReadError`]; bounded in time.
    async fn count_after(&self, after: u64, limit: u64) -> Result<u64, ReadError>;

    /// Order of the last event; 0 if there is none.
    ///
    /// # Errors
    /// [`ReadError::Unavailable`]; bounded in time.
    async fn head(&self) -> Result<u64, ReadError>;

    /// Follows the order of the last event appended through this adapter. A nudge, not a truth: other processes append
    /// unseen, so a reader also asks [`head`](Self::head) now and then.
    fn appended(&self) -> watch::Receiver<u64>;
}
