//! From old rows to what is written: pure, row by row. What is odd is kept and reported; what cannot be kept is an error.

pub mod documents;
mod fleet;
mod strategy;
mod subcloud;

use std::collections::BTreeSet;
use std::fmt::Display;

use dcm_domain::options::SwUpdateOptionsImported;
use dcm_domain::strategy::{ImportedStep, StrategyImported};
use dcm_domain::value::Timestamp;
use dcm_journal::vault::NewEntry;
use sha2::{Digest, Sha256};

use self::documents::{DigestFn, Documents};
use super::ids::Ids;
use super::overrides::Overrides;
use super::report::{Count, Finding, Kind, Report};
use super::row::{Row, Unusable};
use super::source::Snapshot;
use super::tables;
pub use fleet::{AssociationToImport, GroupToImport, PeerGroupToImport, PeerToImport};
pub use subcloud::SubcloudToImport;

/// Everything that is to be written.
#[derive(Debug)]
pub struct Translation {
    /// Digest of all that is taken over, hex: of the rows, and of the files beside them if there are any.
    pub digest: String,
    /// Documents and passwords, before any event.
    pub entries: Vec<NewEntry>,
    /// Subclouds, by id.
    pub subclouds: Vec<SubcloudToImport>,
    /// Groups, by id.
    pub groups: Vec<GroupToImport>,
    /// Peer groups, by id.
    pub peer_groups: Vec<PeerGroupToImport>,
    /// System peers, by id.
    pub peers: Vec<PeerToImport>,
    /// Associations, by id.
    pub associations: Vec<AssociationToImport>,
    /// Update options, the default included.
    pub options: Vec<SwUpdateOptionsImported>,
    /// The strategy with its steps, if there is one.
    pub strategy: Option<(StrategyImported, Vec<ImportedStep>)>,
}

/// Translates one snapshot.
struct Translator<'a> {
    snapshot: &'a Snapshot,
    ids: &'a Ids,
    documents: Documents<'a>,
    /// Digest of the files that were read; `None` while there was none.
    files: Option<Sha256>,
    report: Report,
}

/// Translates `snapshot`. `digest` tells documents apart, `at` is when it is taken over.
pub fn translate(
    snapshot: &Snapshot,
    ids: &Ids,
    overrides: Option<&Overrides>,
    digest: &DigestFn,
    at: Timestamp,
) -> (Translation, Report) {
    let report = Report {
        source: snapshot.source.clone(),
        tables: counts(snapshot),
        unknown_tables: snapshot.unknown_tables.clone(),
        unknown_columns: snapshot.unknown_columns.clone(),
        ..Report::default()
    };
    let documents = Documents::new(ids, digest);
    let mut translator = Translator { snapshot, ids, documents, files: None, report };
    let subclouds = translator.subclouds(overrides);
    translator.examine(&subclouds);
    let groups = translator.groups();
    let peer_groups = translator.peer_groups();
    let peers = translator.peers();
    let associations = translator.associations();
    let options = translator.options(&subclouds);
    let strategy = translator.strategy(&subclouds, at);
    let Translator { documents, files, report, .. } = translator;
    let digest = whole_digest(snapshot, files);
    let entries = documents.entries;
    let translation = Translation {
        digest,
        entries,
        subclouds,
        groups,
        peer_groups,
        peers,
        associations,
        options,
        strategy,
    };
    (translation, report)
}

/// One digest of rows and files, so that an import only goes on with both as they were.
fn whole_digest(snapshot: &Snapshot, files: Option<Sha256>) -> String {
    match files {
        None => snapshot.digest.clone(),
        Some(files) => {
            let rows = Sha256::new().chain_update(&snapshot.digest);
            hex::encode(rows.chain_update(files.finalize()).finalize())
        }
    }
}

fn counts(snapshot: &Snapshot) -> std::collections::BTreeMap<&'static str, Count> {
    let count = |table: &tables::Table| {
        let deleted = snapshot.deleted.get(table.name).copied().unwrap_or(0);
        (table.name, Count { rows: snapshot.table(table.name).len() as u64, deleted })
    };
    tables::READ.iter().map(count).collect()
}

impl Translator<'_> {
    /// The ids of a table's rows.
    fn ids_of(&self, table: &str) -> BTreeSet<i64> {
        self.snapshot.table(table).iter().map(|row| row.id).collect()
    }

    /// Rows that no one row stands for were left out.
    fn left_out(&mut self, table: &'static str, text: String) {
        self.report.findings.push(Finding { kind: Kind::LeftOut, table, row: 0, text });
    }

    fn count_file(&mut self, kind: &'static str) {
        *self.report.files.entry(kind).or_default() += 1;
    }

    /// A text that has no null here; a null becomes empty, and is told.
    fn text(&mut self, row: &Row, column: &'static str) -> String {
        row.text(column).map(str::to_owned).unwrap_or_else(|| {
            self.report.find(Kind::Null, row, format!("{column} is null; it is shown empty"));
            String::new()
        })
    }

    /// A number that has no null here; a null becomes `otherwise`, and is told.
    fn number(&mut self, row: &Row, column: &'static str, otherwise: i64) -> Result<i64, Unusable> {
        Ok(row.number(column)?.unwrap_or_else(|| {
            self.report.find(Kind::Null, row, format!("{column} is null; {otherwise} stands in its place"));
            otherwise
        }))
    }

    /// A word that has no null here; a null becomes `otherwise`, which new rows have (subclouds.md §3.1), and is told.
    fn word<T: Copy + Display>(
        &mut self,
        row: &Row,
        column: &'static str,
        parse: fn(&str) -> Option<T>,
        otherwise: T,
    ) -> Result<T, Unusable> {
        Ok(row.some_word(column, parse)?.unwrap_or_else(|| {
            self.report.find(Kind::Null, row, format!("{column} is null; {otherwise} stands in its place"));
            otherwise
        }))
    }

    /// When the row was made; a null becomes the beginning of 1970, and is told.
    fn created_at(&mut self, row: &Row) -> Result<Timestamp, Unusable> {
        Ok(row.time("created_at")?.unwrap_or_else(|| {
            self.report.find(Kind::Null, row, "created_at is null; 1970-01-01 stands in its place");
            Timestamp::from_micros(0)
        }))
    }
}
