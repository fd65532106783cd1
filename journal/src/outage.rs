//! Says once that something does not answer, and once that it does again.

use std::fmt::Display;
use std::hash::Hash;
use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Things whose last failure is remembered.
const REMEMBERED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1023);

/// Whether one thing that is asked again and again answers. A failure that comes back with each question is logged when
/// it begins, and when it is over with how often and how long it came.
#[derive(Debug)]
pub struct Outage {
    what: &'static str,
    lasts: Option<Lasting>,
}

#[derive(Debug)]
struct Lasting {
    since: Instant,
    failures: u64,
}

impl Outage {
    /// Nothing is wrong yet with `what`, a word for the log.
    pub const fn of(what: &'static str) -> Self {
        Self { what, lasts: None }
    }

    /// Whether the last answer was none.
    pub const fn lasts(&self) -> bool {
        self.lasts.is_some()
    }

    /// Notes that there was no answer, and why; only the first time is logged.
    pub fn begin(&mut self, reason: &dyn Display) {
        if let Some(lasting) = &mut self.lasts {
            lasting.failures = lasting.failures.saturating_add(1);
            return;
        }
        tracing::warn!(what = self.what, %reason, "does not answer; trying on");
        self.lasts = Some(Lasting { since: Instant::now(), failures: 1 });
    }

    /// Notes an answer; only the first one after an outage is logged.
    pub fn end(&mut self) {
        if let Some(Lasting { since, failures }) = self.lasts.take() {
            let seconds = seconds(since.elapsed());
            tracing::info!(what = self.what, failures, seconds, "answers again");
        }
    }

    /// [`end`](Self::end) or [`begin`](Self::begin), as `answer` says.
    pub fn note<T, E: Display>(&mut self, answer: &Result<T, E>) {
        match answer {
            Ok(_) => self.end(),
            Err(error) => self.begin(error),
        }
    }
}

/// What was told of many things of one kind: a failure that comes back with each look at one of them is news once, and
/// again when its reason is another. Of more than a thousand the oldest are forgotten.
#[derive(Debug)]
pub struct Told<K: Hash + Eq>(Mutex<lru::LruCache<K, String>>);

impl<K: Hash + Eq> Default for Told<K> {
    fn default() -> Self {
        Self(Mutex::new(lru::LruCache::new(REMEMBERED)))
    }
}

impl<K: Hash + Eq> Told<K> {
    /// Notes that `thing` failed; true if that was not told yet.
    pub fn is_news(&self, thing: K, reason: &dyn Display) -> bool {
        let reason = reason.to_string();
        // A cache is whole at every panic, so a poisoned lock is as good as any.
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.put(thing, reason.clone()) != Some(reason)
    }

    /// Notes that `thing` is well; true if it was told not to be.
    pub fn is_well(&self, thing: &K) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop(thing).is_some()
    }
}

/// Whole tenths: more digits say nothing about an outage.
fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_news_once_for_each_reason() {
        let told = Told::default();
        assert!(told.is_news("a", &"full"));
        assert!(!told.is_news("a", &"full"));
        assert!(told.is_news("a", &"gone") && told.is_news("b", &"full"));
        assert!(told.is_well(&"a") && !told.is_well(&"a"));
        assert!(told.is_news("a", &"gone"));
    }

    #[test]
    fn an_outage_lasts_from_the_first_failure_to_the_next_answer() {
        let mut outage = Outage::of("test");
        assert!(!outage.lasts());
        outage.note(&Err::<(), _>("no"));
        outage.note(&Err::<(), _>("no"));
        assert!(outage.lasts());
        assert_eq!(outage.lasts.as_ref().map(|lasting| lasting.failures), Some(2));
        outage.note(&Ok::<(), String>(()));
        assert!(!outage.lasts());
    }
}
