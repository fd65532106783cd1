//! What keeping a bus takes beyond using it: reading what a stream holds, removing from it, and hearing what its
//! consumers gave up.

use std::ops::RangeInclusive;
use std::time::Duration;

use async_trait::async_trait;
use dcm_domain::value::Timestamp;
use futures::stream::BoxStream;

use super::delivery::{Settle, Verdict};
use super::{Bus, BusError, Message, Retention, Stream, StreamSettings};

/// A bus that can be kept. Apart from [`Bus`], so that nobody who only uses the bus can remove from it.
#[async_trait]
pub trait Upkeep: Bus {
    /// What a stream holds from sequence `from` on, in its order: at most `limit` messages, and none only if there are
    /// none, or no stream. Errors: `Invalid` for the work queue, whose messages belong to their consumer.
    async fn read(&self, stream: Stream, from: u64, limit: usize) -> Result<Vec<Kept>, BusError>;

    /// What a stream holds now, and the limits by which it removes its oldest messages: those that it has, whatever
    /// [`Bus::ensure_streams`] was told last. Of one that does not exist: nothing, and no limits.
    async fn extent(&self, stream: Stream) -> Result<Extent, BusError>;

    /// How the streams are set up now, whatever [`Bus::ensure_streams`] was told last. What of it the bus does not say,
    /// and what is of a stream that does not exist, is as in `otherwise`.
    async fn settings(&self, otherwise: &StreamSettings) -> Result<StreamSettings, BusError>;

    /// Removes the messages with these sequences; consumers pass over them. What is gone already is no error.
    async fn remove(&self, stream: Stream, sequences: RangeInclusive<u64>) -> Result<(), BusError>;

    /// What the bus runs on. Errors: `Invalid` if it is not fit, and what to do.
    async fn server(&self) -> Result<Server, BusError>;

    /// What consumers of the other streams than [`Stream::Dead`] give up, and gave up since the streams were set up.
    /// Whoever asks at the same time shares it; what is not settled comes again. It ends as a subscription does.
    async fn given_up(&self) -> Result<GivenUps, BusError>;
}

/// What a stream holds at one moment, and how much it may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Sequence of the first message kept; of an empty stream, the next one that will be given out. Every sequence before
    /// it was given out and is gone.
    pub first_sequence: u64,
    /// How many messages are kept.
    pub messages: u64,
    /// Their size, as it counts for [`Retention::max_bytes`].
    pub bytes: u64,
    /// The limits of age and size.
    pub retention: Retention,
    /// The number of messages above which the oldest are dropped; zero sets no limit.
    pub max_messages: u64,
    /// When the stream was created, and before which nothing was stored in it; `None` if that is not known.
    pub created: Option<Timestamp>,
}

impl Extent {
    /// Of a stream that does not exist.
    pub(super) const ABSENT: Self = Self {
        first_sequence: 1,
        messages: 0,
        bytes: 0,
        retention: Retention { max_age: Duration::ZERO, max_bytes: 0 },
        max_messages: 0,
        created: None,
    };
}

/// What a bus runs on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Server {
    /// This process: nothing of it outlives it.
    Process,
    /// NATS.
    Nats {
        /// Its version.
        version: String,
        /// The cluster it is part of.
        cluster: Option<String>,
        /// The most bytes that a message may have (`max_payload`).
        max_payload: usize,
    },
}

/// What consumers gave up, up to the first error, which is the reason of the end.
pub type GivenUps = BoxStream<'static, Result<GivenUp, String>>;

/// A message as a stream holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its sequence in the stream, from 1.
    pub sequence: u64,
    /// The message; or, if none of us wrote it, what is wrong with it.
    pub message: Result<Message, String>,
}

/// Why a message was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GaveUp {
    /// It was delivered as often as its consumer allows, and never settled.
    MaxDeliveries,
    /// Its consumer said that it can never be handled, for this reason if it told one.
    Terminated(Option<String>),
}

/// A message that a consumer gave up.
pub struct GivenUp {
    /// The stream it is of.
    pub stream: Stream,
    /// The consumer's name.
    pub consumer: String,
    /// The message's sequence in the stream.
    pub sequence: u64,
    /// How often it was delivered.
    pub deliveries: u64,
    /// Why it was given up.
    pub cause: GaveUp,
    /// When.
    pub at: Timestamp,
    /// The message; `None` if the stream holds it no longer.
    pub message: Option<Message>,
    pub(super) settle: Box<dyn Settle>,
}

impl GivenUp {
    /// Says that it is seen to. On an error it comes again.
    pub async fn ack(&self) -> Result<(), BusError> {
        self.settle.settle(Verdict::Ack).await
    }
}

impl std::fmt::Debug for GivenUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GivenUp")
            .field("stream", &self.stream)
            .field("consumer", &self.consumer)
            .field("sequence", &self.sequence)
            .field("deliveries", &self.deliveries)
            .field("cause", &self.cause)
            .finish_non_exhaustive()
    }
}

/// Refuses to read what belongs to a consumer.
pub(super) fn check_readable(stream: Stream) -> Result<(), BusError> {
    match stream.is_work_queue() {
        true => {
            Err(BusError::invalid(format!("{} is a work queue: only its consumer reads it", stream.name())))
        }
        false => Ok(()),
    }
}
