//! What an import found and did, for people and for programs.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use super::row::{Row, Unusable};

/// Findings of one kind that a person is shown; a program is shown all.
const SHOWN: usize = 10;

/// The report of one run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Which database was read.
    pub source: String,
    /// What became of it.
    pub outcome: Outcome,
    /// What each table held.
    pub tables: BTreeMap<&'static str, Count>,
    /// Files that were taken over, by kind.
    pub files: BTreeMap<&'static str, u64>,
    /// Tables that this program does not know, ignored.
    pub unknown_tables: BTreeSet<String>,
    /// Columns that this program does not know, ignored.
    pub unknown_columns: BTreeSet<String>,
    /// What is inconsistent, or not as it was: kept, and worth a look.
    pub findings: Vec<Finding>,
    /// What the person who started it should know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// What cannot be taken over: with any, nothing is.
    pub errors: Vec<String>,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// Subclouds written in a second.
    pub subclouds_per_second: f64,
}

/// What became of an import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Nothing was to be written.
    #[default]
    DryRun,
    /// Everything is in the journal now.
    Imported,
    /// Everything was in the journal already; nothing was written.
    AlreadyImported,
    /// Nothing was written, for there are errors.
    Refused,
}

/// What one table held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Rows.
    pub rows: u64,
    /// Rows marked as deleted, left out.
    pub deleted: u64,
}

/// Something worth a look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What kind of thing it is.
    pub kind: Kind,
    /// Table.
    pub table: &'static str,
    /// Id of the row.
    pub row: i64,
    /// What was found, and what becomes of it.
    pub text: String,
}

/// Kinds of findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Work was under way.
    Transitory,
    /// Two rows hold what only one may.
    Duplicate,
    /// Two subclouds share addresses.
    Overlap,
    /// A reference leads nowhere.
    Dangling,
    /// Something is null that should not be.
    Null,
    /// A value that today's rules would refuse.
    Odd,
    /// A document that answers show in another form.
    Document,
    /// A file that could not be used.
    File,
    /// A row that was left out.
    LeftOut,
}

impl Report {
    /// Adds a finding about `row`.
    pub fn find(&mut self, kind: Kind, row: &Row, text: impl Into<String>) {
        self.findings.push(Finding { kind, table: row.table, row: row.id, text: text.into() });
    }

    /// Keeps the value, or the error as one that refuses the import.
    pub fn keep<T>(&mut self, read: Result<T, Unusable>) -> Option<T> {
        read.map_err(|error| self.errors.push(error.to_string())).ok()
    }
}

impl Kind {
    const fn title(self) -> &'static str {
        match self {
            Self::Transitory => "work was under way; it ends when workers first start",
            Self::Duplicate => "held by two, kept",
            Self::Overlap => "overlapping addresses, kept",
            Self::Dangling => "references that lead nowhere, kept",
            Self::Null => "nulls",
            Self::Odd => "values that would be refused today, kept",
            Self::Document => "documents shown in another form",
            Self::File => "files that were not used",
            Self::LeftOut => "rows left out",
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "source: {}", self.source)?;
        for (table, count) in &self.tables {
            let deleted = match count.deleted {
                0 => String::new(),
                deleted => format!(" (and {deleted} marked as deleted, left out)"),
            };
            writeln!(f, "  {table:<24}{:>8}{deleted}", count.rows)?;
        }
        for (kind, count) in &self.files {
            writeln!(f, "  {kind:<24}{count:>8} files")?;
        }
        list(f, "unknown tables, ignored", &self.unknown_tables)?;
        list(f, "unknown columns, ignored", &self.unknown_columns)?;
        let mut kinds: BTreeMap<Kind, Vec<&Finding>> = BTreeMap::new();
        for finding in &self.findings {
            kinds.entry(finding.kind).or_default().push(finding);
        }
        for (kind, found) in kinds {
            writeln!(f, "{} ({}):", kind.title(), found.len())?;
            for finding in found.iter().take(SHOWN) {
                writeln!(f, "  {} {}: {}", finding.table, finding.row, finding.text)?;
            }
            if found.len() > SHOWN {
                writeln!(f, "  and {} more; --json shows them all", found.len() - SHOWN)?;
            }
        }
        for warning in &self.warnings {
            writeln!(f, "warning: {warning}")?;
        }
        if !self.errors.is_empty() {
            writeln!(f, "errors ({}):", self.errors.len())?;
            for error in &self.errors {
                writeln!(f, "  {error}")?;
            }
        }
        match self.outcome {
            Outcome::DryRun => write!(f, "dry run: nothing was written"),
            Outcome::Imported => write!(
                f,
                "imported in {:.1} s ({:.0} subclouds per second)",
                self.seconds, self.subclouds_per_second
            ),
            Outcome::AlreadyImported => write!(f, "already imported: nothing was written"),
            Outcome::Refused => write!(f, "refused: nothing was written"),
        }
    }
}

fn list(f: &mut fmt::Formatter<'_>, title: &str, names: &BTreeSet<String>) -> fmt::Result {
    if names.is_empty() {
        return Ok(());
    }
    writeln!(f, "{title}: {}", names.iter().cloned().collect::<Vec<_>>().join(", "))
}
