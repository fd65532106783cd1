//! The relay against the SQLite journal, on the bus of one process and on a real NATS server.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod figures;
mod local;
mod nats;
#[macro_use]
mod repair;
mod retention;
mod site;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dcm_journal::bus::{Bus, Consumer, Delivery, Stream};
use dcm_journal::store::Journal;
use dcm_schemas::cloudevents::{self, Received};
use dcm_schemas::{Recorded, hint, registry, subjects};
use futures::StreamExt;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Relay, RelayError, RelayHealth, RelayState};

const LONG: Duration = Duration::from_secs(30);

/// Region names as an old journal may hold them: what is special to NATS, to headers or to people.
const HOSTILE: [&str; 12] = [
    "a.b",
    "*",
    ">",
    "a.>",
    "",
    " ",
    "%2E",
    "größe",
    "x\r\nNats-Msg-Id: 1",
    "$JS.API.>",
    "\u{202e}evil",
    "RegionOne",
];

/// A relay at work.
struct Running {
    stop: CancellationToken,
    task: JoinHandle<Result<(), RelayError>>,
    health: RelayHealth,
}

fn relay(journal: &Arc<dyn Journal>, bus: &Arc<dyn Bus>) -> Relay {
    Relay::new(Arc::clone(journal), Arc::clone(bus), Arc::new(Notify::new()))
}

fn start(relay: Relay) -> Running {
    let (stop, health) = (CancellationToken::new(), relay.health());
    let token = stop.clone();
    Running { stop, health, task: tokio::spawn(async move { relay.run(&token).await }) }
}

/// Starts a relay and waits until it works: what is appended from now on is news.
async fn started(relay: Relay) -> Running {
    let mut running = start(relay);
    let working = running.health.wait_for(|state| *state == RelayState::Working);
    tokio::time::timeout(LONG, working).await.unwrap().unwrap();
    running
}

impl Running {
    async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(LONG, self.task).await.unwrap().unwrap().unwrap();
        assert_eq!(self.health.state(), RelayState::Stopped);
    }

    /// How it ended by itself.
    async fn end(self) -> RelayError {
        tokio::time::timeout(LONG, self.task).await.unwrap().unwrap().unwrap_err()
    }

    /// Ends it wherever it is, as a kill does.
    async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

/// Waits until the last event of the journal is on the bus.
async fn copied(journal: &Arc<dyn Journal>, bus: &Arc<dyn Bus>) {
    let deadline = Instant::now() + LONG;
    loop {
        let head = journal.head().await.unwrap();
        let tail = bus.tail(Stream::Events).await;
        let last = tail.ok().and_then(|tail| cloudevents::position(&tail.message?.headers));
        if last.is_some_and(|last| last.order == head) {
            return;
        }
        assert!(Instant::now() < deadline, "the bus stays at {last:?}, the journal is at {head}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Every message of a stream, up to the last one there is.
async fn messages(bus: &Arc<dyn Bus>, stream: Stream) -> Vec<Delivery> {
    let last = bus.tail(stream).await.unwrap().sequence;
    let mut found = Vec::new();
    if last == 0 {
        return found;
    }
    let consumer = Consumer { prefetch: 256, ..Consumer::default() };
    let mut subscription = bus.consume(stream, &consumer).await.unwrap();
    loop {
        let delivery = tokio::time::timeout(LONG, subscription.next()).await.unwrap().unwrap();
        let sequence = delivery.sequence;
        // On the work queue, an acknowledgement would remove it.
        if !stream.is_work_queue() {
            delivery.ack().await.unwrap();
        }
        found.push(delivery);
        if sequence == last {
            return found;
        }
    }
}

/// Waits until there are `count` messages on a stream of hints, and returns them.
async fn hints(bus: &Arc<dyn Bus>, stream: Stream, count: u64) -> Vec<Delivery> {
    let deadline = Instant::now() + LONG;
    while bus.tail(stream).await.unwrap().sequence < count {
        assert!(Instant::now() < deadline, "{count} hints");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let found = messages(bus, stream).await;
    for delivery in &found {
        check_hint(delivery);
    }
    assert_eq!(found.len() as u64, count);
    found
}

async fn everything(journal: &Arc<dyn Journal>) -> Vec<Recorded> {
    let mut events: Vec<Recorded> = Vec::new();
    loop {
        let page = journal.read_all(events.len() as u64, 1000).await.unwrap();
        if page.is_empty() {
            return events;
        }
        events.extend(page);
    }
}

/// The bus holds every event of the journal after order `after`, once, in order and whole; those up to `replayed` are
/// marked.
async fn check_copy(journal: &Arc<dyn Journal>, bus: &Arc<dyn Bus>, after: u64, replayed: u64) {
    let mut events = everything(journal).await;
    let regions = regions(&events);
    events.drain(..usize::try_from(after).unwrap());
    let found = messages(bus, Stream::Events).await;
    assert_eq!(found.len(), events.len());
    let mut previous = after;
    for (event, delivery) in events.iter().zip(&found) {
        let received = check_event(delivery);
        assert_eq!(received.position, event.position);
        assert_eq!(received.previous.order, previous, "a gap");
        previous = received.position.order;
        assert_eq!((received.id, delivery.message.id), (event.envelope.id, event.envelope.id));
        assert_eq!(received.data, event.envelope.data);
        assert_eq!(delivery.replayed, event.position.order <= replayed, "{}", event.position);
        let stream = &event.envelope.stream;
        let key = regions.get(stream.as_str()).cloned().unwrap_or_else(|| subjects::key(stream));
        let subject = subjects::event(subjects::aggregate(stream), &key, &event.envelope.r#type);
        assert_eq!(delivery.message.subject, subject);
    }
}

fn regions(events: &[Recorded]) -> BTreeMap<String, String> {
    let added = events.iter().filter(|event| event.envelope.r#type == "SubcloudAdded");
    let region = |event: &Recorded| event.envelope.data["region"].as_str().unwrap().to_owned();
    added.map(|event| (event.envelope.stream.to_string(), region(event))).collect()
}

/// A message on the event stream is valid by the published schemas.
fn check_event(delivery: &Delivery) -> Received {
    let message = &delivery.message;
    let received = Received::parse(&message.headers, &message.payload).unwrap();
    valid(&registry::schema(&received.name, received.version).unwrap(), &received.data);
    valid(&cloudevents::headers_schema(cloudevents::EVENT_HEADERS), &headers(delivery));
    received
}

fn check_hint(delivery: &Delivery) {
    let kind = hint::ALL.iter().find(|kind| kind.subject() == delivery.message.subject).unwrap();
    valid(&(kind.schema)(), &serde_json::from_slice(&delivery.message.payload).unwrap());
    valid(&cloudevents::headers_schema(cloudevents::HINT_HEADERS), &headers(delivery));
    assert!(!delivery.replayed);
}

fn headers(delivery: &Delivery) -> Value {
    delivery.message.headers.iter().map(|(name, value)| (name.clone(), Value::from(value.clone()))).collect()
}

fn valid(schema: &Value, value: &Value) {
    jsonschema::validate(schema, value).unwrap_or_else(|error| panic!("{error}: {value}"));
}
