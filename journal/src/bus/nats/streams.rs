//! The streams as the settings want them: created, adapted where NATS can, and refused where it cannot.

use std::time::Duration;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::CreateStreamErrorKind;
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};

use super::{NatsBus, convert};
use crate::bus::{BusError, Retention, Storage, Stream, StreamSettings};

/// The oldest server that does all that is asked of it: older ones ignore several filters of a consumer.
const OLDEST_SERVER: (u64, u64) = (2, 10);
/// The first servers whose streams take batches as one and look at the ids of their messages.
const WHOLE_BATCHES: (u64, u64) = (2, 14);
/// The smallest `max_payload` that every message fits in when its data is left out.
const LEAST_PAYLOAD: usize = 64 * 1024;
/// Keeps what the servers tell of messages that were given up, until it is made into dead letters.
pub(super) const ADVISORIES: &str = "DCM_ADVISORIES";
/// Where we tell of it ourselves: a work queue forgets a terminated message before its advisory can be read.
pub(super) const TERMINATED_JOB: &str = "dcm.v1.given-up.job";
/// Of advisories: much smaller than messages, and soon made into dead letters.
const ADVISORIES_KEPT: Retention =
    Retention { max_age: Duration::from_secs(30 * 24 * 3600), max_bytes: 64 * 1024 * 1024 };

impl NatsBus {
    /// Creates every stream that is missing, and adapts the others unless they are to stay as they are.
    pub(super) async fn set_up(&self, settings: &StreamSettings) -> Result<(), BusError> {
        self.link.check()?;
        self.check_server()?;
        let mut streams = Stream::ALL.map(|stream| stream_config(stream, settings));
        let takes_whole =
            version(&self.link.client.server_info().version).is_some_and(|version| version >= WHOLE_BATCHES);
        for wanted in streams.iter_mut().filter(|wanted| wanted.name == Stream::Events.name()) {
            // An older server cannot serve such a stream any more: only where it is needed.
            wanted.allow_atomic_publish = takes_whole && settings.replicas > 1;
        }
        for wanted in streams.into_iter().chain([advisories_config(settings)]) {
            self.set_up_stream(wanted, settings.leaves_existing).await?;
        }
        Ok(())
    }

    /// Refuses a server that would seem to work.
    pub(super) fn check_server(&self) -> Result<(), BusError> {
        let server = self.link.client.server_info();
        if version(&server.version).is_none_or(|version| version < OLDEST_SERVER) {
            let (major, minor) = OLDEST_SERVER;
            return Err(BusError::invalid(format!(
                "the NATS server is version {}: {major}.{minor} or newer is needed, older ones ignore several filters of \
                 a consumer",
                server.version
            )));
        }
        if server.max_payload < LEAST_PAYLOAD {
            return Err(BusError::invalid(format!(
                "max_payload of the NATS server is {} bytes: set it to {LEAST_PAYLOAD} or more",
                server.max_payload
            )));
        }
        Ok(())
    }

    async fn set_up_stream(&self, wanted: Config, leaves_existing: bool) -> Result<(), BusError> {
        let name = wanted.name.clone();
        let Some(found) = self.find_named(&name).await? else {
            let created = self.request(self.context.create_stream(wanted.clone())).await?;
            let created = created.map_err(|error| refused(&wanted, &error.kind(), &error))?;
            self.batches.learn(&created.cached_info().config);
            return Ok(());
        };
        let existing = &found.cached_info().config;
        let change = match leaves_existing {
            true => None,
            false => adapted(existing, &wanted).map_err(BusError::invalid)?,
        };
        let Some((config, changes)) = change else {
            self.batches.learn(existing);
            return Ok(());
        };
        let updated = self.request(self.context.update_stream(config)).await?;
        let updated = updated.map_err(|error| refused(&wanted, &error.kind(), &error))?;
        self.batches.learn(&updated.config);
        tracing::info!(stream = name, changes = changes.join(", "), "adapted to the configuration");
        Ok(())
    }
}

/// The first two numbers of a server's version.
fn version(text: &str) -> Option<(u64, u64)> {
    let mut numbers = text.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// Why a stream could not be made as wanted.
fn refused(wanted: &Config, kind: &CreateStreamErrorKind, error: &dyn std::fmt::Display) -> BusError {
    let Config { name, num_replicas, .. } = wanted;
    match kind {
        CreateStreamErrorKind::JetStream(cause) => match cause.error_code() {
            ErrorCode::STREAM_REPLICAS_NOT_SUPPORTED => BusError::invalid(format!(
                "jetstream.replicas is {num_replicas}, but this NATS server is not part of a cluster: set it to 1, or \
                 connect to a cluster"
            )),
            // Servers that are missing now may come.
            ErrorCode::CLUSTER_NO_PEERS => BusError::unavailable(format!(
                "jetstream.replicas is {num_replicas}, and fewer servers of the NATS cluster can take {name} now: start \
                 the missing ones, or set it lower ({cause})"
            )),
            _ => match convert::refusal(cause) {
                BusError::Invalid { reason } => BusError::invalid(format!("{name}: {reason}")),
                unavailable @ BusError::Unavailable { .. } => unavailable,
            },
        },
        _ => BusError::unavailable(error),
    }
}

fn stream_config(stream: Stream, settings: &StreamSettings) -> Config {
    Config {
        subjects: vec![stream.subjects().to_owned()],
        retention: if stream.is_work_queue() { RetentionPolicy::WorkQueue } else { RetentionPolicy::Limits },
        max_messages_per_subject: if stream.keeps_last_of_subject() { 1 } else { -1 },
        ..config(stream.name(), settings.retention(stream), settings)
    }
}

fn advisories_config(settings: &StreamSettings) -> Config {
    let of = |advisory: &str, stream: Stream| {
        format!("$JS.EVENT.ADVISORY.CONSUMER.{advisory}.{}.>", stream.name())
    };
    Config {
        subjects: vec![
            of("MAX_DELIVERIES", Stream::Events),
            of("MAX_DELIVERIES", Stream::Notify),
            of("MAX_DELIVERIES", Stream::Jobs),
            of("MSG_TERMINATED", Stream::Events),
            of("MSG_TERMINATED", Stream::Notify),
            TERMINATED_JOB.to_owned(),
        ],
        retention: RetentionPolicy::WorkQueue,
        max_messages_per_subject: -1,
        ..config(ADVISORIES, ADVISORIES_KEPT, settings)
    }
}

/// What all streams have in common.
fn config(name: &str, kept: Retention, settings: &StreamSettings) -> Config {
    Config {
        name: name.to_owned(),
        discard: DiscardPolicy::Old,
        storage: match settings.storage {
            Storage::File => StorageType::File,
            Storage::Memory => StorageType::Memory,
        },
        num_replicas: settings.replicas,
        max_age: kept.max_age,
        // JetStream says "no limit" with -1.
        max_bytes: match kept.max_bytes {
            0 => -1,
            bytes => i64::try_from(bytes).unwrap_or(i64::MAX),
        },
        max_messages: -1,
        max_consumers: -1,
        max_message_size: -1,
        duplicate_window: settings.duplicate_window,
        ..Config::default()
    }
}

/// `settings`, but for what `stream` has with this configuration: what [`config`] was given, or somebody set since.
pub(super) fn as_set_up(stream: Stream, config: &Config, settings: StreamSettings) -> StreamSettings {
    let settings = StreamSettings {
        replicas: config.num_replicas,
        storage: match config.storage {
            StorageType::File => Storage::File,
            StorageType::Memory => Storage::Memory,
        },
        duplicate_window: config.duplicate_window,
        ..settings
    };
    settings.keeping(stream, retention(config))
}

/// What a stream with this configuration keeps: what [`config`] was given, or somebody set since.
pub(super) fn retention(config: &Config) -> Retention {
    Retention { max_age: config.max_age, max_bytes: limit(config.max_bytes) }
}

/// A limit as ours, zero for none, of what JetStream says, -1 for none.
pub(super) fn limit(told: i64) -> u64 {
    u64::try_from(told).unwrap_or(0)
}

/// The configuration that makes an existing stream what is wanted, and what changes; `None` if it is that already. What
/// else somebody set, such as its placement, stays. Errors: NATS cannot change it, and what to do.
fn adapted(existing: &Config, wanted: &Config) -> Result<Option<(Config, Vec<String>)>, String> {
    if existing.storage != wanted.storage {
        return Err(format!(
            "{} is kept in {}, and NATS cannot move a stream: set jetstream.storage = \"{}\", or delete the stream, and \
             it is made anew{}",
            wanted.name,
            storage_name(existing.storage),
            storage_name(existing.storage),
            refilled(wanted)
        ));
    }
    if existing.retention != wanted.retention {
        return Err(format!(
            "{} has another retention policy ({:?}) than it needs ({:?}): delete the stream, and it is made anew{}",
            wanted.name,
            existing.retention,
            wanted.retention,
            refilled(wanted)
        ));
    }
    let mut config = existing.clone();
    let mut changes = Vec::new();
    macro_rules! adapt {
        ($($field:ident),*) => {$(
            if config.$field != wanted.$field {
                changes.push(format!(
                    "{}: {:?} becomes {:?}", stringify!($field), config.$field, wanted.$field
                ));
                config.$field = wanted.$field.clone();
            }
        )*};
    }
    adapt!(
        num_replicas,
        max_age,
        max_bytes,
        duplicate_window,
        subjects,
        discard,
        max_messages,
        max_messages_per_subject,
        allow_atomic_publish
    );
    Ok((!changes.is_empty()).then_some((config, changes)))
}

fn storage_name(storage: StorageType) -> &'static str {
    match storage {
        StorageType::File => "file",
        StorageType::Memory => "memory",
    }
}

/// What becomes of what a stream held when it is deleted.
fn refilled(wanted: &Config) -> &'static str {
    if wanted.name == Stream::Events.name() { " and refilled from the journal" } else { "" }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn versions_are_read_up_to_their_second_number() {
        assert_eq!(version("2.15.1"), Some((2, 15)));
        assert_eq!(version("2.10.0-RC.1"), Some((2, 10)));
        assert_eq!(version("2.9.25").filter(|version| *version >= OLDEST_SERVER), None);
        assert_eq!(version(""), None);
    }

    #[test]
    fn what_nats_can_change_is_changed_and_the_rest_is_left_alone() {
        let settings = StreamSettings::default();
        let existing =
            Config { description: Some("ours".to_owned()), ..stream_config(Stream::Events, &settings) };
        assert_eq!(adapted(&existing, &stream_config(Stream::Events, &settings)), Ok(None));
        let kept = Retention { max_age: Duration::from_secs(60), max_bytes: 0 };
        let settings = StreamSettings { replicas: 3, events: kept, ..settings };
        let (config, changes) =
            adapted(&existing, &stream_config(Stream::Events, &settings)).unwrap().unwrap();
        assert_eq!((config.num_replicas, config.max_age, config.max_bytes), (3, kept.max_age, -1));
        assert_eq!((config.description.as_deref(), changes.len()), (Some("ours"), 3));
    }

    #[test]
    fn what_a_stream_keeps_is_read_as_it_was_set() {
        let settings = StreamSettings::default();
        for kept in [settings.events, settings.dead, Retention { max_age: Duration::ZERO, max_bytes: 0 }] {
            let config = config("any", kept, &settings);
            assert_eq!((retention(&config), limit(config.max_messages)), (kept, 0));
        }
    }

    #[test]
    fn what_nats_cannot_change_is_refused_with_what_to_do() {
        let settings = StreamSettings::default();
        let existing = stream_config(Stream::Events, &settings);
        let memory = StreamSettings { storage: Storage::Memory, ..settings };
        let refused = adapted(&existing, &stream_config(Stream::Events, &memory)).unwrap_err();
        assert!(
            refused.contains("jetstream.storage = \"file\"") && refused.contains("refilled"),
            "{refused}"
        );
        let queue = Config { retention: RetentionPolicy::WorkQueue, ..existing.clone() };
        let refused = adapted(&queue, &existing).unwrap_err();
        assert!(refused.contains("DCM_EVENTS") && refused.contains("delete"), "{refused}");
    }
}
