//! The receiving side: subscriptions that end, and deliveries that must be settled.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;

use super::{BusError, Message};

/// What became of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Done.
    Ack,
    /// Again, after this time.
    Nak(Duration),
    /// Never again, for this reason.
    Term(String),
}

/// How a delivery tells its adapter what became of it.
#[async_trait]
pub trait Settle: Send + Sync {
    /// Passes the verdict on.
    async fn settle(&self, verdict: Verdict) -> Result<(), BusError>;
}

/// One message, handed to one consumer. Unsettled, it comes again after the consumer's `ack_wait`.
pub struct Delivery {
    /// The message.
    pub message: Message,
    /// Its sequence in the stream, from 1.
    pub sequence: u64,
    /// Which delivery of this message to this consumer it is, from 1.
    pub attempt: u64,
    /// Whether it refills a stream ([`super::REPLAYED_HEADER`]): effects ignore it.
    pub replayed: bool,
    settle: Box<dyn Settle>,
}

impl Delivery {
    /// The `attempt`th delivery of the message with `sequence`; its verdict goes to `settle`.
    pub fn new(message: Message, sequence: u64, attempt: u64, settle: Box<dyn Settle>) -> Self {
        Self { replayed: message.is_replayed(), message, sequence, attempt, settle }
    }

    /// Says that the message was handled. On an error it will come again.
    pub async fn ack(&self) -> Result<(), BusError> {
        self.settle.settle(Verdict::Ack).await
    }

    /// Asks for the message again after `delay`. On an error it comes again after `ack_wait`.
    pub async fn nak(&self, delay: Duration) -> Result<(), BusError> {
        self.settle.settle(Verdict::Nak(delay)).await
    }

    /// Says that the message can never be handled. It does not come again to this consumer.
    pub async fn term(&self, reason: &str) -> Result<(), BusError> {
        self.settle.settle(Verdict::Term(reason.to_owned())).await
    }
}

impl std::fmt::Debug for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Delivery")
            .field("message", &self.message)
            .field("sequence", &self.sequence)
            .field("attempt", &self.attempt)
            .field("replayed", &self.replayed)
            .finish_non_exhaustive()
    }
}

/// The deliveries of one consumer: a stream that ends, when the bus went away, fell silent, or the subscriber was too
/// slow for a bounded bus. Whoever needs more asks [`super::Bus::consume`] again, as [`super::consume_forever`] does.
pub struct Subscription {
    deliveries: BoxStream<'static, Result<Delivery, String>>,
    end: Option<String>,
}

impl Subscription {
    /// Takes deliveries up to the first error, which is the reason of the end.
    pub fn new(deliveries: BoxStream<'static, Result<Delivery, String>>) -> Self {
        Self { deliveries, end: None }
    }

    /// Why the subscription ended; `None` while it has not.
    pub fn end(&self) -> Option<&str> {
        self.end.as_deref()
    }
}

impl futures::Stream for Subscription {
    type Item = Delivery;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        if self.end.is_some() {
            return Poll::Ready(None);
        }
        match self.deliveries.poll_next_unpin(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Ok(delivery))) => Poll::Ready(Some(delivery)),
            Poll::Ready(Some(Err(reason))) => {
                self.end = Some(reason);
                Poll::Ready(None)
            }
            Poll::Ready(None) => {
                self.end = Some("the message stream ended".to_owned());
                Poll::Ready(None)
            }
        }
    }
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscription").field("end", &self.end).finish_non_exhaustive()
    }
}
