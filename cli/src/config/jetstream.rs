//! How the streams of the bus are kept on NATS JetStream.

use std::time::Duration;

use dcm_journal::bus::{Retention, Storage as StreamStorage, StreamSettings};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the streams of the bus are kept on NATS JetStream. They are created and adapted by the process with the role
/// `relay` when it starts; what NATS cannot change of an existing stream is refused, with what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct JetStream {
    /// Servers that hold a copy of each stream: 1, 3 or 5. With 1, a power failure may cost what the server had not
    /// written to its disk (its `sync_interval`), which is then published again from the journal.
    pub replicas: usize,
    /// Where servers keep streams; cannot be changed of an existing stream.
    pub storage: Storage,
    /// How long a message id is remembered, in seconds: the same id within it is a duplicate.
    pub duplicate_window_secs: u64,
    /// Of `DCM_EVENTS`, every event; by default no age and 1 GiB. With an age, an idle stream runs empty, and is refilled
    /// from the journal at the relay's next start.
    pub events: Limits,
    /// Of `DCM_NOTIFY`, the notifications; by default 7 days and 64 MiB.
    pub notify: Limits,
    /// Of `DCM_JOBS`, hints that a run wants a worker; by default 7 days and 64 MiB.
    pub jobs: Limits,
    /// Of `DCM_DEAD`, messages that no consumer could handle; by default 30 days and 64 MiB.
    pub dead: Limits,
}

/// Where a server keeps a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Storage {
    /// In files.
    File,
    /// In memory: lost when its servers restart, and refilled from the journal.
    Memory,
}

/// Until when a stream keeps messages; the oldest go first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// The age at which a message is dropped, in seconds; 0 keeps it.
    pub max_age_secs: Option<u64>,
    /// The size in bytes above which messages are dropped; 0 sets no limit.
    pub max_bytes: Option<u64>,
}

impl Default for JetStream {
    fn default() -> Self {
        Self {
            replicas: 1,
            storage: Storage::File,
            duplicate_window_secs: 120,
            events: Limits::default(),
            notify: Limits::default(),
            jobs: Limits::default(),
            dead: Limits::default(),
        }
    }
}

impl JetStream {
    /// The settings for the bus.
    pub fn streams(&self) -> StreamSettings {
        let defaults = StreamSettings::default();
        StreamSettings {
            replicas: self.replicas,
            storage: match self.storage {
                Storage::File => StreamStorage::File,
                Storage::Memory => StreamStorage::Memory,
            },
            duplicate_window: Duration::from_secs(self.duplicate_window_secs),
            events: self.events.or(defaults.events),
            notify: self.notify.or(defaults.notify),
            jobs: self.jobs.or(defaults.jobs),
            dead: self.dead.or(defaults.dead),
            leaves_existing: false,
        }
    }

    /// What NATS would refuse: the key, and what is wrong.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        if ![1, 3, 5].contains(&self.replicas) {
            return Err(("jetstream.replicas", "expected 1, 3 or 5".to_owned()));
        }
        let streams = self.streams();
        if streams.duplicate_window.is_zero() {
            return Err(("jetstream.duplicate_window_secs", "must be greater than 0".to_owned()));
        }
        let kept = [
            ("jetstream.events.max_age_secs", streams.events),
            ("jetstream.notify.max_age_secs", streams.notify),
            ("jetstream.jobs.max_age_secs", streams.jobs),
            ("jetstream.dead.max_age_secs", streams.dead),
        ];
        let short = |kept: Retention| !kept.max_age.is_zero() && kept.max_age < streams.duplicate_window;
        match kept.into_iter().find(|(_, kept)| short(*kept)) {
            Some((key, _)) => Err((key, "must not be less than jetstream.duplicate_window_secs".to_owned())),
            None => Ok(()),
        }
    }
}

impl Limits {
    /// What is said here, and otherwise what `defaults` say.
    fn or(&self, defaults: Retention) -> Retention {
        Retention {
            max_age: self.max_age_secs.map_or(defaults.max_age, Duration::from_secs),
            max_bytes: self.max_bytes.unwrap_or(defaults.max_bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_bus() {
        assert_eq!(JetStream::default().streams(), StreamSettings::default());
        assert_eq!(JetStream::default().check(), Ok(()));
    }

    #[test]
    fn what_nats_would_refuse_is_named() {
        let key = |jetstream: JetStream| jetstream.check().err().map(|(key, _)| key);
        let ok = JetStream::default;
        assert_eq!(key(JetStream { replicas: 2, ..ok() }), Some("jetstream.replicas"));
        assert_eq!(
            key(JetStream { duplicate_window_secs: 0, ..ok() }),
            Some("jetstream.duplicate_window_secs")
        );
        let short = Limits { max_age_secs: Some(60), max_bytes: None };
        assert_eq!(key(JetStream { events: short, ..ok() }), Some("jetstream.events.max_age_secs"));
    }
}
