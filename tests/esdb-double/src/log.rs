//! What is stored, and the rules by which it is.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard};

use bytes::Bytes;

/// A stored event.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Where it stands among all events.
    pub position: u64,
    /// Its stream.
    pub stream: String,
    /// Where it stands in that.
    pub revision: u64,
    /// The id it was written with.
    pub id: String,
    /// Its type.
    pub kind: String,
    /// Its data.
    pub data: Bytes,
}

/// An event to store.
#[derive(Clone, Debug)]
pub(super) struct New {
    pub id: String,
    pub kind: String,
    pub data: Bytes,
}

/// The answer to an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stored {
    /// Where its last event is, now or since it was first made.
    At { revision: u64, position: u64 },
    /// The stream is at another revision.
    Wrong,
    /// Somebody tombstoned the stream.
    Deleted,
}

/// A part of a stream.
#[derive(Debug)]
pub(super) enum Part {
    /// These events.
    Events(Vec<Entry>),
    /// There is no such stream.
    Missing,
    /// Somebody tombstoned the stream.
    Deleted,
}

/// Where a read begins, and which way it goes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    /// At this revision or position and on.
    On(u64),
    /// Backwards from the revision, or from before the position; from the end without one.
    Back(Option<u64>),
}

/// One log of all events. Positions grow as if they were bytes of a file.
#[derive(Debug, Default)]
pub struct Log(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    end: u64,
    entries: BTreeMap<u64, Entry>,
    streams: HashMap<String, Stream>,
    appends: u64,
}

#[derive(Debug, Default)]
struct Stream {
    /// Revision of the last event, also of one that was tampered with.
    last: Option<u64>,
    /// Positions by revision.
    positions: BTreeMap<u64, u64>,
    /// Events before this revision are not read any more.
    from: u64,
    /// Most events that are read; the last ones.
    most: Option<u64>,
    tombstoned: bool,
}

impl Stream {
    /// The first revision that is read.
    fn first(&self) -> u64 {
        let next = self.last.map_or(0, |last| last + 1);
        self.from.max(self.most.map_or(0, |most| next.saturating_sub(most)))
    }

    /// The last revision, unless all events were deleted.
    fn current(&self) -> Option<u64> {
        self.last.filter(|last| *last >= self.from)
    }
}

impl Inner {
    fn push(&mut self, stream: &str, revision: u64, new: New) -> u64 {
        // A record's head, then its data.
        let position = self.end + 131;
        self.end = position + new.data.len() as u64;
        let New { id, kind, data } = new;
        let entry = Entry { position, stream: stream.to_owned(), revision, id, kind, data };
        self.entries.insert(position, entry);
        let stream = self.streams.entry(stream.to_owned()).or_default();
        stream.last = Some(revision);
        stream.positions.insert(revision, position);
        position
    }

    /// The server's own records stand between those of its users.
    fn statistics(&mut self) {
        let last = self.streams.get("$stats").and_then(|stream| stream.last);
        let kind = "$statsCollected".to_owned();
        let new = New { id: String::new(), kind, data: Bytes::from_static(b"{}") };
        self.push("$stats", last.map_or(0, |last| last + 1), new);
    }

    fn at(&self, stream: &str, revision: u64) -> Option<&Entry> {
        self.entries.get(self.streams.get(stream)?.positions.get(&revision)?)
    }
}

impl Log {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }

    /// Appends, by the rules of the store: the expected revision decides; where it is lower than the stream's, the append
    /// is a repetition if every id stands where it would have been written. A deleted stream is none, but its revisions go
    /// on.
    pub(super) fn append(&self, stream: &str, expected: Option<u64>, events: Vec<New>) -> Stored {
        let mut inner = self.inner();
        let known = inner.streams.get(stream);
        if known.is_some_and(|known| known.tombstoned) {
            return Stored::Deleted;
        }
        let (last, current) = (known.and_then(|known| known.last), known.and_then(Stream::current));
        let begins_anew = expected.is_none() && current.is_none();
        if last != expected && !begins_anew {
            let first = expected.map_or(0, |revision| revision + 1);
            let same = last > expected
                && (first..)
                    .zip(&events)
                    .all(|(at, event)| inner.at(stream, at).is_some_and(|e| e.id == event.id));
            let last = (events.len() as u64 + first).checked_sub(1).and_then(|at| inner.at(stream, at));
            return match last.filter(|_| same) {
                Some(last) => Stored::At { revision: last.revision, position: last.position },
                None => Stored::Wrong,
            };
        }
        inner.appends += 1;
        if inner.appends % 5 == 1 {
            inner.statistics();
        }
        let mut stored = Stored::Wrong;
        for (revision, event) in (last.map_or(0, |last| last + 1)..).zip(events) {
            let position = inner.push(stream, revision, event);
            stored = Stored::At { revision, position };
        }
        stored
    }

    /// At most `count` events of one stream.
    pub(super) fn read(&self, stream: &str, way: Way, count: usize) -> Part {
        let inner = self.inner();
        let Some(known) = inner.streams.get(stream) else { return Part::Missing };
        if known.tombstoned {
            return Part::Deleted;
        }
        if known.current().is_none() {
            return Part::Missing;
        }
        let first = known.first();
        let found: Vec<&u64> = match way {
            Way::On(from) => known.positions.range(from.max(first)..).map(|(_, at)| at).take(count).collect(),
            Way::Back(from) => {
                let until = from.unwrap_or(u64::MAX);
                if until < first {
                    return Part::Events(Vec::new());
                }
                known.positions.range(first..=until).rev().map(|(_, at)| at).take(count).collect()
            }
        };
        Part::Events(found.into_iter().filter_map(|at| inner.entries.get(at)).cloned().collect())
    }

    /// At most `count` events of the streams whose names begin with one of `prefixes`; `None` if the place to begin at is
    /// that of no event.
    pub(super) fn read_all(&self, way: Way, prefixes: &[String], count: usize) -> Option<Vec<Entry>> {
        let inner = self.inner();
        if let Way::On(at @ 1..) | Way::Back(Some(at)) = way
            && !inner.entries.contains_key(&at)
        {
            return None;
        }
        let wanted = |entry: &&Entry| prefixes.iter().any(|prefix| entry.stream.starts_with(prefix));
        Some(match way {
            Way::On(from) => {
                let found = inner.entries.range(from..).map(|(_, entry)| entry);
                found.filter(wanted).take(count).cloned().collect()
            }
            // The event of the position belongs to what comes after it.
            Way::Back(before) => {
                let found = inner.entries.range(..before.unwrap_or(u64::MAX)).rev().map(|(_, entry)| entry);
                found.filter(wanted).take(count).cloned().collect()
            }
        })
    }

    /// Events of all streams.
    pub fn all(&self) -> Vec<Entry> {
        self.inner().entries.values().cloned().collect()
    }

    /// Deletes a stream: it is none until somebody writes to it again, and then its revisions go on. What was in it is
    /// still among all events, until it is scavenged.
    pub fn delete(&self, stream: &str) {
        let mut inner = self.inner();
        let known = inner.streams.entry(stream.to_owned()).or_default();
        known.from = known.last.map_or(0, |last| last + 1);
    }

    /// Deletes a stream for ever: it cannot be written any more.
    pub fn tombstone(&self, stream: &str) {
        self.inner().streams.entry(stream.to_owned()).or_default().tombstoned = true;
    }

    /// Sets the `$maxCount` of a stream: no more than the last events are read.
    pub fn keep_last(&self, stream: &str, most: u64) {
        self.inner().streams.entry(stream.to_owned()).or_default().most = Some(most);
    }

    /// Removes what is not read any more from among all events.
    pub fn scavenge(&self) {
        let mut inner = self.inner();
        let Inner { entries, streams, .. } = &mut *inner;
        entries.retain(|_, entry| {
            let stream = streams.get(&entry.stream);
            stream.is_some_and(|stream| !stream.tombstoned && entry.revision >= stream.first())
        });
        for stream in streams.values_mut() {
            stream.positions.retain(|_, position| entries.contains_key(position));
        }
    }

    /// Writes events of a stream that is not the journal's.
    pub fn write_foreign(&self, count: usize) {
        let mut inner = self.inner();
        (0..count).for_each(|_| inner.statistics());
    }

    /// Replaces a part of an event's data.
    pub fn alter(&self, position: u64, from: &str, to: &str) {
        let mut inner = self.inner();
        let entry = inner.entries.get_mut(&position).unwrap();
        let text = std::str::from_utf8(&entry.data).unwrap();
        assert!(text.contains(from), "{text}");
        entry.data = text.replace(from, to).into();
    }

    /// Sets the format in the event that names the journal.
    pub fn alter_header(&self, format: &str) {
        let header = self.inner().at("dcm-journal", 0).unwrap().position;
        self.alter(header, "\"format\":1", format);
    }

    /// Removes an event, as a damaged disk would.
    pub fn remove(&self, position: u64) {
        let mut inner = self.inner();
        let entry = inner.entries.remove(&position).unwrap();
        inner.streams.get_mut(&entry.stream).unwrap().positions.remove(&entry.revision).unwrap();
    }
}
