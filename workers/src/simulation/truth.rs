//! What is so in a simulated world: the stores' contents, and what must never be.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use dcm_domain::aggregate::Aggregate;
use dcm_domain::subcloud::Subcloud;
use dcm_domain::value::Phase;
use dcm_journal::bus::Message;
use dcm_journal::lease::Holder;
use dcm_projections::{Event, ProjectError};
use dcm_schemas::{Recorded, StreamId};
use serde_json::Value;
use uuid::Uuid;

/// Name of the read model that the product's answers are mostly made of: its projector has an eye to it.
pub const SUBCLOUDS: &str = "subclouds";
/// Name of the read model beside it, into which not every event can be taken at once.
pub const COUNTS: &str = "counts";

/// What the store's clock shows when the world begins, in microseconds: long after its own beginning, so that epochs, which
/// are its times, stay above 0 when it is set back.
const BEGINNING: i64 = 1_000_000_000_000_000;

/// Contents of every store, as of now.
#[derive(Default)]
pub struct Truth {
    /// The journal.
    pub events: Vec<Arc<Recorded>>,
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
    /// Whether it was ever set forward.
    pub set_forward: bool,
    /// The read model of subclouds.
    pub subclouds: Rows,
    /// The read model of counts.
    pub counts: Rows,
    /// Orders of the strange events that the programs have learned to take.
    pub understood: BTreeSet<u64>,
    /// Processes that say that nobody else writes what is read, and until when, in milliseconds.
    pub alone: BTreeMap<i64, u64>,
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
    /// Epoch of who moved it last, or fenced others off.
    pub epoch: i64,
    /// Order of the event in front of which it stopped.
    pub stopped_at: Option<u64>,
    /// Order of the first event that was not applied right behind the one before it.
    pub gap: Option<u64>,
    /// Subclouds as they were folded. Shared: rows are copied more often than they change.
    pub states: BTreeMap<Uuid, Arc<Subcloud>>,
    /// How many events there were, by their names.
    pub numbers: BTreeMap<String, u64>,
}

impl Rows {
    /// Applies one event as the read model `name` does.
    pub fn apply(&mut self, name: &str, event: &Event) -> Result<(), ProjectError> {
        if event.order() != self.position + 1 {
            self.gap.get_or_insert(event.order());
        }
        self.position = event.order();
        match name {
            COUNTS => *self.numbers.entry(event.envelope().r#type.clone()).or_default() += 1,
            _ => self.evolve(event)?,
        }
        Ok(())
    }

    fn evolve(&mut self, event: &Event) -> Result<(), ProjectError> {
        let Some(uuid) = event.uuid().filter(|_| event.kind() == Subcloud::KIND) else { return Ok(()) };
        let before = self.states.remove(&uuid).map(Arc::unwrap_or_clone);
        let state = Subcloud::evolve(before, event.subcloud()?).map_err(|cause| event.unreadable(cause))?;
        self.states.insert(uuid, Arc::new(state));
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
        let run_id = run_id.to_string();
        let named = |event: &&Arc<Recorded>| {
            let data = &event.envelope.data;
            data.get("run_id").and_then(Value::as_str).is_some_and(|id| id == run_id)
        };
        self.events.iter().find(named)?.envelope.stream.uuid()
    }

    /// The store's clock, in microseconds, `now` milliseconds after the beginning.
    pub fn store_time(&self, now: u64) -> i64 {
        BEGINNING + i64::try_from(now).unwrap_or(0) * 1000 + self.skew
    }

    /// The read model `name`.
    pub fn rows(&self, name: &str) -> &Rows {
        if name == COUNTS { &self.counts } else { &self.subclouds }
    }

    /// The read model `name`, to be changed.
    pub fn rows_mut(&mut self, name: &str) -> &mut Rows {
        if name == COUNTS { &mut self.counts } else { &mut self.subclouds }
    }

    /// Remembers what must not be.
    pub fn is_wrong(&mut self, what: String) {
        if self.wrong.len() < 10 {
            self.wrong.push(what);
        }
    }
}
