//! Reading what streams hold, removing from them, and what their consumers gave up.

use std::ops::RangeInclusive;
use std::time::Instant;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::{self, DeleteMessageErrorKind, RawMessageErrorKind};
use async_trait::async_trait;
use chrono::Utc;
use dcm_domain::value::Timestamp;
use futures::{StreamExt, TryStreamExt};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Serialize};

use super::streams::{ADVISORIES, TERMINATED_JOB, as_set_up, limit, retention};
use super::subscription::{self, Pulling, Reply, STARTING, STARTING_PAUSE};
use super::{NatsBus, PULL_EXPIRY, convert};
use crate::bus::upkeep::Extent;
use crate::bus::{
    Bus, BusError, GaveUp, GivenUp, GivenUps, Kept, Message, Server, Stream, StreamSettings, Upkeep, upkeep,
};

/// Type of the advisory that a message was delivered as often as it may be.
const MAX_DELIVER: &str = "io.nats.jetstream.advisory.v1.max_deliver";
/// Type of the advisory that a message was terminated.
const TERMINATED: &str = "io.nats.jetstream.advisory.v1.terminated";
/// Header of our own record of a terminated job: what an advisory says, percent-encoded.
const RECORD_HEADER: &str = "Dcm-Given-Up";
/// The consumer that makes dead letters, shared by all who do.
const DEAD_LETTERS: &str = "dcm-dead-letters";
/// How many messages are removed at once.
const REMOVED_AT_ONCE: usize = 64;

#[async_trait]
impl Upkeep for NatsBus {
    async fn read(&self, stream: Stream, from: u64, limit: usize) -> Result<Vec<Kept>, BusError> {
        upkeep::check_readable(stream)?;
        let Some(found) = self.find(stream).await? else { return Ok(Vec::new()) };
        // Asked of the leader: the copy that is read from may lag behind it.
        let Some(last) = self.last_sequence_kept(&found, stream).await?.filter(|last| *last >= from) else {
            return Ok(Vec::new());
        };
        let give_up = Instant::now() + STARTING;
        loop {
            match self.page(&found, from..=last, limit).await {
                // A new reader's leader is still being chosen. The next reader begins anew.
                Err(BusError::Unavailable { .. }) if Instant::now() < give_up => {
                    tokio::time::sleep(STARTING_PAUSE).await;
                }
                page => return page,
            }
        }
    }

    async fn extent(&self, stream: Stream) -> Result<Extent, BusError> {
        let Some(found) = self.find(stream).await? else { return Ok(Extent::ABSENT) };
        let info = found.cached_info();
        let state = &info.state;
        let created = i64::try_from(info.created.unix_timestamp_nanos() / 1000).ok();
        Ok(Extent {
            // Of a stream that was never used, servers say 0.
            first_sequence: match state.messages {
                0 => state.last_sequence.saturating_add(1),
                _ => state.first_sequence,
            },
            messages: state.messages,
            bytes: state.bytes,
            retention: retention(&info.config),
            max_messages: limit(info.config.max_messages),
            created: created.map(Timestamp::from_micros),
        })
    }

    async fn settings(&self, otherwise: &StreamSettings) -> Result<StreamSettings, BusError> {
        let mut settings = otherwise.clone();
        // What all streams have in common is as that of events has it, which is looked at last.
        for stream in Stream::ALL.into_iter().rev() {
            if let Some(found) = self.find(stream).await? {
                settings = as_set_up(stream, &found.cached_info().config, settings);
            }
        }
        Ok(settings)
    }

    async fn remove(&self, stream: Stream, sequences: RangeInclusive<u64>) -> Result<(), BusError> {
        let Some(found) = self.find(stream).await? else { return Ok(()) };
        let state = &found.cached_info().state;
        // To purge beyond the end would move the end.
        let (first, last) = (*sequences.start(), state.last_sequence.min(*sequences.end()));
        if first <= state.first_sequence {
            let purge = found.purge().sequence(last.saturating_add(1));
            return self.request(purge.into_future()).await?.map(drop).map_err(BusError::unavailable);
        }
        futures::stream::iter(first..=last)
            .map(|sequence| self.remove_one(&found, sequence))
            .buffer_unordered(REMOVED_AT_ONCE)
            .try_collect()
            .await
    }

    async fn server(&self) -> Result<Server, BusError> {
        self.health().await?;
        self.check_server()?;
        let info = self.link.client.server_info();
        Ok(Server::Nats { version: info.version, cluster: info.cluster, max_payload: info.max_payload })
    }

    async fn given_up(&self) -> Result<GivenUps, BusError> {
        let losses = self.link.losses();
        let on =
            self.request(self.context.get_stream_no_info(ADVISORIES)).await?.map_err(BusError::invalid)?;
        let config = pull::Config { durable_name: Some(DEAD_LETTERS.to_owned()), ..pull::Config::default() };
        let consumer: PullConsumer =
            self.request(on.create_consumer(config)).await?.map_err(convert::consumer_error)?;
        let messages = self.pull(&consumer, 1).await?;
        let pulling = Pulling { bus: self.clone(), consumer, prefetch: 1 };
        let received = subscription::received(losses, messages, pulling);
        let bus = self.clone();
        let given_up = received.then(move |received| {
            let bus = bus.clone();
            async move { bus.advised(received?).await }
        });
        // What is no advisory was settled; the rest of the stream is as it came.
        Ok(given_up.try_filter_map(async |given_up| Ok(given_up)).boxed())
    }
}

impl NatsBus {
    async fn last_sequence_kept(
        &self,
        found: &stream::Stream,
        stream: Stream,
    ) -> Result<Option<u64>, BusError> {
        Ok(self.last_raw(found, stream).await?.map(|raw| raw.sequence))
    }

    /// The messages with these sequences, at most `limit`, by a reader of their own.
    async fn page(
        &self,
        found: &stream::Stream,
        sequences: RangeInclusive<u64>,
        limit: usize,
    ) -> Result<Vec<Kept>, BusError> {
        let config = pull::Config {
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: (*sequences.start()).max(1) },
            ack_policy: AckPolicy::None,
            inactive_threshold: PULL_EXPIRY,
            memory_storage: true,
            num_replicas: 1,
            ..pull::Config::default()
        };
        let reader: PullConsumer =
            self.request(found.create_consumer(config)).await?.map_err(BusError::unavailable)?;
        let page = self.fetch(&reader, *sequences.end(), limit).await;
        // Unused, the server would forget it a little later.
        let _ = self.request(found.delete_consumer(&reader.cached_info().name)).await;
        page
    }

    /// What a new reader is given up to the message with sequence `last`, at most `limit` messages.
    async fn fetch(&self, reader: &PullConsumer, last: u64, limit: usize) -> Result<Vec<Kept>, BusError> {
        let mut page = Vec::new();
        let batch = reader.batch().max_messages(limit).expires(self.settings.request_timeout).messages();
        let mut batch = self.request(batch).await?.map_err(BusError::unavailable)?;
        while page.len() < limit {
            // A batch that ends early was slow, or was read from a copy that lags.
            let Some(received) = self.request(batch.next()).await? else { break };
            let received = received.map_err(BusError::unavailable)?;
            let info = received.info().map_err(BusError::unavailable)?;
            // The server does not send again what it has sent, and counts it.
            if info.consumer_sequence != page.len() as u64 + 1 {
                return Err(BusError::unavailable("a message was lost on its way"));
            }
            let sequence = info.stream_sequence;
            let headers = received.headers.clone().unwrap_or_default();
            let message = convert::message(&received.subject, &headers, received.payload.clone());
            page.push(Kept { sequence, message });
            if sequence >= last {
                break;
            }
        }
        match page.is_empty() && limit > 0 {
            true => Err(BusError::unavailable("a copy of the stream lags behind")),
            false => Ok(page),
        }
    }

    async fn remove_one(&self, found: &stream::Stream, sequence: u64) -> Result<(), BusError> {
        let Err(error) = self.request(found.delete_message(sequence)).await? else { return Ok(()) };
        match error.kind() {
            DeleteMessageErrorKind::JetStream(cause) => match cause.error_code() {
                ErrorCode::NO_MESSAGE_FOUND | ErrorCode::SEQUENCE_NOT_FOUND => Ok(()),
                _ => Err(convert::refusal(&cause)),
            },
            _ => Err(BusError::unavailable(error)),
        }
    }

    /// What an advisory tells, with the message it is about; `None` if it tells nothing of ours.
    async fn advised(&self, received: async_nats::jetstream::Message) -> Result<Option<GivenUp>, String> {
        let record = received.subject.as_str() == TERMINATED_JOB;
        let told = if record { Advisory::of_record(&received) } else { Advisory::parse(&received.payload) };
        let known = told
            .and_then(|told| Some((Stream::named(&told.stream)?, Timestamp::parse(&told.timestamp)?, told)));
        let Some((stream, at, told)) = known else {
            tracing::warn!(subject = %received.subject, "an advisory that cannot be read is passed over");
            received.ack().await.map_err(|error| error.to_string())?;
            return Ok(None);
        };
        let message = match &told.subject {
            Some(subject) if record => {
                let headers = received.headers.clone().unwrap_or_default();
                convert::message(subject, &headers, received.payload.clone()).ok().map(Advisory::without)
            }
            _ => self.kept_at(stream, told.stream_seq).await.map_err(|error| error.to_string())?,
        };
        Ok(Some(GivenUp {
            stream,
            consumer: told.consumer,
            sequence: told.stream_seq,
            deliveries: told.deliveries,
            cause: match told.kind.as_str() {
                MAX_DELIVER => GaveUp::MaxDeliveries,
                _ => GaveUp::Terminated(told.reason.filter(|reason| !reason.is_empty())),
            },
            at,
            message,
            settle: Box::new(Reply::to(self.clone(), &received, None)),
        }))
    }

    /// The message with that sequence, if the stream holds it and one of us wrote it.
    async fn kept_at(&self, stream: Stream, sequence: u64) -> Result<Option<Message>, BusError> {
        let Some(found) = self.find(stream).await? else { return Ok(None) };
        match self.request(found.get_raw_message(sequence)).await? {
            Ok(raw) => Ok(convert::message(&raw.subject, &raw.headers, raw.payload).ok()),
            Err(error) => match error.kind() {
                RawMessageErrorKind::NoMessageFound => Ok(None),
                RawMessageErrorKind::JetStream(cause) => Err(convert::refusal(&cause)),
                _ => Err(BusError::unavailable(error)),
            },
        }
    }

    /// Writes down that a job hint is about to be terminated, with the hint: with its last delivery it is gone.
    pub(super) async fn record_terminated(&self, job: &Terminated, reason: &str) -> Result<(), BusError> {
        let advisory = Advisory {
            kind: TERMINATED.to_owned(),
            timestamp: Timestamp::from(Utc::now()).to_string(),
            stream: Stream::Jobs.name().to_owned(),
            consumer: job.consumer.clone(),
            stream_seq: job.sequence,
            deliveries: job.attempt,
            reason: Some(reason.to_owned()),
            subject: Some(job.message.subject.clone()),
        };
        let text = serde_json::to_string(&advisory).map_err(BusError::invalid)?;
        let text = utf8_percent_encode(&text, NON_ALPHANUMERIC).to_string();
        let mut record = job.message.clone();
        record.headers.push((RECORD_HEADER.to_owned(), text));
        let headers = convert::headers(&record).map_err(BusError::invalid)?;
        let publish = PublishMessage::build().headers(headers).payload(record.payload);
        let sent = self.request(self.context.send_publish(TERMINATED_JOB, publish)).await?;
        let stored = self.request(sent.map_err(BusError::unavailable)?.into_future()).await?;
        stored.map(drop).map_err(BusError::unavailable)
    }
}

/// A job hint that its consumer terminates.
pub(super) struct Terminated {
    pub(super) message: Message,
    pub(super) consumer: String,
    pub(super) sequence: u64,
    pub(super) attempt: u64,
}

/// What a server tells of a message that a consumer gave up; our own record of a job says the same in a header.
#[derive(Serialize, Deserialize)]
struct Advisory {
    #[serde(rename = "type")]
    kind: String,
    timestamp: String,
    stream: String,
    consumer: String,
    stream_seq: u64,
    #[serde(default)]
    deliveries: u64,
    #[serde(default)]
    reason: Option<String>,
    /// Of our own records: the subject of the job.
    #[serde(default)]
    subject: Option<String>,
}

impl Advisory {
    fn parse(payload: &[u8]) -> Option<Self> {
        serde_json::from_slice(payload).ok()
    }

    fn of_record(received: &async_nats::jetstream::Message) -> Option<Self> {
        let text = received.headers.as_ref()?.get(RECORD_HEADER)?.as_str().to_owned();
        Self::parse(&percent_decode_str(&text).collect::<Vec<u8>>())
    }

    /// The job as it was, without what was added to record it.
    fn without(mut job: Message) -> Message {
        job.headers.retain(|(name, _)| name != RECORD_HEADER);
        job
    }
}
