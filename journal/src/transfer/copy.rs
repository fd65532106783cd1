//! Bringing events into another journal, in their order, as the appends they were.

use std::collections::VecDeque;

use dcm_schemas::{Envelope, Recorded};
use uuid::Uuid;

use super::PAGE;
use super::pages::Pages;
use crate::store::{Append, AppendError, Expected, Journal, NotAppended, ReadError};

/// Appends that are brought over at once, and then looked at whether they stand where they should.
const WINDOW: usize = 256;
/// A window takes no further append once it holds this much text, in bytes.
const WINDOW_BYTES: usize = 4 << 20;

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
    #[error("the journal holds another event {order} already: only one without other events can be filled")]
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
/// [`CopyError`], also if `from` has lost its last events; what is there by then is a whole beginning, and the same copy
/// made again goes on from it.
pub async fn copy(
    from: &dyn Journal,
    to: &dyn Journal,
    mut progress: impl FnMut(u64),
) -> Result<Copied, CopyError> {
    let mut pages = Pages::after(from, 0).await?;
    let mut filler = Filler::new(to, 0).await?;
    while let Some(page) = pages.next().await? {
        for event in page {
            filler.take(event.position.order, event.envelope, &event.body).await?;
        }
        progress(filler.taken);
    }
    pages.check_end()?;
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
    /// The append that is not known to be whole yet.
    begun: Option<Begun>,
    window: Vec<Begun>,
    /// Text of the window, in bytes.
    bytes: usize,
    done: Copied,
}

/// Events that were one append.
struct Begun {
    /// Order of the first one where it comes from.
    first: u64,
    append: Append,
    bytes: usize,
}

impl<'a> Filler<'a> {
    /// Fills `to` behind the order `after` of one of its events, or 0.
    pub(super) async fn new(to: &'a dyn Journal, after: u64) -> Result<Self, CopyError> {
        let mut filler = Self {
            to,
            there: VecDeque::new(),
            read: after,
            at_end: false,
            taken: 0,
            begun: None,
            window: Vec::new(),
            bytes: 0,
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
        let continues = self.begun.as_ref().is_some_and(|Begun { append, .. }| {
            let last = append.events.last();
            append.stream == event.stream
                && event.command.is_none()
                && last.is_some_and(|last| last.command_id == event.command_id)
        });
        match &mut self.begun {
            Some(begun) if continues => {
                begun.append.events.push(event);
                begun.bytes += body.len();
            }
            _ => {
                let whole = self.begun.replace(Begun::with(order, event, body.len()));
                self.bytes += whole.as_ref().map_or(0, |begun| begun.bytes);
                self.window.extend(whole);
            }
        }
        let full = self.window.len() >= WINDOW || self.bytes >= WINDOW_BYTES;
        if full { self.flush().await } else { Ok(()) }
    }

    /// Brings over what is left.
    pub(super) async fn finish(mut self) -> Result<Copied, CopyError> {
        self.window.extend(self.begun.take());
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

    /// Makes the appends of the window, in one step where the store can: whatever fails, what is there is a whole beginning.
    /// Then looks whether it stands where it should.
    async fn flush(&mut self) -> Result<(), CopyError> {
        self.bytes = 0;
        let window = std::mem::take(&mut self.window);
        let events = window.iter().flat_map(|begun| &begun.append.events);
        let ids: Vec<Uuid> = events.map(|event| event.id).collect();
        let firsts: Vec<u64> = window.iter().map(|begun| begun.first).collect();
        let made = self.to.append_all(window.into_iter().map(|begun| begun.append).collect()).await;
        made.map_err(|NotAppended { at, cause }| {
            let order = firsts.get(at).copied().unwrap_or_default();
            CopyError::Append { order, cause }
        })?;
        self.read_back(&ids).await
    }

    /// Reads what was brought over: the events with these ids, and no other between them.
    async fn read_back(&mut self, mut ids: &[Uuid]) -> Result<(), CopyError> {
        while !ids.is_empty() {
            let written = self.to.read_all(self.read, ids.len().min(PAGE)).await?;
            let displaced = written.iter().zip(ids).find(|(event, id)| event.envelope.id != **id);
            if let Some((event, _)) = displaced {
                return Err(CopyError::Displaced { order: event.position.order });
            }
            let Some(last) = written.last() else {
                let reason = "what was appended behind it is not there".to_owned();
                return Err(ReadError::Corrupt { order: self.read, reason }.into());
            };
            self.read = last.position.order;
            self.done.copied += written.len() as u64;
            ids = ids.get(written.len()..).unwrap_or_default();
        }
        Ok(())
    }
}

impl Begun {
    /// An append that begins with `event`, which stands at `first`.
    fn with(first: u64, event: Envelope, bytes: usize) -> Self {
        let expected = event.revision.checked_sub(1).map_or(Expected::NoStream, Expected::Revision);
        let append = Append { stream: event.stream.clone(), expected, events: vec![event] };
        Self { first, append, bytes }
    }
}
