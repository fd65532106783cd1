//! What is so in a simulated world: the stores' contents, and what must never be.

use std::collections::{BTreeMap, HashMap};

use dcm_domain::aggregate::Aggregate;
use dcm_domain::subcloud::{Subcloud, SubcloudEvent};
use dcm_domain::value::Phase;
use dcm_journal::bus::Message;
use dcm_journal::lease::Holder;
use dcm_schemas::{Recorded, StreamId, registry};
use serde_json::Value;
use uuid::Uuid;

/// Contents of every store, as of now.
#[derive(Default)]
pub struct Truth {
    /// The journal.
    pub events: Vec<Recorded>,
    /// Where each stream's events are in it.
    pub streams: HashMap<StreamId, Vec<usize>>,
    /// The four streams of the bus, in the order of `Stream::ALL`.
    pub bus: [BusStream; 4],
    /// How often the bus lost everything.
    pub wipes: u64,
    /// The leases.
    pub leases: BTreeMap<String, LeaseRow>,
    /// How far the clock of the lease store is off, in microseconds.
    pub skew: i64,
    /// Whether it was ever set back.
    pub set_back: bool,
    /// The read model.
    pub rows: Rows,
    /// Every playbook that was ever prepared.
    pub playbooks: Vec<Playbook>,
    /// Processes that were started, and whether they live.
    pub living: HashMap<i64, bool>,
    /// What must not be, and was.
    pub wrong: Vec<String>,
}

/// One stream of the bus.
#[derive(Default)]
pub struct BusStream {
    /// Messages by sequence.
    pub kept: BTreeMap<u64, Stored>,
    /// The last sequence given out.
    pub last: u64,
    /// Ids that are known, with their sequences.
    pub ids: HashMap<Uuid, u64>,
    /// Consumers by name.
    pub consumers: BTreeMap<String, ConsumerState>,
    /// How many unnamed consumers there were.
    pub unnamed: u64,
}

/// A stored message.
#[derive(Clone)]
pub struct Stored {
    pub message: Message,
    /// When consumers see it, in milliseconds.
    pub visible_at: u64,
}

/// A consumer, as the bus remembers it.
#[derive(Default)]
pub struct ConsumerState {
    /// Sequences up to this are looked after in `unsettled`.
    pub cursor: u64,
    /// Unsettled: when they come again, and how often they came.
    pub unsettled: BTreeMap<u64, (u64, u64)>,
}

/// A row of the lease table.
#[derive(Clone)]
pub struct LeaseRow {
    pub holder: Option<Holder>,
    pub details: Value,
    pub epoch: i64,
    /// By the store's clock, in microseconds.
    pub expires_at: i64,
}

/// A read model as one transaction left it.
#[derive(Clone, Default)]
pub struct Rows {
    /// The checkpoint: order of the last event.
    pub position: u64,
    /// Epoch of who moved it last.
    pub epoch: i64,
    /// Orders of the events, in the order in which they were applied.
    pub applied: Vec<u64>,
    /// Subclouds as they were folded.
    pub subclouds: BTreeMap<Uuid, Subcloud>,
}

impl Rows {
    /// Applies one event.
    pub fn apply(&mut self, event: &Recorded) -> Result<(), String> {
        self.applied.push(event.position.order);
        let envelope = &event.envelope;
        let Some(uuid) = envelope.stream.uuid().filter(|_| envelope.stream.kind() == Subcloud::KIND) else {
            return Ok(());
        };
        let event = registry::decode::<SubcloudEvent>(envelope).map_err(|error| error.to_string())?;
        let state =
            Subcloud::evolve(self.subclouds.remove(&uuid), &event).map_err(|error| error.to_string())?;
        self.subclouds.insert(uuid, state);
        Ok(())
    }
}

/// A playbook on a host.
pub struct Playbook {
    pub run_id: Uuid,
    pub entity: Option<Uuid>,
    pub phase: Phase,
    /// Process that prepared it, and its host.
    pub pid: i64,
    pub host: &'static str,
    pub started: bool,
    /// When nothing of it is left, in milliseconds.
    pub ends_at: u64,
}

impl Truth {
    /// The subcloud that a run was requested for.
    pub fn entity_of(&self, run_id: Uuid) -> Option<Uuid> {
        let named = |event: &&Recorded| {
            let data = &event.envelope.data;
            data.get("run_id").and_then(Value::as_str).is_some_and(|id| id == run_id.to_string())
        };
        self.events.iter().find(named)?.envelope.stream.uuid()
    }

    /// The store's clock, in microseconds, `now` milliseconds after the beginning.
    pub fn store_time(&self, now: u64) -> i64 {
        i64::try_from(now).unwrap_or(0) * 1000 + self.skew
    }

    /// Remembers what must not be.
    pub fn is_wrong(&mut self, what: String) {
        if self.wrong.len() < 10 {
            self.wrong.push(what);
        }
    }
}
