//! The bus of a single process: bounded memory, empty at every start, the semantics of JetStream.

mod given_up;
mod state;

use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;
use tokio_stream::wrappers::BroadcastStream;
use uuid::Uuid;

use super::delivery::{Settle, Verdict};
use super::{
    BatchError, Bus, BusError, Consumer, Delivery, GivenUps, Kept, Message, PublishError, Published, Server,
    Signal, Signals, Stream, StreamSettings, Subscription, Tail, Upkeep, check_signal, subject, upkeep,
};
use given_up::Queue;
use state::{Next, StreamState};

/// Bounds of a [`LocalBus`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalSettings {
    /// How many messages each stream keeps; a subscriber that falls behind further is ended as lagged.
    pub capacity: usize,
    /// How many signals a listener may lag behind before it misses some.
    pub signal_capacity: usize,
}

impl Default for LocalSettings {
    fn default() -> Self {
        Self { capacity: 2_000, signal_capacity: 1024 }
    }
}

/// The bus of a single process. Clones are the same bus.
#[derive(Clone)]
pub struct LocalBus {
    streams: [Arc<Shared>; 4],
    signals: broadcast::Sender<Signal>,
    given_up: Queue,
    incarnation: Arc<str>,
}

/// A stream's state and the call that it has changed.
struct Shared {
    state: Mutex<StreamState>,
    given_up: Queue,
    changed: watch::Sender<()>,
}

impl Shared {
    /// The state is whole at every await and panic, so a poisoned lock is as good as any.
    fn lock(&self) -> MutexGuard<'_, StreamState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LocalBus {
    /// An empty bus.
    pub fn new(settings: LocalSettings) -> Self {
        let given_up = Queue::new(settings.capacity);
        let streams = Stream::ALL.map(|stream| {
            let state = Mutex::new(StreamState::new(stream, settings.capacity));
            Arc::new(Shared { state, given_up: given_up.clone(), changed: watch::Sender::new(()) })
        });
        let signals = broadcast::Sender::new(settings.signal_capacity.max(1));
        Self { streams, signals, given_up, incarnation: Uuid::now_v7().to_string().into() }
    }

    fn shared(&self, stream: Stream) -> &Arc<Shared> {
        let [events, notify, jobs, dead] = &self.streams;
        match stream {
            Stream::Events => events,
            Stream::Notify => notify,
            Stream::Jobs => jobs,
            Stream::Dead => dead,
        }
    }

    fn store(
        &self,
        stream: Stream,
        message: Message,
        expected_last: Option<u64>,
    ) -> Result<Published, PublishError> {
        message.check(stream).map_err(|reason| PublishError::Invalid { reason })?;
        self.shared(stream).lock().publish(message, expected_last, Instant::now())
    }
}

impl Default for LocalBus {
    fn default() -> Self {
        Self::new(LocalSettings::default())
    }
}

#[async_trait]
impl Bus for LocalBus {
    async fn ensure_streams(&self, settings: &StreamSettings) -> Result<(), BusError> {
        // They exist as long as this bus does.
        if settings.leaves_existing {
            return Ok(());
        }
        for shared in &self.streams {
            shared.lock().set_duplicate_window(settings.duplicate_window);
        }
        Ok(())
    }

    async fn tail(&self, stream: Stream) -> Result<Tail, BusError> {
        let (sequence, message) = self.shared(stream).lock().tail();
        Ok(Tail { sequence, message, incarnation: self.incarnation.to_string() })
    }

    async fn publish(
        &self,
        stream: Stream,
        message: Message,
        expected_last: Option<u64>,
    ) -> Result<Published, PublishError> {
        let published = self.store(stream, message, expected_last)?;
        self.shared(stream).changed.send_replace(());
        Ok(published)
    }

    async fn publish_batch(
        &self,
        stream: Stream,
        messages: Vec<Message>,
        first_expected_last: u64,
    ) -> Result<Vec<Published>, BatchError> {
        let mut stored = Vec::with_capacity(messages.len());
        let mut outcome = Ok(());
        for (expected_last, message) in (first_expected_last..).zip(messages) {
            match self.store(stream, message, Some(expected_last)) {
                Ok(published) => stored.push(published),
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
        }
        self.shared(stream).changed.send_replace(());
        match outcome {
            Ok(()) => Ok(stored),
            Err(source) => Err(BatchError { stored, source }),
        }
    }

    async fn consume(&self, stream: Stream, consumer: &Consumer) -> Result<Subscription, BusError> {
        consumer.check(stream)?;
        let shared = Arc::clone(self.shared(stream));
        let name = shared.lock().attach(consumer)?;
        let changed = shared.changed.subscribe();
        let follower = Follower { seat: Seat { shared, name }, changed };
        let deliveries = stream::unfold(Some(follower), |follower| async move {
            let mut follower = follower?;
            match follower.next().await {
                Ok(delivery) => Some((Ok(delivery), Some(follower))),
                Err(reason) => Some((Err(reason), None)),
            }
        });
        Ok(Subscription::new(deliveries.boxed()))
    }

    async fn signal(&self, subject: &str, payload: Bytes) -> Result<(), BusError> {
        check_signal(subject)?;
        // Nobody listening is no error: a signal is a nudge.
        let _ = self.signals.send(Signal { subject: subject.to_owned(), payload });
        Ok(())
    }

    async fn listen(&self, filter: &str) -> Result<Signals, BusError> {
        if !subject::is_filter(filter) {
            return Err(BusError::invalid(format!("{filter:?} is not a subject")));
        }
        let filter = filter.to_owned();
        let heard = BroadcastStream::new(self.signals.subscribe()).filter_map(move |signal| {
            // A listener that lags misses signals, as with NATS, and hears the next.
            let heard = signal.ok().filter(|signal| subject::covers(&filter, &signal.subject));
            async move { heard }
        });
        Ok(heard.boxed())
    }

    async fn health(&self) -> Result<(), BusError> {
        Ok(())
    }
}

#[async_trait]
impl Upkeep for LocalBus {
    async fn read(&self, stream: Stream, from: u64, limit: usize) -> Result<Vec<Kept>, BusError> {
        upkeep::check_readable(stream)?;
        Ok(self.shared(stream).lock().read(from, limit))
    }

    async fn extent(&self, stream: Stream) -> Result<upkeep::Extent, BusError> {
        Ok(self.shared(stream).lock().extent())
    }

    async fn settings(&self, otherwise: &StreamSettings) -> Result<StreamSettings, BusError> {
        let duplicate_window = self.shared(Stream::Events).lock().duplicate_window();
        Ok(StreamSettings { duplicate_window, ..otherwise.clone() })
    }

    async fn remove(&self, stream: Stream, sequences: RangeInclusive<u64>) -> Result<(), BusError> {
        self.shared(stream).lock().remove(sequences);
        Ok(())
    }

    async fn server(&self) -> Result<Server, BusError> {
        Ok(Server::Process)
    }

    async fn given_up(&self) -> Result<GivenUps, BusError> {
        Ok(self.given_up.follow())
    }
}

/// A consumer's place at a stream, given up when dropped.
struct Seat {
    shared: Arc<Shared>,
    name: String,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.shared.lock().detach(&self.name);
    }
}

struct Follower {
    seat: Seat,
    changed: watch::Receiver<()>,
}

impl Follower {
    async fn next(&mut self) -> Result<Delivery, String> {
        loop {
            // Marked before looking, so that a change while looking is not missed.
            self.changed.mark_unchanged();
            let (next, given_up) = {
                let mut state = self.seat.shared.lock();
                (state.next(&self.seat.name, Instant::now()), state.take_given_up())
            };
            self.seat.shared.given_up.push(given_up);
            match next {
                Next::Deliver(sequence, attempt, message) => {
                    let shared = Arc::clone(&self.seat.shared);
                    let handed = Handed { shared, consumer: self.seat.name.clone(), sequence };
                    return Ok(Delivery::new(message, sequence, attempt, Box::new(handed)));
                }
                Next::Lagged => return Err("lagged: messages were dropped before they were read".to_owned()),
                Next::Wait(None) => self.wait_for_change().await,
                Next::Wait(Some(due)) => tokio::select! {
                    () = self.wait_for_change() => {}
                    () = tokio::time::sleep_until(due) => {}
                },
            }
        }
    }

    async fn wait_for_change(&mut self) {
        // The sender lives in the seat's own reference to the stream, so this cannot fail.
        let _ = self.changed.changed().await;
    }
}

/// A delivery that was handed out.
struct Handed {
    shared: Arc<Shared>,
    consumer: String,
    sequence: u64,
}

#[async_trait]
impl Settle for Handed {
    async fn settle(&self, verdict: Verdict) -> Result<(), BusError> {
        let given_up = {
            let mut state = self.shared.lock();
            state.settle(&self.consumer, self.sequence, verdict, Instant::now());
            state.take_given_up()
        };
        self.shared.given_up.push(given_up);
        self.shared.changed.send_replace(());
        Ok(())
    }
}
