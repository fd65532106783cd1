//! Whether a journal is whole: every event untouched, in its place, and chained to the one before it in its stream, up to
//! the last that was written.

use std::collections::HashMap;

use dcm_schemas::{Envelope, Recorded, StreamId, envelope::BrokenChain};

use super::pages::{Missing, Pages};
use crate::store::{Journal, ReadError};

/// Broken events that are listed; the others are counted.
const LISTED: usize = 100;

/// What a look at every event found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Events that were read.
    pub events: u64,
    /// Streams they belong to.
    pub streams: u64,
    /// How many of the events are not as they were written.
    pub broken: u64,
    /// The first of those.
    pub first_broken: Vec<BrokenEvent>,
    /// What is lost at the end. Only seen in a store that keeps its end beside the events: SQLite and PostgreSQL.
    pub missing: Option<Missing>,
}

impl Verified {
    /// Whether nothing is wrong.
    pub fn is_whole(&self) -> bool {
        self.broken == 0 && self.missing.is_none()
    }
}

/// An event that is not as it was written, or not where it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokenEvent {
    /// Where it stands among all events.
    pub order: u64,
    /// Its stream.
    pub stream: StreamId,
    /// Its revision.
    pub revision: u64,
    /// What is wrong with it.
    pub reason: String,
}

/// The last event of a stream so far.
struct Last {
    revision: u64,
    hash: String,
}

/// Reads every event of `journal` and checks the hash chains, telling `progress` now and then how many were read.
///
/// # Errors
/// [`ReadError`] if the journal does not answer, or an event is missing between others or cannot be read at all.
pub async fn verify(journal: &dyn Journal, mut progress: impl FnMut(u64)) -> Result<Verified, ReadError> {
    let mut found = Verified::default();
    let mut streams: HashMap<StreamId, Last> = HashMap::new();
    let mut pages = Pages::after(journal, 0).await?;
    while let Some(page) = pages.next().await? {
        for event in &page {
            let previous = streams.get(&event.envelope.stream);
            if let Err(reason) = check(previous, event) {
                found.broken += 1;
                if found.first_broken.len() < LISTED {
                    found.first_broken.push(broken(event, reason));
                }
            }
            let last = Last { revision: event.envelope.revision, hash: event.envelope.hash.clone() };
            streams.insert(event.envelope.stream.clone(), last);
        }
        found.events += page.len() as u64;
        progress(found.events);
    }
    found.streams = streams.len() as u64;
    found.missing = pages.missing();
    Ok(found)
}

fn check(previous: Option<&Last>, event: &Recorded) -> Result<(), String> {
    let expected = previous.map_or(0, |last| last.revision + 1);
    let revision = event.envelope.revision;
    if revision != expected {
        return Err(format!("revision {expected} is expected here"));
    }
    Envelope::verify(previous.map(|last| last.hash.as_str()), &event.body)
        .map_err(|broken: BrokenChain| broken.to_string())
}

fn broken(event: &Recorded, reason: String) -> BrokenEvent {
    BrokenEvent {
        order: event.position.order,
        stream: event.envelope.stream.clone(),
        revision: event.envelope.revision,
        reason,
    }
}
