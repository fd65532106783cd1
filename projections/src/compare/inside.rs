//! Comparing two versions in one database, which does it by itself: no row leaves it but those that differ.

use sqlx::AnyConnection;

use super::{Comparison, cell, key_of};
use crate::projection::Projection;
use crate::rows::{Cell, placeholders};
use crate::store::sql;
use crate::table::Table;

/// Rows of one page.
const LONG_PAGE: usize = 5000;

/// The comparison of all rows of two versions in one database, which compares them by itself, a page at a time. It finds
/// where to look [again](super::again).
pub(crate) struct WalkInside {
    tables: Vec<Table>,
    table: usize,
    /// Whether the rows of the one that is looked at are all compared, and those of the other are sought there.
    seeks_missing: bool,
    after: Option<Vec<Cell>>,
    comparison: Comparison,
}

impl WalkInside {
    /// The tables of `projection`, of which nothing is compared yet.
    pub(crate) fn new(projection: &dyn Projection) -> Self {
        let (tables, comparison) = (projection.tables(), Comparison::default());
        Self { tables, table: 0, seeks_missing: false, after: None, comparison }
    }

    /// Compares the next page of `looked_at` with `right`. False if there was none.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) async fn step(
        &mut self,
        connection: &mut AnyConnection,
        looked_at: i64,
        right: i64,
    ) -> Result<bool, sqlx::Error> {
        let Some(table) = self.tables.get(self.table) else { return Ok(false) };
        let (one, other) = if self.seeks_missing { (right, looked_at) } else { (looked_at, right) };
        let columns: Vec<&str> = if self.seeks_missing { Vec::new() } else { table.columns().collect() };
        let (page, other) = (long_page(table, one, self.after.as_deref()), table.named(other));
        let named =
            |alias: &str| table.key().iter().map(|column| format!("{alias}.{column}")).collect::<Vec<_>>();
        let (keys, others) = (named("one"), named("other"));
        let equal = keys.iter().zip(&others).map(|(one, other)| format!("{one} = {other}"));
        let absent = others.first().map(|key| format!("{key} is null"));
        let differs = columns.iter().map(|column| format!("one.{column} is distinct from other.{column}"));
        let text = format!(
            "select {} from ({page}) one left join {other} other on {} where {}",
            keys.join(", "),
            equal.collect::<Vec<_>>().join(" and "),
            absent.into_iter().chain(differs).collect::<Vec<_>>().join(" or ")
        );
        let after = || self.after.iter().flatten().cloned();
        let query = after().fold(sqlx::query(sql(text)), |query, cell| cell.bind(query));
        for row in query.fetch_all(&mut *connection).await? {
            let key = (0..table.key().len()).map(|index| cell(&row, index)).collect::<Result<_, _>>()?;
            self.comparison.keep(self.table, key);
        }
        let key = table.key().join(", ");
        let backwards: Vec<String> = table.key().iter().map(|column| format!("{column} desc")).collect();
        let last = format!("select {key} from ({page}) page order by {} limit 1", backwards.join(", "));
        let query = after().fold(sqlx::query(sql(last)), |query, cell| cell.bind(query));
        match query.fetch_optional(&mut *connection).await? {
            Some(row) => self.after = Some(key_of(table, &row)?),
            None if self.seeks_missing => {
                self.table += 1;
                self.seeks_missing = false;
                self.after = None;
            }
            None => {
                self.seeks_missing = true;
                self.after = None;
            }
        }
        Ok(true)
    }

    /// Where to look again.
    pub(crate) fn end(self) -> Comparison {
        self.comparison
    }
}

/// The next rows of a version behind the key `after`.
fn long_page(table: &Table, version: i64, after: Option<&[Cell]>) -> String {
    let (named, key) = (table.named(version), table.key().join(", "));
    let behind =
        after.map_or_else(String::new, |after| format!("where ({key}) > ({})", placeholders(1, after.len())));
    format!("select * from {named} {behind} order by {key} limit {LONG_PAGE}")
}
