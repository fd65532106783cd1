//! One row as its database has it: every value as text, read into what it means with the place named if it has none.

use std::collections::HashMap;
use std::fmt;

use chrono::{DateTime, NaiveDateTime};
use dcm_domain::value::Timestamp;

/// A row of a table. Its values may be secret.
#[derive(Clone)]
pub struct Row {
    /// Its table.
    pub table: &'static str,
    /// Its id.
    pub id: i64,
    values: HashMap<&'static str, String>,
}

/// A value that cannot be taken over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{table} row {id}, column {column}: {problem}")]
pub struct Unusable {
    /// Table.
    pub table: &'static str,
    /// Id of the row.
    pub id: i64,
    /// Column.
    pub column: &'static str,
    /// What is wrong; never the value of a secret.
    pub problem: String,
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} row {}", self.table, self.id)
    }
}

impl Row {
    /// A row of `table` with the values that are not null.
    pub fn new(table: &'static str, id: i64, values: HashMap<&'static str, String>) -> Self {
        Self { table, id, values }
    }

    /// A text; `None` if it is null.
    pub fn text(&self, column: &'static str) -> Option<&str> {
        self.values.get(column).map(String::as_str)
    }

    /// A text that must be there.
    ///
    /// # Errors
    /// [`Unusable`] if it is null.
    pub fn some_text(&self, column: &'static str) -> Result<&str, Unusable> {
        self.text(column).ok_or_else(|| self.unusable(column, "is null"))
    }

    /// A whole number.
    ///
    /// # Errors
    /// [`Unusable`] if it is something else.
    pub fn number(&self, column: &'static str) -> Result<Option<i64>, Unusable> {
        let read = |text: &str| text.parse().map_err(|_| self.unusable(column, "is no whole number"));
        self.text(column).map(read).transpose()
    }

    /// Whether it is true.
    ///
    /// # Errors
    /// [`Unusable`] if it is neither true nor false.
    pub fn flag(&self, column: &'static str) -> Result<Option<bool>, Unusable> {
        let read = |text: &str| match text {
            "true" | "t" | "1" => Ok(true),
            "false" | "f" | "0" => Ok(false),
            _ => Err(self.unusable(column, "is neither true nor false")),
        };
        self.text(column).map(read).transpose()
    }

    /// A moment, in UTC.
    ///
    /// # Errors
    /// [`Unusable`] if it is none.
    pub fn time(&self, column: &'static str) -> Result<Option<Timestamp>, Unusable> {
        let read = |text: &str| time(text).ok_or_else(|| self.unusable(column, "is no time"));
        self.text(column).map(read).transpose()
    }

    /// One word of a vocabulary.
    ///
    /// # Errors
    /// [`Unusable`] if it is null or none of its words.
    pub fn word<T>(&self, column: &'static str, parse: fn(&str) -> Option<T>) -> Result<T, Unusable> {
        let word = self.some_text(column)?;
        parse(word).ok_or_else(|| self.unknown_word(column, word))
    }

    /// One word of a vocabulary, or none.
    ///
    /// # Errors
    /// [`Unusable`] if it is none of its words.
    pub fn some_word<T>(
        &self,
        column: &'static str,
        parse: fn(&str) -> Option<T>,
    ) -> Result<Option<T>, Unusable> {
        let read = |word: &str| parse(word).ok_or_else(|| self.unknown_word(column, word));
        self.text(column).map(read).transpose()
    }

    /// That a value of this row cannot be taken over.
    pub fn unusable(&self, column: &'static str, problem: impl Into<String>) -> Unusable {
        Unusable { table: self.table, id: self.id, column, problem: problem.into() }
    }

    fn unknown_word(&self, column: &'static str, word: &str) -> Unusable {
        let word: String = word.chars().take(64).collect();
        self.unusable(column, format!("{word:?} is no word this program knows there"))
    }
}

/// A timestamp with or without zone, in the database's ISO spelling and UTC.
fn time(text: &str) -> Option<Timestamp> {
    match NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f") {
        Ok(naive) => Some(naive.and_utc().into()),
        Err(_) => DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f%#z").ok().map(|at| at.to_utc().into()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use dcm_domain::value::DeployStatus;

    fn row(values: &[(&'static str, &str)]) -> Row {
        Row::new("subclouds", 7, values.iter().map(|(name, value)| (*name, (*value).to_owned())).collect())
    }

    #[test]
    fn times_are_utc_with_their_microseconds() {
        let at = Timestamp::parse("2023-11-06T14:28:04.123456Z");
        for text in
            ["2023-11-06 14:28:04.123456", "2023-11-06 14:28:04.123456+00", "2023-11-06 15:28:04.123456+01"]
        {
            assert_eq!(row(&[("created_at", text)]).time("created_at"), Ok(at), "{text}");
        }
        let whole = row(&[("created_at", "2023-11-06 14:28:04")]).time("created_at").unwrap().unwrap();
        assert_eq!(whole.blank_separated(), "2023-11-06 14:28:04");
        assert_eq!(row(&[]).time("created_at"), Ok(None));
        for text in ["infinity", "", "2023-11-06"] {
            assert!(row(&[("created_at", text)]).time("created_at").is_err(), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_names_its_place() {
        let row = row(&[("deploy_status", "exploding"), ("group_id", "x"), ("openstack_installed", "maybe")]);
        let error = row.word("deploy_status", DeployStatus::parse).unwrap_err();
        let text =
            r#"subclouds row 7, column deploy_status: "exploding" is no word this program knows there"#;
        assert_eq!(error.to_string(), text);
        assert!(row.number("group_id").is_err() && row.flag("openstack_installed").is_err());
        let error = row.word("management_state", DeployStatus::parse).unwrap_err();
        assert_eq!(error.to_string(), "subclouds row 7, column management_state: is null");
        assert_eq!(row.some_word("backup_status", DeployStatus::parse), Ok(None));
    }
}
