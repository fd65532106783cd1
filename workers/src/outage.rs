//! Says once that something does not answer, and once that it does again.

use std::fmt::Display;

/// Whether one thing that is asked again and again answers.
#[derive(Debug)]
pub(crate) struct Outage {
    what: &'static str,
    lasts: bool,
}

impl Outage {
    /// Nothing is wrong yet with `what`, a word for the log.
    pub(crate) const fn of(what: &'static str) -> Self {
        Self { what, lasts: false }
    }

    /// Whether the last answer was none.
    pub(crate) const fn lasts(&self) -> bool {
        self.lasts
    }

    /// Notes that there was no answer, and why; only the first time is logged.
    pub(crate) fn begin(&mut self, reason: &dyn Display) {
        if !self.lasts {
            tracing::warn!(what = self.what, %reason, "does not answer; trying on");
        }
        self.lasts = true;
    }

    /// Notes an answer; only the first one after an outage is logged.
    pub(crate) fn end(&mut self) {
        if self.lasts {
            tracing::info!(what = self.what, "answers again");
        }
        self.lasts = false;
    }
}
