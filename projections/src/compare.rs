//! Comparing two versions of a read model, wherever each of them is: row by row, told apart by their keys, page by page,
//! so that neither is held in memory and no statement takes long.

mod inside;

use std::collections::HashMap;

use serde_json::{Map, Value};
use sqlx::any::{AnyRow, AnyTypeInfoKind};
use sqlx::{AnyConnection, Column, Row, TypeInfo, ValueRef};
use uuid::Uuid;

use crate::projection::{Projection, Source};
use crate::rows::{self, Cell, placeholders};
use crate::store::sql;
use crate::table::Table;
pub(crate) use inside::WalkInside;

/// Rows of one page.
const PAGE: usize = 500;
/// Differences that are told one by one; more are only counted.
const MOST_TOLD: usize = 1000;
/// Differences that can be looked at again; what live work changes meanwhile must all find place.
const MOST_KEPT: usize = 500_000;

/// Two versions of a read model, and the ways to them.
pub(crate) struct Sides<'a> {
    pub connections: Connections<'a>,
    /// The version that is looked at.
    pub looked_at: i64,
    /// What it should be.
    pub right: i64,
}

/// The ways to the two versions.
pub(crate) enum Connections<'a> {
    /// Both are in one database, to be seen at one moment.
    One(&'a mut AnyConnection),
    /// That of the version that is looked at, and that of the other.
    Two(&'a mut AnyConnection, &'a mut AnyConnection),
}

/// One of the two.
struct Side<'a> {
    connection: &'a mut AnyConnection,
    version: i64,
}

impl Sides<'_> {
    fn looked_at(&mut self) -> Side<'_> {
        let connection = match &mut self.connections {
            Connections::One(both) => both,
            Connections::Two(looked_at, _) => looked_at,
        };
        Side { connection, version: self.looked_at }
    }

    fn right(&mut self) -> Side<'_> {
        let connection = match &mut self.connections {
            Connections::One(both) => both,
            Connections::Two(_, right) => right,
        };
        Side { connection, version: self.right }
    }
}

/// A row that the two versions do not agree on.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Difference {
    /// The table, without its version.
    pub table: String,
    /// What tells the row from others, by column.
    pub key: Map<String, Value>,
    /// What is wrong with it.
    pub problem: Problem,
    /// The columns that differ, if both have the row.
    pub columns: Vec<String>,
}

/// What is wrong with a row of the version that is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Problem {
    /// It is not there, and should be.
    Missing,
    /// It is there, and should not be.
    Unexpected,
    /// It is there, and should be another.
    Different,
}

/// What a comparison found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Comparison {
    /// Rows of the version that was looked at.
    pub rows: u64,
    found: Vec<Found>,
    /// The first of them, as they are told.
    told: Vec<Difference>,
    /// Differences beyond those that are kept.
    beyond: u64,
}

/// A difference, so that it can be looked at again.
#[derive(Clone, Debug)]
struct Found {
    table: usize,
    key: Vec<Cell>,
}

/// A row by its key.
type Page = HashMap<Vec<Cell>, AnyRow>;

impl Comparison {
    /// How many rows differ.
    pub(crate) fn count(&self) -> u64 {
        self.found.len() as u64 + self.beyond
    }

    /// The differences that are told one by one.
    pub(crate) fn differences(&self) -> &[Difference] {
        &self.told
    }

    fn keep(&mut self, table: usize, key: Vec<Cell>) {
        match self.found.len() < MOST_KEPT {
            true => self.found.push(Found { table, key }),
            false => self.beyond += 1,
        }
    }

    fn add(&mut self, table: (usize, &Table), key: Vec<Cell>, problem: Problem, columns: Vec<String>) {
        if self.told.len() < MOST_TOLD {
            let named = table.1.key().iter().map(|column| (*column).to_owned());
            let key = named.zip(key.iter().map(value)).collect();
            self.told.push(Difference { table: table.1.name().to_owned(), key, problem, columns });
        }
        self.keep(table.0, key);
    }

    /// Compares rows of `table`: `right` is what `looked_at` should be.
    fn compare(&mut self, table: (usize, &Table), looked_at: &Page, right: &Page) {
        for (key, row) in looked_at {
            match right.get(key) {
                None => self.add(table, key.clone(), Problem::Unexpected, Vec::new()),
                Some(other) => match differing(row, other) {
                    columns if columns.is_empty() => {}
                    columns => self.add(table, key.clone(), Problem::Different, columns),
                },
            }
        }
    }

    fn compare_missing(&mut self, table: (usize, &Table), looked_at: &Page, right: &Page) {
        for key in right.keys().filter(|key| !looked_at.contains_key(*key)) {
            self.add(table, key.clone(), Problem::Missing, Vec::new());
        }
    }
}

/// The comparison of all rows, a page at a time.
pub(crate) struct Walk {
    tables: Vec<Table>,
    table: usize,
    /// Whether the rows that are looked at are all compared, and those are sought that are missing among them.
    seeks_missing: bool,
    /// The key behind which to go on.
    after: Option<Vec<Cell>>,
    /// Rows of the table that both sides have.
    matched: u64,
    comparison: Comparison,
}

impl Walk {
    /// The tables of `projection`, of which nothing is compared yet.
    pub(crate) fn new(projection: &dyn Projection) -> Self {
        let (tables, comparison) = (projection.tables(), Comparison::default());
        Self { tables, table: 0, seeks_missing: false, after: None, matched: 0, comparison }
    }

    /// Compares the next page. False if there was none.
    ///
    /// # Errors
    /// Those of the databases.
    pub(crate) async fn step(&mut self, sides: &mut Sides<'_>) -> Result<bool, sqlx::Error> {
        let Some(table) = self.tables.get(self.table).cloned() else { return Ok(false) };
        let place = (self.table, &table);
        if self.seeks_missing {
            match sides.right().page(&table, self.after.as_deref()).await? {
                None => self.next_table(),
                Some((last, others)) => {
                    let rows = sides.looked_at().of_keys(&table, &keys(&others)).await?;
                    self.comparison.compare_missing(place, &rows, &others);
                    self.after = Some(last);
                }
            }
            return Ok(true);
        }
        match sides.looked_at().page(&table, self.after.as_deref()).await? {
            Some((last, rows)) => {
                let others = sides.right().of_keys(&table, &keys(&rows)).await?;
                self.matched += others.len() as u64;
                self.comparison.rows += rows.len() as u64;
                self.comparison.compare(place, &rows, &others);
                self.after = Some(last);
            }
            // Only then has the other side rows that were not asked for.
            None if sides.right().count(&table).await? == self.matched => self.next_table(),
            None => {
                self.seeks_missing = true;
                self.after = None;
            }
        }
        Ok(true)
    }

    /// What was found.
    pub(crate) fn end(self) -> Comparison {
        self.comparison
    }

    fn next_table(&mut self) {
        self.table += 1;
        self.seeks_missing = false;
        self.after = None;
        self.matched = 0;
    }
}

fn keys(page: &Page) -> Vec<Vec<Cell>> {
    page.keys().cloned().collect()
}

/// Compares the rows that the streams `uuids` make.
///
/// # Errors
/// Those of the databases.
pub(crate) async fn some(
    projection: &dyn Projection,
    sides: &mut Sides<'_>,
    uuids: &[Uuid],
) -> Result<Comparison, sqlx::Error> {
    let mut comparison = Comparison::default();
    if projection.source() == Source::Together {
        return Ok(comparison);
    }
    for table in projection.tables().iter().enumerate() {
        for uuid in uuids {
            let rows = sides.looked_at().of_stream(table.1, *uuid).await?;
            let others = sides.right().of_stream(table.1, *uuid).await?;
            comparison.rows += rows.len() as u64;
            comparison.compare(table, &rows, &others);
            comparison.compare_missing(table, &rows, &others);
        }
    }
    Ok(comparison)
}

/// Looks at the rows again that `before` found to differ.
///
/// # Errors
/// Those of the databases.
pub(crate) async fn again(
    projection: &dyn Projection,
    sides: &mut Sides<'_>,
    before: &Comparison,
) -> Result<Comparison, sqlx::Error> {
    let mut comparison = Comparison { rows: before.rows, beyond: before.beyond, ..Comparison::default() };
    for table in projection.tables().iter().enumerate() {
        let found = before.found.iter().filter(|found| found.table == table.0);
        let keys: Vec<Vec<Cell>> = found.map(|found| found.key.clone()).collect();
        for keys in keys.chunks(PAGE) {
            let rows = sides.looked_at().of_keys(table.1, keys).await?;
            let others = sides.right().of_keys(table.1, keys).await?;
            comparison.compare(table, &rows, &others);
            comparison.compare_missing(table, &rows, &others);
        }
    }
    Ok(comparison)
}

impl Side<'_> {
    /// The rows behind the key `after`, and the key of the last; `None` if there are none.
    async fn page(
        &mut self,
        table: &Table,
        after: Option<&[Cell]>,
    ) -> Result<Option<(Vec<Cell>, Page)>, sqlx::Error> {
        let key = table.key().join(", ");
        let behind = after
            .map_or_else(String::new, |after| format!("where ({key}) > ({})", placeholders(1, after.len())));
        let named = table.named(self.version);
        let text = format!("select * from {named} {behind} order by {key} limit {PAGE}");
        let cells = after.into_iter().flatten().cloned();
        let query = cells.fold(sqlx::query(sql(text)), |query, cell| cell.bind(query));
        let found = query.fetch_all(&mut *self.connection).await?;
        let Some(last) = found.last() else { return Ok(None) };
        Ok(Some((key_of(table, last)?, by_key(table, found)?)))
    }

    async fn of_keys(&mut self, table: &Table, keys: &[Vec<Cell>]) -> Result<Page, sqlx::Error> {
        let named = table.named(self.version);
        by_key(table, rows::fetch(self.connection, &named, "*", table.key(), keys).await?)
    }

    async fn of_stream(&mut self, table: &Table, uuid: Uuid) -> Result<Page, sqlx::Error> {
        let text = format!("select * from {} where uuid = $1", table.named(self.version));
        let found = sqlx::query(sql(text)).bind(uuid.to_string()).fetch_all(&mut *self.connection).await?;
        by_key(table, found)
    }

    async fn count(&mut self, table: &Table) -> Result<u64, sqlx::Error> {
        let text = format!("select count(*) from {}", table.named(self.version));
        let count: i64 = sqlx::query_scalar(sql(text)).fetch_one(&mut *self.connection).await?;
        Ok(count.unsigned_abs())
    }
}

fn by_key(table: &Table, rows: Vec<AnyRow>) -> Result<Page, sqlx::Error> {
    rows.into_iter().map(|row| Ok((key_of(table, &row)?, row))).collect()
}

fn key_of(table: &Table, row: &AnyRow) -> Result<Vec<Cell>, sqlx::Error> {
    table.key().iter().map(|column| cell(row, row.try_column(*column)?.ordinal())).collect()
}

/// The value of a column. Nothing is nothing, whatever type it would have had.
fn cell(row: &AnyRow, index: usize) -> Result<Cell, sqlx::Error> {
    let raw = row.try_get_raw(index)?;
    if raw.is_null() {
        return Ok(Cell::Text(None));
    }
    match raw.type_info().kind() {
        AnyTypeInfoKind::SmallInt | AnyTypeInfoKind::Integer | AnyTypeInfoKind::BigInt => {
            row.try_get::<i64, _>(index).map(Cell::from)
        }
        AnyTypeInfoKind::Text => row.try_get::<String, _>(index).map(Cell::from),
        _ => Err(sqlx::Error::Decode(format!("a column of type {}", raw.type_info().name()).into())),
    }
}

/// The columns in which two rows differ, by name.
fn differing(row: &AnyRow, other: &AnyRow) -> Vec<String> {
    let differs = |name: &str| {
        let of = |row: &AnyRow| cell(row, row.try_column(name).ok()?.ordinal()).ok();
        of(row) != of(other)
    };
    let names = row.columns().iter().map(|column| column.name());
    let others = other.columns().iter().map(|column| column.name());
    let only_there = others.filter(|name| row.try_column(*name).is_err());
    names.chain(only_there).filter(|name| differs(name)).map(str::to_owned).collect()
}

fn value(cell: &Cell) -> Value {
    match cell {
        Cell::Text(text) => text.clone().into(),
        Cell::Number(number) => (*number).into(),
    }
}
