//! What a flush writes: every append judged on its own, against the store and the appends before it. Pure.

use std::collections::{HashMap, HashSet};

use super::{AppendError, Expected};
use dcm_schemas::{Envelope, JournalId, Position, Recorded, StreamId, envelope::chain_hash};

/// An append that waits for a flush: rendered, and whole in itself.
#[derive(Debug)]
pub(super) struct PendingAppend {
    stream: String,
    expected: Expected,
    /// RFC 8785 form of the first event: its hash depends on an event that only the store knows.
    first_canonical: String,
    events: Vec<PendingEvent>,
}

#[derive(Debug)]
struct PendingEvent {
    id_text: String,
    body: String,
    envelope: Envelope,
}

impl PendingAppend {
    /// Checks what can be checked without the store: stream, revisions, ids, and the hash chain after the first event.
    pub(super) fn new(
        stream: &StreamId,
        expected: Expected,
        events: Vec<Envelope>,
    ) -> Result<Self, AppendError> {
        let first = events.first().ok_or(AppendError::Invalid("it has no events"))?;
        let first_canonical = first.canonical().ok_or(UNSEALED)?;
        let mut ids = HashSet::new();
        let mut previous: Option<&Envelope> = None;
        for (revision, event) in (expected.next()..).zip(&events) {
            if event.stream != *stream || event.revision != revision {
                return Err(AppendError::Invalid("the events do not follow the expected revision"));
            }
            if !ids.insert(event.id) {
                return Err(AppendError::Invalid("two events have one id"));
            }
            if let Some(previous) = previous {
                let canonical = event.canonical().ok_or(UNSEALED)?;
                if event.hash != chain_hash(Some(&previous.hash), &canonical) {
                    return Err(UNSEALED);
                }
            }
            previous = Some(event);
        }
        let events = events.into_iter().map(PendingEvent::new).collect();
        Ok(Self { stream: stream.to_string(), expected, first_canonical, events })
    }

    pub(super) fn stream(&self) -> &str {
        &self.stream
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = &str> {
        self.events.iter().map(|event| event.id_text.as_str())
    }

    /// Id, type and text of each event.
    pub(super) fn rendered(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.events.iter().map(|PendingEvent { id_text, body, envelope }| {
            (id_text.as_str(), envelope.r#type.as_str(), body.as_str())
        })
    }

    /// Whether its first event continues the hash chain after an event with the hash `previous`.
    pub(super) fn continues(&self, previous: Option<&str>) -> bool {
        let hash = chain_hash(previous, &self.first_canonical);
        self.events.first().is_some_and(|event| event.envelope.hash == hash)
    }

    /// Revision that its last event is to have.
    pub(super) fn last_revision(&self) -> u64 {
        (self.expected.next() + self.events.len() as u64).saturating_sub(1)
    }

    /// Hash of its last event.
    pub(super) fn last_hash(&self) -> &str {
        self.events.last().map_or("", |event| &event.envelope.hash)
    }

    /// About how much the store must write.
    pub(super) fn bytes(&self) -> usize {
        self.events.iter().map(|event| event.body.len()).sum()
    }

    /// Its events as a reader finds them, once the last of them has been given the order `last`.
    pub(super) fn recorded(self, journal: JournalId, last: u64) -> impl Iterator<Item = Recorded> {
        let first = (last + 1).saturating_sub(self.events.len() as u64);
        (first..).zip(self.events).map(move |(order, event)| {
            let PendingEvent { body, envelope, .. } = event;
            Recorded { position: Position { journal, order }, envelope, body }
        })
    }
}

/// What an append is answered that does not continue its stream's hash chain.
pub(super) const UNSEALED: AppendError =
    AppendError::Invalid("an event is not sealed onto the one before it");

impl PendingEvent {
    fn new(envelope: Envelope) -> Self {
        Self { id_text: envelope.id.to_string(), body: envelope.body(), envelope }
    }
}

/// An event of the store that matters to a flush: the last one of a stream, or one with an id of the flush.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) stream: String,
    pub(super) revision: u64,
    pub(super) order: u64,
    pub(super) id: String,
    pub(super) hash: String,
}

impl Known {
    /// An event that was read.
    pub(super) fn of(event: &Recorded) -> Self {
        let Recorded { position, envelope, .. } = event;
        Self {
            stream: envelope.stream.to_string(),
            revision: envelope.revision,
            order: position.order,
            id: envelope.id.to_string(),
            hash: envelope.hash.clone(),
        }
    }
}

/// A row to write.
#[derive(Debug)]
pub(super) struct NewRow<'a> {
    pub(super) order: u64,
    pub(super) stream: &'a str,
    pub(super) revision: u64,
    pub(super) id: &'a str,
    pub(super) r#type: &'a str,
    pub(super) recorded_at: i64,
    pub(super) hash: &'a str,
    pub(super) body: &'a str,
}

/// Order and revision of an append's last event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) order: u64,
    pub(super) revision: u64,
}

/// A judged flush: an answer per append, good once the rows are committed.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    pub(super) answers: Vec<Result<Written, AppendError>>,
    pub(super) rows: Vec<NewRow<'a>>,
}

/// Judges `appends` in their order, on top of `head` (the last order given) and `known`.
pub(super) fn plan<'a>(
    head: u64,
    known: Vec<Known>,
    appends: impl IntoIterator<Item = &'a PendingAppend>,
) -> Plan<'a> {
    let mut judge = Judge { head, ..Judge::default() };
    for event in known {
        judge.learn(&event.stream, event.revision, event.order, &event.id, &event.hash);
    }
    let answers = appends.into_iter().map(|append| judge.judge(append)).collect();
    Plan { answers, rows: judge.rows }
}

#[derive(Default)]
struct Judge<'a> {
    head: u64,
    /// Revision and hash of the last event of each stream.
    streams: HashMap<String, (u64, String)>,
    /// Stream, revision and order of each known event.
    ids: HashMap<String, (String, u64, u64)>,
    rows: Vec<NewRow<'a>>,
}

impl<'a> Judge<'a> {
    fn learn(&mut self, stream: &str, revision: u64, order: u64, id: &str, hash: &str) {
        self.ids.insert(id.to_owned(), (stream.to_owned(), revision, order));
        let last = self.streams.entry(stream.to_owned()).or_insert_with(|| (revision, hash.to_owned()));
        if revision > last.0 {
            *last = (revision, hash.to_owned());
        }
    }

    fn judge(&mut self, append: &'a PendingAppend) -> Result<Written, AppendError> {
        if let Some(first_answer) = self.repeated(append) {
            return Ok(first_answer);
        }
        let (actual, hash) = match self.streams.get(append.stream()) {
            Some((revision, hash)) => (Some(*revision), Some(hash.as_str())),
            None => (None, None),
        };
        if actual != append.expected.last() {
            return Err(AppendError::Conflict { actual });
        }
        if let Some(taken) = append.events.iter().find(|event| self.ids.contains_key(&event.id_text)) {
            return Err(AppendError::IdTaken { id: taken.envelope.id });
        }
        if !append.continues(hash) {
            return Err(UNSEALED);
        }
        self.write(append)
    }

    /// The answer that the same append was given before, if it was.
    fn repeated(&self, append: &PendingAppend) -> Option<Written> {
        let mut last = None;
        for (expected_revision, event) in (append.expected.next()..).zip(&append.events) {
            let (stream, revision, order) = self.ids.get(&event.id_text)?;
            if stream != append.stream() || *revision != expected_revision {
                return None;
            }
            last = Some(Written { order: *order, revision: *revision });
        }
        last
    }

    fn write(&mut self, append: &'a PendingAppend) -> Result<Written, AppendError> {
        let mut last = Err(AppendError::Invalid("it has no events"));
        for (revision, event) in (append.expected.next()..).zip(&append.events) {
            self.head += 1;
            let order = self.head;
            let PendingEvent { id_text, body, envelope } = event;
            self.learn(append.stream(), revision, order, id_text, &envelope.hash);
            self.rows.push(NewRow {
                order,
                stream: append.stream(),
                revision,
                id: id_text,
                r#type: &envelope.r#type,
                recorded_at: envelope.recorded_at.micros(),
                hash: &envelope.hash,
                body,
            });
            last = Ok(Written { order, revision });
        }
        last
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use dcm_domain::value::{Actor, Timestamp};
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    fn stream() -> StreamId {
        "directory-subcloud".parse().unwrap()
    }

    fn event(id: u128, revision: u64, previous: Option<&str>) -> Envelope {
        Envelope {
            id: Uuid::from_u128(id),
            r#type: "Tested".to_owned(),
            version: 1,
            stream: stream(),
            revision,
            recorded_at: Timestamp::from_micros(0),
            actor: Actor::system("test"),
            request_id: None,
            correlation_id: Uuid::nil(),
            causation_id: None,
            command_id: Uuid::nil(),
            traceparent: None,
            command: None,
            data: json!({}),
            hash: String::new(),
        }
        .seal(previous)
    }

    fn pending(expected: Expected, event: &Envelope) -> PendingAppend {
        PendingAppend::new(&stream(), expected, vec![event.clone()]).unwrap()
    }

    #[test]
    fn appends_of_one_flush_see_each_other() {
        let first = event(1, 0, None);
        let second = event(2, 1, Some(&first.hash));
        let loser = event(3, 0, None);
        let appends = [
            pending(Expected::NoStream, &first),
            pending(Expected::NoStream, &loser),
            pending(Expected::Revision(0), &second),
            pending(Expected::NoStream, &first),
        ];
        let plan = plan(7, Vec::new(), &appends);
        assert_eq!(
            plan.answers,
            [
                Ok(Written { order: 8, revision: 0 }),
                Err(AppendError::Conflict { actual: Some(0) }),
                Ok(Written { order: 9, revision: 1 }),
                Ok(Written { order: 8, revision: 0 }),
            ]
        );
        assert_eq!(plan.rows.iter().map(|row| row.order).collect::<Vec<_>>(), [8, 9]);
    }

    #[test]
    fn an_id_is_used_once() {
        let first = event(1, 0, None);
        let again = event(1, 1, Some(&first.hash));
        let appends = [pending(Expected::NoStream, &first), pending(Expected::Revision(0), &again)];
        let plan = plan(0, Vec::new(), &appends);
        assert_eq!(plan.answers[1], Err(AppendError::IdTaken { id: Uuid::from_u128(1) }));
    }

    #[test]
    fn refuses_what_does_not_continue_the_stream() {
        let first = event(1, 0, None);
        let torn = event(2, 1, Some("another hash"));
        let appends = [pending(Expected::NoStream, &first), pending(Expected::Revision(0), &torn)];
        assert_eq!(plan(0, Vec::new(), &appends).answers[1], Err(UNSEALED));

        let refuse = |expected, events| PendingAppend::new(&stream(), expected, events).unwrap_err();
        assert!(matches!(refuse(Expected::NoStream, vec![]), AppendError::Invalid(_)));
        assert!(matches!(refuse(Expected::Revision(0), vec![first.clone()]), AppendError::Invalid(_)));
        assert_eq!(refuse(Expected::NoStream, vec![first.clone(), torn]), UNSEALED);
        let twice = event(1, 1, Some(&first.hash));
        assert!(matches!(refuse(Expected::NoStream, vec![first, twice]), AppendError::Invalid(_)));
    }
}
