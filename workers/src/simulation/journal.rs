//! The journal of the simulated world, as one process reaches it.

use std::sync::Arc;

use async_trait::async_trait;
use dcm_journal::store::{AppendError, Appended, Expected, Journal, ReadError, Traits};
use dcm_schemas::{Envelope, JournalId, Position, Recorded, StreamId};
use tokio::sync::watch;

use super::checks;
use super::dice::named;
use super::truth::Truth;
use super::world::{Broken, Fate, Node};

const AWAY: &str = "simulated";

/// A process' way to the journal.
pub struct SimJournal {
    node: Arc<Node>,
    appended: watch::Sender<u64>,
}

impl SimJournal {
    pub fn of(node: &Arc<Node>) -> Arc<dyn Journal> {
        Arc::new(Self { node: Arc::clone(node), appended: watch::Sender::new(0) })
    }

    async fn read<T>(
        &self,
        what: &'static str,
        key: u64,
        look: impl FnOnce(&Truth) -> T + Send,
    ) -> Result<T, ReadError> {
        let away = || ReadError::Unavailable(AWAY.to_owned());
        let fate = self.node.turn(what, key).await;
        if fate == Fate::Refused {
            self.node.answered(what, key, fate).await;
            return Err(away());
        }
        let found = look(&self.node.world.truth());
        if self.node.answered(what, key, fate).await { Ok(found) } else { Err(away()) }
    }

    fn write(
        &self,
        stream: &StreamId,
        expected: Expected,
        events: &[Envelope],
        forgets: bool,
    ) -> Result<Appended, AppendError> {
        let world = &self.node.world;
        let mut truth = world.truth();
        let there = truth.streams.get(stream).map_or(&[] as &[usize], Vec::as_slice);
        let last = there.last().and_then(|place| truth.events.get(*place));
        let actual = last.map(|event| event.envelope.revision);
        let first = usize::try_from(expected.next()).unwrap_or(usize::MAX);
        let same = |place: &usize, envelope: &Envelope| {
            truth.events.get(*place).is_some_and(|event| event.envelope.id == envelope.id)
        };
        if let Some(again) = there.get(first..first + events.len())
            && !again.is_empty()
            && again.iter().zip(events).all(|(place, envelope)| same(place, envelope))
            && let Some(last) = again.last().and_then(|place| truth.events.get(*place))
        {
            return Ok(Appended { last: last.position, revision: last.envelope.revision });
        }
        if actual != expected.last() {
            return Err(AppendError::Conflict { actual });
        }
        let mut appended = Appended {
            last: Position {
                journal: world.journal_id,
                order: truth.events.len() as u64 + events.len() as u64,
            },
            revision: expected.next(),
        };
        for envelope in events {
            appended.revision = envelope.revision;
            if forgets {
                continue;
            }
            let order = truth.events.len() as u64 + 1;
            world.note(format_args!("{} appends {order} {}", self.node.name, envelope.r#type));
            let position = Position { journal: world.journal_id, order };
            let place = truth.events.len();
            let event = Recorded { position, envelope: envelope.clone(), body: envelope.body() };
            truth.streams.entry(stream.clone()).or_default().push(place);
            truth.events.push(Arc::new(event));
            checks::at_append(&mut truth, &self.node, envelope);
        }
        Ok(appended)
    }
}

/// What a reader is given is its own.
fn copied<'a>(events: impl Iterator<Item = &'a Arc<Recorded>>) -> Vec<Recorded> {
    events.map(|event| Recorded::clone(event)).collect()
}

#[async_trait]
impl Journal for SimJournal {
    fn id(&self) -> JournalId {
        self.node.world.journal_id
    }

    fn traits(&self) -> Traits {
        Traits { orders_are_dense: true, ids_are_unique: false }
    }

    async fn append(
        &self,
        stream: &StreamId,
        expected: Expected,
        events: Vec<Envelope>,
    ) -> Result<Appended, AppendError> {
        let away = || AppendError::Unavailable(AWAY.to_owned());
        let key = named(stream.as_str());
        let fate = self.node.turn("append", key).await;
        if fate == Fate::Refused {
            self.node.answered("append", key, fate).await;
            return Err(away());
        }
        let forgets = self.node.world.broken == Some(Broken::Journal)
            && !self.node.world.is_calm()
            && self.node.dice("forget", key).once_in(10);
        let answer = self.write(stream, expected, &events, forgets);
        if !self.node.answered("append", key, fate).await {
            return Err(away());
        }
        if let Ok(appended) = &answer {
            self.appended.send_replace(appended.last.order);
        }
        answer
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Recorded>, ReadError> {
        let stream = stream.clone();
        self.read("read-stream", named(stream.as_str()), move |truth| {
            let places = truth.streams.get(&stream).into_iter().flatten();
            let places = places.skip(usize::try_from(from).unwrap_or(usize::MAX)).take(limit);
            copied(places.filter_map(|place| truth.events.get(*place)))
        })
        .await
    }

    async fn read_all(&self, after: u64, limit: usize) -> Result<Vec<Recorded>, ReadError> {
        self.read("read-all", 0, move |truth| {
            let after = usize::try_from(after).unwrap_or(usize::MAX);
            copied(truth.events.iter().skip(after).take(limit))
        })
        .await
    }

    async fn read_back(&self, until: u64, limit: usize) -> Result<Vec<Recorded>, ReadError> {
        self.read("read-back", 0, move |truth| {
            let until = usize::try_from(until).unwrap_or(usize::MAX).min(truth.events.len());
            copied(truth.events.iter().take(until).skip(until.saturating_sub(limit)))
        })
        .await
    }

    async fn count_after(&self, after: u64, _: u64) -> Result<u64, ReadError> {
        Ok(self.head().await?.saturating_sub(after))
    }

    async fn head(&self) -> Result<u64, ReadError> {
        self.read("head", 0, |truth| truth.events.len() as u64).await
    }

    fn appended(&self) -> watch::Receiver<u64> {
        self.appended.subscribe()
    }
}
