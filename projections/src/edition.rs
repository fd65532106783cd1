//! Which edition of the rows is shown, where this process alone writes them: then it knows without a question to the
//! database that nothing changed.
//!
//! An embedded file has one process. On a server, whoever holds the projector's lease and has fenced its predecessor off is
//! alone until the lease may be another's, which its own clock tells, also after a pause.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Counts the commits of this process.
#[derive(Debug)]
pub(crate) struct Edition(Mutex<State>);

#[derive(Debug)]
struct State {
    count: u64,
    /// Commits whose end is not known yet.
    under_way: u32,
    /// The last commit has an end that nobody knows. The next one tells: it goes on from where the checkpoint is.
    is_uncertain: bool,
    alone: Alone,
}

#[derive(Clone, Copy, Debug)]
enum Alone {
    /// Nobody else can write.
    Always,
    Until(Instant),
    No,
}

impl Edition {
    /// The first edition, of rows that no other process can write if they are private, or else may.
    pub(crate) const fn new(is_private: bool) -> Self {
        let alone = if is_private { Alone::Always } else { Alone::No };
        Self(Mutex::new(State { count: 0, under_way: 0, is_uncertain: false, alone }))
    }

    /// The edition that everybody sees; `None` if the database must be asked.
    pub(crate) fn shown(&self) -> Option<u64> {
        let state = self.state();
        let is_alone = match state.alone {
            Alone::Always => true,
            Alone::Until(moment) => Instant::now() < moment,
            Alone::No => false,
        };
        (is_alone && state.under_way == 0 && !state.is_uncertain).then_some(state.count)
    }

    /// What is committed from now on may be seen.
    pub(crate) fn commits(&self) -> Commit<'_> {
        self.state().under_way += 1;
        Commit { edition: self, is_known: false }
    }

    /// Somebody else has written, or may have: what was asked before does not count.
    pub(crate) fn renew(&self) {
        self.state().count += 1;
    }

    /// Nobody else writes before `moment`. Of rows that are private that is known anyway.
    pub(crate) fn alone_until(&self, moment: Instant) {
        self.set(Alone::Until(moment));
    }

    /// Others may write from now on.
    pub(crate) fn not_alone(&self) {
        self.set(Alone::No);
    }

    fn set(&self, alone: Alone) {
        let mut state = self.state();
        if !matches!(state.alone, Alone::Always) {
            state.alone = alone;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A commit that is under way; dropped before its end is known, it ends as one that nobody knows.
pub(crate) struct Commit<'a> {
    edition: &'a Edition,
    is_known: bool,
}

impl Commit<'_> {
    /// It succeeded.
    pub(crate) fn end(mut self) {
        self.is_known = true;
    }
}

impl Drop for Commit<'_> {
    fn drop(&mut self) {
        let mut state = self.edition.state();
        state.under_way = state.under_way.saturating_sub(1);
        state.is_uncertain = !self.is_known;
        state.count += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    #[test]
    fn who_holds_the_lease_knows_the_edition_until_it_may_be_anothers() {
        let edition = Edition::new(false);
        assert_eq!(edition.shown(), None);
        edition.alone_until(Instant::now() + LONG);
        assert_eq!(edition.shown(), Some(0));
        edition.renew();
        assert_eq!(edition.shown(), Some(1));
        edition.alone_until(Instant::now());
        assert_eq!(edition.shown(), None);
        edition.alone_until(Instant::now() + LONG);
        edition.not_alone();
        assert_eq!(edition.shown(), None);
    }

    #[test]
    fn no_edition_is_shown_while_a_commit_is_under_way_or_its_end_unknown() {
        let edition = Edition::new(true);
        edition.not_alone();
        assert_eq!(edition.shown(), Some(0));
        let (first, second) = (edition.commits(), edition.commits());
        first.end();
        assert_eq!(edition.shown(), None);
        second.end();
        assert_eq!(edition.shown(), Some(2));
        drop(edition.commits());
        assert_eq!(edition.shown(), None);
        edition.commits().end();
        assert_eq!(edition.shown(), Some(4));
    }
}
