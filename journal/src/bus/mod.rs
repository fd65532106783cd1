//! The bus: carries copies of committed events, notifications and job hints to whoever follows them.
//!
//! The journal is the truth and the bus a copy (design, invariants 2, 6 and 7): it may lose everything and be refilled,
//! consumers get every message at least once, and nobody waits for it. [`LocalBus`] serves one process, [`NatsBus`]
//! several; one contract suite (`tests/bus.rs`) holds both to the same behaviour.
//!
//! To add an adapter: implement [`Bus`] and run the suite against it.

mod delivery;
mod error;
mod follow;
mod local;
mod message;
mod nats;
mod settings;
pub mod subject;
mod upkeep;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

pub use delivery::{Delivery, Settle, Subscription, Verdict};
pub use error::{BatchError, BusError, PublishError};
pub use follow::consume_forever;
pub use local::{LocalBus, LocalSettings};
pub use message::{DATA_OMITTED_HEADER, Message, REPLAYED_HEADER, Stream};
pub use nats::{NatsBus, NatsSettings, NatsUrl};
pub use settings::{Consumer, Retention, Start, Storage, StreamSettings};
pub use upkeep::{GaveUp, GivenUp, GivenUps, Kept, Server, Upkeep};

/// Where a message was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// Its sequence in the stream.
    pub sequence: u64,
    /// Whether the same message id had been stored before; `sequence` is then that of the first.
    pub duplicate: bool,
}

/// The end of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tail {
    /// The last sequence given out, 0 when none was: what the next fenced publish expects.
    pub sequence: u64,
    /// The last message still kept. `None` with a sequence above 0 means that all were removed or grew too old.
    /// A message that has no id of ours has the nil one.
    pub message: Option<Message>,
    /// Which creation of the stream this is; a re-created stream counts from 1 again under another value. Empty when
    /// the stream does not exist.
    pub incarnation: String,
}

/// The last message of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Last {
    /// The last sequence of the stream: what the next fenced publish expects.
    pub sequence: u64,
    /// The message.
    pub message: Message,
}

/// A nudge: neither kept nor repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signal {
    /// Where it was sent.
    pub subject: String,
    /// What it says.
    pub payload: Bytes,
}

/// Signals heard from now on. It outlives a lost connection, missing what is sent meanwhile.
pub type Signals = BoxStream<'static, Signal>;

/// The port. Every call returns within a bound, whether the bus is there or not.
#[async_trait]
pub trait Bus: Send + Sync + 'static {
    /// Creates the streams, and adapts those that exist to `settings` unless they are to stay as they are. Whoever writes calls it before each resume, since a stream may
    /// have been lost meanwhile. Errors: `Invalid` when an existing stream cannot be adapted, or the server is not fit;
    /// it says what to do.
    async fn ensure_streams(&self, settings: &StreamSettings) -> Result<(), BusError>;

    /// The end of a stream; of one that does not exist: sequence 0 and no message.
    async fn tail(&self, stream: Stream) -> Result<Tail, BusError>;

    /// The last message of a stream, where the relay resumes; `None` when the stream is empty or does not exist.
    async fn last(&self, stream: Stream) -> Result<Option<Last>, BusError> {
        let tail = self.tail(stream).await?;
        Ok(tail.message.map(|message| Last { sequence: tail.sequence, message }))
    }

    /// Stores a message and returns once the bus has it. With `expected_last`, only if the stream ends there. A repeated
    /// message with a stale expectation is not stored again: it is fenced, or, by servers that copy the stream among
    /// them and look at the id first, told as a duplicate.
    async fn publish(
        &self,
        stream: Stream,
        message: Message,
        expected_last: Option<u64>,
    ) -> Result<Published, PublishError>;

    /// Stores messages in order without waiting for each: the first if the stream ends at `first_expected_last`, each
    /// further one if it ends with its predecessor. Returns one answer per message.
    async fn publish_batch(
        &self,
        stream: Stream,
        messages: Vec<Message>,
        first_expected_last: u64,
    ) -> Result<Vec<Published>, BatchError>;

    /// Begins or resumes a consumer. Errors: `Unavailable` also when the stream does not exist yet; `Invalid` for a
    /// consumer the stream cannot have, such as one whose filters overlap another's on the work queue.
    async fn consume(&self, stream: Stream, consumer: &Consumer) -> Result<Subscription, BusError>;

    /// Sends a nudge to whoever listens now. `subject` is literal and outside the streams' subjects.
    async fn signal(&self, subject: &str, payload: Bytes) -> Result<(), BusError>;

    /// Listens for nudges whose subject matches the filter `subject`. May be called while the bus is away: it then
    /// hears from the moment the bus is back.
    async fn listen(&self, subject: &str) -> Result<Signals, BusError>;

    /// Whether the bus can be used now.
    async fn health(&self) -> Result<(), BusError>;

    /// How many bytes a message may have, as [`Message::size`] counts them; as far as is known now.
    fn largest_message(&self) -> usize {
        usize::MAX
    }
}

/// Refuses a signal subject that a stream would store.
fn check_signal(subject: &str) -> Result<(), BusError> {
    let stored = Stream::ALL.iter().any(|stream| subject::covers(stream.subjects(), subject));
    if !subject::is_literal(subject) || stored {
        return Err(BusError::invalid(format!("{subject:?} is not a signal's subject")));
    }
    Ok(())
}
