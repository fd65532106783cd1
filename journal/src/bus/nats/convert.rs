//! Between the types of the port and those of the NATS client.

use std::time::Duration;

use async_nats::header::{HeaderMap, HeaderName, HeaderValue};
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
pub(super) use async_nats::jetstream::context::PublishError as NatsPublishError;
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::stream::{ConsumerError, ConsumerErrorKind};
use async_nats::jetstream::{self, ErrorCode};
use bytes::Bytes;
use uuid::Uuid;

use crate::bus::message::is_bus_header;
use crate::bus::{BusError, Consumer, Message, PublishError, Start, Stream};

const MESSAGE_ID: &str = "Nats-Msg-Id";
const EXPECTED_STREAM: &str = "Nats-Expected-Stream";
const EXPECTED_LAST_SEQUENCE: &str = "Nats-Expected-Last-Sequence";
const EXPECTED_LAST_ID: &str = "Nats-Expected-Last-Msg-Id";

/// Where a stream must end for a message to be stored.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Expected {
    /// The last sequence.
    pub(super) sequence: Option<u64>,
    /// The id of the last message.
    pub(super) id: Option<Uuid>,
}

/// How long the server remembers a consumer without a durable name and without a subscription.
const EPHEMERAL_LIFE: Duration = Duration::from_secs(30);

pub(super) fn consumer_config(consumer: &Consumer) -> pull::Config {
    pull::Config {
        durable_name: consumer.durable.clone(),
        deliver_policy: match consumer.start {
            Start::New => DeliverPolicy::New,
            Start::All => DeliverPolicy::All,
            Start::AfterSequence(sequence) => {
                DeliverPolicy::ByStartSequence { start_sequence: sequence.saturating_add(1) }
            }
        },
        ack_policy: AckPolicy::Explicit,
        ack_wait: consumer.wait(1),
        max_deliver: consumer.max_deliver.map_or(-1, i64::from),
        filter_subjects: consumer.filters.clone(),
        backoff: consumer.backoff.clone(),
        inactive_threshold: if consumer.durable.is_some() { Duration::ZERO } else { EPHEMERAL_LIFE },
        ..pull::Config::default()
    }
}

/// The headers of a message that was checked, with those that say where it is to be stored.
pub(super) fn addressed(
    stream: Stream,
    message: &Message,
    expected: Expected,
) -> Result<HeaderMap, PublishError> {
    let mut map = headers(message).map_err(|reason| PublishError::Invalid { reason })?;
    map.insert(EXPECTED_STREAM, stream.name());
    if let Some(sequence) = expected.sequence {
        map.insert(EXPECTED_LAST_SEQUENCE, sequence.to_string());
    }
    if let Some(id) = expected.id {
        map.insert(EXPECTED_LAST_ID, id.to_string());
    }
    Ok(map)
}

/// The headers of a message, and its id. Errors: what is wrong with one.
pub(super) fn headers(message: &Message) -> Result<HeaderMap, String> {
    let mut map = HeaderMap::new();
    for (name, value) in &message.headers {
        let name: HeaderName = name.parse().map_err(|_| format!("header name {name:?}"))?;
        let value: HeaderValue = value.parse().map_err(|_| format!("header value of {name:?}"))?;
        map.insert(name, value);
    }
    map.insert(MESSAGE_ID, message.id.to_string());
    Ok(map)
}

/// The message as stored. Errors: it has no id of ours, so none of us wrote it.
pub(super) fn message(subject: &str, map: &HeaderMap, payload: Bytes) -> Result<Message, String> {
    let message = any_message(subject, map, payload);
    match message.id.is_nil() {
        true => Err(format!("a message on {subject} has no UUID as {MESSAGE_ID}")),
        false => Ok(message),
    }
}

/// The message as stored, with the nil id if it has none of ours.
pub(super) fn any_message(subject: &str, map: &HeaderMap, payload: Bytes) -> Message {
    let id = map.get(MESSAGE_ID).and_then(|id| Uuid::parse_str(id.as_str()).ok()).unwrap_or_default();
    let headers = map
        .iter()
        .filter(|(name, _)| !is_bus_header(name.as_ref()))
        .filter_map(|(name, values)| values.last().map(|value| (name.to_string(), value.to_string())))
        .collect();
    Message { subject: subject.to_owned(), id, headers, payload }.with_sorted_headers()
}

/// Tells a refusal for good from one that may pass. A stream that is missing may be created by its writer.
pub(super) fn refusal(error: &jetstream::Error) -> BusError {
    let passes = [ErrorCode::STREAM_NOT_FOUND, ErrorCode::CONSUMER_NOT_FOUND].contains(&error.error_code());
    if passes || error.code() >= 500 { BusError::unavailable(error) } else { BusError::invalid(error) }
}

/// Why there is no consumer.
pub(super) fn consumer_error(error: ConsumerError) -> BusError {
    match error.kind() {
        // Said of one that cannot be changed so.
        ConsumerErrorKind::JetStream(cause) if cause.error_code() == ErrorCode::CONSUMER_CREATE => {
            BusError::invalid(cause)
        }
        ConsumerErrorKind::JetStream(cause) => refusal(&cause),
        _ => BusError::unavailable(error),
    }
}

/// What the server answered, if it refused to store a message.
fn refused(error: &NatsPublishError) -> Option<&jetstream::Error> {
    std::error::Error::source(error).and_then(|source| source.downcast_ref())
}

/// Whether the server said that it does not store a message.
pub(super) fn is_refusal(error: &NatsPublishError) -> bool {
    refused(error).is_some()
}

/// Why a publish was not acknowledged as stored.
pub(super) fn publish_error(stream: Stream, error: &NatsPublishError) -> PublishError {
    match (error.kind(), refused(error)) {
        (PublishErrorKind::WrongLastSequence, Some(cause)) => match fence(&cause.to_string()) {
            Some(last) => PublishError::Fenced { last },
            None => PublishError::Unavailable { reason: cause.to_string() },
        },
        (PublishErrorKind::StreamNotFound, _) => {
            PublishError::Unavailable { reason: format!("there is no stream {}", stream.name()) }
        }
        (PublishErrorKind::MaxPayloadExceeded, _) => PublishError::Invalid { reason: error.to_string() },
        (PublishErrorKind::Other, Some(cause)) => refusal(cause).into(),
        _ => PublishError::Unavailable { reason: error.to_string() },
    }
}

/// The sequence in `wrong last sequence: N (...)`.
fn fence(description: &str) -> Option<u64> {
    let (_, rest) = description.split_once("wrong last sequence: ")?;
    let digits = rest.find(|c: char| !c.is_ascii_digit()).map_or(rest, |end| rest.get(..end).unwrap_or(rest));
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fence_is_read_from_the_servers_text() {
        assert_eq!(fence("wrong last sequence: 12 (code 400, error code 10071)"), Some(12));
        assert_eq!(fence("wrong last sequence"), None);
    }
}
