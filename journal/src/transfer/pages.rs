//! Reading a journal to its end, and knowing whether that is where it ended.

use std::fmt;

use dcm_schemas::Recorded;

use super::PAGE;
use crate::store::{Journal, ReadError};

/// Events at the end of a journal that it says it holds, and that are not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The order from which on there is none.
    pub first: u64,
    /// The order of the last one.
    pub last: u64,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, last } = self;
        write!(f, "the events from {first} to {last} are missing, with which the journal ended")
    }
}

impl From<Missing> for ReadError {
    fn from(missing: Missing) -> Self {
        Self::Corrupt { order: missing.first, reason: missing.to_string() }
    }
}

/// The events of a journal, page by page.
pub(super) struct Pages<'a> {
    journal: &'a dyn Journal,
    /// Order of the last event that was read.
    at: u64,
    /// Where the journal ended before anything was read: what comes meanwhile can only stand behind that. SQL stores keep
    /// this beside the events, and so still know it when they have lost some.
    head: u64,
}

impl<'a> Pages<'a> {
    /// The events of `journal` behind the order `after`.
    pub(super) async fn after(journal: &'a dyn Journal, after: u64) -> Result<Self, ReadError> {
        Ok(Self { journal, at: after, head: journal.head().await? })
    }

    /// The next ones; `None` when there are no more.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Recorded>>, ReadError> {
        let page = self.journal.read_all(self.at, PAGE).await?;
        let Some(last) = page.last() else { return Ok(None) };
        self.at = last.position.order;
        Ok(Some(page))
    }

    /// What should have come behind the last one that was read, once there are no more.
    pub(super) fn missing(&self) -> Option<Missing> {
        (self.at < self.head).then(|| Missing { first: self.at + 1, last: self.head })
    }

    /// As [`missing`](Self::missing), for whom a part is of no use.
    pub(super) fn check_end(&self) -> Result<(), ReadError> {
        self.missing().map_or(Ok(()), |missing| Err(missing.into()))
    }
}
