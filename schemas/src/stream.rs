//! Names of streams: one stream per aggregate.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Length of a uuid in its hyphenated text form.
const UUID_TEXT: usize = 36;
/// Longest accepted name, in bytes: stream names become index keys and subject tokens.
const MAX_LENGTH: usize = 200;

/// The name of a stream: `<kind>-<uuid>`, or a fixed name such as `directory-subcloud` where there is only one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(into = "String", try_from = "String")]
#[schemars(with = "String")]
pub struct StreamId(String);

/// Refused text of a [`StreamId`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a stream is named by 1 to {MAX_LENGTH} lower-case letters, digits and hyphens")]
pub struct InvalidStreamId;

impl StreamId {
    /// The stream of the aggregate `id` of `kind` (for example `subcloud`).
    ///
    /// # Errors
    /// [`InvalidStreamId`] if `kind` holds anything but lower-case letters, digits and hyphens.
    pub fn of(kind: &str, id: Uuid) -> Result<Self, InvalidStreamId> {
        format!("{kind}-{id}").parse()
    }

    /// The stream of the aggregate `id` of `kind`, which is one of the program's own constants and so a valid name.
    pub fn aggregate(kind: &'static str, id: Uuid) -> Self {
        Self(format!("{kind}-{id}"))
    }

    /// The text, as stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What the stream holds: `subcloud` of `subcloud-<uuid>`; the whole text of a fixed name.
    pub fn kind(&self) -> &str {
        self.split().map_or(self.as_str(), |(kind, _)| kind)
    }

    /// The aggregate's uuid; `None` for a fixed name.
    pub fn uuid(&self) -> Option<Uuid> {
        self.split().map(|(_, id)| id)
    }

    fn split(&self) -> Option<(&str, Uuid)> {
        let at = self.0.len().checked_sub(UUID_TEXT)?;
        let id = Uuid::try_parse(self.0.get(at..)?).ok()?;
        Some((self.0.get(..at)?.strip_suffix('-')?, id))
    }
}

impl FromStr for StreamId {
    type Err = InvalidStreamId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let fits = (1..=MAX_LENGTH).contains(&text.len());
        if fits && !text.starts_with('-') && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidStreamId)
        }
    }
}

impl TryFrom<String> for StreamId {
    type Error = InvalidStreamId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<StreamId> for String {
    fn from(stream: StreamId) -> Self {
        stream.0
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn splits_kind_and_uuid() {
        let id = Uuid::from_u128(7);
        let stream = StreamId::of("subcloud-group", id).unwrap();
        assert_eq!((stream.kind(), stream.uuid()), ("subcloud-group", Some(id)));
        let fixed: StreamId = "directory-subcloud".parse().unwrap();
        assert_eq!((fixed.kind(), fixed.uuid()), ("directory-subcloud", None));
    }

    #[test]
    fn refuses_hostile_names() {
        for text in ["", "-a", "A", "a b", "a/b", "a\0", "é", &"a".repeat(201)] {
            assert_eq!(text.parse::<StreamId>(), Err(InvalidStreamId), "{text:?}");
        }
    }
}
