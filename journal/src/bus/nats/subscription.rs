//! Deliveries of a pull consumer, up to the first sign that they no longer come.

use async_nats::jetstream::consumer::pull;
use async_nats::jetstream::{self, AckKind};
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use tokio::sync::watch;

use super::convert;
use super::link::Link;
use crate::bus::delivery::{Settle, Verdict};
use crate::bus::{BusError, Delivery};

/// The longest reason sent with a `term`.
const MAX_REASON: usize = 200;

struct Puller {
    link: Link,
    losses: watch::Receiver<u64>,
    messages: pull::Stream,
}

/// Deliveries until the connection is lost, heartbeats are missed, or the consumer is gone; then the reason.
pub(super) fn deliveries(
    link: Link,
    losses: watch::Receiver<u64>,
    messages: pull::Stream,
) -> BoxStream<'static, Result<Delivery, String>> {
    let puller = Puller { link, losses, messages };
    stream::unfold(Some(puller), |puller| async move {
        let mut puller = puller?;
        match puller.next().await {
            Ok(delivery) => Some((Ok(delivery), Some(puller))),
            Err(reason) => Some((Err(reason), None)),
        }
    })
    .boxed()
}

impl Puller {
    async fn next(&mut self) -> Result<Delivery, String> {
        loop {
            let next = tokio::select! {
                biased;
                _ = self.losses.changed() => return Err("the connection was lost".to_owned()),
                next = self.messages.next() => next,
            };
            let received = next.ok_or("the message stream ended")?.map_err(|error| error.to_string())?;
            match delivery(&self.link, received) {
                Ok(delivery) => return Ok(delivery),
                Err((received, reason)) => {
                    tracing::warn!(reason, "a foreign message on the bus is passed over");
                    received.ack_with(AckKind::Term).await.map_err(|error| error.to_string())?;
                }
            }
        }
    }
}

fn delivery(
    link: &Link,
    received: jetstream::Message,
) -> Result<Delivery, (Box<jetstream::Message>, String)> {
    let (sequence, attempt) = match received.info() {
        Ok(info) => (info.stream_sequence, u64::try_from(info.delivered).unwrap_or(1)),
        Err(error) => {
            let reason = error.to_string();
            return Err((Box::new(received), reason));
        }
    };
    let headers = received.headers.clone().unwrap_or_default();
    let message = match convert::message(&received.subject, &headers, received.payload.clone()) {
        Ok(message) => message,
        Err(reason) => return Err((Box::new(received), reason)),
    };
    let settle = Reply { link: link.clone(), subject: received.reply.clone() };
    Ok(Delivery::new(message, sequence, attempt, Box::new(settle)))
}

/// Where a delivery's verdict goes.
struct Reply {
    link: Link,
    subject: Option<async_nats::Subject>,
}

#[async_trait]
impl Settle for Reply {
    async fn settle(&self, verdict: Verdict) -> Result<(), BusError> {
        let subject =
            self.subject.clone().ok_or_else(|| BusError::invalid("a delivery without a reply subject"))?;
        let sent = self.link.client.publish(subject, body(verdict));
        self.link.within(super::SEND_LIMIT, sent).await?.map_err(BusError::unavailable)
    }
}

fn body(verdict: Verdict) -> Bytes {
    match verdict {
        Verdict::Ack => AckKind::Ack.into(),
        Verdict::Nak(delay) if delay.is_zero() => AckKind::Nak(None).into(),
        Verdict::Nak(delay) => AckKind::Nak(Some(delay)).into(),
        Verdict::Term(reason) => {
            let plain: String = reason.chars().filter(|c| !c.is_control()).take(MAX_REASON).collect();
            format!("+TERM {plain}").trim_end().to_owned().into()
        }
    }
}
