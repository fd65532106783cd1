//! Proof that journal and bus agree: reads both for a window of events (design, invariant 6).

use std::time::Duration;

use chrono::Utc;
use dcm_domain::value::Timestamp;
use dcm_journal::bus::{BusError, Stream, Upkeep};
use dcm_journal::store::{Journal, ReadError};
use dcm_schemas::{Position, cloudevents};
use tokio::time::Instant;

use super::compare::{Comparison, Findings, Front};

/// Events or messages read at once.
const PAGE: usize = 1000;
/// Pause between two looks at a bus that is behind or away.
const LOOK: Duration = Duration::from_millis(100);
/// How often the front of a stream is looked at that moves meanwhile.
const LOOKS: u32 = 5;

/// Which events are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// The last so many.
    Last(u64),
    /// From one order to another, both included; without them from the first, and to the last.
    Between(Option<u64>, Option<u64>),
}

impl Window {
    /// Every event.
    pub const ALL: Self = Self::Between(None, None);
}

/// Why there are no findings.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The journal cannot be read.
    #[error("the journal cannot be read: {0}")]
    Journal(#[from] ReadError),
    /// The bus cannot be read.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// The window begins or ends where no event is.
    #[error("the journal has no event {0}")]
    NoSuchEvent(u64),
}

/// Compares the events of `window` with the messages of [`Stream::Events`]. A relay may be at work meanwhile: what is
/// not on the bus yet, and a bus that is away, is waited for, at most for `patience`. What is missing before the first
/// message counts as dropped only as far as the stream's own limits, as they are now, can have removed it: a full one, and
/// one that what is missing in the window would fill.
///
/// # Errors
/// [`VerifyError`]: one of the two could not be read.
pub async fn verify(
    journal: &dyn Journal,
    bus: &dyn Upkeep,
    window: Window,
    patience: Duration,
) -> Result<Findings, VerifyError> {
    verify_after(0, journal, bus, window, patience).await
}

/// [`verify`] after a repair that kept the stream up to the event `kept_to`; 0 for none.
pub(super) async fn verify_after(
    kept_to: u64,
    journal: &dyn Journal,
    bus: &dyn Upkeep,
    window: Window,
    patience: Duration,
) -> Result<Findings, VerifyError> {
    let deadline = Instant::now() + patience;
    loop {
        match compared(journal, bus, window, deadline).await {
            Err(VerifyError::Bus(BusError::Unavailable { .. })) if Instant::now() < deadline => {
                tokio::time::sleep(LOOK).await;
            }
            compared => {
                return compared
                    .map(|Compared { comparison, front, .. }| comparison.findings(&front, kept_to));
            }
        }
    }
}

/// A comparison of which every message was taken.
pub(super) struct Compared {
    pub(super) comparison: Comparison,
    /// The front of the stream.
    pub(super) front: Front,
    /// Sequence of the last message on the stream; 0 if it has none.
    pub(super) last_kept: u64,
}

pub(super) async fn compared(
    journal: &dyn Journal,
    bus: &dyn Upkeep,
    window: Window,
    deadline: Instant,
) -> Result<Compared, VerifyError> {
    let to = match window {
        Window::Between(_, Some(to)) => event_at(journal, to).await?,
        _ => journal.head().await?,
    };
    await_order(bus, to, deadline).await?;
    let end = bus.tail(Stream::Events).await?.sequence;
    // Asked after the bus: what is on it by then is in the journal.
    let head = journal.head().await?;
    let mut comparison = Comparison::new(journal.id(), head);
    want(&mut comparison, journal, window, to).await?;
    let mut next = match window {
        // Whatever stands between the events of the window stands near the end too.
        Window::Last(count) => end.saturating_sub(count.saturating_mul(2).saturating_add(PAGE as u64)).max(1),
        Window::Between(..) => 1,
    };
    let mut last_kept = 0;
    while next <= end {
        let page = bus.read(Stream::Events, next, PAGE).await?;
        let Some(last) = page.last() else { break };
        next = last.sequence + 1;
        for kept in page.iter().filter(|kept| kept.sequence <= end) {
            last_kept = kept.sequence;
            comparison.take(kept);
        }
    }
    // Asked last: what had to give way while messages were read is missing before it.
    let front = front(journal, bus).await?;
    Ok(Compared { comparison, front, last_kept })
}

/// Waits until the event `order` is on the bus, or the time is up.
async fn await_order(bus: &dyn Upkeep, order: u64, deadline: Instant) -> Result<(), VerifyError> {
    loop {
        let last = bus.tail(Stream::Events).await?.message;
        let reached = last.and_then(|last| cloudevents::position(&last.headers)).map_or(0, |last| last.order);
        if reached >= order || Instant::now() >= deadline {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The front of the stream. It moves whenever a full stream takes a message: what the stream holds and its first message
/// belong together if the front did not move in between.
async fn front(journal: &dyn Journal, bus: &dyn Upkeep) -> Result<Front, VerifyError> {
    let mut looks = 0;
    loop {
        let before = bus.extent(Stream::Events).await?.first_sequence;
        let first = bus.read(Stream::Events, 1, 1).await?;
        let extent = bus.extent(Stream::Events).await?;
        looks += 1;
        if extent.first_sequence != before && looks < LOOKS {
            continue;
        }
        let message = first.into_iter().next().and_then(|kept| kept.message.ok());
        let position = message.and_then(|message| cloudevents::position(&message.headers));
        let ours = position.filter(|position| position.journal == journal.id());
        return Ok(Front {
            order: ours.map(|Position { order, .. }| order),
            first_sequence: extent.first_sequence,
            messages: extent.messages,
            bytes: extent.bytes,
            kept: extent.retention,
            max_messages: extent.max_messages,
            created: extent.created,
            now: Timestamp::from(Utc::now()),
        });
    }
}

/// Puts every event of the window, up to the order `to`, on the list.
async fn want(
    comparison: &mut Comparison,
    journal: &dyn Journal,
    window: Window,
    to: u64,
) -> Result<(), VerifyError> {
    let mut after = match window {
        Window::Between(None, _) => 0,
        Window::Between(Some(from), _) => before(journal, event_at(journal, from).await?, 1).await?,
        Window::Last(count) => before(journal, to, count).await?,
    };
    while after < to {
        let page = journal.read_all(after, PAGE).await?;
        if page.is_empty() {
            break;
        }
        for event in page.iter().filter(|event| event.position.order <= to) {
            comparison.want(event, after);
            after = event.position.order;
        }
        if page.last().is_some_and(|last| last.position.order > to) {
            break;
        }
    }
    Ok(())
}

/// `order`, if an event has it.
async fn event_at(journal: &dyn Journal, order: u64) -> Result<u64, VerifyError> {
    let missing = VerifyError::NoSuchEvent(order);
    if order == 0 || order > journal.head().await? {
        return Err(missing);
    }
    let there = journal.read_back(order, 1).await?;
    there.first().filter(|event| event.position.order == order).map(|_| order).ok_or(missing)
}

/// Order of the event that stands before the `count` events up to `order`; 0 if there is none.
async fn before(journal: &dyn Journal, order: u64, count: u64) -> Result<u64, VerifyError> {
    let (mut at, mut left) = (order, count);
    while left > 0 && at > 0 {
        let step = left.min(PAGE as u64);
        // One more than the step: the event that it ends before.
        let page = journal.read_back(at, usize::try_from(step).unwrap_or(PAGE) + 1).await?;
        if page.len() as u64 <= step {
            return Ok(0);
        }
        at = page.first().map_or(0, |event| event.position.order);
        left -= step;
    }
    Ok(at)
}
