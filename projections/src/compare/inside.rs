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
        let last = end_of_page(connection, table, one, self.after.as_deref()).await?;
        let columns: Vec<&str> = if self.seeks_missing { Vec::new() } else { table.columns().collect() };
        let bounds = Bounds { after: self.after.as_deref(), last: last.as_deref() };
        let text = unequal(table, (one, other), &columns, &bounds);
        let cells = bounds.after.into_iter().chain(bounds.last).flatten().cloned();
        let query = cells.fold(sqlx::query(sql(text)), |query, cell| cell.bind(query));
        for row in query.fetch_all(&mut *connection).await? {
            let key = (0..table.key().len()).map(|index| cell(&row, index)).collect::<Result<_, _>>()?;
            self.comparison.keep(self.table, key);
        }
        if last.is_none() {
            self.table += usize::from(self.seeks_missing);
            self.seeks_missing = !self.seeks_missing;
        }
        self.after = last;
        Ok(true)
    }

    /// Where to look again.
    pub(crate) fn end(self) -> Comparison {
        self.comparison
    }
}

/// The keys that a page lies between: behind the first, up to the last, where there are any.
struct Bounds<'a> {
    after: Option<&'a [Cell]>,
    last: Option<&'a [Cell]>,
}

impl Bounds<'_> {
    /// That a row of `alias` is on the page; its parameters are the cells of the two keys.
    fn hold(&self, alias: &str, table: &Table) -> String {
        let key = table.key().iter().map(|column| format!("{alias}.{column}")).collect::<Vec<_>>().join(", ");
        let mut next = 1;
        let mut bound = |than: &str, cells: &[Cell]| {
            let bound = format!(" and ({key}) {than} ({})", placeholders(next, cells.len()));
            next += cells.len();
            bound
        };
        let after = self.after.map(|cells| bound(">", cells));
        let last = self.last.map(|cells| bound("<=", cells));
        after.into_iter().chain(last).collect()
    }
}

/// The key of the last row of a full page behind the key `after`.
async fn end_of_page(
    connection: &mut AnyConnection,
    table: &Table,
    version: i64,
    after: Option<&[Cell]>,
) -> Result<Option<Vec<Cell>>, sqlx::Error> {
    let (named, key) = (table.named(version), table.key().join(", "));
    let behind = Bounds { after, last: None }.hold("one", table);
    let skipped = LONG_PAGE - 1;
    let text =
        format!("select {key} from {named} one where true{behind} order by {key} limit 1 offset {skipped}");
    let cells = after.into_iter().flatten().cloned();
    let query = cells.fold(sqlx::query(sql(text)), |query, cell| cell.bind(query));
    query.fetch_optional(connection).await?.map(|row| key_of(table, &row)).transpose()
}

/// The statement for the keys of a page's rows that the other version has otherwise in `columns`, or not at all. The page is
/// looked for in both by its bounds: by equal keys alone, each page could have the whole of the other version read.
fn unequal(table: &Table, (one, other): (i64, i64), columns: &[&str], bounds: &Bounds<'_>) -> String {
    let named =
        |alias: &str| table.key().iter().map(|column| format!("{alias}.{column}")).collect::<Vec<_>>();
    let (keys, others) = (named("one"), named("other"));
    let equal = keys.iter().zip(&others).map(|(one, other)| format!("{one} = {other}"));
    let absent = others.first().map(|key| format!("{key} is null"));
    let differs = columns.iter().map(|column| format!("one.{column} is distinct from other.{column}"));
    format!(
        "select {} from {} one left join {} other on {}{} where ({}){}",
        keys.join(", "),
        table.named(one),
        table.named(other),
        equal.collect::<Vec<_>>().join(" and "),
        bounds.hold("other", table),
        absent.into_iter().chain(differs).collect::<Vec<_>>().join(" or "),
        bounds.hold("one", table),
    )
}
