//! Subjects of the bus: `dcm.v1.<what>.<tokens>` (design, "Bus").
//!
//! A token that stands for somebody's text is percent-encoded, so that a dot, a wildcard or a blank in a region name
//! stays one token and reaches nobody else's subscription.

use crate::StreamId;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Aggregate token of subclouds; their key is the region name.
pub const SUBCLOUD: &str = "subcloud";
/// Aggregate token of the directory of subclouds; its key is itself.
pub const DIRECTORY: &str = "directory";
/// Aggregate token of the directories of other kinds; their key is the kind.
pub const KEY_DIRECTORY: &str = "key-directory";
/// Aggregate token of subcloud groups; their key is the uuid.
pub const SUBCLOUD_GROUP: &str = "subcloud-group";
/// Aggregate token of subcloud peer groups; their key is the uuid.
pub const SUBCLOUD_PEER_GROUP: &str = "subcloud-peer-group";
/// Aggregate token of system peers; their key is the uuid.
pub const SYSTEM_PEER: &str = "system-peer";
/// Aggregate token of peer group associations; their key is the uuid.
pub const PEER_GROUP_ASSOCIATION: &str = "peer-group-association";
/// Aggregate token of the update options; their key is themselves.
pub const SW_UPDATE_OPTIONS: &str = "sw-update-options";
/// Aggregate token of audits that were asked for; their key is themselves.
pub const AUDIT_TRIGGERS: &str = "audit-triggers";
/// Aggregate token of the update strategy; its key is itself.
pub const SW_UPDATE_STRATEGY: &str = "sw-update-strategy";
/// Aggregate token of the record of a take-over; its key is the uuid.
pub const TAKE_OVER: &str = "take-over";

/// Aggregate token of the deploy files of a release; their key is a uuid that follows from the release.
pub const DEPLOY_FILES: &str = "deploy-files";

/// What the name of every stream begins with: stores that hold other streams too find ours by it.
pub const STREAM_PREFIXES: [&str; 9] = [
    SUBCLOUD,
    DIRECTORY,
    SYSTEM_PEER,
    PEER_GROUP_ASSOCIATION,
    SW_UPDATE_OPTIONS,
    AUDIT_TRIGGERS,
    SW_UPDATE_STRATEGY,
    TAKE_OVER,
    DEPLOY_FILES,
];

/// Everything outside `[A-Za-z0-9_-]`.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'-');
/// First word of every directory's stream.
const DIRECTORY_PREFIX: &str = "directory-";
/// Stands for an empty text, which would be no token; a percent sign in a text is written `%25`.
const EMPTY: &str = "%";

/// The token for `text`: everything outside `[A-Za-z0-9_-]` as `%XX`, byte by byte of its UTF-8 form.
pub fn token(text: &str) -> String {
    if text.is_empty() { EMPTY.to_owned() } else { utf8_percent_encode(text, ESCAPED).to_string() }
}

/// The text behind a token; `None` if it is none that [`token`] makes.
pub fn text(token: &str) -> Option<String> {
    if token == EMPTY {
        return Some(String::new());
    }
    let text = percent_decode_str(token).decode_utf8().ok()?.into_owned();
    (self::token(&text) == token).then_some(text)
}

/// An event name in the spelling of subjects: `DeployStatusChanged` is `deploy-status-changed`.
pub fn kebab_case(name: &str) -> String {
    let mut kebab = String::with_capacity(name.len() + 8);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !kebab.is_empty() {
            kebab.push('-');
        }
        kebab.push(letter.to_ascii_lowercase());
    }
    kebab
}

/// The aggregate token of a stream: its kind, apart from the directories.
pub fn aggregate(stream: &StreamId) -> &str {
    match stream.kind() {
        "directory-subcloud" => DIRECTORY,
        kind if kind.starts_with(DIRECTORY_PREFIX) => KEY_DIRECTORY,
        kind => kind,
    }
}

/// The key of a stream whose aggregate is no subcloud: the uuid, the kind of a directory's entities, or the aggregate
/// itself where there is only one.
pub fn key(stream: &StreamId) -> String {
    let listed = stream.kind().strip_prefix(DIRECTORY_PREFIX);
    match (stream.uuid(), aggregate(stream)) {
        (Some(id), _) => id.to_string(),
        (None, aggregate) => listed.filter(|_| aggregate == KEY_DIRECTORY).unwrap_or(aggregate).to_owned(),
    }
}

/// `dcm.v1.event.<aggregate>.<key>.<event-type-in-kebab-case>`. `key` is a subcloud's region name, or [`key`].
pub fn event(aggregate: &str, key: &str, name: &str) -> String {
    format!("dcm.v1.event.{}.{}.{}", token(aggregate), token(key), token(&kebab_case(name)))
}

/// `dcm.v1.job.<kind>`: a hint that a run wants a worker.
pub fn job(kind: &str) -> String {
    format!("dcm.v1.job.{}", token(kind))
}

/// `dcm.v1.notify.<kind>`: one of the notifications of access.md §12.4.
pub fn notify(kind: &str) -> String {
    format!("dcm.v1.notify.{}", token(kind))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use uuid::Uuid;

    use super::*;

    #[test]
    fn subjects_read_as_designed() {
        assert_eq!(
            event(SUBCLOUD, "RegionOne_2-a", "DeployStatusChanged"),
            "dcm.v1.event.subcloud.RegionOne_2-a.deploy-status-changed"
        );
        assert_eq!(job("deploy"), "dcm.v1.job.deploy");
        assert_eq!(notify("subcloud-online"), "dcm.v1.notify.subcloud-online");
    }

    #[test]
    fn hostile_text_stays_one_token_and_reads_back() {
        for hostile in [
            "",
            ".",
            "..",
            "*",
            ">",
            "a.b",
            "a.>",
            "a b",
            "%",
            "%2E",
            "a%2eb",
            "größe",
            "\u{1f600}",
            "a\r\nNats-Msg-Id: x",
            "\0",
            "$JS.API.>",
            "\u{202e}",
            "~",
            "+",
            "{{x}}",
        ] {
            let token = token(hostile);
            let harmless = |b: u8| b.is_ascii_alphanumeric() || b"_-%".contains(&b);
            assert!(!token.is_empty() && token.bytes().all(harmless), "{hostile:?} gave {token:?}");
            assert_eq!(text(&token).as_deref(), Some(hostile));
            assert_eq!(event(SUBCLOUD, hostile, "SubcloudAdded").split('.').count(), 6, "{hostile:?}");
        }
    }

    #[test]
    fn different_texts_have_different_tokens() {
        let texts = ["a.b", "a%2Eb", "a%2eb", "a_b", "A.b", "", "%"];
        let tokens: std::collections::BTreeSet<String> = texts.iter().map(|text| token(text)).collect();
        assert_eq!(tokens.len(), texts.len());
        for alien in ["a.b", "%2e", "%zz", "a b", "%41", ""] {
            assert_eq!(text(alien), None, "{alien:?}");
        }
    }

    #[test]
    fn streams_have_an_aggregate_and_a_key() {
        let id = Uuid::from_u128(7);
        let group = StreamId::of(SUBCLOUD_GROUP, id).unwrap();
        assert_eq!((aggregate(&group), key(&group)), (SUBCLOUD_GROUP, id.to_string()));
        let directory: StreamId = "directory-subcloud".parse().unwrap();
        assert_eq!((aggregate(&directory), key(&directory)), (DIRECTORY, "directory".to_owned()));
        let groups: StreamId = "directory-subcloud-group".parse().unwrap();
        assert_eq!((aggregate(&groups), key(&groups)), (KEY_DIRECTORY, SUBCLOUD_GROUP.to_owned()));
    }

    #[test]
    fn every_stream_begins_with_a_prefix() {
        for event in crate::registry::ALL {
            // The streams of directories are called `directory-<kind>`.
            let known = event.aggregate == KEY_DIRECTORY
                || STREAM_PREFIXES.iter().any(|prefix| event.aggregate.starts_with(prefix));
            assert!(known, "streams of {} would not be found again", event.aggregate);
        }
    }
}
