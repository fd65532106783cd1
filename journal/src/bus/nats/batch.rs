//! How batches reach a stream: in order, and without waiting for each message.
//!
//! One server is sent messages one behind the other, each chained to the one before. Where servers copy a stream, a chained
//! batch that was refused in the middle left it without a leader for good (seen with 2.15). There a batch is sent as one,
//! which is stored whole or not at all; and message by message, each after the answer for the one before, where servers are
//! too old for that.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use async_nats::header::{NATS_BATCH_COMMIT, NATS_BATCH_COMMIT_FINAL, NATS_BATCH_ID, NATS_BATCH_SEQUENCE};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::Config;
use uuid::Uuid;

use super::convert::{self, Expected};
use super::{NatsBus, SEND_LIMIT};
use crate::bus::{BatchError, Message, PublishError, Published, Stream};

/// How many messages may be unacknowledged; more gain nothing (measured) and delay the notice of a fence.
const MAX_IN_FLIGHT: usize = 256;
/// Most messages of a batch that is stored whole. Servers take a thousand unless told otherwise.
const MAX_WHOLE: usize = 256;
/// Most bytes of one, but for a single message that is larger: servers hold it in memory until it is complete.
const MAX_WHOLE_BYTES: usize = 1024 * 1024;

/// How a stream takes several messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Way {
    /// One behind the other.
    #[default]
    Chained,
    /// As one.
    Whole,
    /// Each after the answer for the one before.
    InTurn,
}

impl Way {
    fn of(config: &Config) -> Self {
        match (config.num_replicas > 1, config.allow_atomic_publish) {
            (false, _) => Self::Chained,
            (true, true) => Self::Whole,
            (true, false) => Self::InTurn,
        }
    }
}

/// How the stream of the events, the only one that takes batches, was found to take them.
#[derive(Clone, Debug, Default)]
pub(super) struct Batches(Arc<Mutex<Way>>);

impl Batches {
    /// Takes in how a stream is configured.
    pub(super) fn learn(&self, config: &Config) {
        if config.name == Stream::Events.name() {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Way::of(config);
        }
    }

    fn way(&self) -> Way {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a batch was not stored as one.
enum NotWhole {
    /// The stream does not take it; nothing of it is stored.
    Refused,
    /// It is not known to be stored.
    Unknown(PublishError),
}

impl NatsBus {
    pub(super) async fn send_batch(
        &self,
        stream: Stream,
        messages: Vec<Message>,
        first_expected_last: u64,
    ) -> Result<Vec<Published>, BatchError> {
        match self.batches.way() {
            Way::Chained => self.send_behind(stream, messages, first_expected_last, MAX_IN_FLIGHT).await,
            Way::Whole => self.send_whole(stream, messages, first_expected_last).await,
            Way::InTurn => self.send_behind(stream, messages, first_expected_last, 1).await,
        }
    }

    /// Sends messages one behind the other, at most `most` of them without an answer.
    async fn send_behind(
        &self,
        stream: Stream,
        messages: Vec<Message>,
        first_expected_last: u64,
        most: usize,
    ) -> Result<Vec<Published>, BatchError> {
        let mut stored = Vec::with_capacity(messages.len());
        let mut in_flight = VecDeque::with_capacity(most.min(messages.len()));
        let mut unsent = None;
        // A sequence alone does not chain the batch: after a refused message, a later one whose number happens to fit
        // would be stored out of order. So each that is sent before the answer also expects its predecessor's id.
        let mut predecessor = None;
        for (expected_last, message) in (first_expected_last..).zip(messages) {
            if in_flight.len() >= most
                && let Some(ack) = in_flight.pop_front()
            {
                match self.stored(stream, ack).await {
                    Ok(published) => stored.push(published),
                    Err(source) => return Err(BatchError { stored, source }),
                }
            }
            let id = predecessor.replace(message.id).filter(|_| most > 1);
            let expected = Expected { sequence: Some(expected_last), id };
            match self.send(stream, message, expected).await {
                Ok(ack) => in_flight.push_back(ack),
                Err(error) => {
                    unsent = Some(error);
                    break;
                }
            }
        }
        for ack in in_flight {
            match self.stored(stream, ack).await {
                Ok(published) => stored.push(published),
                Err(source) => return Err(BatchError { stored, source }),
            }
        }
        match unsent {
            None => Ok(stored),
            Some(source) => Err(BatchError { stored, source }),
        }
    }

    /// Sends parts of a batch, each as one. A part that is refused is sent in turn, which tells how far it comes and why.
    async fn send_whole(
        &self,
        stream: Stream,
        messages: Vec<Message>,
        first_expected_last: u64,
    ) -> Result<Vec<Published>, BatchError> {
        let mut stored = Vec::with_capacity(messages.len());
        for part in parts(messages) {
            let expected_last = first_expected_last + stored.len() as u64;
            let whole = match part.len() {
                1 => Err(NotWhole::Refused),
                _ => self.store_whole(stream, &part, expected_last).await,
            };
            match whole {
                Ok(published) => stored.extend(published),
                Err(NotWhole::Refused) => match self.send_behind(stream, part, expected_last, 1).await {
                    Ok(published) => stored.extend(published),
                    Err(BatchError { stored: leading, source }) => {
                        stored.extend(leading);
                        return Err(BatchError { stored, source });
                    }
                },
                Err(NotWhole::Unknown(source)) => return Err(BatchError { stored, source }),
            }
        }
        Ok(stored)
    }

    /// Stores all of `part` if the stream ends at `expected_last`, or nothing.
    async fn store_whole(
        &self,
        stream: Stream,
        part: &[Message],
        expected_last: u64,
    ) -> Result<Vec<Published>, NotWhole> {
        let Some((last, leading)) = part.split_last() else { return Ok(Vec::new()) };
        let id = Uuid::now_v7().to_string();
        let mut expected = Expected { sequence: Some(expected_last), id: None };
        let mut addressed = |message: &Message, number: usize| {
            let fits = message.check(stream).is_ok();
            // Of a batch the first message alone may say where the stream ends.
            let headers = convert::addressed(stream, message, std::mem::take(&mut expected));
            let mut headers = headers.ok().filter(|_| fits).ok_or(NotWhole::Refused)?;
            headers.insert(NATS_BATCH_ID, id.as_str());
            headers.insert(NATS_BATCH_SEQUENCE, number.to_string());
            Ok(headers)
        };
        for (number, message) in (1..).zip(leading) {
            let (subject, payload) = (message.subject.clone(), message.payload.clone());
            // What goes wrong with one of them is told with the last.
            let sent = self.link.client.publish_with_headers(subject, addressed(message, number)?, payload);
            let sent =
                self.link.within(SEND_LIMIT, sent).await.map_err(|error| NotWhole::Unknown(error.into()))?;
            sent.map_err(|_| NotWhole::Refused)?;
        }
        let mut headers = addressed(last, part.len())?;
        headers.insert(NATS_BATCH_COMMIT, NATS_BATCH_COMMIT_FINAL);
        let publish = PublishMessage::build().headers(headers).payload(last.payload.clone());
        let sent = self.context.send_publish(last.subject.clone(), publish);
        let unknown = |error| NotWhole::Unknown(PublishError::from(error));
        let ack = self.link.within(SEND_LIMIT, sent).await.map_err(unknown)?;
        let ack = ack.map_err(|error| not_whole(stream, &error))?;
        let ack = self.link.within(self.settings.ack_timeout, ack.into_future()).await.map_err(unknown)?;
        let ack = ack.map_err(|error| not_whole(stream, &error))?;
        let count = part.len() as u64;
        // A server that knows of no batches stores their messages as any others: the stream's end has to be asked for.
        if ack.batch_size != Some(count) {
            let reason = "the server did not take the messages as one batch".to_owned();
            return Err(NotWhole::Unknown(PublishError::Unavailable { reason }));
        }
        let first = (ack.sequence + 1).saturating_sub(count);
        Ok((first..=ack.sequence).map(|sequence| Published { sequence, duplicate: false }).collect())
    }
}

fn not_whole(stream: Stream, error: &convert::NatsPublishError) -> NotWhole {
    match convert::is_refusal(error) {
        true => NotWhole::Refused,
        false => NotWhole::Unknown(convert::publish_error(stream, error)),
    }
}

/// `messages` in parts that servers take as one.
fn parts(messages: Vec<Message>) -> Vec<Vec<Message>> {
    let mut parts: Vec<Vec<Message>> = Vec::new();
    let mut bytes = 0;
    for message in messages {
        bytes += message.size();
        match parts.last_mut() {
            Some(part) if part.len() < MAX_WHOLE && bytes <= MAX_WHOLE_BYTES => part.push(message),
            _ => {
                bytes = message.size();
                parts.push(vec![message]);
            }
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(bytes: usize) -> Message {
        Message {
            subject: "dcm.v1.event.a.b.c".to_owned(),
            id: Uuid::nil(),
            headers: Vec::new(),
            payload: vec![0; bytes].into(),
        }
    }

    fn sizes(messages: Vec<Message>) -> Vec<usize> {
        parts(messages).iter().map(Vec::len).collect()
    }

    #[test]
    fn parts_are_bounded_in_number_and_in_size() {
        assert_eq!(sizes(Vec::new()), [0; 0]);
        assert_eq!(sizes(vec![message(1); 2 * MAX_WHOLE + 1]), [MAX_WHOLE, MAX_WHOLE, 1]);
        assert_eq!(sizes(vec![message(MAX_WHOLE_BYTES / 2 - 600); 5]), [2, 2, 1]);
        let large = message(2 * MAX_WHOLE_BYTES);
        assert_eq!(sizes(vec![message(1), large.clone(), large, message(1)]), [1, 1, 1, 1]);
    }

    #[test]
    fn only_streams_with_copies_are_not_sent_to_in_a_chain() {
        let way = |num_replicas, allow_atomic_publish| {
            Way::of(&Config { num_replicas, allow_atomic_publish, ..Config::default() })
        };
        assert_eq!([way(0, false), way(1, false), way(1, true)], [Way::Chained; 3]);
        assert_eq!((way(3, true), way(3, false)), (Way::Whole, Way::InTurn));
    }
}
