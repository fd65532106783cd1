//! Deliveries of a pull consumer, up to the first sign that they no longer come.

use std::time::{Duration, Instant};

use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::consumer::pull::{self, MessagesErrorKind};
use async_nats::jetstream::{self, AckKind};
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use tokio::sync::watch;

use super::upkeep::Terminated;
use super::{NatsBus, convert};
use crate::bus::delivery::{Settle, Verdict};
use crate::bus::{BusError, Delivery, Stream};

/// The longest reason sent with a `term`.
const MAX_REASON: usize = 200;

/// How long a new consumer may be unknown to servers that have no copy of it, or whose leader is being chosen.
pub(super) const STARTING: Duration = Duration::from_secs(3);
/// Pause before it is asked again.
pub(super) const STARTING_PAUSE: Duration = Duration::from_millis(100);

/// A consumer that messages are asked of.
pub(super) struct Pulling {
    pub(super) bus: NatsBus,
    pub(super) consumer: PullConsumer,
    /// Messages of one request.
    pub(super) prefetch: usize,
}

struct Puller {
    losses: watch::Receiver<u64>,
    messages: pull::Stream,
    pulling: Pulling,
    /// Until then, that nobody answers means that the consumer is new; later, that it is gone.
    starts_until: Instant,
}

/// Messages until the connection is lost, heartbeats are missed, or the consumer is gone; then the reason.
pub(super) fn received(
    losses: watch::Receiver<u64>,
    messages: pull::Stream,
    pulling: Pulling,
) -> BoxStream<'static, Result<jetstream::Message, String>> {
    // Only a cluster has to choose a leader for it.
    let is_cluster = pulling.bus.link.client.server_info().cluster.is_some();
    let starts_within = if is_cluster { STARTING } else { Duration::ZERO };
    let puller = Puller { losses, messages, pulling, starts_until: Instant::now() + starts_within };
    stream::unfold(Some(puller), |puller| async move {
        let mut puller = puller?;
        match puller.next().await {
            Ok(received) => Some((Ok(received), Some(puller))),
            Err(reason) => Some((Err(reason), None)),
        }
    })
    .boxed()
}

/// What was [`received`], as deliveries.
pub(super) fn deliveries(
    stream: Stream,
    losses: watch::Receiver<u64>,
    messages: pull::Stream,
    pulling: Pulling,
) -> BoxStream<'static, Result<Delivery, String>> {
    let bus = pulling.bus.clone();
    let deliveries = received(losses, messages, pulling).then(move |received| {
        let bus = bus.clone();
        async move {
            match delivery(&bus, stream, received?) {
                Ok(delivery) => Ok(Some(delivery)),
                Err((received, reason)) => {
                    tracing::warn!(reason, "a foreign message on the bus is passed over");
                    received.ack_with(AckKind::Term).await.map_err(|error| error.to_string())?;
                    Ok(None)
                }
            }
        }
    });
    deliveries.try_filter_map(async |delivery| Ok(delivery)).boxed()
}

impl Puller {
    async fn next(&mut self) -> Result<jetstream::Message, String> {
        loop {
            let next = tokio::select! {
                biased;
                _ = self.losses.changed() => return Err("the connection was lost".to_owned()),
                next = self.messages.next() => next,
            };
            match next.ok_or("the message stream ended")? {
                Err(error)
                    if error.kind() == MessagesErrorKind::NoResponders
                        && Instant::now() < self.starts_until =>
                {
                    tokio::time::sleep(STARTING_PAUSE).await;
                    let Pulling { bus, consumer, prefetch } = &self.pulling;
                    let again = bus.pull(consumer, *prefetch).await;
                    self.messages = again.map_err(|error| error.to_string())?;
                }
                next => return next.map_err(|error| error.to_string()),
            }
        }
    }
}

fn delivery(
    bus: &NatsBus,
    stream: Stream,
    received: jetstream::Message,
) -> Result<Delivery, (Box<jetstream::Message>, String)> {
    let (sequence, attempt, consumer) = match received.info() {
        Ok(info) => {
            let attempt = u64::try_from(info.delivered).unwrap_or(1);
            (info.stream_sequence, attempt, info.consumer.to_owned())
        }
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
    let job =
        stream.is_work_queue().then(|| Terminated { message: message.clone(), consumer, sequence, attempt });
    let settle = Reply::to(bus.clone(), &received, job);
    Ok(Delivery::new(message, sequence, attempt, Box::new(settle)))
}

/// Where a delivery's verdict goes.
pub(super) struct Reply {
    bus: NatsBus,
    subject: Option<async_nats::Subject>,
    /// What is to be written down before it is terminated.
    job: Option<Terminated>,
}

impl Reply {
    pub(super) fn to(bus: NatsBus, received: &jetstream::Message, job: Option<Terminated>) -> Self {
        Self { bus, subject: received.reply.clone(), job }
    }
}

#[async_trait]
impl Settle for Reply {
    async fn settle(&self, verdict: Verdict) -> Result<(), BusError> {
        let subject =
            self.subject.clone().ok_or_else(|| BusError::invalid("a delivery without a reply subject"))?;
        if let (Some(job), Verdict::Term(reason)) = (&self.job, &verdict) {
            self.bus.record_terminated(job, reason).await?;
        }
        let link = &self.bus.link;
        let sent = link.client.publish(subject, body(verdict));
        link.within(super::SEND_LIMIT, sent).await?.map_err(BusError::unavailable)
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
