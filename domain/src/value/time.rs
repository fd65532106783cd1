//! Moments in UTC with microsecond resolution, and the contract's two renderings of them.

use chrono::{DateTime, SecondsFormat, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// A moment in UTC, in microseconds since 1970-01-01. Serialises as RFC 3339 with six digits and `Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The moment `micros` microseconds after the epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the epoch.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Reads RFC 3339; `None` if `text` is anything else.
    pub fn parse(text: &str) -> Option<Self> {
        DateTime::parse_from_rfc3339(text).ok().map(|at| Self(at.timestamp_micros()))
    }

    /// The form of reads: `2023-11-06 14:28:04.123456`, a zero fraction left out (subclouds.md §1.4).
    pub fn blank_separated(self) -> String {
        let format =
            if self.0.rem_euclid(1_000_000) == 0 { "%Y-%m-%d %H:%M:%S" } else { "%Y-%m-%d %H:%M:%S%.6f" };
        self.utc().format(format).to_string()
    }

    /// The form of answers that passed through the old manager: `2023-11-06T14:28:04.123456` (subclouds.md §1.4).
    pub fn t_separated(self) -> String {
        self.utc().format("%Y-%m-%dT%H:%M:%S%.6f").to_string()
    }

    /// The same moment as a [`DateTime`]; out of chrono's range it is the epoch.
    pub fn utc(self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.0).unwrap_or_default()
    }
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(at: DateTime<Utc>) -> Self {
        Self(at.timestamp_micros())
    }
}

impl std::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.utc().to_rfc3339_opts(SecondsFormat::Micros, true))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("not an RFC 3339 time"))
    }
}

impl JsonSchema for Timestamp {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "format": "date-time"})
    }
}

#[cfg(test)]
mod tests {
    use super::Timestamp;

    #[test]
    fn renders_both_contract_forms() {
        let at = Timestamp::parse("2023-11-06T14:28:04.123456Z");
        assert_eq!(at.map(Timestamp::blank_separated).as_deref(), Some("2023-11-06 14:28:04.123456"));
        assert_eq!(at.map(Timestamp::t_separated).as_deref(), Some("2023-11-06T14:28:04.123456"));
        let whole = Timestamp::parse("2023-11-06T14:28:04Z");
        assert_eq!(whole.map(Timestamp::blank_separated).as_deref(), Some("2023-11-06 14:28:04"));
        assert_eq!(whole.map(Timestamp::t_separated).as_deref(), Some("2023-11-06T14:28:04.000000"));
    }

    #[test]
    fn survives_extremes() {
        for micros in [i64::MIN, i64::MAX, 0, -1] {
            assert!(!Timestamp::from_micros(micros).to_string().is_empty());
        }
    }
}
