//! Bringing events into another journal, in their order, as the appends they were.

use dcm_schemas::{Envelope, StreamId};
use futures::future::join_all;

use super::PAGE;
use crate::store::{AppendError, Expected, Journal, ReadError};

/// Appends that are under way at once: they share the store's flushes. Fewer than its queue holds, so that none waits for a
/// place in it and is overtaken.
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
    #[error("event {expected} is missing: {found} comes instead")]
    Gap {
        /// The order that should come.
        expected: u64,
        /// The order that came.
        found: u64,
    },
    /// Somebody else writes into the journal they go to.
    #[error("event {order} did not get its place: something else writes into the journal")]
    Displaced {
        /// Order of the append's last event.
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
        progress(after);
    }
    filler.finish().await
}

/// Fills a journal with events that come in order.
pub(super) struct Filler<'a> {
    to: &'a dyn Journal,
    /// What was there when the filling began.
    head: u64,
    /// Bodies of what was there, from the next order on.
    there: std::collections::VecDeque<String>,
    next: u64,
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
        let head = to.head().await?;
        let there = std::collections::VecDeque::new();
        Ok(Self { to, head, there, next: 1, append: None, window: Vec::new(), done: Copied::default() })
    }

    /// Takes the next event: compares it with what is there, or brings it over with the others of its append.
    pub(super) async fn take(&mut self, order: u64, event: Envelope, body: &str) -> Result<(), CopyError> {
        if order != self.next {
            return Err(CopyError::Gap { expected: self.next, found: order });
        }
        self.next += 1;
        if order <= self.head {
            return self.compare(order, body).await;
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
        match self.head > self.next - 1 {
            true => Err(CopyError::Different { order: self.next }),
            false => Ok(self.done),
        }
    }

    async fn compare(&mut self, order: u64, body: &str) -> Result<(), CopyError> {
        if self.there.is_empty() {
            let page = self.to.read_all(order - 1, PAGE).await?;
            self.there = page.into_iter().map(|event| event.body).collect();
        }
        match self.there.pop_front() {
            Some(found) if found == body => {
                self.done.present += 1;
                Ok(())
            }
            _ => Err(CopyError::Different { order }),
        }
    }

    /// Appends the window at once: calls that are made in an order are carried out in it.
    async fn flush(&mut self) -> Result<(), CopyError> {
        let to = self.to;
        let appends = std::mem::take(&mut self.window).into_iter().map(|append| async move {
            let Append { first, stream, events } = append;
            let count = events.len() as u64;
            let revision = events.first().map_or(0, |event| event.revision);
            let expected = revision.checked_sub(1).map_or(Expected::NoStream, Expected::Revision);
            let answer = to.append(&stream, expected, events).await;
            let appended = answer.map_err(|cause| CopyError::Append { order: first, cause })?;
            let last = first + count - 1;
            match appended.last.order == last {
                true => Ok(count),
                false => Err(CopyError::Displaced { order: last }),
            }
        });
        // Unconstrained: a budget that runs out would let later calls overtake earlier ones.
        for outcome in tokio::task::unconstrained(join_all(appends)).await {
            self.done.copied += outcome?;
        }
        Ok(())
    }
}
