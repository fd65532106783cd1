//! Which region is audited when (access.md §13.3): a queue ordered by due time that never reads a clock.
//!
//! A region is queued once; a certificate event may queue it a second time, because what it announces may have
//! happened after the waiting audit's decision to look. What was taken is no longer queued: a worker that finishes
//! one batch before it takes the next never audits a region twice at the same time.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

/// How many entries a region can have at most, counting the one a certificate event added.
const MOST_WITH_EVENT: u8 = 2;

/// One audit to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    region: String,
    attempt: u32,
}

impl Entry {
    /// The region to audit.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// How often this audit was queued, this time included: 1 for a new one.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }
}

/// The region has as many entries as it may have; the queue is unchanged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an audit of region {0} is already queued")]
pub struct AlreadyQueued(pub String);

/// The audits to come, ordered by due time and, for equal times, by arrival.
#[derive(Debug, Default)]
pub struct Queue {
    entries: BTreeMap<(Instant, u64), Entry>,
    queued: HashMap<String, u8>,
    arrivals: u64,
}

impl Queue {
    /// Queues a first audit of `region`, unless one is queued.
    pub fn enqueue(&mut self, region: &str, due: Instant) -> Result<(), AlreadyQueued> {
        self.insert(Entry { region: region.to_owned(), attempt: 1 }, due, 1)
    }

    /// Queues an audit because the region's certificate changed, also beside one that is queued already.
    pub fn enqueue_for_event(&mut self, region: &str, due: Instant) -> Result<(), AlreadyQueued> {
        self.insert(Entry { region: region.to_owned(), attempt: 1 }, due, MOST_WITH_EVENT)
    }

    /// Queues an audit that was taken once more, as its next attempt. Refused if the region was queued meanwhile:
    /// that entry then does the work.
    pub fn requeue(&mut self, entry: Entry, due: Instant) -> Result<(), AlreadyQueued> {
        let attempt = entry.attempt.saturating_add(1);
        self.insert(Entry { attempt, ..entry }, due, 1)
    }

    /// Queues every region that is not queued yet and returns how many those were. A region that is queued is passed
    /// over, unlike in the old monitor, where it ended the round (access.md §15 Q11: nobody relies on that).
    pub fn enqueue_round<'a>(&mut self, regions: impl IntoIterator<Item = &'a str>, due: Instant) -> usize {
        regions.into_iter().filter(|region| self.enqueue(region, due).is_ok()).count()
    }

    /// Queues what a start audits: every region if `audit_all`, else those whose `dc-cert` is not in-sync. Takes
    /// pairs of region and whether it is in-sync; returns how many were queued.
    pub fn enqueue_at_start<'a>(
        &mut self,
        fleet: impl IntoIterator<Item = (&'a str, bool)>,
        audit_all: bool,
        due: Instant,
    ) -> usize {
        let regions =
            fleet.into_iter().filter(|(_, in_sync)| audit_all || !in_sync).map(|(region, _)| region);
        self.enqueue_round(regions, due)
    }

    /// Takes up to `batch` entries that are due at `now`, the longest due first.
    pub fn take_due(&mut self, now: Instant, batch: usize) -> Vec<Entry> {
        let mut taken = Vec::new();
        while taken.len() < batch
            && let Some(first) = self.entries.first_entry()
            && first.key().0 <= now
        {
            let entry = first.remove();
            self.forget(&entry.region);
            taken.push(entry);
        }
        taken
    }

    /// When the first entry is due; `None` if nothing is queued.
    pub fn next_due(&self) -> Option<Instant> {
        self.entries.first_key_value().map(|((due, _), _)| *due)
    }

    /// How many entries are queued.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is queued.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn insert(&mut self, entry: Entry, due: Instant, most: u8) -> Result<(), AlreadyQueued> {
        let count = self.queued.get(&entry.region).copied().unwrap_or(0);
        if count >= most {
            return Err(AlreadyQueued(entry.region));
        }
        self.queued.insert(entry.region.clone(), count + 1);
        self.entries.insert((due, self.arrivals), entry);
        self.arrivals += 1;
        Ok(())
    }

    fn forget(&mut self, region: &str) {
        if let Some(count) = self.queued.get_mut(region) {
            *count -= 1;
            if *count == 0 {
                self.queued.remove(region);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
    use std::time::Duration;

    use super::*;

    const ALL: usize = usize::MAX;

    fn seconds(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    fn regions(taken: &[Entry]) -> Vec<&str> {
        taken.iter().map(Entry::region).collect()
    }

    #[test]
    fn ac_094_a_region_is_queued_once_and_a_second_time_for_an_event() {
        let now = Instant::now();
        let mut queue = Queue::default();
        queue.enqueue("r1", now).unwrap();
        assert_eq!(queue.enqueue("r1", now), Err(AlreadyQueued("r1".into())));
        queue.enqueue_for_event("r1", now).unwrap();
        assert_eq!(queue.enqueue_for_event("r1", now), Err(AlreadyQueued("r1".into())));
        assert_eq!(queue.enqueue("r1", now), Err(AlreadyQueued("r1".into())));
        assert_eq!(queue.len(), 2);

        assert_eq!(queue.take_due(now, 1).len(), 1);
        assert!(queue.enqueue("r1", now).is_err(), "one is still queued");
        queue.enqueue_for_event("r1", now).unwrap();
        assert_eq!(queue.take_due(now, ALL).len(), 2);
        queue.enqueue("r1", now).unwrap();
    }

    #[test]
    fn ac_095_entries_are_taken_in_due_order_and_never_before() {
        let start = Instant::now();
        let mut queue = Queue::default();
        for delay in [20, 0, 10] {
            queue.enqueue(&format!("after{delay}"), start + seconds(delay)).unwrap();
        }
        assert_eq!(queue.next_due(), Some(start));
        assert_eq!(regions(&queue.take_due(start, ALL)), ["after0"]);
        assert!(queue.take_due(start + seconds(9), ALL).is_empty());
        assert_eq!(queue.next_due(), Some(start + seconds(10)));
        assert_eq!(regions(&queue.take_due(start + seconds(20), ALL)), ["after10", "after20"]);
        assert!(queue.is_empty());
        assert_eq!(queue.next_due(), None);
    }

    #[test]
    fn ac_096_equal_due_times_are_both_served_and_attempts_are_counted() {
        let now = Instant::now();
        let mut queue = Queue::default();
        queue.enqueue("r1", now).unwrap();
        queue.enqueue("r2", now).unwrap();
        let taken = queue.take_due(now, ALL);
        assert_eq!(regions(&taken), ["r1", "r2"]);
        assert!(taken.iter().all(|entry| entry.attempt() == 1));

        for attempt in 2..5 {
            let entry = Entry { region: "r1".into(), attempt: attempt - 1 };
            queue.requeue(entry, now).unwrap();
            assert_eq!(queue.take_due(now, ALL)[0].attempt(), attempt);
        }
    }

    #[test]
    fn ac_097_a_start_queues_what_is_not_in_sync() {
        let now = Instant::now();
        let mut queue = Queue::default();
        let fleet = [("r1", false), ("r2", true), ("r3", false)];
        assert_eq!(queue.enqueue_at_start(fleet, false, now), 2);
        assert_eq!(regions(&queue.take_due(now, ALL)), ["r1", "r3"]);
    }

    #[test]
    fn ac_098_a_start_queues_everything_when_told_so() {
        let now = Instant::now();
        let mut queue = Queue::default();
        let fleet = [("r1", false), ("r2", true), ("r3", false)];
        assert_eq!(queue.enqueue_at_start(fleet, true, now), 3);
    }

    #[test]
    fn a_batch_takes_no_more_than_asked_for() {
        let now = Instant::now();
        let mut queue = Queue::default();
        let fleet: Vec<String> = (0..25).map(|k| format!("r{k}")).collect();
        assert_eq!(queue.enqueue_round(fleet.iter().map(String::as_str), now), 25);
        let sizes: Vec<usize> = (0..4).map(|_| queue.take_due(now, 10).len()).collect();
        assert_eq!(sizes, [10, 10, 5, 0]);
    }

    #[test]
    fn a_round_passes_over_what_is_queued() {
        let now = Instant::now();
        let mut queue = Queue::default();
        queue.enqueue("r2", now + seconds(60)).unwrap();
        assert_eq!(queue.enqueue_round(["r1", "r2", "r3"], now), 2);
        assert_eq!(queue.len(), 3);
    }

    #[test]
    fn an_audit_queued_meanwhile_replaces_the_retry() {
        let now = Instant::now();
        let mut queue = Queue::default();
        queue.enqueue("r1", now).unwrap();
        let taken = queue.take_due(now, ALL).remove(0);
        queue.enqueue("r1", now).unwrap();
        assert!(queue.requeue(taken, now + seconds(180)).is_err());
        assert_eq!(queue.take_due(now, ALL)[0].attempt(), 1);
    }
}
