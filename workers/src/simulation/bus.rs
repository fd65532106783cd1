//! The bus of the simulated world, as one process reaches it: it repeats, delays and reorders what it delivers, answers
//! late or not at all, and may lose everything.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use dcm_journal::bus::{
    BatchError, Bus, BusError, Consumer, Delivery, Message, PublishError, Published, REPLAYED_HEADER, Settle,
    Signals, Start, Stream, StreamSettings, Subscription, Tail, Verdict, subject,
};
use futures::{StreamExt, stream};

use super::checks;
use super::truth::{BusStream, Stored, Truth};
use super::world::{Broken, Fate, Node};
use crate::relay::REFILLED_TO_HEADER;

const AWAY: &str = "simulated";

/// A process' way to the bus.
pub struct SimBus(pub Arc<Node>);

const fn index(stream: Stream) -> usize {
    match stream {
        Stream::Events => 0,
        Stream::Notify => 1,
        Stream::Jobs => 2,
        Stream::Dead => 3,
    }
}

/// What the bus has in `stream`.
pub fn of(truth: &mut Truth, stream: Stream) -> &mut BusStream {
    let [events, notify, jobs, dead] = &mut truth.bus;
    match stream {
        Stream::Events => events,
        Stream::Notify => notify,
        Stream::Jobs => jobs,
        Stream::Dead => dead,
    }
}

fn away() -> BusError {
    BusError::Unavailable { reason: AWAY.to_owned() }
}

fn incarnation(truth: &Truth) -> String {
    format!("creation {}", truth.wipes)
}

impl SimBus {
    fn store(
        &self,
        stream: Stream,
        message: Message,
        expected_last: Option<u64>,
    ) -> Result<Published, PublishError> {
        let world = &self.0.world;
        let unfenced = world.broken == Some(Broken::Fence) && stream == Stream::Events;
        let late = self.0.dice("visible", index(stream) as u64);
        let delay = delay(late, world.weather.repeats, world.is_calm());
        let mut truth = world.truth();
        let bus = of(&mut truth, stream);
        if expected_last.is_some_and(|expected| expected != bus.last) && !unfenced {
            return Err(PublishError::Fenced { last: bus.last });
        }
        if let Some(&sequence) = bus.ids.get(&message.id).filter(|_| !unfenced) {
            return Ok(Published { sequence, duplicate: true });
        }
        bus.last += 1;
        let sequence = bus.last;
        bus.ids.insert(message.id, sequence);
        let visible_at = world.now() + delay;
        world.note(format_args!("{} publishes {} {sequence}", self.0.name, stream.name()));
        checks::at_publish(&mut truth, &self.0, stream, &message);
        of(&mut truth, stream).kept.insert(sequence, Stored { message, visible_at });
        drop(truth);
        world.bus_changed.notify_waiters();
        Ok(Published { sequence, duplicate: false })
    }
}

fn delay(mut dice: super::dice::Dice, repeats: u64, calm: bool) -> u64 {
    match !calm && dice.once_in(repeats) {
        true => dice.below(8_000),
        false => 0,
    }
}

#[async_trait]
impl Bus for SimBus {
    async fn ensure_streams(&self, _: &StreamSettings) -> Result<(), BusError> {
        let fate = self.0.turn("ensure-streams", 0).await;
        self.0.answered("ensure-streams", 0, fate).await.then_some(()).ok_or_else(away)
    }

    async fn tail(&self, stream: Stream) -> Result<Tail, BusError> {
        let key = index(stream) as u64;
        let fate = self.0.turn("tail", key).await;
        let tail = {
            let mut truth = self.0.world.truth();
            let incarnation = incarnation(&truth);
            if stream == Stream::Events {
                self.0.sees_creation(truth.wipes);
            }
            let bus = of(&mut truth, stream);
            let mut message = bus.kept.last_key_value().map(|(_, stored)| stored.message.clone());
            if self.0.world.broken == Some(Broken::Replay)
                && let Some(message) = &mut message
            {
                message.headers.retain(|(name, _)| name != REPLAYED_HEADER && name != REFILLED_TO_HEADER);
            }
            Tail { sequence: bus.last, message, incarnation }
        };
        self.0.answered("tail", key, fate).await.then_some(tail).ok_or_else(away)
    }

    async fn publish(
        &self,
        stream: Stream,
        message: Message,
        expected_last: Option<u64>,
    ) -> Result<Published, PublishError> {
        let key = index(stream) as u64;
        let fate = self.0.turn("publish", key).await;
        let outcome = match fate {
            Fate::Refused => Err(away().into()),
            _ => self.store(stream, message, expected_last),
        };
        match self.0.answered("publish", key, fate).await {
            true => outcome,
            false => Err(away().into()),
        }
    }

    async fn publish_batch(
        &self,
        stream: Stream,
        messages: Vec<Message>,
        first_expected_last: u64,
    ) -> Result<Vec<Published>, BatchError> {
        let key = index(stream) as u64;
        let fate = self.0.turn("publish-batch", key).await;
        // A connection that breaks does so anywhere in the batch.
        let whole = messages.len() as u64;
        let mut dice = self.0.dice("batch", key);
        let carried = match fate {
            Fate::Fine => whole,
            Fate::Refused => 0,
            Fate::Unknown | Fate::Last => dice.below(whole + 1),
        };
        let mut stored = Vec::new();
        let mut outcome = Ok(());
        for (expected, message) in
            (first_expected_last..).zip(messages).take(usize::try_from(carried).unwrap_or(0))
        {
            match self.store(stream, message, Some(expected)) {
                Ok(published) => stored.push(published),
                Err(source) => {
                    outcome = Err(source);
                    break;
                }
            }
        }
        if !self.0.answered("publish-batch", key, fate).await {
            stored.truncate(usize::try_from(dice.below(stored.len() as u64 + 1)).unwrap_or(0));
            return Err(BatchError { stored, source: away().into() });
        }
        match outcome {
            Ok(()) => Ok(stored),
            Err(source) => Err(BatchError { stored, source }),
        }
    }

    async fn consume(&self, stream: Stream, consumer: &Consumer) -> Result<Subscription, BusError> {
        let key = index(stream) as u64;
        let fate = self.0.turn("consume", key).await;
        let (name, creation) = {
            let mut truth = self.0.world.truth();
            let creation = truth.wipes;
            let bus = of(&mut truth, stream);
            let name = consumer.durable.clone().unwrap_or_else(|| {
                bus.unnamed += 1;
                format!("unnamed.{}", bus.unnamed)
            });
            let cursor = match consumer.start {
                Start::All => 0,
                Start::New => bus.last,
                Start::AfterSequence(sequence) => sequence,
            };
            bus.consumers.entry(name.clone()).or_default().cursor = match consumer.durable {
                Some(_) => bus.consumers.get(&name).map_or(0, |state| state.cursor).max(cursor),
                None => cursor,
            };
            (name, creation)
        };
        if !self.0.answered("consume", key, fate).await {
            return Err(away());
        }
        let follower =
            Follower { node: Arc::clone(&self.0), stream, consumer: consumer.clone(), name, creation };
        let deliveries = stream::unfold(Some(follower), |follower| async move {
            let follower = follower?;
            match follower.next().await {
                Ok(delivery) => Some((Ok(delivery), Some(follower))),
                Err(reason) => Some((Err(reason), None)),
            }
        });
        Ok(Subscription::new(deliveries.boxed()))
    }

    async fn signal(&self, _: &str, _: Bytes) -> Result<(), BusError> {
        Ok(())
    }

    async fn listen(&self, _: &str) -> Result<Signals, BusError> {
        Ok(stream::pending().boxed())
    }

    async fn health(&self) -> Result<(), BusError> {
        Ok(())
    }
}

/// One subscription.
struct Follower {
    node: Arc<Node>,
    stream: Stream,
    consumer: Consumer,
    name: String,
    /// Which creation of the bus it belongs to; it never hears from another.
    creation: u64,
}

/// What a subscription is to do.
enum Next {
    Deliver(u64, u64, Message),
    Wait(u64),
    Lost,
}

impl Follower {
    async fn next(&self) -> Result<Delivery, String> {
        let world = &self.node.world;
        loop {
            let changed = world.bus_changed.notified();
            match self.look() {
                Next::Lost => {
                    // Silence is noticed after a while.
                    let silence = self.node.dice("silence", 0).millis(1_000, 5_000);
                    self.node.after(silence).await;
                    return Err("the stream was lost".to_owned());
                }
                Next::Deliver(sequence, attempt, message) => {
                    let fate = self.node.turn("deliver", index(self.stream) as u64).await;
                    if fate != Fate::Fine {
                        return Err("the connection was lost".to_owned());
                    }
                    world.note(format_args!(
                        "{} gets {} {sequence} ({attempt})",
                        self.node.name,
                        self.stream.name()
                    ));
                    let handed = Handed {
                        node: Arc::clone(&self.node),
                        stream: self.stream,
                        name: self.name.clone(),
                        creation: self.creation,
                        sequence,
                    };
                    return Ok(Delivery::new(message, sequence, attempt, Box::new(handed)));
                }
                Next::Wait(due) => {
                    let due = std::time::Duration::from_millis(due.saturating_sub(world.now()).max(1));
                    tokio::select! {
                        biased;
                        () = changed => self.node.after(std::time::Duration::ZERO).await,
                        () = self.node.after(due) => {}
                    }
                }
            }
        }
    }

    /// Takes the next message that may be handed over now.
    fn look(&self) -> Next {
        let world = &self.node.world;
        let now = world.now();
        let mut dice = self.node.dice("pick", index(self.stream) as u64);
        let mut truth = world.truth();
        if truth.wipes != self.creation {
            return Next::Lost;
        }
        let BusStream { kept, consumers, .. } = of(&mut truth, self.stream);
        let state = consumers.entry(self.name.clone()).or_default();
        let wants = |message: &Message| {
            self.consumer.filters.is_empty()
                || self.consumer.filters.iter().any(|filter| subject::covers(filter, &message.subject))
        };
        // What is due again, then what is new.
        let again = state.unsettled.iter().find(|(_, (due, _))| *due <= now).map(|(sequence, _)| *sequence);
        let queue = self.stream.is_work_queue();
        let fresh: Vec<u64> = kept
            .range(if queue { 0 } else { state.cursor + 1 }..)
            .filter(|(sequence, _)| !state.unsettled.contains_key(sequence))
            .filter(|(_, stored)| wants(&stored.message) && (!queue || stored.visible_at <= now))
            .map(|(sequence, _)| *sequence)
            .take(if queue { 8 } else { 1 })
            .collect();
        // What is not for this consumer need not be looked at again.
        if !queue
            && fresh.is_empty()
            && let Some((last, _)) = kept.last_key_value()
        {
            state.cursor = state.cursor.max(*last);
        }
        let reorders = queue && !world.is_calm() && dice.once_in(world.weather.repeats);
        let place = if reorders { dice.below(fresh.len() as u64) } else { 0 };
        let fresh = fresh.get(usize::try_from(place).unwrap_or(0)).copied();
        let Some(sequence) = again.or(fresh) else {
            let later = state.unsettled.values().map(|(due, _)| *due);
            // Only what is in a queue is hidden from its consumers for a while.
            let queued = kept.values().take(if queue { usize::MAX } else { 0 });
            let hidden = queued.map(|stored| stored.visible_at).filter(|at| *at > now);
            return Next::Wait(later.chain(hidden).min().unwrap_or(now + 20_000));
        };
        let attempt = state.unsettled.get(&sequence).map_or(1, |(_, attempt)| attempt + 1);
        let Some(message) = kept.get(&sequence).map(|stored| stored.message.clone()) else {
            state.unsettled.remove(&sequence);
            return Next::Wait(now + 1);
        };
        let patience = u64::try_from(self.consumer.ack_wait.as_millis()).unwrap_or(30_000);
        let soon = !world.is_calm() && dice.once_in(world.weather.repeats);
        let due = now + if soon { dice.below(500) } else { patience };
        state.unsettled.insert(sequence, (due, attempt));
        if !queue {
            state.cursor = state.cursor.max(sequence);
        }
        Next::Deliver(sequence, attempt, message)
    }
}

/// A delivery that was handed out.
struct Handed {
    node: Arc<Node>,
    stream: Stream,
    name: String,
    creation: u64,
    sequence: u64,
}

#[async_trait]
impl Settle for Handed {
    async fn settle(&self, verdict: Verdict) -> Result<(), BusError> {
        let fate = self.node.turn("settle", index(self.stream) as u64).await;
        if fate != Fate::Refused {
            let now = self.node.world.now();
            let mut truth = self.node.world.truth();
            if truth.wipes == self.creation {
                let queue = self.stream.is_work_queue();
                let bus = of(&mut truth, self.stream);
                let state = bus.consumers.entry(self.name.clone()).or_default();
                match verdict {
                    Verdict::Nak(delay) => {
                        let delay = u64::try_from(delay.as_millis()).unwrap_or(0);
                        if let Some((due, _)) = state.unsettled.get_mut(&self.sequence) {
                            *due = now + delay;
                        }
                    }
                    Verdict::Ack | Verdict::Term(_) => {
                        state.unsettled.remove(&self.sequence);
                        if queue {
                            bus.kept.remove(&self.sequence);
                        }
                    }
                }
            }
        }
        self.node.world.bus_changed.notify_waiters();
        self.node.answered("settle", index(self.stream) as u64, fate).await.then_some(()).ok_or_else(away)
    }
}
