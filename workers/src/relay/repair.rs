//! Makes the bus what a relay would have made of it, with what is missing in its place.
//!
//! A stream is written at its end only, so a hole cannot be filled where it is. The stream is kept up to the first
//! difference; what comes after is published again, in order and marked as replayed, and what stood there is removed.
//! Consumers keep their places and see the rest once more. If events are lost before its first message, and no limit of
//! the stream explains that, nothing of it is kept: it is filled anew from the first event.
//!
//! It begins with one fenced message: the first event that is to be published again, at the end of the stream. It
//! fences off a relay that is at work, and says to whoever goes on after it where to go on and what is replayed: from
//! then on every relay, also after a crash of this one, finishes the same repair. What is wrong is removed only then.

use std::sync::Arc;
use std::time::Duration;

use dcm_journal::bus::{Bus, BusError, Message, PublishError, Stream, StreamSettings, Upkeep};
use dcm_journal::store::{Journal, ReadError};
use dcm_schemas::{Position, cloudevents};
use serde::Serialize;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::compare::{Contradictions, Findings};
use super::verify::{Compared, VerifyError, Window, compared, verify_after};
use super::{Keys, Relay, RelayError, forward};

/// Events read at once.
const PAGE: u64 = 1000;
/// Pause between two looks.
const LOOK: Duration = Duration::from_millis(100);
/// How much longer than it should the bus may remember a message, or be behind without getting on.
const GRACE: Duration = Duration::from_secs(60);

/// What was done.
#[derive(Debug, Clone, Serialize)]
pub struct Repaired {
    /// Position of the first event that was published again under the fence; `None` if none had to be.
    pub republished_from: Option<Position>,
    /// Whether the stream was filled anew from the first event: it was empty, or nothing of it was kept.
    pub refilled: bool,
    /// Events up to this one are marked as replayed.
    pub replayed_to: Option<Position>,
    /// Sequences of the messages that were removed: the first and the last.
    pub removed: Option<(u64, u64)>,
    /// What a comparison of everything found afterwards. What limits had removed before the repair, or as it published,
    /// counts as dropped, also if the stream is no longer full without what was removed.
    pub findings: Findings,
}

/// Why the bus is not repaired, or not wholly.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// Journal or bus cannot be read.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// Somebody has to decide first.
    #[error(transparent)]
    Refused(#[from] RelayError),
    /// Filled anew from a journal without events, the bus would be emptied: likely the wrong journal.
    #[error("the journal is empty and the bus is not: if it is the right journal, delete the bus's streams")]
    NothingToFill,
    /// The bus could not be written to.
    #[error("the bus cannot be written: {0}")]
    Unwritten(String),
}

impl From<BusError> for RepairError {
    fn from(error: BusError) -> Self {
        VerifyError::from(error).into()
    }
}

impl From<ReadError> for RepairError {
    fn from(error: ReadError) -> Self {
        VerifyError::from(error).into()
    }
}

/// Repairs the bus of a journal.
pub struct Repair {
    journal: Arc<dyn Journal>,
    bus: Arc<dyn Upkeep>,
    streams: StreamSettings,
    rebuild: bool,
}

impl Repair {
    /// Streams that exist stay set up as they are; those that do not are made with these settings. `rebuild` begins with
    /// nothing, whatever the bus holds: also if it is ahead of the journal, or was filled from another one.
    pub fn new(
        journal: Arc<dyn Journal>,
        bus: Arc<dyn Upkeep>,
        streams: StreamSettings,
        rebuild: bool,
    ) -> Self {
        Self { journal, bus, streams, rebuild }
    }

    /// Does it. A relay may be at work meanwhile. Just published messages make it wait until the bus has forgotten
    /// their ids, for the time of [`StreamSettings::duplicate_window`].
    ///
    /// # Errors
    /// [`RepairError`]. What was done by then is whole: the next relay or repair goes on with it.
    pub async fn run(mut self) -> Result<Repaired, RepairError> {
        // Who repairs need not have the configuration of who serves, and must not cut a stream down to another.
        let set_up = self.bus.settings(&self.streams).await?;
        self.streams = StreamSettings { leaves_existing: true, ..set_up };
        self.bus.ensure_streams(&self.streams).await?;
        let head = self.journal.head().await?;
        let compared = compared(&*self.journal, &*self.bus, Window::ALL, Instant::now()).await?;
        if !self.rebuild {
            self.refuse(compared.comparison.contradictions())?;
        } else if head == 0 && compared.last_kept > 0 {
            return Err(RepairError::NothingToFill);
        }
        let cut = self.cut(&compared).await?;
        let (republished_from, removed) = match compared.last_kept {
            // A relay refills an empty stream by itself.
            0 => (None, None),
            _ => self.carry_out(&cut, compared.last_kept).await?,
        };
        self.relay_to(head).await?;
        let findings = verify_after(cut.order, &*self.journal, &*self.bus, Window::ALL, GRACE).await?;
        let at = |order| Position { journal: self.journal.id(), order };
        let replayed_to = republished_from.and(Some(at(cut.replayed_to))).filter(|to| to.order > 0);
        let is_anew = compared.last_kept == 0 || (republished_from.is_some() && cut.order == 0);
        let refilled = is_anew && head > 0;
        Ok(Repaired { republished_from, refilled, replayed_to, removed, findings })
    }

    /// What stops a relay stops a repair: to publish over it would hide that events were lost.
    fn refuse(&self, found: &Contradictions) -> Result<(), RelayError> {
        if let Some(bus) = found.other {
            return Err(RelayError::OtherJournal { bus, journal: self.journal.id() });
        }
        if let Some(bus) = found.ahead {
            return Err(RelayError::BusAhead { bus });
        }
        match found.diverged {
            Some(order) => Err(RelayError::Diverged { order }),
            None => Ok(()),
        }
    }

    /// Where the stream is to be cut off.
    async fn cut(&self, compared: &Compared) -> Result<Cut, RepairError> {
        let tail = self.bus.tail(Stream::Events).await?;
        if self.rebuild {
            let replayed_to = self.journal.head().await?;
            return Ok(Cut { order: 0, sequence: 0, replayed_to });
        }
        let sound = compared.comparison.sound(&compared.front);
        let (order, sequence) = sound.map_or((0, 0), |sound| (sound.order, sound.sequence));
        // Sequences that were given out and are gone behind the last message were events too: those that follow.
        let removed = tail.sequence.saturating_sub(compared.last_kept);
        let latest = compared.comparison.latest();
        Ok(Cut { order, sequence, replayed_to: self.orders_after(latest, removed).await? })
    }

    /// Order of the `count`th event behind `order`, or of the last one.
    async fn orders_after(&self, order: u64, mut count: u64) -> Result<u64, RepairError> {
        let mut at = order;
        while count > 0 {
            let limit = usize::try_from(count.min(PAGE)).unwrap_or(1);
            let page = self.journal.read_all(at, limit).await?;
            let Some(last) = page.last() else { break };
            at = last.position.order;
            count -= page.len() as u64;
        }
        Ok(at)
    }

    /// Publishes the first event behind the cut, then removes what stood there.
    async fn carry_out(
        &self,
        cut: &Cut,
        last_kept: u64,
    ) -> Result<(Option<Position>, Option<(u64, u64)>), RepairError> {
        let next = self.journal.read_all(cut.order, 1).await?;
        let wrong = last_kept > cut.sequence;
        let (mut end, mut fence) = (last_kept, None);
        if let Some(event) = next.first().filter(|_| wrong || cut.replayed_to > cut.order) {
            let key = Keys::default().of(&*self.journal, event).await?;
            let previous = Position { journal: self.journal.id(), order: cut.order };
            let message =
                forward::message(event, previous, &key, cut.replayed_to, self.bus.largest_message());
            end = self.fence(message).await?;
            fence = Some(event.position);
        }
        if !wrong {
            return Ok((fence, None));
        }
        let removed = (cut.sequence + 1, end);
        self.bus.remove(Stream::Events, removed.0..=removed.1).await?;
        Ok((fence, Some(removed)))
    }

    /// Publishes a message at the end of the stream, wherever that is by then, and returns the sequence before it.
    async fn fence(&self, message: Message) -> Result<u64, RepairError> {
        let deadline = Instant::now() + self.streams.duplicate_window + GRACE;
        loop {
            let tail = self.bus.tail(Stream::Events).await?;
            // A publish whose answer was lost.
            if tail.message.is_some_and(|last| last.id == message.id && last.headers == sorted(&message)) {
                return Ok(tail.sequence - 1);
            }
            let reason = match self.bus.publish(Stream::Events, message.clone(), Some(tail.sequence)).await {
                Ok(published) if !published.duplicate => return Ok(tail.sequence),
                Ok(_) => "the bus still remembers messages that were removed".to_owned(),
                Err(PublishError::Invalid { reason }) => return Err(RelayError::Refused { reason }.into()),
                Err(error) => error.to_string(),
            };
            if Instant::now() >= deadline {
                return Err(RepairError::Unwritten(reason));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Relays, or lets another relay do it, until the event `head` is on the bus.
    async fn relay_to(&self, head: u64) -> Result<(), RepairError> {
        let bus: Arc<dyn Bus> = self.bus.clone();
        let relay = Relay::new(Arc::clone(&self.journal), bus, Arc::new(Notify::new()))
            .with_streams(self.streams.clone());
        let mut seen = 0;
        let mut deadline = Instant::now() + self.streams.duplicate_window + GRACE;
        loop {
            let stop = CancellationToken::new();
            let ended = tokio::select! {
                ended = relay.run(&stop) => ended,
                reached = self.wait_for(head, &mut seen, &mut deadline) => {
                    return reached;
                }
            };
            match ended {
                // Whoever fenced it does the same.
                Ok(()) | Err(RelayError::Fenced) => tokio::time::sleep(LOOK).await,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits until the event `head` is on the bus. Each step towards it begins a new time.
    async fn wait_for(&self, head: u64, seen: &mut u64, deadline: &mut Instant) -> Result<(), RepairError> {
        loop {
            let order = match self.bus.tail(Stream::Events).await {
                Ok(tail) => tail.message.and_then(|last| cloudevents::position(&last.headers)),
                Err(_) => None,
            };
            let order = order.map_or(0, |position| position.order);
            if order >= head {
                return Ok(());
            }
            if order > *seen {
                *seen = order;
                *deadline = Instant::now() + self.streams.duplicate_window + GRACE;
            }
            if Instant::now() >= *deadline {
                return Err(RepairError::Unwritten(format!("it stays at event {order}")));
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// Where a stream is cut off.
struct Cut {
    /// Order of the last event that stays; 0 for none.
    order: u64,
    /// Sequence of its message; 0 for none.
    sequence: u64,
    /// Events up to this order were on the bus before.
    replayed_to: u64,
}

/// The headers as they are received.
fn sorted(message: &Message) -> Vec<(String, String)> {
    let mut headers = message.headers.clone();
    headers.sort();
    headers
}
