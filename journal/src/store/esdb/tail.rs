//! Where the journal ends, found without looking at the same foreign events again and again.

use std::sync::Mutex;

use super::answer::Trouble;
use super::calls::{Calls, From};
use super::protocol::streams::read_resp::read_event::RecordedEvent;
use super::scope::Scope;

/// Events of one page of a search.
const PAGE: usize = 1000;

/// Behind the event at `last`, up to `scanned`, there is none of this journal. Both are positions of events of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Quiet {
    last: u64,
    scanned: u64,
}

/// What is known of the end of the journal.
#[derive(Debug, Default)]
pub(super) struct Tail(Mutex<Option<Quiet>>);

impl Tail {
    /// Where to look for what stands behind `after`: there, or further on if nothing can be before that.
    pub(super) fn search_from(&self, after: u64, origin: u64) -> u64 {
        match self.known() {
            Some(quiet) if quiet.last == after => quiet.scanned,
            _ => after.max(origin),
        }
    }

    /// Order of the journal's last event; 0 without one.
    pub(super) async fn head(&self, calls: &Calls, scope: &Scope) -> Result<u64, Trouble> {
        let Some(last) = calls.last_of_all().await? else { return Ok(0) };
        let end = last.commit_position;
        if is_ours(&last, scope) {
            return Ok(self.learn(Quiet { last: end, scanned: end }));
        }
        let last = match self.known() {
            Some(quiet) if quiet.scanned >= end => quiet.last,
            Some(quiet) => self.last_behind(calls, scope, quiet.last, quiet.scanned).await?,
            None if scope.origin > 0 => self.last_behind(calls, scope, 0, scope.origin).await?,
            None => {
                let found = calls.read_all(scope.filter(), From::End, 1).await?;
                found.first().map_or(0, |event| event.commit_position)
            }
        };
        Ok(self.learn(Quiet { last, scanned: end.max(last) }))
    }

    /// The last event of the journal from `from` on, or `last`.
    async fn last_behind(
        &self,
        calls: &Calls,
        scope: &Scope,
        mut last: u64,
        mut from: u64,
    ) -> Result<u64, Trouble> {
        loop {
            let page = calls.read_all(scope.filter(), From::Position(from), PAGE).await?;
            if let Some(event) = page.last() {
                last = event.commit_position;
            }
            if page.len() < PAGE {
                return Ok(last);
            }
            from = last;
        }
    }

    fn known(&self) -> Option<Quiet> {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Keeps what was found, unless somebody found more meanwhile; returns where the journal was found to end.
    fn learn(&self, found: Quiet) -> u64 {
        let mut known = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if known.is_none_or(|known| known.scanned < found.scanned) {
            *known = Some(found);
        }
        found.last
    }
}

fn is_ours(event: &RecordedEvent, scope: &Scope) -> bool {
    event.stream_identifier.as_ref().is_some_and(|stream| scope.holds(&stream.stream_name))
}
