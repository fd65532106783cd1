//! The bus of several processes: NATS JetStream.
//!
//! The client queues without end while the server is away, so every call first asks for a connection and ends with it.
//! A publish that timed out may still reach the server later; the expected sequence and the message id make that
//! harmless.

mod batch;
mod convert;
mod link;
mod streams;
mod subscription;
mod upkeep;
mod url;

use std::time::{Duration, Instant};

use async_nats::jetstream::consumer::{PullConsumer, pull};
use async_nats::jetstream::context::{
    ConsumerInfoErrorKind, Context, ContextBuilder, GetStreamErrorKind, PublishAckFuture,
};
use async_nats::jetstream::message::{PublishMessage, StreamMessage};
use async_nats::jetstream::stream::LastRawMessageErrorKind;
use async_nats::jetstream::{ErrorCode, stream};
use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;

use super::{
    BatchError, Bus, BusError, Consumer, Message, PublishError, Published, Signal, Signals, Stream,
    StreamSettings, Subscription, Tail, check_signal, subject,
};
use batch::Batches;
use convert::Expected;
use link::Link;
use subscription::Pulling;
pub use url::NatsUrl;

/// How long handing a command to the connected client may take.
const SEND_LIMIT: Duration = Duration::from_secs(1);
/// How long [`Bus::health`] may take.
const HEALTH_LIMIT: Duration = Duration::from_secs(1);
/// Pause before the end of a stream is asked for again.
const ELECTION_PAUSE: Duration = Duration::from_millis(50);
/// How long one pull request stays open before it is renewed.
const PULL_EXPIRY: Duration = Duration::from_secs(30);

/// Bounds of a [`NatsBus`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NatsSettings {
    /// How long a publish waits until the message is stored.
    pub ack_timeout: Duration,
    /// How long any other request waits for its answer.
    pub request_timeout: Duration,
    /// How often the server says that a consumer without messages still lives; twice this silence ends a subscription.
    /// At most half a minute's half, the life of a pull request.
    pub idle_heartbeat: Duration,
}

impl Default for NatsSettings {
    fn default() -> Self {
        Self {
            ack_timeout: Duration::from_secs(2),
            request_timeout: Duration::from_secs(2),
            idle_heartbeat: Duration::from_secs(2),
        }
    }
}

/// The bus on NATS JetStream. Clones share the connection.
#[derive(Clone)]
pub struct NatsBus {
    link: Link,
    context: Context,
    settings: NatsSettings,
    batches: Batches,
}

impl NatsBus {
    /// Starts connecting and returns without waiting for the server; until it is there, calls answer `Unavailable`.
    /// Errors: `Invalid` when a file named by the URL cannot be read. TLS uses the process's rustls provider.
    pub async fn connect(url: &NatsUrl, settings: NatsSettings) -> Result<Self, BusError> {
        let longest = PULL_EXPIRY / 2;
        if settings.idle_heartbeat.is_zero() || settings.idle_heartbeat > longest {
            return Err(BusError::invalid(format!(
                "idle_heartbeat must be positive and at most {longest:?}"
            )));
        }
        let link = Link::open(url).await?;
        let context = ContextBuilder::new()
            .timeout(settings.ack_timeout.max(settings.request_timeout))
            .ack_timeout(settings.ack_timeout)
            .build(link.client.clone());
        Ok(Self { link, context, settings, batches: Batches::default() })
    }

    async fn request<T>(&self, call: impl Future<Output = T> + Send) -> Result<T, BusError> {
        self.link.within(self.settings.request_timeout, call).await
    }

    /// The stream with its state, `None` if it does not exist.
    async fn find(&self, stream: Stream) -> Result<Option<stream::Stream>, BusError> {
        self.find_named(stream.name()).await
    }

    async fn find_named(&self, name: &str) -> Result<Option<stream::Stream>, BusError> {
        match self.request(self.context.get_stream(name)).await? {
            Ok(found) => Ok(Some(found)),
            Err(error) => match error.kind() {
                GetStreamErrorKind::JetStream(cause) if cause.error_code() == ErrorCode::STREAM_NOT_FOUND => {
                    Ok(None)
                }
                GetStreamErrorKind::JetStream(cause) => Err(convert::refusal(&cause)),
                _ => Err(BusError::unavailable(error)),
            },
        }
    }

    /// The last message kept, asked of the stream's leader, not of a replica that may lag.
    async fn last_raw(
        &self,
        found: &stream::Stream,
        stream: Stream,
    ) -> Result<Option<StreamMessage>, BusError> {
        match self.request(found.get_last_raw_message_by_subject(stream.subjects())).await? {
            Ok(raw) => Ok(Some(raw)),
            Err(error) => match error.kind() {
                LastRawMessageErrorKind::NoMessageFound => Ok(None),
                LastRawMessageErrorKind::JetStream(cause) => Err(convert::refusal(&cause)),
                _ => Err(BusError::unavailable(error)),
            },
        }
    }

    /// The end of a stream as it is told at once.
    async fn tail_now(&self, stream: Stream) -> Result<Tail, BusError> {
        let Some(found) = self.find(stream).await? else {
            return Ok(Tail { sequence: 0, message: None, incarnation: String::new() });
        };
        let info = found.cached_info();
        let raw = if info.state.messages == 0 { None } else { self.last_raw(&found, stream).await? };
        let message = raw.map(|raw| convert::any_message(&raw.subject, &raw.headers, raw.payload));
        let incarnation = info.created.unix_timestamp_nanos().to_string();
        Ok(Tail { sequence: info.state.last_sequence, message, incarnation })
    }

    /// Sends a message without waiting for its acknowledgement.
    async fn send(
        &self,
        stream: Stream,
        message: Message,
        expected: Expected,
    ) -> Result<PublishAckFuture, PublishError> {
        message.check(stream).map_err(|reason| PublishError::Invalid { reason })?;
        let headers = convert::addressed(stream, &message, expected)?;
        let publish = PublishMessage::build().headers(headers).payload(message.payload);
        let sent = self.context.send_publish(message.subject, publish);
        self.link.within(SEND_LIMIT, sent).await?.map_err(|error| convert::publish_error(stream, &error))
    }

    /// Waits until a sent message is stored.
    async fn stored(&self, stream: Stream, ack: PublishAckFuture) -> Result<Published, PublishError> {
        let ack = self.link.within(self.settings.ack_timeout, ack.into_future()).await?;
        let ack = ack.map_err(|error| convert::publish_error(stream, &error))?;
        Ok(Published { sequence: ack.sequence, duplicate: ack.duplicate })
    }

    /// The configuration of the consumer, with the start of the durable one that exists: that cannot be changed.
    async fn consumer_config(
        &self,
        stream: &stream::Stream<()>,
        wanted: &Consumer,
    ) -> Result<pull::Config, BusError> {
        let mut config = convert::consumer_config(wanted);
        let Some(name) = &wanted.durable else { return Ok(config) };
        match self.request(stream.consumer_info(name)).await? {
            Ok(known) => config.deliver_policy = known.config.deliver_policy,
            Err(error) => match error.kind() {
                ConsumerInfoErrorKind::NotFound | ConsumerInfoErrorKind::StreamNotFound => {}
                ConsumerInfoErrorKind::JetStream(cause) => return Err(convert::refusal(&cause)),
                _ => return Err(BusError::unavailable(error)),
            },
        }
        Ok(config)
    }

    async fn pull(&self, consumer: &PullConsumer, prefetch: usize) -> Result<pull::Stream, BusError> {
        let messages = consumer
            .stream()
            .max_messages_per_batch(prefetch)
            .expires(PULL_EXPIRY)
            .heartbeat(self.settings.idle_heartbeat)
            .messages();
        self.request(messages).await?.map_err(BusError::unavailable)
    }
}

#[async_trait]
impl Bus for NatsBus {
    async fn ensure_streams(&self, settings: &StreamSettings) -> Result<(), BusError> {
        self.set_up(settings).await
    }

    async fn tail(&self, stream: Stream) -> Result<Tail, BusError> {
        let give_up = Instant::now() + self.settings.request_timeout;
        loop {
            match self.tail_now(stream).await {
                // A cluster that elects a leader says no for a moment.
                Err(BusError::Unavailable { .. }) if Instant::now() < give_up => {
                    tokio::time::sleep(ELECTION_PAUSE).await;
                }
                told => return told,
            }
        }
    }

    async fn publish(
        &self,
        stream: Stream,
        message: Message,
        expected_last: Option<u64>,
    ) -> Result<Published, PublishError> {
        let ack = self.send(stream, message, Expected { sequence: expected_last, id: None }).await?;
        self.stored(stream, ack).await
    }

    async fn publish_batch(
        &self,
        stream: Stream,
        messages: Vec<Message>,
        first_expected_last: u64,
    ) -> Result<Vec<Published>, BatchError> {
        self.send_batch(stream, messages, first_expected_last).await
    }

    async fn consume(&self, stream: Stream, consumer: &Consumer) -> Result<Subscription, BusError> {
        consumer.check(stream)?;
        // From here on a lost connection ends the subscription.
        let losses = self.link.losses();
        let on =
            self.request(self.context.get_stream_no_info(stream.name())).await?.map_err(BusError::invalid)?;
        let config = self.consumer_config(&on, consumer).await?;
        let created = self.request(on.create_consumer(config)).await?;
        let created = created.map_err(|error| match convert::consumer_error(error) {
            BusError::Invalid { reason } => BusError::invalid(format!(
                "consumer {} of {}: {reason}; if it was made otherwise, delete it, and it is made anew",
                consumer.durable.as_deref().unwrap_or("without a name"),
                stream.name()
            )),
            unavailable @ BusError::Unavailable { .. } => unavailable,
        })?;
        let messages = self.pull(&created, consumer.prefetch).await?;
        let pulling = Pulling { bus: self.clone(), consumer: created, prefetch: consumer.prefetch };
        Ok(Subscription::new(subscription::deliveries(stream, losses, messages, pulling)))
    }

    async fn signal(&self, subject: &str, payload: Bytes) -> Result<(), BusError> {
        check_signal(subject)?;
        let sent = self.link.client.publish(subject.to_owned(), payload);
        self.link.within(SEND_LIMIT, sent).await?.map_err(BusError::unavailable)
    }

    async fn listen(&self, filter: &str) -> Result<Signals, BusError> {
        if !subject::is_filter(filter) {
            return Err(BusError::invalid(format!("{filter:?} is not a subject")));
        }
        // Queued by the client while there is no connection, and repeated by it after each new one.
        let subscribing = self.link.client.subscribe(filter.to_owned());
        let subscribed =
            tokio::time::timeout(SEND_LIMIT, subscribing).await.map_err(BusError::unavailable)?;
        let subscriber = subscribed.map_err(BusError::unavailable)?;
        let heard = subscriber
            .map(|message| Signal { subject: message.subject.to_string(), payload: message.payload });
        Ok(heard.boxed())
    }

    async fn health(&self) -> Result<(), BusError> {
        let account = self.link.within(HEALTH_LIMIT, self.context.query_account()).await?;
        account.map(drop).map_err(BusError::unavailable)
    }

    fn largest_message(&self) -> usize {
        self.link.client.max_payload()
    }
}
