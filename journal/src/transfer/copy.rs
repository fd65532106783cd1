//! Bringing events into another journal, in their order, as the appends they were.

use std::collections::VecDeque;

use dcm_schemas::{Envelope, Recorded, StreamId};
use futures::future::join_all;
use uuid::Uuid;

use super::PAGE;
use crate::store::{AppendError, Expected, Journal, ReadError};

/// Appends that are under way at once, if the store keeps the order of calls: they share its flushes. Fewer than its queue
/// holds, so that none waits for a place in it and is overtaken.
const WINDOW: usize = 96;

/// Why events did not come over.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// One of the journals does not answer, or is damaged.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The journal they go to does not take them; making the same copy again continues it.
    #[error("event {order} was not taken: {cause}")]
    Append {
        /// Order of the append's first event.
        order: u64,
        /// Why.
        cause: AppendError,
    },
    /// The journal they go to holds something else.
    #[error(
        "the journal holds another event {order} already: only an empty one, or one that this copy began, can be filled"
    )]
    Different {
        /// Order of the event.
        order: u64,
    },
    /// The events do not follow one another.
    #[error("what follows event {after} is missing: {found} comes instead")]
    Gap {
        /// The order of the last event before the gap.
        after: u64,
        /// The order that came.
        found: u64,
    },
    /// Somebody else writes into the journal they go to.
    #[error("another event stands at {order}: something else writes into the journal")]
    Displaced {
        /// Order of the event that is not one of the copy.
        order: u64,
    },
}

/// What a copy did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Events that were brought over.
    pub copied: u64,
    /// Events that were there already, from the same copy before.
    pub present: u64,
}

/// Copies every event of `from` into `to`, which is empty or was left half-way by the same copy; `progress` is told now and
/// then how many events are there.
///
/// # Errors
/// [`CopyError`]; what is there by then is a whole beginning, and the same copy made again goes on from it.
pub async fn copy(
    from: &dyn Journal,
    to: &dyn Journal,
    mut progress: impl FnMut(u64),
) -> Result<Copied, CopyError> {
    let mut filler = Filler::new(to).await?;
    let mut after = 0;
    loop {
        let page = from.read_all(after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.position.order;
        for event in page {
            filler.take(event.position.order, event.envelope, &event.body).await?;
        }
        progress(filler.taken);
    }
    filler.finish().await
}

/// Fills a journal with events that come in order.
pub(super) struct Filler<'a> {
    to: &'a dyn Journal,
    /// What was there when the filling began, and is not compared yet; read page by page.
    there: VecDeque<Recorded>,
    /// Order of the last event in `to` that is read.
    read: u64,
    /// Whether `to` has nothing more than what is read.
    at_end: bool,
    /// Events that came.
    taken: u64,
    append: Option<Append>,
    window: Vec<Append>,
    done: Copied,
}

/// Events that were one append.
struct Append {
    first: u64,
    stream: StreamId,
    events: Vec<Envelope>,
}

impl<'a> Filler<'a> {
    /// Fills `to`.
    pub(super) async fn new(to: &'a dyn Journal) -> Result<Self, CopyError> {
        let mut filler = Self {
            to,
            there: VecDeque::new(),
            read: 0,
            at_end: false,
            taken: 0,
            append: None,
            window: Vec::new(),
            done: Copied::default(),
        };
        filler.read_there().await?;
        Ok(filler)
    }

    /// Takes the next event, which stands at `order` where it comes from: compares it with what is there, or brings it over
    /// with the others of its append.
    pub(super) async fn take(&mut self, order: u64, event: Envelope, body: &str) -> Result<(), CopyError> {
        self.taken += 1;
        if let Some(there) = self.there.pop_front() {
            if there.body != body {
                return Err(CopyError::Different { order: there.position.order });
            }
            self.done.present += 1;
            return self.read_there().await;
        }
        // The events of an append stand together; the first one carries the command.
        let continues = self.append.as_ref().is_some_and(|append| {
            let last = append.events.last();
            append.stream == event.stream
                && event.command.is_none()
                && last.is_some_and(|last| last.command_id == event.command_id)
        });
        match &mut self.append {
            Some(append) if continues => append.events.push(event),
            _ => {
                let stream = event.stream.clone();
                let begun = Append { first: order, stream, events: vec![event] };
                self.window.extend(self.append.replace(begun));
            }
        }
        if self.window.len() >= WINDOW { self.flush().await } else { Ok(()) }
    }

    /// Brings over what is left.
    pub(super) async fn finish(mut self) -> Result<Copied, CopyError> {
        self.window.extend(self.append.take());
        self.flush().await?;
        // An event may have come to the journal that is filled which the other never had.
        match self.there.front() {
            Some(more) => Err(CopyError::Different { order: more.position.order }),
            None => Ok(self.done),
        }
    }

    /// Reads on in the journal that is filled, if all that was read is compared.
    async fn read_there(&mut self) -> Result<(), CopyError> {
        if self.there.is_empty() && !self.at_end {
            self.there = self.to.read_all(self.read, PAGE).await?.into();
            self.at_end = self.there.len() < PAGE;
            self.read = self.there.back().map_or(self.read, |last| last.position.order);
        }
        Ok(())
    }

    /// Appends the window: at once where calls that are made in an order are carried out in it, else one by one. Then looks
    /// whether everything stands where it should.
    async fn flush(&mut self) -> Result<(), CopyError> {
        let window = std::mem::take(&mut self.window);
        let ids: Vec<Uuid> = window.iter().flat_map(|append| &append.events).map(|event| event.id).collect();
        if self.to.traits().calls_keep_their_order {
            let appends = window.into_iter().map(|append| append.make(self.to));
            // Unconstrained: a budget that runs out would let later calls overtake earlier ones.
            for outcome in tokio::task::unconstrained(join_all(appends)).await {
                outcome?;
            }
        } else {
            for append in window {
                append.make(self.to).await?;
            }
        }
        for part in ids.chunks(PAGE) {
            let written = self.to.read_all(self.read, part.len()).await?;
            let displaced = written.iter().zip(part).find(|(event, id)| event.envelope.id != **id);
            if let Some((event, _)) = displaced {
                return Err(CopyError::Displaced { order: event.position.order });
            }
            self.read = written.last().map_or(self.read, |last| last.position.order);
            self.done.copied += written.len() as u64;
        }
        Ok(())
    }
}

impl Append {
    async fn make(self, to: &dyn Journal) -> Result<(), CopyError> {
        let Self { first, stream, events } = self;
        let revision = events.first().map_or(0, |event| event.revision);
        let expected = revision.checked_sub(1).map_or(Expected::NoStream, Expected::Revision);
        let answer = to.append(&stream, expected, events).await;
        answer.map(drop).map_err(|cause| CopyError::Append { order: first, cause })
    }
}
