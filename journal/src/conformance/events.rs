//! Events to append, and what must hold of a journal as a whole.

use std::collections::{BTreeMap, HashSet};

use dcm_domain::value::{Actor, Timestamp};
use dcm_schemas::{Envelope, Recorded, StreamId};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::store::{Expected, Journal, ReadError};

/// Events of one page when everything is read: few, so that there are many pages.
const PAGE: usize = 97;

/// A stream nobody else uses.
pub fn new_stream() -> StreamId {
    StreamId::aggregate("subcloud", Uuid::new_v4())
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
///
/// # Errors
/// [`ReadError`] of the journal.
pub async fn read_everything(journal: &dyn Journal) -> Result<Vec<Recorded>, ReadError> {
    let mut events: Vec<Recorded> = Vec::new();
    loop {
        let after = events.last().map_or(0, |last| last.position.order);
        let page = journal.read_all(after, PAGE).await?;
        if page.is_empty() {
            return Ok(events);
        }
        events.extend(page);
    }
}

/// Why events are not a whole journal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("event {order}: {reason}")]
pub struct NotWhole {
    /// Its order.
    pub order: u64,
    /// What is wrong with it.
    pub reason: String,
}

/// Checks that the order grows, every stream's revisions are dense, no id comes twice, and every hash follows. Returns the
/// streams.
///
/// # Errors
/// [`NotWhole`] names the first event of which that is not true.
pub fn check_whole(events: &[Recorded]) -> Result<BTreeMap<String, Vec<Recorded>>, NotWhole> {
    let mut streams: BTreeMap<String, Vec<Recorded>> = BTreeMap::new();
    let mut ids = HashSet::new();
    let mut before = 0;
    for event in events {
        let order = event.position.order;
        let wrong = |reason: String| NotWhole { order, reason };
        if order <= before {
            return Err(wrong(format!("it comes after {before}")));
        }
        before = order;
        if !ids.insert(event.envelope.id) {
            return Err(wrong("its id comes twice".to_owned()));
        }
        let stream = streams.entry(event.envelope.stream.to_string()).or_default();
        if event.envelope.revision != stream.len() as u64 {
            return Err(wrong(format!("revision {} of {}", event.envelope.revision, event.envelope.stream)));
        }
        let previous = stream.last().map(|last| last.envelope.hash.as_str());
        Envelope::verify(previous, &event.body).map_err(|broken| wrong(broken.to_string()))?;
        stream.push(event.clone());
    }
    Ok(streams)
}
