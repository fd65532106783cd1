//! How streams and consumers are set up.

use std::time::Duration;

use super::{BusError, Stream, subject};

/// What a stream keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// The age at which a message is dropped; zero keeps it.
    pub max_age: Duration,
    /// The size in bytes above which the oldest messages are dropped; zero sets no limit.
    pub max_bytes: u64,
}

/// Where a server keeps a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// In files.
    File,
    /// In memory: a restart of all its servers empties it.
    Memory,
}

/// Settings of the four streams: of the deployment, not of the code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamSettings {
    /// Servers that hold a copy of each stream.
    pub replicas: usize,
    /// Where they keep it.
    pub storage: Storage,
    /// How long a message id is remembered: the same id within it is a duplicate.
    pub duplicate_window: Duration,
    /// Of [`Stream::Events`]. By default no age, so that the last event stays and the relay knows where it stopped.
    pub events: Retention,
    /// Of [`Stream::Notify`].
    pub notify: Retention,
    /// Of [`Stream::Jobs`].
    pub jobs: Retention,
    /// Of [`Stream::Dead`].
    pub dead: Retention,
    /// Whether streams that exist stay as they are: for whoever does not know how they are meant to be.
    pub leaves_existing: bool,
}

const MIB: u64 = 1024 * 1024;
const DAY: Duration = Duration::from_secs(24 * 3600);

impl Default for StreamSettings {
    fn default() -> Self {
        Self {
            replicas: 1,
            storage: Storage::File,
            duplicate_window: Duration::from_secs(120),
            events: Retention { max_age: Duration::ZERO, max_bytes: 1024 * MIB },
            notify: Retention { max_age: DAY * 7, max_bytes: 64 * MIB },
            jobs: Retention { max_age: DAY * 7, max_bytes: 64 * MIB },
            dead: Retention { max_age: DAY * 30, max_bytes: 64 * MIB },
            leaves_existing: false,
        }
    }
}

impl StreamSettings {
    /// What `stream` keeps.
    pub fn retention(&self, stream: Stream) -> Retention {
        match stream {
            Stream::Events => self.events,
            Stream::Notify => self.notify,
            Stream::Jobs => self.jobs,
            Stream::Dead => self.dead,
        }
    }

    /// The same, but that `stream` keeps so much.
    #[must_use]
    pub fn keeping(mut self, stream: Stream, kept: Retention) -> Self {
        *match stream {
            Stream::Events => &mut self.events,
            Stream::Notify => &mut self.notify,
            Stream::Jobs => &mut self.jobs,
            Stream::Dead => &mut self.dead,
        } = kept;
        self
    }
}

/// Where a new consumer begins. A durable consumer that exists goes on where it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With the next message published.
    New,
    /// With the oldest message kept.
    All,
    /// With the first message kept whose sequence is greater.
    AfterSequence(u64),
}

/// A consumer of one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consumer {
    /// The name under which the bus remembers what was settled; consumers of the same name share the messages. Made of
    /// `[A-Za-z0-9_-]`. Without it the bus forgets the consumer when its subscription is dropped.
    pub durable: Option<String>,
    /// The subjects wanted, any of them; empty means all. They may not overlap.
    pub filters: Vec<String>,
    /// Where it begins. A work queue only knows [`Start::All`].
    pub start: Start,
    /// The time after which an unsettled message comes again.
    pub ack_wait: Duration,
    /// How often a message is delivered at most; `None` sets no limit.
    pub max_deliver: Option<u32>,
    /// Replaces `ack_wait`: how long the first, second, ... delivery may stay unsettled; the last value is repeated.
    pub backoff: Vec<Duration>,
    /// How many messages are fetched ahead of the one being handled.
    pub prefetch: usize,
}

impl Default for Consumer {
    fn default() -> Self {
        Self {
            durable: None,
            filters: Vec::new(),
            start: Start::All,
            ack_wait: Duration::from_secs(30),
            max_deliver: None,
            backoff: Vec::new(),
            prefetch: 64,
        }
    }
}

impl Consumer {
    /// Refuses what the strictest adapter would refuse, so that all adapters refuse the same.
    pub(super) fn check(&self, stream: Stream) -> Result<(), BusError> {
        if let Some(name) = &self.durable
            && (name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_'))
        {
            return Err(BusError::invalid(format!("consumer name {name:?} is not of [A-Za-z0-9_-]")));
        }
        for (index, filter) in self.filters.iter().enumerate() {
            if !subject::is_filter(filter) || !subject::covers(stream.subjects(), filter) {
                return Err(BusError::invalid(format!("{} has no subjects {filter:?}", stream.name())));
            }
            if self.filters.iter().take(index).any(|other| subject::overlap(other, filter)) {
                return Err(BusError::invalid(format!("filter {filter:?} overlaps another of the consumer")));
            }
        }
        if stream.is_work_queue() && self.start != Start::All {
            return Err(BusError::invalid("a consumer of a work queue starts with all messages"));
        }
        if self.max_deliver == Some(0)
            || self.max_deliver.is_some_and(|max| self.backoff.len() > max as usize)
        {
            return Err(BusError::invalid(
                "max_deliver must be positive and no less than the back-off steps",
            ));
        }
        if self.ack_wait.is_zero() || self.prefetch == 0 || self.backoff.iter().any(Duration::is_zero) {
            return Err(BusError::invalid("ack_wait, back-off steps and prefetch must be positive"));
        }
        Ok(())
    }

    /// How long the given delivery (from 1) may stay unsettled.
    pub(super) fn wait(&self, attempt: u64) -> Duration {
        let step = usize::try_from(attempt.saturating_sub(1)).unwrap_or(usize::MAX);
        self.backoff.get(step).or(self.backoff.last()).copied().unwrap_or(self.ack_wait)
    }

    /// Whether the consumer wants messages of `subject`.
    pub(super) fn wants(&self, subject: &str) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|filter| subject::covers(filter, subject))
    }

    /// The filters, with the stream's own when none was given.
    pub(super) fn filters_or_all(&self, stream: Stream) -> Vec<String> {
        if self.filters.is_empty() { vec![stream.subjects().to_owned()] } else { self.filters.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_consumer_is_checked_before_any_adapter_sees_it() {
        let ok = Consumer::default();
        assert!(ok.check(Stream::Events).is_ok());
        let cases = [
            Consumer { durable: Some("a.b".to_owned()), ..ok.clone() },
            Consumer { filters: vec!["dcm.v1.job.x".to_owned()], ..ok.clone() },
            Consumer {
                filters: vec!["dcm.v1.event.a.>".to_owned(), "dcm.v1.event.*.b".to_owned()],
                ..ok.clone()
            },
            Consumer { max_deliver: Some(1), backoff: vec![Duration::from_secs(1); 2], ..ok.clone() },
            Consumer { prefetch: 0, ..ok.clone() },
        ];
        for case in cases {
            assert!(case.check(Stream::Events).is_err(), "{case:?}");
        }
        assert!(Consumer { start: Start::New, ..ok }.check(Stream::Jobs).is_err());
    }

    #[test]
    fn the_last_back_off_step_is_repeated() {
        let steps = vec![Duration::from_secs(1), Duration::from_secs(5)];
        let consumer = Consumer { backoff: steps, ..Consumer::default() };
        let waits: Vec<u64> = (1..=3).map(|attempt| consumer.wait(attempt).as_secs()).collect();
        assert_eq!(waits, [1, 5, 5]);
    }
}
