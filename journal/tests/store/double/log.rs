//! What is stored, and the rules by which it is.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use bytes::Bytes;

/// A stored event.
#[derive(Clone, Debug)]
pub struct Entry {
    pub position: u64,
    pub stream: String,
    pub revision: u64,
    pub id: String,
    pub kind: String,
    pub data: Bytes,
}

/// An event to store.
#[derive(Clone, Debug)]
pub struct New {
    pub id: String,
    pub kind: String,
    pub data: Bytes,
}

/// The answer to an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// Where its last event is, now or since it was first made.
    At { revision: u64, position: u64 },
    /// The stream is at another revision.
    Wrong { current: Option<u64> },
    /// Somebody deleted the stream.
    Deleted,
}

/// One log of all events. Positions grow as if they were bytes of a file.
#[derive(Debug, Default)]
pub struct Log(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    end: u64,
    entries: Vec<Entry>,
    /// Revision of the last event of each stream, also of one that was tampered with.
    last: HashMap<String, u64>,
    deleted: HashSet<String>,
    appends: u64,
}

impl Inner {
    fn push(&mut self, stream: &str, revision: u64, new: New) -> u64 {
        // A record's head, then its data.
        let position = self.end + 131;
        self.end = position + new.data.len() as u64;
        let New { id, kind, data } = new;
        self.entries.push(Entry { position, stream: stream.to_owned(), revision, id, kind, data });
        self.last.insert(stream.to_owned(), revision);
        position
    }

    /// The server's own records stand between those of its users.
    fn statistics(&mut self) {
        let revision = self.last.get("$stats").map_or(0, |last| last + 1);
        let kind = "$statsCollected".to_owned();
        self.push("$stats", revision, New { id: String::new(), kind, data: Bytes::from_static(b"{}") });
    }
}

impl Log {
    /// Appends, by the rules of the store: the expected revision decides; where it is lower than the stream's, the append
    /// is a repetition if every id stands where it would have been written.
    pub fn append(&self, stream: &str, expected: Option<u64>, events: Vec<New>) -> Stored {
        let mut inner = self.0.lock().unwrap();
        if inner.deleted.contains(stream) {
            return Stored::Deleted;
        }
        let current = inner.last.get(stream).copied();
        let first = expected.map_or(0, |revision| revision + 1);
        if current != expected {
            let there = |at: u64| inner.entries.iter().find(|e| e.stream == stream && e.revision == at);
            let same = current > expected
                && (first..).zip(&events).all(|(at, event)| there(at).is_some_and(|e| e.id == event.id));
            let last = events.len() as u64 + first;
            return match last.checked_sub(1).and_then(there).filter(|_| same) {
                Some(last) => Stored::At { revision: last.revision, position: last.position },
                None => Stored::Wrong { current },
            };
        }
        inner.appends += 1;
        if inner.appends % 5 == 1 {
            inner.statistics();
        }
        let mut stored = Stored::Wrong { current };
        for (revision, event) in (first..).zip(events) {
            let position = inner.push(stream, revision, event);
            stored = Stored::At { revision, position };
        }
        stored
    }

    /// Events of one stream; `None` if there is no such stream.
    pub fn stream(&self, stream: &str) -> Option<Vec<Entry>> {
        let inner = self.0.lock().unwrap();
        inner.last.get(stream)?;
        Some(inner.entries.iter().filter(|entry| entry.stream == stream).cloned().collect())
    }

    /// Events of all streams.
    pub fn all(&self) -> Vec<Entry> {
        self.0.lock().unwrap().entries.clone()
    }

    /// Deletes a stream: it cannot be written any more.
    pub fn delete(&self, stream: &str) {
        let mut inner = self.0.lock().unwrap();
        inner.entries.retain(|entry| entry.stream != stream);
        inner.last.remove(stream);
        inner.deleted.insert(stream.to_owned());
    }

    pub fn is_deleted(&self, stream: &str) -> bool {
        self.0.lock().unwrap().deleted.contains(stream)
    }

    /// Writes events of a stream that is not the journal's.
    pub fn write_foreign(&self, count: usize) {
        let mut inner = self.0.lock().unwrap();
        (0..count).for_each(|_| inner.statistics());
    }

    /// Replaces a part of an event's data.
    pub fn alter(&self, position: u64, from: &str, to: &str) {
        let mut inner = self.0.lock().unwrap();
        let entry = inner.entries.iter_mut().find(|entry| entry.position == position).unwrap();
        let text = std::str::from_utf8(&entry.data).unwrap();
        assert!(text.contains(from), "{text}");
        entry.data = text.replace(from, to).into();
    }

    /// Sets the format in the event that names the journal.
    pub fn alter_header(&self, format: &str) {
        let header = self.stream("dcm-journal").unwrap().remove(0);
        self.alter(header.position, "\"format\":1", format);
    }

    /// Removes an event, as scavenging or a damaged disk would.
    pub fn remove(&self, position: u64) {
        let mut inner = self.0.lock().unwrap();
        let before = inner.entries.len();
        inner.entries.retain(|entry| entry.position != position);
        assert_eq!(inner.entries.len() + 1, before);
    }
}
