//! One stream in memory: what is kept, who consumes it, and what is outstanding. Time is an argument.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::RangeInclusive;
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::given_up::Abandoned;
use crate::bus::delivery::Verdict;
use crate::bus::upkeep::Extent;
use crate::bus::{
    BusError, Consumer, GaveUp, Kept, Message, PublishError, Published, Start, Stream, subject,
};

/// How many deliveries of one consumer may be unsettled before it gets no new ones (JetStream's default).
const MAX_UNSETTLED: usize = 1000;

/// The state of one stream.
pub(super) struct StreamState {
    stream: Stream,
    capacity: usize,
    duplicate_window: Duration,
    last_sequence: u64,
    /// The highest sequence that was dropped because the stream was full.
    evicted: u64,
    kept: BTreeMap<u64, Message>,
    /// Message ids of the duplicate window with their sequences, and in the order of their age.
    ids: HashMap<Uuid, u64>,
    ages: VecDeque<(Instant, Uuid)>,
    consumers: HashMap<String, ConsumerState>,
    ephemeral_names: u64,
    given_up: Vec<Abandoned>,
}

struct ConsumerState {
    consumer: Consumer,
    /// The next sequence to look at.
    cursor: u64,
    unsettled: BTreeMap<u64, Unsettled>,
}

struct Unsettled {
    message: Message,
    attempt: u64,
    /// When it comes again.
    due: Instant,
}

impl Unsettled {
    fn abandoned(self, stream: Stream, consumer: &str, sequence: u64, cause: GaveUp) -> Abandoned {
        let Self { message, attempt: deliveries, .. } = self;
        Abandoned { stream, consumer: consumer.to_owned(), sequence, deliveries, cause, message }
    }
}

/// What a consumer is to do now.
pub(super) enum Next {
    /// Handle this message: sequence, attempt, message.
    Deliver(u64, u64, Message),
    /// Wait for a change of the stream, or until this time.
    Wait(Option<Instant>),
    /// Messages were dropped before the consumer saw them.
    Lagged,
}

impl StreamState {
    pub(super) fn new(stream: Stream, capacity: usize) -> Self {
        Self {
            stream,
            capacity: capacity.max(1),
            duplicate_window: crate::bus::StreamSettings::default().duplicate_window,
            last_sequence: 0,
            evicted: 0,
            kept: BTreeMap::new(),
            ids: HashMap::new(),
            ages: VecDeque::new(),
            consumers: HashMap::new(),
            ephemeral_names: 0,
            given_up: Vec::new(),
        }
    }

    pub(super) fn set_duplicate_window(&mut self, window: Duration) {
        self.duplicate_window = window;
    }

    pub(super) fn duplicate_window(&self) -> Duration {
        self.duplicate_window
    }

    /// The last sequence and the last message kept.
    pub(super) fn tail(&self) -> (u64, Option<Message>) {
        (self.last_sequence, self.kept.values().next_back().cloned())
    }

    /// Stores a message that was checked for this stream.
    pub(super) fn publish(
        &mut self,
        message: Message,
        expected_last: Option<u64>,
        now: Instant,
    ) -> Result<Published, PublishError> {
        self.forget_old_ids(now);
        if expected_last.is_some_and(|expected| expected != self.last_sequence) {
            return Err(PublishError::Fenced { last: self.last_sequence });
        }
        if let Some(&sequence) = self.ids.get(&message.id) {
            return Ok(Published { sequence, duplicate: true });
        }
        if self.stream.keeps_last_of_subject() {
            self.kept.retain(|_, kept| kept.subject != message.subject);
        }
        self.last_sequence += 1;
        self.ids.insert(message.id, self.last_sequence);
        self.ages.push_back((now, message.id));
        self.kept.insert(self.last_sequence, message.with_sorted_headers());
        while self.kept.len() > self.capacity {
            if let Some((sequence, _)) = self.kept.pop_first() {
                self.evicted = sequence;
            }
        }
        Ok(Published { sequence: self.last_sequence, duplicate: false })
    }

    /// The first `limit` messages kept from sequence `from` on.
    pub(super) fn read(&self, from: u64, limit: usize) -> Vec<Kept> {
        let kept = self.kept.range(from..).take(limit);
        kept.map(|(&sequence, message)| Kept { sequence, message: Ok(message.clone()) }).collect()
    }

    /// What is kept. Only the number of messages is limited.
    pub(super) fn extent(&self) -> Extent {
        let next = self.last_sequence + 1;
        Extent {
            first_sequence: self.kept.first_key_value().map_or(next, |(&sequence, _)| sequence),
            messages: self.kept.len() as u64,
            bytes: self.kept.values().map(|message| message.size() as u64).sum(),
            max_messages: self.capacity as u64,
            ..Extent::ABSENT
        }
    }

    /// Removes messages; what was delivered of them may still be settled.
    pub(super) fn remove(&mut self, sequences: RangeInclusive<u64>) {
        self.kept.retain(|sequence, _| !sequences.contains(sequence));
    }

    /// What consumers gave up since this was last asked.
    pub(super) fn take_given_up(&mut self) -> Vec<Abandoned> {
        std::mem::take(&mut self.given_up)
    }

    /// Ids leave with the window, or, to bound the memory, when there are more of them than twice the capacity.
    fn forget_old_ids(&mut self, now: Instant) {
        while let Some(&(age, id)) = self.ages.front() {
            let crowded = self.ages.len() > self.capacity.saturating_mul(2);
            if !crowded && now.duration_since(age) < self.duplicate_window {
                return;
            }
            self.ages.pop_front();
            self.ids.remove(&id);
        }
    }

    /// Creates the consumer or finds the durable one, and returns the name it has here.
    pub(super) fn attach(&mut self, consumer: &Consumer) -> Result<String, BusError> {
        let name = match &consumer.durable {
            Some(name) => name.clone(),
            None => {
                self.ephemeral_names += 1;
                // A dot cannot be in a durable name, so the two kinds never meet.
                format!("ephemeral.{}", self.ephemeral_names)
            }
        };
        if self.stream.is_work_queue() {
            self.check_unique(&name, consumer)?;
        }
        let cursor = match consumer.start {
            Start::All => 1,
            Start::New => self.last_sequence + 1,
            Start::AfterSequence(sequence) => sequence.saturating_add(1),
        };
        let evicted = self.evicted;
        let state = self.consumers.entry(name.clone()).or_insert_with(|| ConsumerState {
            consumer: consumer.clone(),
            cursor,
            unsettled: BTreeMap::new(),
        });
        state.consumer = consumer.clone();
        // What was dropped before the subscription began is no lag of this subscription.
        state.cursor = state.cursor.max(evicted + 1);
        Ok(name)
    }

    fn check_unique(&self, name: &str, consumer: &Consumer) -> Result<(), BusError> {
        let wanted = consumer.filters_or_all(self.stream);
        for (other, state) in self.consumers.iter().filter(|(other, _)| other.as_str() != name) {
            let taken = state.consumer.filters_or_all(self.stream);
            if wanted.iter().any(|a| taken.iter().any(|b| subject::overlap(a, b))) {
                return Err(BusError::invalid(format!(
                    "consumer {other} of {} already takes these messages",
                    self.stream.name()
                )));
            }
        }
        Ok(())
    }

    /// Forgets the consumer unless it is durable.
    pub(super) fn detach(&mut self, name: &str) {
        if self.consumers.get(name).is_some_and(|state| state.consumer.durable.is_none()) {
            self.consumers.remove(name);
        }
    }

    /// What the consumer is to do now.
    pub(super) fn next(&mut self, name: &str, now: Instant) -> Next {
        let Some(state) = self.consumers.get_mut(name) else { return Next::Wait(None) };
        let exhausted = state.exhausted(now);
        if self.stream != Stream::Dead {
            let abandoned = |(sequence, unsettled): (u64, Unsettled)| {
                unsettled.abandoned(self.stream, name, sequence, GaveUp::MaxDeliveries)
            };
            self.given_up.extend(exhausted.into_iter().map(abandoned));
        }
        if let Some((sequence, attempt, message)) = state.redeliver(now) {
            return Next::Deliver(sequence, attempt, message);
        }
        if state.cursor <= self.evicted {
            state.cursor = self.evicted + 1;
            // On a work queue the dropped hints are sent again from the journal: nothing to tell the consumer.
            if !self.stream.is_work_queue() {
                return Next::Lagged;
            }
        }
        if state.unsettled.len() < MAX_UNSETTLED {
            let wanted = self.kept.range(state.cursor..).find(|(_, m)| state.consumer.wants(&m.subject));
            if let Some((&sequence, message)) = wanted {
                return state.deliver(sequence, message.clone(), now);
            }
            state.cursor = self.last_sequence.max(state.cursor.saturating_sub(1)) + 1;
        }
        Next::Wait(state.unsettled.values().map(|unsettled| unsettled.due).min())
    }

    /// Takes the verdict on a delivery; one that is settled already changes nothing.
    pub(super) fn settle(&mut self, name: &str, sequence: u64, verdict: Verdict, now: Instant) {
        let Some(state) = self.consumers.get_mut(name) else { return };
        if let Verdict::Nak(delay) = verdict {
            if let Some(unsettled) = state.unsettled.get_mut(&sequence) {
                unsettled.due = now + delay;
            }
            return;
        }
        let Some(unsettled) = state.unsettled.remove(&sequence) else { return };
        if self.stream.is_work_queue() {
            self.kept.remove(&sequence);
        }
        if let Verdict::Term(reason) = verdict
            && self.stream != Stream::Dead
        {
            let cause = GaveUp::Terminated(Some(reason).filter(|reason| !reason.is_empty()));
            self.given_up.push(unsettled.abandoned(self.stream, name, sequence, cause));
        }
    }
}

impl ConsumerState {
    fn deliver(&mut self, sequence: u64, message: Message, now: Instant) -> Next {
        self.cursor = sequence + 1;
        let due = now + self.consumer.wait(1);
        self.unsettled.insert(sequence, Unsettled { message: message.clone(), attempt: 1, due });
        Next::Deliver(sequence, 1, message)
    }

    /// Takes out what is due again and was tried as often as it may be.
    fn exhausted(&mut self, now: Instant) -> Vec<(u64, Unsettled)> {
        let max = self.consumer.max_deliver.map_or(u64::MAX, u64::from);
        let exhausted = |_: &u64, unsettled: &mut Unsettled| unsettled.due <= now && unsettled.attempt >= max;
        self.unsettled.extract_if(.., exhausted).collect()
    }

    /// The first delivery that is due again.
    fn redeliver(&mut self, now: Instant) -> Option<(u64, u64, Message)> {
        let (&sequence, unsettled) = self.unsettled.iter_mut().find(|(_, unsettled)| unsettled.due <= now)?;
        unsettled.attempt += 1;
        unsettled.due = now + self.consumer.wait(unsettled.attempt);
        Some((sequence, unsettled.attempt, unsettled.message.clone()))
    }
}
