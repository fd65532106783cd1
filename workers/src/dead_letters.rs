//! Dead letters: what consumers of the bus gave up, kept in `DCM_DEAD` with the cause and the original message until an
//! operator has seen to it.
//!
//! A letter's subject names the message and the consumer, and the stream keeps one message of each subject: what is told
//! twice is one letter.

use std::time::Duration;

use dcm_journal::bus::{BusError, GaveUp, GivenUp, Kept, Message, PublishError, Stream, Upkeep};
use dcm_journal::outage::Outage;
use dcm_schemas::{cloudevents, subjects};
use futures::StreamExt;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::relay::fitted;

/// What the names of a letter's own headers begin with; the others are the original's.
const PREFIX: &str = "Dcm-Dead-";
const STREAM: &str = "Dcm-Dead-Stream";
const CONSUMER: &str = "Dcm-Dead-Consumer";
const SEQUENCE: &str = "Dcm-Dead-Sequence";
const DELIVERIES: &str = "Dcm-Dead-Deliveries";
const CAUSE: &str = "Dcm-Dead-Cause";
const REASON: &str = "Dcm-Dead-Reason";
const TIME: &str = "Dcm-Dead-Time";
const SUBJECT: &str = "Dcm-Dead-Subject";
const MESSAGE_ID: &str = "Dcm-Dead-Message-Id";

/// Cause of a letter whose message was delivered as often as its consumer allows.
const MAX_DELIVERIES: &str = "max-deliveries";
/// Cause of a letter whose message its consumer terminated.
const TERMINATED: &str = "terminated";

/// Letters read at once.
const PAGE: usize = 500;
/// Pause before the bus is asked again.
const PAUSE: Duration = Duration::from_secs(1);

/// Writes letters for what is given up, until `stop`. Any number of processes may: they share the work.
pub async fn run(bus: &dyn Upkeep, stop: CancellationToken) {
    let mut outage = Outage::of("what consumers of the bus gave up");
    while !stop.is_cancelled() {
        let following = async {
            let mut given_up = bus.given_up().await.map_err(|error| error.to_string())?;
            outage.end();
            while let Some(given_up) = given_up.next().await {
                write(bus, &given_up?).await?;
            }
            Err::<(), String>("the stream ended".to_owned())
        };
        let ended = tokio::select! {
            () = stop.cancelled() => return,
            ended = following => ended,
        };
        if let Err(error) = ended {
            outage.begin(&error);
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

/// Keeps one message that was given up. Errors: it comes again.
async fn write(bus: &dyn Upkeep, given_up: &GivenUp) -> Result<(), String> {
    let letter = fitted(letter(given_up), bus.largest_message());
    bus.publish(Stream::Dead, letter, None).await.map_err(|error| error.to_string())?;
    let (stream, cause) = (given_up.stream.name(), cause(&given_up.cause));
    tracing::warn!(
        stream,
        consumer = given_up.consumer,
        sequence = given_up.sequence,
        deliveries = given_up.deliveries,
        cause,
        "a message that no consumer could handle is kept as a dead letter"
    );
    metrics::counter!("dcm_bus_dead_letters_total", "stream" => stream, "cause" => cause).increment(1);
    given_up.ack().await.map_err(|error| error.to_string())
}

fn cause(cause: &GaveUp) -> &'static str {
    match cause {
        GaveUp::MaxDeliveries => MAX_DELIVERIES,
        GaveUp::Terminated(_) => TERMINATED,
    }
}

fn letter(given_up: &GivenUp) -> Message {
    let GivenUp { stream, consumer, sequence, deliveries, cause: gave_up, at, message, .. } = given_up;
    let (mut headers, payload) = match message {
        Some(message) => (message.headers.clone(), message.payload.clone()),
        None => (Vec::new(), b"null".as_slice().into()),
    };
    let mut add = |name: &str, value: String| headers.push((name.to_owned(), value));
    add(STREAM, stream.name().to_owned());
    add(CONSUMER, escape(consumer));
    add(SEQUENCE, sequence.to_string());
    add(DELIVERIES, deliveries.to_string());
    add(CAUSE, cause(gave_up).to_owned());
    add(TIME, at.to_string());
    if let GaveUp::Terminated(Some(reason)) = gave_up {
        add(REASON, escape(reason));
    }
    if let Some(message) = message {
        add(SUBJECT, message.subject.clone());
        add(MESSAGE_ID, message.id.to_string());
    }
    let what = message.as_ref().map_or_else(|| sequence.to_string(), |message| message.id.to_string());
    let subject = format!(
        "dcm.v1.dead.{}.{}.{what}",
        subjects::token(&stream.name().to_lowercase()),
        subjects::token(consumer)
    );
    // A new id each time: its subject makes it the same letter, also long after.
    Message { subject, id: Uuid::now_v7(), headers, payload }
}

fn escape(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

fn unescape(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// A dead letter, for an operator.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DeadLetter {
    /// Its number: its sequence in `DCM_DEAD`.
    pub number: u64,
    /// When the message was given up.
    pub time: String,
    /// The stream it was on.
    pub stream: String,
    /// The consumer that gave it up.
    pub consumer: String,
    /// `max-deliveries` or `terminated`.
    pub cause: String,
    /// Why it was terminated, if the consumer said so.
    pub reason: Option<String>,
    /// How often it was delivered.
    pub deliveries: u64,
    /// Its sequence in its stream.
    pub sequence: u64,
    /// Its subject; `None` if the message was gone before the letter was written.
    pub subject: Option<String>,
    /// Its id.
    pub id: Option<Uuid>,
    /// Its place in the journal, or that of the event that caused it.
    pub position: Option<String>,
    /// Its headers.
    pub headers: serde_json::Map<String, serde_json::Value>,
    /// Its payload.
    pub payload: serde_json::Value,
}

/// Why a letter is not dealt with.
#[derive(Debug, thiserror::Error)]
pub enum LetterError {
    /// The bus cannot be used.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// There is no such letter.
    #[error("there is no dead letter {0}")]
    Unknown(u64),
    /// It was of an event.
    #[error(
        "dead letter {number} is of an event, and only the relay publishes events: mend consumer {consumer}, let it read \
         the event at {position} from the journal, and discard the letter"
    )]
    Event {
        /// The letter.
        number: u64,
        /// Who gave it up.
        consumer: String,
        /// Where the event is.
        position: String,
    },
    /// Its message was gone before it was written.
    #[error("dead letter {0} has no message that could be published again")]
    NoMessage(u64),
    /// It was not published.
    #[error("not published again: {0}")]
    Publish(#[from] PublishError),
}

/// Every letter, the oldest first.
///
/// # Errors
/// [`BusError`] of the bus.
pub async fn list(bus: &dyn Upkeep) -> Result<Vec<DeadLetter>, BusError> {
    let (mut letters, mut next) = (Vec::new(), 1);
    loop {
        let page = bus.read(Stream::Dead, next, PAGE).await?;
        let Some(last) = page.last() else { return Ok(letters) };
        next = last.sequence + 1;
        letters.extend(page.iter().filter_map(read));
    }
}

/// Publishes the message of a letter again on its stream, under a new id, and forgets the letter.
///
/// # Errors
/// [`LetterError`]; the letter is kept.
pub async fn requeue(bus: &dyn Upkeep, number: u64) -> Result<(), LetterError> {
    let page = bus.read(Stream::Dead, number, 1).await?;
    let kept = page.iter().find(|kept| kept.sequence == number).and_then(|kept| Some((kept, read(kept)?)));
    let (kept, letter) = kept.ok_or(LetterError::Unknown(number))?;
    let stream = Stream::named(&letter.stream);
    let original = kept.message.as_ref().ok().and_then(original);
    let (Some(stream), Some(message)) = (stream, original) else {
        return Err(LetterError::NoMessage(number));
    };
    if stream == Stream::Events {
        let position = letter.position.unwrap_or_default();
        return Err(LetterError::Event { number, consumer: letter.consumer, position });
    }
    bus.publish(stream, Message { id: Uuid::now_v7(), ..message }, None).await?;
    Ok(bus.remove(Stream::Dead, number..=number).await?)
}

/// Forgets a letter.
///
/// # Errors
/// [`LetterError`].
pub async fn discard(bus: &dyn Upkeep, number: u64) -> Result<(), LetterError> {
    let page = bus.read(Stream::Dead, number, 1).await?;
    if page.first().is_none_or(|kept| kept.sequence != number) {
        return Err(LetterError::Unknown(number));
    }
    Ok(bus.remove(Stream::Dead, number..=number).await?)
}

/// What a message of `DCM_DEAD` says; `None` if it is no letter.
fn read(kept: &Kept) -> Option<DeadLetter> {
    let message = kept.message.as_ref().ok()?;
    let text = |name: &str| message.header(name).map(str::to_owned);
    let number = |name: &str| message.header(name)?.parse().ok();
    let original = |(name, _): &&(String, String)| !is_own(name);
    let headers = message.headers.iter().filter(original);
    Some(DeadLetter {
        number: kept.sequence,
        time: text(TIME)?,
        stream: text(STREAM)?,
        consumer: unescape(message.header(CONSUMER)?),
        cause: text(CAUSE)?,
        reason: message.header(REASON).map(unescape),
        deliveries: number(DELIVERIES)?,
        sequence: number(SEQUENCE)?,
        subject: text(SUBJECT),
        id: message.header(MESSAGE_ID).and_then(|id| id.parse().ok()),
        position: cloudevents::position(&message.headers).map(|position| position.to_string()),
        headers: headers.map(|(name, value)| (name.clone(), value.clone().into())).collect(),
        payload: serde_json::from_slice(&message.payload)
            .unwrap_or_else(|_| String::from_utf8_lossy(&message.payload).into()),
    })
}

/// The message that a letter is about, as it was.
fn original(letter: &Message) -> Option<Message> {
    let subject = letter.header(SUBJECT)?.to_owned();
    let id = letter.header(MESSAGE_ID)?.parse().ok()?;
    let headers = letter.headers.iter().filter(|(name, _)| !is_own(name)).cloned().collect();
    Some(Message { subject, id, headers, payload: letter.payload.clone() })
}

fn is_own(name: &str) -> bool {
    name.get(..PREFIX.len()).is_some_and(|prefix| prefix.eq_ignore_ascii_case(PREFIX))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use std::sync::Arc;

    use dcm_journal::bus::{Bus, Consumer, Delivery, LocalBus};

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    fn job() -> Message {
        Message {
            subject: "dcm.v1.job.deploy".to_owned(),
            id: Uuid::now_v7(),
            headers: vec![("ce-type".to_owned(), "dcm.job.deploy.v1".to_owned())],
            payload: br#"{"run":1}"#.as_slice().into(),
        }
    }

    /// Publishes a message, and lets a consumer give it up.
    async fn given_up(bus: &LocalBus, stream: Stream, message: Message, max_deliver: Option<u32>) {
        bus.publish(stream, message, None).await.unwrap();
        let consumer = Consumer {
            durable: Some("worker".to_owned()),
            ack_wait: Duration::from_millis(20),
            max_deliver,
            ..Consumer::default()
        };
        let mut deliveries = bus.consume(stream, &consumer).await.unwrap();
        let delivery: Delivery = deliveries.next().await.unwrap();
        match max_deliver {
            None => delivery.term("größe: not understood").await.unwrap(),
            // Only who waits for the next message lets the bus see that this one is over.
            Some(_) => assert!(tokio::time::timeout(PAUSE / 4, deliveries.next()).await.is_err()),
        }
    }

    async fn letters(bus: &LocalBus, count: usize) -> Vec<DeadLetter> {
        let deadline = tokio::time::Instant::now() + LONG;
        loop {
            let letters = list(bus).await.unwrap();
            if letters.len() == count {
                return letters;
            }
            assert!(tokio::time::Instant::now() < deadline, "{count} letters, not {letters:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    fn start(bus: &LocalBus) -> CancellationToken {
        let (bus, stop) = (Arc::new(bus.clone()), CancellationToken::new());
        let token = stop.clone();
        tokio::spawn(async move { run(&*bus, token).await });
        stop
    }

    #[tokio::test]
    async fn what_is_given_up_is_kept_and_can_be_published_again_or_discarded() {
        let bus = LocalBus::default();
        let stop = start(&bus);
        let job = job();
        given_up(&bus, Stream::Jobs, job.clone(), None).await;
        let letter = letters(&bus, 1).await.remove(0);
        assert_eq!((letter.stream.as_str(), letter.consumer.as_str()), ("DCM_JOBS", "worker"));
        assert_eq!((letter.cause.as_str(), letter.deliveries, letter.sequence), (TERMINATED, 1, 1));
        assert_eq!(letter.reason.as_deref(), Some("größe: not understood"));
        assert_eq!((letter.id, letter.subject.as_deref()), (Some(job.id), Some(job.subject.as_str())));
        assert_eq!(letter.payload, serde_json::json!({"run": 1}));
        assert_eq!(serde_json::json!(letter.headers), serde_json::json!({"ce-type": "dcm.job.deploy.v1"}));

        requeue(&bus, letter.number).await.unwrap();
        assert!(matches!(requeue(&bus, letter.number).await, Err(LetterError::Unknown(_))));
        let again = bus.last(Stream::Jobs).await.unwrap().unwrap().message;
        assert_eq!((again.subject, again.headers, again.payload), (job.subject, job.headers, job.payload));
        assert_ne!(again.id, job.id, "the bus must not take it for the same");
        letters(&bus, 0).await;
        stop.cancel();
    }

    #[tokio::test]
    async fn an_event_is_not_published_again_and_twice_is_once() {
        let bus = LocalBus::default();
        let stop = start(&bus);
        let event = Message { subject: "dcm.v1.event.a.b.c".to_owned(), ..job() };
        given_up(&bus, Stream::Events, event.clone(), Some(1)).await;
        let first = letters(&bus, 1).await.remove(0);
        assert_eq!((first.cause.as_str(), first.deliveries), (MAX_DELIVERIES, 1));
        assert!(matches!(requeue(&bus, first.number).await, Err(LetterError::Event { .. })));

        // As after a crash between writing the letter and saying so.
        let kept = bus.read(Stream::Dead, first.number, 1).await.unwrap().remove(0).message.unwrap();
        bus.publish(Stream::Dead, Message { id: Uuid::now_v7(), ..kept }, None).await.unwrap();
        let second = letters(&bus, 1).await.remove(0);
        assert!(second.number > first.number, "it takes the first one's place");
        assert!(matches!(discard(&bus, first.number).await, Err(LetterError::Unknown(_))));
        discard(&bus, second.number).await.unwrap();
        letters(&bus, 0).await;
        stop.cancel();
    }
}
