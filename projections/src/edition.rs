//! Which edition of the rows is shown, where this process alone writes them: then it knows without a question to the
//! database that nothing changed.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts the commits of the one writer: odd while one is under way, or has an end that nobody knows.
#[derive(Debug)]
pub(crate) struct Edition {
    count: AtomicU64,
    /// Whether nobody else writes.
    alone: bool,
}

impl Edition {
    /// The first edition, of rows that only this process writes if it is `alone`.
    pub(crate) const fn new(alone: bool) -> Self {
        Self { count: AtomicU64::new(0), alone }
    }

    /// The edition that everybody sees; `None` if the database must be asked.
    pub(crate) fn shown(&self) -> Option<u64> {
        let count = self.count.load(Ordering::SeqCst);
        (self.alone && count.is_multiple_of(2)).then_some(count)
    }

    /// What is committed from now on may be seen. Whoever holds the one connection that writes calls it.
    pub(crate) fn commits(&self) {
        self.count.fetch_or(1, Ordering::SeqCst);
    }

    /// What was committed is seen.
    pub(crate) fn committed(&self) {
        self.count.fetch_add(1, Ordering::SeqCst);
    }
}
