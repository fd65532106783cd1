//! What a journal and a bus say of the same events, held against each other message by message.

use dcm_journal::bus::Kept;
use dcm_schemas::cloudevents::Received;
use dcm_schemas::{JournalId, Position, Recorded};
use serde::Serialize;
use uuid::Uuid;

/// How many differences of a kind are told one by one; all are counted.
const TOLD: usize = 20;

/// What a comparison found. As JSON it is the answer of `dcm bus verify --json`: fields are added, none is renamed.
#[derive(Debug, Clone, Serialize)]
pub struct Findings {
    /// Whether nothing differs.
    pub agrees: bool,
    /// Position of the first event that was looked for; `None` if there was none.
    pub from: Option<Position>,
    /// Position of the last event that was looked for.
    pub to: Option<Position>,
    /// Events of the journal that were looked for.
    pub events: u64,
    /// Messages that were looked at.
    pub messages: u64,
    /// Events of the window older than the oldest message: no longer kept, and no difference.
    pub dropped: u64,
    /// Events that are not on the bus.
    pub missing: Differences,
    /// Events that are on it again.
    pub doubled: Differences,
    /// Messages that stand behind one of a later event.
    pub out_of_order: Differences,
    /// Messages that name another event before theirs than the journal has there.
    pub wrong_previous: Differences,
    /// Messages that are of no event of this journal.
    pub foreign: Differences,
}

/// Differences of one kind.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Differences {
    /// How many there are.
    pub count: u64,
    /// The first of them.
    pub first: Vec<Difference>,
}

/// One difference. What of it is not known is `None`.
#[derive(Debug, Clone, Serialize)]
pub struct Difference {
    /// The event's position.
    pub position: Option<Position>,
    /// The event's id.
    pub id: Option<Uuid>,
    /// The message's sequence in the stream.
    pub sequence: Option<u64>,
    /// What is wrong, for a person.
    pub what: String,
}

impl Differences {
    fn add(&mut self, difference: Difference) {
        self.count += 1;
        if self.first.len() < TOLD {
            self.first.push(difference);
        }
    }
}

/// What a relay would stop at, and a repair too: somebody has to decide.
#[derive(Debug, Clone, Default)]
pub(super) struct Contradictions {
    /// A message of another journal.
    pub other: Option<JournalId>,
    /// The latest event that the journal does not reach.
    pub ahead: Option<u64>,
    /// An order at which the journal has another event.
    pub diverged: Option<u64>,
}

/// The end of the part of the stream that is as a relay would have written it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sound {
    /// Order of its last event.
    pub order: u64,
    /// Sequence of its last message.
    pub sequence: u64,
}

/// An event that is looked for.
struct Wanted {
    order: u64,
    id: Uuid,
    previous: u64,
    /// The message that was found first.
    found: Option<u64>,
}

/// A comparison under way: first every event of the window, then every message in the order of the stream.
pub(super) struct Comparison {
    journal: JournalId,
    head: u64,
    wanted: Vec<Wanted>,
    /// Order of the oldest message of this journal.
    oldest: Option<u64>,
    /// Order of the latest event that was seen on the stream.
    latest: u64,
    messages: u64,
    sound: Option<Sound>,
    broken: bool,
    contradictions: Contradictions,
    doubled: Differences,
    out_of_order: Differences,
    wrong_previous: Differences,
    foreign: Differences,
}

impl Comparison {
    /// Of events of `journal`, which ends at `head`.
    pub(super) fn new(journal: JournalId, head: u64) -> Self {
        Self {
            journal,
            head,
            wanted: Vec::new(),
            oldest: None,
            latest: 0,
            messages: 0,
            sound: None,
            broken: false,
            contradictions: Contradictions::default(),
            doubled: Differences::default(),
            out_of_order: Differences::default(),
            wrong_previous: Differences::default(),
            foreign: Differences::default(),
        }
    }

    /// The next event of the window, which follows `previous` in the journal.
    pub(super) fn want(&mut self, event: &Recorded, previous: u64) {
        let (order, id) = (event.position.order, event.envelope.id);
        self.wanted.push(Wanted { order, id, previous, found: None });
    }

    /// The next message. What is of events outside the window is passed over.
    pub(super) fn take(&mut self, kept: &Kept) {
        let sequence = kept.sequence;
        let received = match &kept.message {
            Ok(message) => Received::parse(&message.headers, &message.payload)
                .map(|received| (message.id, received))
                .map_err(|error| error.to_string()),
            Err(reason) => Err(reason.clone()),
        };
        let (id, received) = match received {
            Ok(received) => received,
            Err(what) => return self.alien(None, None, sequence, what),
        };
        let Position { journal, order } = received.position;
        if journal != self.journal {
            self.contradictions.other.get_or_insert(journal);
            let what = format!("of journal {journal}");
            return self.alien(Some(received.position), Some(id), sequence, what);
        }
        self.messages += 1;
        self.oldest = Some(self.oldest.map_or(order, |oldest| oldest.min(order)));
        if order > self.head {
            self.contradictions.ahead = self.contradictions.ahead.max(Some(order));
            let what = format!("the journal ends at {}", self.head);
            return self.alien(Some(received.position), Some(id), sequence, what);
        }
        self.known(sequence, id, &received);
        self.latest = self.latest.max(order);
    }

    /// A message of an event that this journal reaches.
    fn known(&mut self, sequence: u64, id: Uuid, received: &Received) {
        let Position { order, .. } = received.position;
        let at = match self.wanted.binary_search_by_key(&order, |wanted| wanted.order) {
            Ok(at) => at,
            // Outside the window, nothing can be said of it.
            Err(_) if !self.spans(order) => return,
            Err(_) => {
                let what = "the journal has no event there".to_owned();
                return self.alien(Some(received.position), Some(id), sequence, what);
            }
        };
        let next = match self.sound {
            None => true,
            Some(sound) => {
                at > 0 && self.wanted.get(at - 1).is_some_and(|before| before.order == sound.order)
            }
        };
        let Some(wanted) = self.wanted.get_mut(at) else { return };
        if (id, received.id) != (wanted.id, wanted.id) {
            self.contradictions.diverged.get_or_insert(order);
            let what = format!("the journal has event {} there", wanted.id);
            return self.alien(Some(received.position), Some(id), sequence, what);
        }
        let difference = |what: String| Difference {
            position: Some(received.position),
            id: Some(id),
            sequence: Some(sequence),
            what,
        };
        if let Some(first) = wanted.found {
            self.broken = true;
            return self.doubled.add(difference(format!("first on the bus at sequence {first}")));
        }
        wanted.found = Some(sequence);
        let mut sound = next;
        if order < self.latest {
            sound = false;
            self.out_of_order.add(difference(format!("behind event {}", self.latest)));
        }
        let previous = Position { journal: self.journal, order: wanted.previous };
        if received.previous != previous {
            sound = false;
            let what = format!("it says that it follows {}, not {}", received.previous, wanted.previous);
            self.wrong_previous.add(difference(what));
        }
        self.broken |= !sound;
        if !self.broken {
            self.sound = Some(Sound { order, sequence });
        }
    }

    /// Whether an order lies between the first and the last event of the window.
    fn spans(&self, order: u64) -> bool {
        let orders = self.wanted.first().zip(self.wanted.last());
        orders.is_some_and(|(first, last)| (first.order..=last.order).contains(&order))
    }

    fn alien(&mut self, position: Option<Position>, id: Option<Uuid>, sequence: u64, what: String) {
        self.broken = true;
        self.foreign.add(Difference { position, id, sequence: Some(sequence), what });
    }

    /// Up to where the stream is as a relay would have written it; `None` if it is not from the beginning.
    pub(super) fn sound(&self) -> Option<Sound> {
        self.sound
    }

    /// Order of the latest event that was seen on the stream.
    pub(super) fn latest(&self) -> u64 {
        self.latest
    }

    pub(super) fn contradictions(&self) -> &Contradictions {
        &self.contradictions
    }

    /// What was found, once every message was taken. `oldest` is the order of the oldest message of the stream, which
    /// may stand before those that were taken.
    pub(super) fn findings(self, oldest: Option<u64>) -> Findings {
        let at = |order| Position { journal: self.journal, order };
        let oldest = oldest.into_iter().chain(self.oldest).min();
        let is_dropped = |wanted: &&Wanted| oldest.is_some_and(|oldest| wanted.order < oldest);
        let mut missing = Differences::default();
        for wanted in self.wanted.iter().filter(|wanted| wanted.found.is_none() && !is_dropped(wanted)) {
            missing.add(Difference {
                position: Some(at(wanted.order)),
                id: Some(wanted.id),
                sequence: None,
                what: "not on the bus".to_owned(),
            });
        }
        let kinds = [&missing, &self.doubled, &self.out_of_order, &self.wrong_previous, &self.foreign];
        Findings {
            agrees: kinds.iter().all(|kind| kind.count == 0),
            from: self.wanted.first().map(|wanted| at(wanted.order)),
            to: self.wanted.last().map(|wanted| at(wanted.order)),
            events: self.wanted.len() as u64,
            messages: self.messages,
            dropped: self.wanted.iter().filter(is_dropped).count() as u64,
            missing,
            doubled: self.doubled,
            out_of_order: self.out_of_order,
            wrong_previous: self.wrong_previous,
            foreign: self.foreign,
        }
    }
}
