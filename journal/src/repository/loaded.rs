//! An aggregate as it was folded from its stream, with what its next append needs to know.

use std::{collections::VecDeque, sync::Arc};

use dcm_domain::aggregate::Aggregate;
use dcm_domain::value::Timestamp;
use dcm_schemas::{
    CommandRecord, Envelope, Position, StreamId,
    registry::{self, Unreadable},
};
use uuid::Uuid;

use super::Meta;

/// How many commands a stream remembers.
const REMEMBERED: usize = 64;

/// An aggregate folded up to [`revision`](Self::revision).
#[derive(Clone, Debug)]
pub struct Loaded<A> {
    /// Its state; `None` if its stream has no event.
    pub state: Option<Arc<A>>,
    /// Revision of the last folded event.
    pub revision: Option<u64>,
    /// Position of the last folded event.
    pub position: Option<Position>,
    /// When the stream began.
    pub created_at: Option<Timestamp>,
    last_at: Option<Timestamp>,
    last_hash: Option<String>,
    /// Shared, for an aggregate is copied more often than it changes.
    commands: Arc<VecDeque<Seen>>,
}

/// A command that was carried out on the aggregate.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    id: Uuid,
    pub fingerprint: String,
    /// Revision of the last event it caused.
    pub revision: u64,
    /// Position of that event.
    pub position: Position,
}

/// What an aggregate keeps of an event's envelope.
pub(super) struct Mark {
    revision: u64,
    recorded_at: Timestamp,
    hash: String,
    command_id: Uuid,
    /// Of the command, on the first event of an append.
    fingerprint: Option<String>,
}

impl Mark {
    pub(super) fn of(envelope: &Envelope) -> Self {
        Self {
            revision: envelope.revision,
            recorded_at: envelope.recorded_at,
            hash: envelope.hash.clone(),
            command_id: envelope.command_id,
            fingerprint: envelope.command.as_ref().map(|command| command.fingerprint.clone()),
        }
    }
}

impl<A> Default for Loaded<A> {
    fn default() -> Self {
        Self {
            state: None,
            revision: None,
            position: None,
            created_at: None,
            last_at: None,
            last_hash: None,
            commands: Arc::default(),
        }
    }
}

impl<A: Aggregate> Loaded<A> {
    /// When the last event was recorded; the beginning of time without one.
    pub fn changed_at(&self) -> Timestamp {
        self.last_at.unwrap_or(Timestamp::from_micros(i64::MIN))
    }

    pub(super) fn recent(&self, command_id: Uuid) -> Option<&Seen> {
        self.commands.iter().find(|seen| seen.id == command_id)
    }

    /// Folds one event, which follows the last one.
    pub(super) fn fold(&mut self, envelope: &Envelope, position: Position) -> Result<(), Unreadable> {
        let event = registry::decode::<A::Event>(envelope)?;
        self.take_in(&event, Mark::of(envelope), position)
    }

    /// As [`fold`](Self::fold), of an event that need not be read from its envelope any more.
    pub(super) fn take_in(
        &mut self,
        event: &A::Event,
        mark: Mark,
        position: Position,
    ) -> Result<(), Unreadable> {
        let state = A::evolve(self.state.take().map(Arc::unwrap_or_clone), event).inspect_err(|_| {
            // The state went into the fold: the next look starts over, and stops at the same event.
            *self = Self::default();
        })?;
        self.state = Some(Arc::new(state));
        self.revision = Some(mark.revision);
        self.position = Some(position);
        self.created_at = self.created_at.or(Some(mark.recorded_at));
        self.last_at = Some(mark.recorded_at);
        self.remember(mark.command_id, mark.fingerprint, mark.revision, position);
        self.last_hash = Some(mark.hash);
        Ok(())
    }

    fn remember(&mut self, id: Uuid, fingerprint: Option<String>, revision: u64, position: Position) {
        let commands = Arc::make_mut(&mut self.commands);
        match (fingerprint, commands.back_mut()) {
            (Some(fingerprint), _) => {
                if commands.len() == REMEMBERED {
                    commands.pop_front();
                }
                commands.push_back(Seen { id, fingerprint, revision, position });
            }
            (None, Some(last)) if last.id == id => {
                last.revision = revision;
                last.position = position;
            }
            (None, _) => {}
        }
    }

    /// The envelopes of `events`, chained to the last folded event.
    pub(super) fn seal(
        &self,
        stream: &StreamId,
        events: &[A::Event],
        meta: &Meta,
        record: CommandRecord,
        now: Timestamp,
    ) -> Result<Vec<Envelope>, serde_json::Error> {
        let mut sealed: Vec<Envelope> = Vec::with_capacity(events.len());
        let first = self.revision.map_or(0, |revision| revision + 1);
        let mut record = Some(record);
        for (revision, event) in (first..).zip(events) {
            let encoded = registry::encode(event)?;
            let envelope = Envelope {
                id: Uuid::now_v7(),
                r#type: encoded.name,
                version: encoded.version,
                stream: stream.clone(),
                revision,
                recorded_at: now.max(self.changed_at()),
                actor: meta.actor.as_ref().clone(),
                request_id: meta.request_id.clone(),
                correlation_id: meta.correlation_id,
                causation_id: meta.causation_id,
                command_id: meta.command_id,
                traceparent: meta.traceparent.clone(),
                command: record.take(),
                data: encoded.data,
                hash: String::new(),
            };
            let previous = sealed.last().map(|last| last.hash.as_str()).or(self.last_hash.as_deref());
            sealed.push(envelope.seal(previous));
        }
        Ok(sealed)
    }
}
