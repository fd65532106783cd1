//! The port on the store's calls.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::time::Instant;

use async_trait::async_trait;
use dcm_schemas::{Envelope, JournalId, Position, Recorded, StreamId};
use lru::LruCache;
use tokio::sync::watch;

use super::answer::{TOO_LARGE, Trouble};
use super::calls::{Calls, From, Message, PATIENCE, Pauses, message};
use super::protocol::streams::read_resp::read_event::RecordedEvent;
use super::protocol::uuid;
use super::scope::Scope;
use super::tail::Tail;
use crate::store::batch::{PendingAppend, UNSEALED};
use crate::store::{AppendError, Appended, Expected, Journal, ReadError, Traits};

/// Streams whose last hash is remembered.
const REMEMBERED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(16_383);
/// Events of one page when they are counted.
const PAGE: usize = 1000;

/// A [`Journal`] on an event store.
pub(super) struct EsdbJournal {
    id: JournalId,
    calls: Calls,
    scope: Scope,
    tail: Tail,
    announce: watch::Sender<u64>,
    /// Revision and hash of the last event that was seen of a stream. Events never change: what is here is never wrong,
    /// only behind.
    hashes: Mutex<LruCache<StreamId, (u64, String)>>,
}

impl EsdbJournal {
    /// The journal `id`, whose last event stands at `head`.
    pub(super) fn new(id: JournalId, calls: Calls, scope: Scope, tail: Tail, head: u64) -> Self {
        let hashes = Mutex::new(LruCache::new(REMEMBERED));
        Self { id, calls, scope, tail, announce: watch::Sender::new(head), hashes }
    }

    fn remember(&self, stream: &StreamId, revision: u64, hash: &str) {
        let mut hashes = self.hashes.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if hashes.peek(stream).is_none_or(|(known, _)| *known < revision) {
            hashes.put(stream.clone(), (revision, hash.to_owned()));
        }
    }

    fn remembered(&self, stream: &StreamId, revision: u64) -> Option<String> {
        let mut hashes = self.hashes.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        hashes.get(stream).filter(|(known, _)| *known == revision).map(|(_, hash)| hash.clone())
    }

    /// Checks that `append` continues the hash chain of its stream.
    async fn check_chain(
        &self,
        stream: &StreamId,
        name: &str,
        expected: Expected,
        append: &PendingAppend,
    ) -> Result<(), AppendError> {
        let previous = match expected {
            Expected::NoStream => None,
            Expected::Revision(revision) => match self.remembered(stream, revision) {
                Some(hash) => Some(hash),
                None => {
                    let read = self.calls.read_stream(name, revision, 1).await.map_err(|e| unappended(&e))?;
                    let Some(event) = read.into_iter().find(|event| event.stream_revision == revision) else {
                        return Err(AppendError::Conflict { actual: self.last_revision(name).await? });
                    };
                    let event = self.recorded(event).map_err(|error| match error {
                        ReadError::Unavailable(reason) => AppendError::Unavailable(reason),
                        error @ ReadError::Corrupt { .. } => AppendError::Corrupt(error.to_string()),
                    })?;
                    self.remember(stream, revision, &event.envelope.hash);
                    Some(event.envelope.hash)
                }
            },
        };
        match append.continues(previous.as_deref()) {
            true => Ok(()),
            false => Err(UNSEALED),
        }
    }

    /// Writes an append and finds out what became of it.
    async fn write(
        &self,
        stream: &StreamId,
        name: &str,
        expected: Expected,
        append: &PendingAppend,
    ) -> Result<Appended, AppendError> {
        let deadline = Instant::now() + PATIENCE;
        self.check_chain(stream, name, expected, append).await?;
        let messages: Vec<Message> =
            append.rendered().map(|(id, kind, body)| message(id, kind, body)).collect();
        let mut pauses = Pauses::until(deadline);
        loop {
            let answer = self.calls.append_once(deadline, name, expected.last(), &messages).await;
            let trouble = match answer {
                Ok(written) => {
                    let order = match written.order {
                        Some(order) => order,
                        // A repetition whose first answer the server does not remember.
                        None => match self.look(name, expected, append).await? {
                            Found::Written { order, .. } => order,
                            Found::At(_) => return Err(vanished()),
                        },
                    };
                    // The revisions of a stream that somebody deleted go on where they were.
                    if written.revision != append.last_revision() {
                        return Err(displaced());
                    }
                    self.remember(stream, written.revision, append.last_hash());
                    return Ok(self.appended(written.revision, order));
                }
                Err(Trouble::TooLarge) => return Err(AppendError::Invalid(TOO_LARGE)),
                Err(trouble @ (Trouble::Refused(_) | Trouble::Deleted)) => return Err(unappended(&trouble)),
                Err(trouble) => trouble,
            };
            let certain = matches!(trouble, Trouble::WrongRevision);
            if !certain {
                tracing::debug!(reason = trouble.text(), "an append is repeated");
                if !pauses.pause().await {
                    return Err(unappended(&trouble));
                }
            }
            // The server takes the same ids at a later revision as new events, and forgets repetitions: what is there is
            // looked at before anything is repeated or refused.
            match self.look(name, expected, append).await? {
                Found::Written { revision, order } => {
                    self.remember(stream, revision, append.last_hash());
                    return Ok(self.appended(revision, order));
                }
                Found::At(actual) if actual != expected.last() => {
                    return Err(AppendError::Conflict { actual });
                }
                // Somebody's delete between the two looks; the next attempt tells.
                Found::At(_) if certain && !pauses.pause().await => return Err(unappended(&trouble)),
                Found::At(_) => {}
            }
        }
    }

    async fn last_revision(&self, name: &str) -> Result<Option<u64>, AppendError> {
        let last = self.calls.last_of(name).await.map_err(|error| unappended(&error))?;
        Ok(last.map(|event| event.stream_revision))
    }

    /// What became of an append: its last event if all of it is there, or where the stream is.
    async fn look(
        &self,
        name: &str,
        expected: Expected,
        append: &PendingAppend,
    ) -> Result<Found, AppendError> {
        let ids: Vec<&str> = append.ids().collect();
        let there = self.calls.read_stream(name, expected.next(), ids.len()).await;
        let there = there.map_err(|error| unappended(&error))?;
        let same = there.len() == ids.len()
            && there.iter().zip(&ids).zip(expected.next()..).all(|((event, id), revision)| {
                event.stream_revision == revision && id_of(event) == Some(*id)
            });
        if let (true, Some(last)) = (same, there.last()) {
            return Ok(Found::Written { revision: last.stream_revision, order: order_of(last)? });
        }
        Ok(Found::At(self.last_revision(name).await?))
    }

    fn appended(&self, revision: u64, order: u64) -> Appended {
        self.announce.send_if_modified(|announced| {
            let moved = order > *announced;
            *announced = order.max(*announced);
            moved
        });
        Appended { last: Position { journal: self.id, order }, revision }
    }

    /// An event of the store as one of the journal, checked against what the store says of it.
    fn recorded(&self, event: RecordedEvent) -> Result<Recorded, ReadError> {
        let order = order_of(&event).map_err(|error| ReadError::Unavailable(error.to_string()))?;
        let corrupt = |reason: String| ReadError::Corrupt { order, reason };
        let body = String::from_utf8(event.data.to_vec()).map_err(|error| corrupt(error.to_string()))?;
        let envelope: Envelope = serde_json::from_str(&body).map_err(|error| corrupt(error.to_string()))?;
        let name = event.stream_identifier.as_ref().map(|stream| stream.stream_name.as_ref());
        if !name.is_some_and(|name| self.scope.is(name, &envelope.stream)) {
            return Err(corrupt(format!("it says it is of {}, and stands elsewhere", envelope.stream)));
        }
        if envelope.revision != event.stream_revision {
            return Err(corrupt(format!(
                "expected revision {} of {}",
                event.stream_revision, envelope.stream
            )));
        }
        Ok(Recorded { position: Position { journal: self.id, order }, envelope, body })
    }

    fn all_recorded(
        &self,
        events: impl IntoIterator<Item = RecordedEvent>,
    ) -> Result<Vec<Recorded>, ReadError> {
        let events = events.into_iter().map(|event| self.recorded(event)).collect::<Result<Vec<_>, _>>()?;
        let mut before = 0;
        for event in &events {
            let order = event.position.order;
            if order <= before {
                return Err(ReadError::Corrupt { order, reason: format!("it comes after {before}") });
            }
            before = order;
        }
        Ok(events)
    }
}

/// What a look after an unknown outcome found.
enum Found {
    Written {
        revision: u64,
        order: u64,
    },
    /// Revision of the stream's last event.
    At(Option<u64>),
}

#[async_trait]
impl Journal for EsdbJournal {
    fn id(&self) -> JournalId {
        self.id
    }

    fn traits(&self) -> Traits {
        Traits { orders_are_dense: false, ids_are_unique: false }
    }

    async fn append(
        &self,
        stream: &StreamId,
        expected: Expected,
        events: Vec<Envelope>,
    ) -> Result<Appended, AppendError> {
        let append = PendingAppend::new(stream, expected, events)?;
        let name = self.scope.physical(stream);
        let name = name.ok_or(AppendError::Invalid("reading all events would not find this stream"))?;
        let outcome = self.write(stream, &name, expected, &append).await;
        count(&outcome);
        outcome
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Recorded>, ReadError> {
        let Some(name) = self.scope.physical(stream).filter(|_| limit > 0) else { return Ok(Vec::new()) };
        let read = self.calls.read_stream(&name, from, limit).await.map_err(|error| unread(&error))?;
        let events = self.all_recorded(read)?;
        for (revision, event) in (from..).zip(&events) {
            if event.envelope.revision != revision {
                let reason = format!("expected revision {revision} of {stream}");
                return Err(ReadError::Corrupt { order: event.position.order, reason });
            }
        }
        if let Some(last) = events.last() {
            self.remember(stream, last.envelope.revision, &last.envelope.hash);
        }
        Ok(events)
    }

    async fn read_all(&self, after: u64, limit: usize) -> Result<Vec<Recorded>, ReadError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let from = From::Position(self.tail.search_from(after, self.scope.origin));
        // One more: reading begins with the event at `after` itself.
        let read = self.calls.read_all(self.scope.filter(), from, limit.saturating_add(1)).await;
        let read = read.map_err(|error| unread(&error))?;
        let news = read.into_iter().filter(|event| event.commit_position > after).take(limit);
        let events = self.all_recorded(news)?;
        self.check_revisions(&events)?;
        Ok(events)
    }

    async fn read_back(&self, until: u64, limit: usize) -> Result<Vec<Recorded>, ReadError> {
        if limit == 0 || until == 0 {
            return Ok(Vec::new());
        }
        let at = self.calls.read_all(self.scope.filter(), From::Position(until), 1).await;
        let at = at.map_err(|error| unread(&error))?;
        let mut events: Vec<RecordedEvent> =
            at.into_iter().filter(|event| event.commit_position == until).collect();
        if limit > events.len() {
            let left = limit - events.len();
            let before = self.calls.read_all(self.scope.filter(), From::Before(until), left).await;
            events.extend(before.map_err(|error| unread(&error))?);
        }
        events.reverse();
        self.all_recorded(events)
    }

    async fn count_after(&self, after: u64, limit: u64) -> Result<u64, ReadError> {
        let (mut count, mut from) = (0, after);
        while count < limit {
            let page = self.read_all(from, PAGE).await?;
            count += page.len() as u64;
            match page.last() {
                Some(last) if page.len() == PAGE => from = last.position.order,
                _ => break,
            }
        }
        Ok(count.min(limit))
    }

    async fn head(&self) -> Result<u64, ReadError> {
        self.tail.head(&self.calls, &self.scope).await.map_err(|error| unread(&error))
    }

    fn appended(&self) -> watch::Receiver<u64> {
        self.announce.subscribe()
    }
}

impl EsdbJournal {
    /// Whether the revisions of each stream follow one another: orders have gaps of their own, so nothing else shows that
    /// an event is missing.
    fn check_revisions(&self, events: &[Recorded]) -> Result<(), ReadError> {
        let mut last: HashMap<&StreamId, u64> = HashMap::new();
        for event in events {
            let Envelope { stream, revision, .. } = &event.envelope;
            if let Some(before) = last.insert(stream, *revision)
                && before + 1 != *revision
            {
                let reason = format!("expected revision {} of {stream}", before + 1);
                return Err(ReadError::Corrupt { order: event.position.order, reason });
            }
        }
        Ok(())
    }
}

/// Counts an append by its answer: a refusal is one too.
fn count(outcome: &Result<Appended, AppendError>) {
    if matches!(outcome, Err(AppendError::Unavailable(_) | AppendError::Corrupt(_))) {
        metrics::counter!("dcm_journal_failures_total").increment(1);
        return;
    }
    metrics::counter!("dcm_journal_appends_total").increment(1);
    if matches!(outcome, Err(AppendError::Conflict { .. })) {
        metrics::counter!("dcm_journal_conflicts_total").increment(1);
    }
}

fn id_of(event: &RecordedEvent) -> Option<&str> {
    match event.id.as_ref()?.value.as_ref()? {
        uuid::Value::String(id) => Some(id),
        // Not what was asked for.
        uuid::Value::Structured(_) => None,
    }
}

/// Where an event stands among all of the store.
fn order_of(event: &RecordedEvent) -> Result<u64, AppendError> {
    match i64::try_from(event.commit_position) {
        Ok(_) => Ok(event.commit_position),
        // What older servers answer when a stream is read.
        Err(_) => Err(AppendError::Unavailable(
            "the event store gives no positions with streams: EventStoreDB 22.10 or later is needed"
                .to_owned(),
        )),
    }
}

fn vanished() -> AppendError {
    AppendError::Corrupt("what was appended is not in the stream".to_owned())
}

fn displaced() -> AppendError {
    AppendError::Corrupt(
        "the stream was deleted, and what was appended stands at a later revision".to_owned(),
    )
}

fn unappended(trouble: &Trouble) -> AppendError {
    match trouble {
        Trouble::Deleted => AppendError::Corrupt(trouble.text()),
        _ => AppendError::Unavailable(trouble.text()),
    }
}

fn unread(trouble: &Trouble) -> ReadError {
    match trouble {
        Trouble::Deleted => ReadError::Corrupt { order: 0, reason: trouble.text() },
        _ => ReadError::Unavailable(trouble.text()),
    }
}
