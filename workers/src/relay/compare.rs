//! What a journal and a bus say of the same events, held against each other message by message.

use std::time::Duration;

use dcm_domain::value::Timestamp;
use dcm_journal::bus::{Kept, Retention};
use dcm_schemas::cloudevents::Received;
use dcm_schemas::{JournalId, Position, Recorded};
use serde::Serialize;
use uuid::Uuid;

/// How many differences of a kind are told one by one; all are counted.
const TOLD: usize = 20;
/// What a message takes at most beside the text of its event: headers, which mostly say again what the text says; subject;
/// and what a server stores with it.
const AROUND: u64 = 2048;
/// How far apart clocks may be at least: an event is recorded by that of the host that took the command, its message grows
/// old by those of the servers of the bus, and whoever verifies looks at a third. Clocks that nobody sets drift apart by
/// minutes, and one that is set by hand for the wrong time of the year is an hour off.
const CLOCKS: Duration = Duration::from_secs(3600);
/// They may be apart by this part of the age too, if that is more. To take what was lost for too old is the lesser error:
/// it would soon have gone. To take what grew too old for lost has the whole stream filled anew.
const CLOCKS_PART: u32 = 10;

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
    /// Events of the window older than the oldest message, which the stream's limits can have removed: no difference.
    pub dropped: u64,
    /// Of those that are missing, how many are older than the oldest message, and no limit of the stream explains it. A
    /// repair fills the stream anew from the first event for them.
    pub lost_at_front: u64,
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
    /// Order of its first event.
    first: u64,
    /// Order of its last event.
    pub order: u64,
    /// Sequence of its last message.
    pub sequence: u64,
}

/// The front of the stream after its messages were read: what its limits removed meanwhile stands before it. Limits remove
/// the oldest messages, and only those (NATS, "Streams": retention policy `limits`, discard policy `old`).
#[derive(Debug, Clone, Copy)]
pub(super) struct Front {
    /// Order of the first message, if it is of an event of this journal.
    pub order: Option<u64>,
    /// Its sequence; of an empty stream, the next one that will be given out.
    pub first_sequence: u64,
    /// How many messages the stream holds.
    pub messages: u64,
    /// Their size.
    pub bytes: u64,
    /// The limits of age and size; zero is none.
    pub kept: Retention,
    /// The limit of their number; zero is none.
    pub max_messages: u64,
    /// When the stream was created, if that is known.
    pub created: Option<Timestamp>,
    /// The present time.
    pub now: Timestamp,
}

impl Front {
    /// How many sequences stand before the first message. Every message took one, so that no more can have been there.
    fn gone_before(&self) -> u64 {
        self.first_sequence.saturating_sub(1)
    }

    /// Whether the stream would remove its oldest message if it held so many messages and bytes more.
    fn overflows(&self, messages: u64, bytes: u64) -> bool {
        let over = |limit: u64, held: u64| limit > 0 && held > limit;
        over(self.kept.max_bytes, self.bytes.saturating_add(bytes))
            || over(self.max_messages, self.messages.saturating_add(messages))
    }

    /// Whether the message of an event of `recorded` can have grown too old. It was stored when the event was recorded,
    /// or later, much later by a refill, and not before the stream was created. So it is no older than it is taken for
    /// here, as far as clocks agree: if that is too young, age did not remove it; if it is old enough, age may have.
    fn may_be_too_old(&self, recorded: Timestamp) -> bool {
        let max_age = self.kept.max_age;
        let stored = self.created.map_or(recorded, |created| created.max(recorded));
        let apart = CLOCKS.max(max_age / CLOCKS_PART);
        let age = self.now.micros().saturating_sub(stored.micros()).saturating_add(micros(apart));
        !max_age.is_zero() && age >= micros(max_age)
    }

    /// The limits and how far they are used, for a person.
    fn limits(&self) -> String {
        let age = match self.kept.max_age.is_zero() {
            true => "it has no max_age".to_owned(),
            false => format!("max_age is {:?}", self.kept.max_age),
        };
        let bytes = match self.kept.max_bytes {
            0 => "no max_bytes".to_owned(),
            most => format!("{} bytes of max_bytes {most} are used", self.bytes),
        };
        match self.max_messages {
            0 => format!("{age}, {bytes}"),
            most => format!("{age}, {bytes}, {} messages of {most} are there", self.messages),
        }
    }
}

/// Microseconds, as [`Timestamp`] counts them.
fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// The events of the window before a place of the stream: the first ones of the window.
struct Before<'a> {
    front: &'a Front,
    /// How many they are.
    count: usize,
    /// Whether the stream is so full, or would be with what is missing in it, that it can have removed the last of them,
    /// and so every one before that.
    full: bool,
}

impl Before<'_> {
    /// Whether limits of the stream can have removed the message of the event, one of these, that is number `index` of
    /// the window.
    fn explains(&self, index: usize, event: &Wanted) -> bool {
        // The last of them is the first one from the front.
        let from_front = self.count.saturating_sub(index) as u64;
        from_front <= self.front.gone_before() && (self.full || self.front.may_be_too_old(event.recorded))
    }

    /// What is wrong with those that nothing explains, for a person.
    fn unexplained(&self) -> String {
        let mut what =
            format!("not on the bus, and no limit of the stream explains that: {}", self.front.limits());
        let stored = self.front.gone_before();
        if stored < self.count as u64 {
            what.push_str(&format!("; no more than {stored} messages were ever stored before its first one"));
        }
        what
    }
}

/// An event that is looked for.
struct Wanted {
    order: u64,
    id: Uuid,
    previous: u64,
    recorded: Timestamp,
    /// How many bytes its message takes on the stream at most.
    room: u64,
    /// The message that was found first.
    found: Option<u64>,
}

/// A comparison under way: first every event of the window, then every message in the order of the stream.
pub(super) struct Comparison {
    journal: JournalId,
    head: u64,
    wanted: Vec<Wanted>,
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
        self.wanted.push(Wanted {
            order: event.position.order,
            id: event.envelope.id,
            previous,
            recorded: event.envelope.recorded_at,
            room: event.body.len() as u64 + AROUND,
            found: None,
        });
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
            let first = self.sound.map_or(order, |sound| sound.first);
            self.sound = Some(Sound { first, order, sequence });
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

    /// Up to where the stream is as a relay would have written it; `None` if it is not from the beginning: also if the
    /// limits of the stream, whose front is `front`, do not explain that it begins where it does. Events that stand
    /// further behind instead, as when a refill broke off, do not make up for that.
    pub(super) fn sound(&self, front: &Front) -> Option<Sound> {
        self.sound.filter(|sound| {
            // It began there when it was read, and may have given way further since.
            let before = self.before(sound.first.max(self.oldest(front)), front);
            let mut events = self.wanted.iter().enumerate().take(before.count);
            events.all(|(index, event)| before.explains(index, event))
        })
    }

    /// The events before the order `first`, where a message of the stream stands. What is missing behind the window is not
    /// known.
    fn before<'a>(&self, first: u64, front: &'a Front) -> Before<'a> {
        let count = self.wanted.partition_point(|wanted| wanted.order < first);
        let (before, behind) = self.wanted.split_at(count);
        // Of those before, the last one had to give way last. If the window ends before the stream begins, that is one of
        // its later events.
        let room = match behind.is_empty() {
            false => before.last().map(|wanted| wanted.room),
            true => before.iter().map(|wanted| wanted.room).max(),
        };
        // What is missing behind, in holes or at the end, was there when others had to give way, or they give way once it
        // is. Sequences do not tell which: a stream that lost its end gives them out again.
        let holes = behind.iter().filter(|wanted| wanted.found.is_none());
        let (messages, bytes) = holes.fold((1, room.unwrap_or(0)), |(messages, bytes): (u64, u64), hole| {
            (messages + 1, bytes.saturating_add(hole.room))
        });
        Before { front, count, full: front.overflows(messages, bytes) }
    }

    /// Order of the oldest event that the stream holds, as far as is known: of its first message, or of the first event of
    /// the window that was found and is still there. Everything is older than what an empty stream holds.
    fn oldest(&self, front: &Front) -> u64 {
        let is_there = |wanted: &&Wanted| wanted.found.is_some_and(|found| found >= front.first_sequence);
        let found = self.wanted.iter().find(is_there).map(|wanted| wanted.order);
        let nothing = if front.messages == 0 { u64::MAX } else { 0 };
        front.order.into_iter().chain(found).min().unwrap_or(nothing)
    }

    /// Order of the latest event that was seen on the stream.
    pub(super) fn latest(&self) -> u64 {
        self.latest
    }

    pub(super) fn contradictions(&self) -> &Contradictions {
        &self.contradictions
    }

    /// What was found, once every message was taken. `front` is that of the stream, which may stand before those that were
    /// taken. After a repair that kept the stream up to the event `kept_to`, 0 for none, events up to there are not judged
    /// again: limits explained then what was gone of them, and the rest gave way since. The stream may have been full then
    /// of what the repair removed.
    pub(super) fn findings(self, front: &Front, kept_to: u64) -> Findings {
        let at = |order| Position { journal: self.journal, order };
        let before = self.before(self.oldest(front), front);
        let unexplained = before.unexplained();
        let (mut dropped, mut lost_at_front) = (0, 0);
        let mut missing = Differences::default();
        for (index, wanted) in self.wanted.iter().enumerate().filter(|(_, wanted)| wanted.found.is_none()) {
            let what = if index >= before.count {
                "not on the bus"
            } else if wanted.order <= kept_to || before.explains(index, wanted) {
                dropped += 1;
                continue;
            } else {
                lost_at_front += 1;
                unexplained.as_str()
            };
            missing.add(Difference {
                position: Some(at(wanted.order)),
                id: Some(wanted.id),
                sequence: None,
                what: what.to_owned(),
            });
        }
        let kinds = [&missing, &self.doubled, &self.out_of_order, &self.wrong_previous, &self.foreign];
        Findings {
            agrees: kinds.iter().all(|kind| kind.count == 0),
            from: self.wanted.first().map(|wanted| at(wanted.order)),
            to: self.wanted.last().map(|wanted| at(wanted.order)),
            events: self.wanted.len() as u64,
            messages: self.messages,
            dropped,
            lost_at_front,
            missing,
            doubled: self.doubled,
            out_of_order: self.out_of_order,
            wrong_previous: self.wrong_previous,
            foreign: self.foreign,
        }
    }
}
