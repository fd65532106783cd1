//! What goes wrong, when it is told to.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// What becomes of the next append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is carried out, and the answer is that the server is not available.
    AnswerLost,
    /// It is not carried out, and the answer is the same.
    RequestLost,
    /// It is carried out, and never answered.
    AnswerKept,
    /// It is carried out, and the answer has no result.
    AnswerEmpty,
    /// It is carried out, and the server says that it timed out.
    TimedOut,
    /// It is carried out, and the stream of answers ends without it.
    StreamEnded,
    /// It is carried out, and the answer does not say where.
    NoPosition,
}

/// The faults of one node.
#[derive(Debug, Default)]
pub struct Faults {
    appends: Mutex<Vec<Fault>>,
    stalled: AtomicBool,
    /// Reads that end, as if the stream had, after so many events.
    cut_reads: Mutex<Vec<usize>>,
    /// `user:password` that every call must carry.
    credentials: Mutex<Option<String>>,
    no_stream_positions: AtomicBool,
    slowness: Mutex<Duration>,
    calls: AtomicUsize,
}

impl Faults {
    /// Faults of the next appends, in their order.
    pub fn of_appends(&self, faults: impl IntoIterator<Item = Fault>) {
        self.appends.lock().unwrap().extend(faults);
    }

    /// Ends the next read after `events`, cleanly.
    pub fn cut_read(&self, events: usize) {
        self.cut_reads.lock().unwrap().push(events);
    }

    /// Answers no call any more, or all again. Connections stay, and give signs of life.
    pub fn stall(&self, stalled: bool) {
        self.stalled.store(stalled, Ordering::SeqCst);
    }

    /// Answers every call so much later.
    pub fn slow_down(&self, by: Duration) {
        *self.slowness.lock().unwrap() = by;
    }

    /// Lets only this user in.
    pub fn demand(&self, credentials: &str) {
        *self.credentials.lock().unwrap() = Some(credentials.to_owned());
    }

    /// Reads streams as servers before 22.10 do.
    pub fn hide_stream_positions(&self) {
        self.no_stream_positions.store(true, Ordering::SeqCst);
    }

    /// Calls so far.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// Whether every fault of an append has happened.
    pub fn are_over(&self) -> bool {
        self.appends.lock().unwrap().is_empty()
    }

    pub(super) fn count(&self) {
        self.calls.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn next_append(&self) -> Option<Fault> {
        let mut appends = self.appends.lock().unwrap();
        if appends.is_empty() { None } else { Some(appends.remove(0)) }
    }

    pub(super) fn next_cut(&self) -> Option<usize> {
        self.cut_reads.lock().unwrap().pop()
    }

    pub(super) fn is_stalled(&self) -> bool {
        self.stalled.load(Ordering::SeqCst)
    }

    pub(super) fn slowness(&self) -> Duration {
        *self.slowness.lock().unwrap()
    }

    pub(super) fn wanted(&self) -> Option<String> {
        self.credentials.lock().unwrap().clone()
    }

    pub(super) fn hides_stream_positions(&self) -> bool {
        self.no_stream_positions.load(Ordering::SeqCst)
    }
}
