//! Reading and writing many rows with few statements.
//!
//! A statement's text depends on how many rows it has, and every text is prepared once for each connection; so rows go
//! in statements of a power of two.

use dcm_domain::value::Timestamp;
use sqlx::AnyConnection;
use sqlx::any::AnyRow;
use uuid::Uuid;

use crate::checkpoint::signed;
use crate::store::sql;

/// Values of one statement; PostgreSQL takes 65,535, SQLite 32,766.
const MOST_VALUES: usize = 32_000;
/// Rows of one statement: more make it no quicker.
const MOST_ROWS: usize = 1024;

pub(crate) type AnyQuery<'q> = sqlx::query::Query<'q, sqlx::Any, sqlx::any::AnyArguments>;

/// A value of a row.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Cell {
    Text(Option<String>),
    Number(Option<i64>),
}

impl Cell {
    pub(crate) fn bind(self, query: AnyQuery<'_>) -> AnyQuery<'_> {
        match self {
            Self::Text(text) => query.bind(text.map(storable)),
            Self::Number(number) => query.bind(number),
        }
    }
}

/// A text as every database takes it: PostgreSQL refuses NUL, and one such event must not stop the read model.
fn storable(text: String) -> String {
    match text.contains('\0') {
        true => text.replace('\0', "\u{fffd}"),
        false => text,
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(Some(text))
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.to_owned()))
    }
}

impl From<Option<String>> for Cell {
    fn from(text: Option<String>) -> Self {
        Self::Text(text)
    }
}

impl From<Uuid> for Cell {
    fn from(uuid: Uuid) -> Self {
        uuid.to_string().into()
    }
}

impl From<i64> for Cell {
    fn from(number: i64) -> Self {
        Self::Number(Some(number))
    }
}

impl From<Option<i64>> for Cell {
    fn from(number: Option<i64>) -> Self {
        Self::Number(number)
    }
}

impl From<u64> for Cell {
    fn from(order: u64) -> Self {
        signed(order).into()
    }
}

impl From<bool> for Cell {
    fn from(yes: bool) -> Self {
        i64::from(yes).into()
    }
}

impl From<Timestamp> for Cell {
    fn from(at: Timestamp) -> Self {
        at.micros().into()
    }
}

impl From<Option<Timestamp>> for Cell {
    fn from(at: Option<Timestamp>) -> Self {
        at.map(Timestamp::micros).into()
    }
}

/// What to do with a row whose key is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// It must not be.
    Refuse,
    /// The new one takes its place.
    Replace,
}

/// Where rows go: a table with its version, and all of its columns, of which the first `key` tell rows apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a, const N: usize> {
    pub table: &'a str,
    pub columns: &'a [&'a str; N],
    pub key: usize,
    pub known: Known,
}

impl<const N: usize> Target<'_, N> {
    /// Writes `rows`, no two of one key.
    pub(crate) async fn write(
        &self,
        connection: &mut AnyConnection,
        rows: Vec<[Cell; N]>,
    ) -> Result<(), sqlx::Error> {
        let mut rows = rows.into_iter();
        for count in portions(rows.len(), (MOST_VALUES / N).min(MOST_ROWS)) {
            let query = sqlx::query(sql(self.insert(count)));
            let query = rows.by_ref().take(count).flatten().fold(query, |query, cell| cell.bind(query));
            query.execute(&mut *connection).await?;
        }
        Ok(())
    }

    fn insert(&self, rows: usize) -> String {
        let (table, columns) = (self.table, self.columns.join(", "));
        let text = format!("insert into {table} ({columns}) values {}", tuples(rows, N));
        match self.known {
            Known::Refuse => text,
            Known::Replace => {
                let (key, others) = self.columns.split_at(self.key);
                let set =
                    others.iter().map(|column| format!("{column} = excluded.{column}")).collect::<Vec<_>>();
                format!("{text} on conflict ({}) do update set {}", key.join(", "), set.join(", "))
            }
        }
    }
}

/// The rows of `table` whose `key` is one of `keys`, each with `columns`, in no order.
pub(crate) async fn fetch(
    connection: &mut AnyConnection,
    table: &str,
    columns: &str,
    key: &[&str],
    keys: &[Vec<Cell>],
) -> Result<Vec<AnyRow>, sqlx::Error> {
    let mut found = Vec::new();
    for (places, some) in padded(key.len(), keys) {
        let text = format!("select {columns} from {table} where {} in ({places})", named(key));
        let query = some.into_iter().fold(sqlx::query(sql(text)), |query, cell| cell.bind(query));
        found.extend(query.fetch_all(&mut *connection).await?);
    }
    Ok(found)
}

/// Deletes the rows of `table` whose `key` is one of `keys`.
pub(crate) async fn delete(
    connection: &mut AnyConnection,
    table: &str,
    key: &str,
    keys: &[Vec<Cell>],
) -> Result<(), sqlx::Error> {
    for (places, some) in padded(1, keys) {
        let text = format!("delete from {table} where {key} in ({places})");
        let query = some.into_iter().fold(sqlx::query(sql(text)), |query, cell| cell.bind(query));
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

/// `uuids` as keys of one column.
pub(crate) fn keys<'a>(uuids: impl IntoIterator<Item = &'a Uuid>) -> Vec<Vec<Cell>> {
    uuids.into_iter().map(|uuid| vec![Cell::from(*uuid)]).collect()
}

fn named(key: &[&str]) -> String {
    match key {
        [one] => (*one).to_owned(),
        several => format!("({})", several.join(", ")),
    }
}

/// Keys in portions of a power of two, the last filled up with its own last key, and the places they are bound to.
fn padded(width: usize, keys: &[Vec<Cell>]) -> impl Iterator<Item = (String, Vec<Cell>)> + '_ {
    const MOST_KEYS: usize = 512;
    keys.chunks(MOST_KEYS).map(move |some| {
        let count = some.len().next_power_of_two();
        let padding = some.last().into_iter().cycle().take(count - some.len());
        let places = match width {
            1 => placeholders(1, count),
            _ => format!("values {}", tuples(count, width)),
        };
        (places, some.iter().chain(padding).flatten().cloned().collect())
    })
}

/// `count` as a sum of powers of two, none above `most`.
fn portions(count: usize, most: usize) -> impl Iterator<Item = usize> {
    let largest = 1 << most.max(1).ilog2();
    let mut left = count;
    std::iter::from_fn(move || {
        let portion = (1_usize << left.checked_ilog2()?).min(largest);
        left -= portion;
        Some(portion)
    })
}

/// `$first, $first+1, …`
pub(crate) fn placeholders(first: usize, count: usize) -> String {
    (first..first + count).map(|place| format!("${place}")).collect::<Vec<_>>().join(", ")
}

/// `rows` groups of `columns` numbered placeholders.
fn tuples(rows: usize, columns: usize) -> String {
    let tuple = |row| format!("({})", placeholders(row * columns + 1, columns));
    (0..rows).map(tuple).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_written_in_few_sizes() {
        let all = |count, most| portions(count, most).collect::<Vec<_>>();
        assert_eq!(all(0, 100), [0; 0]);
        assert_eq!(all(1, 1), [1]);
        assert_eq!(all(300, 100), [64, 64, 64, 64, 32, 8, 4]);
        assert_eq!(all(500, 1024), [256, 128, 64, 32, 16, 4]);
    }

    #[test]
    fn keys_fill_up_a_power_of_two() {
        let keys: Vec<Vec<Cell>> = (0..3_i64).map(|key| vec![Cell::from(key), Cell::from(7_i64)]).collect();
        let (places, cells) = padded(2, &keys).next().unwrap_or_default();
        assert_eq!(places, "values ($1, $2), ($3, $4), ($5, $6), ($7, $8)");
        assert_eq!(cells.iter().step_by(2).cloned().collect::<Vec<_>>(), [0, 1, 2, 2].map(Cell::from_i64));
    }

    impl Cell {
        fn from_i64(number: i64) -> Self {
            number.into()
        }
    }
}
