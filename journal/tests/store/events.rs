//! Events to append, and what must hold of a journal as a whole.

use std::collections::{BTreeMap, HashSet};

use dcm_domain::value::{Actor, Timestamp};
use dcm_journal::store::{Expected, Journal};
use dcm_schemas::{BrokenChain, Envelope, Recorded, StreamId};
use serde_json::{Value, json};
use uuid::Uuid;

/// A stream nobody else uses.
pub fn new_stream() -> StreamId {
    StreamId::of("subcloud", Uuid::new_v4()).unwrap()
}

/// `count` events that follow `last`, and the revision they are to follow.
pub fn following(stream: &StreamId, last: Option<&Envelope>, count: u64) -> (Expected, Vec<Envelope>) {
    let events = (0..count).map(|n| json!({"n": n})).collect();
    with_data(stream, last, events)
}

/// One event per item of `data`, following `last`.
pub fn with_data(stream: &StreamId, last: Option<&Envelope>, data: Vec<Value>) -> (Expected, Vec<Envelope>) {
    let expected = last.map_or(Expected::NoStream, |last| Expected::Revision(last.revision));
    let mut hash = last.map(|last| last.hash.clone());
    let events = (expected.next()..).zip(data).map(|(revision, data)| {
        let event = event(stream, revision, data).seal(hash.as_deref());
        hash = Some(event.hash.clone());
        event
    });
    (expected, events.collect())
}

fn event(stream: &StreamId, revision: u64, data: Value) -> Envelope {
    let command = Uuid::new_v4();
    Envelope {
        id: Uuid::now_v7(),
        r#type: "Tested".to_owned(),
        version: 1,
        stream: stream.clone(),
        revision,
        recorded_at: Timestamp::from_micros(1_700_000_000_000_000),
        actor: Actor::system("test"),
        request_id: None,
        correlation_id: command,
        causation_id: None,
        command_id: command,
        traceparent: None,
        command: None,
        data,
        hash: String::new(),
    }
}

/// Every event of the journal, read in small pages.
pub async fn read_everything(journal: &dyn Journal) -> Vec<Recorded> {
    let mut events: Vec<Recorded> = Vec::new();
    loop {
        let page = journal.read_all(events.len() as u64, 97).await.unwrap();
        if page.is_empty() {
            return events;
        }
        events.extend(page);
    }
}

/// Checks that the order is dense, every stream's revisions are too, no id comes twice, and every hash follows. Returns
/// the streams.
pub fn check_whole(events: &[Recorded]) -> Result<BTreeMap<String, Vec<Recorded>>, BrokenChain> {
    let mut streams: BTreeMap<String, Vec<Recorded>> = BTreeMap::new();
    let mut ids = HashSet::new();
    for (order, event) in (1..).zip(events) {
        assert_eq!(event.position.order, order);
        assert!(ids.insert(event.envelope.id), "an id comes twice");
        let stream = streams.entry(event.envelope.stream.to_string()).or_default();
        assert_eq!(event.envelope.revision, stream.len() as u64);
        let previous = stream.last().map(|last| last.envelope.hash.as_str());
        Envelope::verify(previous, &event.body)?;
        stream.push(event.clone());
    }
    Ok(streams)
}
