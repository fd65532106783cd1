//! Where an event stands in the journal.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Which journal: drawn when a journal is created, and never changed. A copy is another journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct JournalId(pub Uuid);

impl fmt::Display for JournalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A place in the order of all events of one journal. Its text `<journal id>.<order>` is opaque to clients.
///
/// Places of different journals do not compare, so there is no `Ord`: check the journal, then compare orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(into = "String", try_from = "String")]
#[schemars(with = "String")]
pub struct Position {
    /// The journal that gave the order.
    pub journal: JournalId,
    /// Grows strictly in commit order, by 1 in some stores; 0 stands before the first event.
    pub order: u64,
}

/// Text that is not a [`Position`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a journal position")]
pub struct InvalidPosition;

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.journal, self.order)
    }
}

impl FromStr for Position {
    type Err = InvalidPosition;

    /// Accepts exactly what [`Display`](fmt::Display) writes, so that equal places have equal texts.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (journal, order) = text.split_once('.').ok_or(InvalidPosition)?;
        let journal = JournalId(Uuid::try_parse(journal).map_err(|_| InvalidPosition)?);
        let position = Self { journal, order: order.parse().map_err(|_| InvalidPosition)? };
        if position.to_string() == text { Ok(position) } else { Err(InvalidPosition) }
    }
}

impl TryFrom<String> for Position {
    type Error = InvalidPosition;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Position> for String {
    fn from(position: Position) -> Self {
        position.to_string()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn reads_back_its_own_text_only() {
        let position = Position { journal: JournalId(Uuid::from_u128(1)), order: 42 };
        let text = "00000000-0000-0000-0000-000000000001.42";
        assert_eq!(position.to_string(), text);
        assert_eq!(text.parse(), Ok(position));
        assert_eq!(serde_json::to_string(&position).unwrap(), format!("\"{text}\""));
        for other in
            ["", ".", "42", &format!("{text}0x"), &text.replace(".42", ".042"), &text.replace('.', ".+")]
        {
            assert_eq!(other.parse::<Position>(), Err(InvalidPosition), "{other:?}");
        }
    }
}
