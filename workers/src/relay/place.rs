//! Where a relay goes on: what the end of the stream says, held against the journal.

use dcm_journal::bus::{Message, Stream};
use dcm_schemas::Position;
use dcm_schemas::cloudevents::{self, Received};

use super::error::fenced;
use super::{Relay, RelayError, Trouble};

/// Header of every message that follows a refill: events up to this order were replayed, later ones were news.
pub const REFILLED_TO_HEADER: &str = "Dcm-Refilled-To";

/// Where a relay begins when the stream is empty. What the stream says comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartAt {
    /// At the start of the journal: what is in it already is marked as replayed.
    Origin,
    /// After the event of this order: for a bus that is empty in each new process, and to whose subscribers the past is
    /// no news.
    Head(u64),
}

/// A place in the journal and on the stream.
#[derive(Debug)]
pub(super) struct Place {
    /// Order of the last event on the bus.
    pub order: u64,
    /// Its position.
    pub position: Position,
    /// The last sequence of the stream.
    pub sequence: u64,
    /// Which creation of the stream that is.
    pub incarnation: String,
    /// Events up to this order are no news.
    pub refilled_to: u64,
}

/// How far a relay knows to have come, whatever becomes of the bus.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reached {
    /// Order of the last event that was on the bus.
    pub order: u64,
    /// Order of the last event that is no news: it was on the bus, or was there before the refill.
    pub known: u64,
}

impl Place {
    pub(super) fn reached(&self) -> Reached {
        Reached { order: self.order, known: self.order.max(self.refilled_to) }
    }
}

impl Relay {
    /// Creates what streams are missing and finds the place where the stream ends. `reached` is how far this relay had
    /// come: should the stream be empty now, what comes after that is still news.
    pub(super) async fn resume(&self, reached: Option<Reached>) -> Result<Place, Trouble> {
        self.bus.ensure_streams(&self.streams).await?;
        let tail = self.bus.tail(Stream::Events).await?;
        // Asked after the bus: what is on it then is in the journal by now.
        let head = self.journal.head().await?;
        let at = |order| Position { journal: self.journal.id(), order };
        let (sequence, incarnation) = (tail.sequence, tail.incarnation);
        let Some(message) = tail.message else {
            let (order, refilled_to) = match self.start_at {
                StartAt::Origin => (0, reached.map_or(head, |reached| reached.known)),
                StartAt::Head(order) => (order.min(head), order.min(head)),
            };
            if refilled_to > order {
                tracing::info!(events = refilled_to, "the bus is empty; the relay refills it");
                // A stream that was never used has lost nothing, and one may just have grown too old.
                let was_used = reached.map_or(sequence > 0, |reached| reached.order > order);
                let may_be_old = sequence > 0 && !self.streams.events.max_age.is_zero();
                if was_used && !may_be_old {
                    lost(order);
                }
            }
            return Ok(Place { order, position: at(order), sequence, incarnation, refilled_to });
        };
        let last = Received::parse(&message.headers, &message.payload)
            .map_err(|error| RelayError::Foreign { reason: error.to_string() })?;
        self.check(&last, head).await?;
        let order = last.position.order;
        if reached.is_some_and(|reached| reached.order > order) {
            lost(order);
        }
        let refilled_to = refilled_to(&message, order);
        Ok(Place { order, position: at(order), sequence, incarnation, refilled_to })
    }

    /// Whether the stream still ends where this relay left it. Without this, one that has nothing to publish would not
    /// notice that the bus lost everything.
    pub(super) async fn look_at_bus(&self, place: &Place) -> Result<(), Trouble> {
        let tail = self.bus.tail(Stream::Events).await?;
        if tail.incarnation != place.incarnation || tail.sequence < place.sequence {
            return Err(Trouble::Passing("the stream of events was lost".to_owned()));
        }
        if tail.sequence > place.sequence {
            return Err(fenced());
        }
        let last = tail.message.and_then(|last| cloudevents::position(&last.headers));
        match last {
            Some(last) if last.order == place.order => Ok(()),
            // Nothing was published yet, or what was there grew too old.
            None if tail.sequence == 0 || !self.streams.events.max_age.is_zero() => Ok(()),
            _ => Err(Trouble::Passing("the stream of events lost its last messages".to_owned())),
        }
    }

    /// Whether the last message is an event of this journal.
    async fn check(&self, last: &Received, head: u64) -> Result<(), Trouble> {
        let Position { journal, order } = last.position;
        if journal != self.journal.id() {
            return Err(RelayError::OtherJournal { bus: journal, journal: self.journal.id() }.into());
        }
        if order > head {
            return Err(RelayError::BusAhead { bus: order }.into());
        }
        let there = self.journal.read_back(order, 1).await?;
        match there
            .first()
            .is_some_and(|event| event.envelope.id == last.id && event.position == last.position)
        {
            true => Ok(()),
            false => Err(RelayError::Diverged { order }.into()),
        }
    }
}

/// Counts that events behind `order` were on the bus and are gone: the relay puts them there again.
fn lost(order: u64) {
    tracing::warn!(after = order, "the bus lost events; the relay publishes them again");
    metrics::counter!("dcm_bus_gaps_healed_total").increment(1);
}

/// How far the stream was refilled, as its last message, for the event `order`, says.
fn refilled_to(message: &Message, order: u64) -> u64 {
    let said = message.header(REFILLED_TO_HEADER).and_then(|value| value.parse().ok());
    said.unwrap_or(if message.is_replayed() { order } else { 0 })
}
