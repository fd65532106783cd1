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
    commands: VecDeque<Seen>,
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

impl<A> Default for Loaded<A> {
    fn default() -> Self {
        Self {
            state: None,
            revision: None,
            position: None,
            created_at: None,
            last_at: None,
            last_hash: None,
            commands: VecDeque::new(),
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
        let state = A::evolve(self.state.take().map(Arc::unwrap_or_clone), &event).inspect_err(|_| {
            // The state went into the fold: the next look starts over, and stops at the same event.
            *self = Self::default();
        })?;
        self.state = Some(Arc::new(state));
        self.revision = Some(envelope.revision);
        self.position = Some(position);
        self.created_at = self.created_at.or(Some(envelope.recorded_at));
        self.last_at = Some(envelope.recorded_at);
        self.last_hash = Some(envelope.hash.clone());
        self.remember(envelope, position);
        Ok(())
    }

    fn remember(&mut self, envelope: &Envelope, position: Position) {
        match (&envelope.command, self.commands.back_mut()) {
            (Some(command), _) => {
                if self.commands.len() == REMEMBERED {
                    self.commands.pop_front();
                }
                self.commands.push_back(Seen {
                    id: envelope.command_id,
                    fingerprint: command.fingerprint.clone(),
                    revision: envelope.revision,
                    position,
                });
            }
            (None, Some(last)) if last.id == envelope.command_id => {
                last.revision = envelope.revision;
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
                actor: meta.actor.clone(),
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
