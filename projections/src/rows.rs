//! Reading and writing many rows with few statements.
//!
//! To PostgreSQL any number of rows goes in one statement, an array for each column. To SQLite, which has no arrays and no
//! round trips, a statement's text depends on how many rows it has, and every text is prepared once for each connection; so
//! rows go in statements of a power of two.

use dcm_domain::value::Timestamp;
use sqlx::AnyConnection;
use sqlx::any::AnyRow;
use uuid::Uuid;

use crate::checkpoint::signed;
use crate::store::sql;

/// Values of one statement; PostgreSQL takes 65,535, SQLite 32,766.
const MOST_VALUES: usize = 32_000;
/// Rows of one statement whose values are bound one by one: more make it no quicker.
const MOST_ROWS: usize = 1024;

/// What the driver for both engines calls the one that takes arrays.
const POSTGRES: &str = "PostgreSQL";

pub(crate) type AnyQuery<'q> = sqlx::query::Query<'q, sqlx::Any, sqlx::any::AnyArguments>;

/// A value of a row.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Cell {
    Text(Option<String>),
    Number(Option<i64>),
}

impl Cell {
    /// The type of its column.
    const fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Number(_) => "bigint",
        }
    }

    pub(crate) fn bind(self, query: AnyQuery<'_>) -> AnyQuery<'_> {
        match self {
            Self::Text(text) => query.bind(text.map(storable)),
            Self::Number(number) => query.bind(number),
        }
    }
}

/// The cells of a column as PostgreSQL writes an array.
fn array<'a>(cells: impl Iterator<Item = &'a Cell>) -> String {
    let mut text = String::from("{");
    for cell in cells {
        if text.len() > 1 {
            text.push(',');
        }
        match cell {
            Cell::Text(Some(element)) => quote(element, &mut text),
            Cell::Number(Some(number)) => text.push_str(&number.to_string()),
            Cell::Text(None) | Cell::Number(None) => text.push_str("NULL"),
        }
    }
    text.push('}');
    text
}

/// An element of an array that may hold anything.
fn quote(element: &str, to: &mut String) {
    to.reserve(element.len() + 2);
    to.push('"');
    let mut rest = element;
    // Text between what must be marked is taken over in one piece.
    while let Some(at) = rest.find(['"', '\\', '\0']) {
        let (before, marked) = rest.split_at(at);
        to.push_str(before);
        match marked.as_bytes().first() {
            Some(0) => to.push(REPLACED),
            Some(byte) => to.extend(['\\', char::from(*byte)]),
            None => {}
        }
        rest = marked.get(1..).unwrap_or_default();
    }
    to.push_str(rest);
    to.push('"');
}

/// What stands for a NUL, which PostgreSQL takes in no text.
const REPLACED: char = '\u{fffd}';

/// A text as every database takes it: PostgreSQL refuses NUL, and one such event must not stop the read model.
fn storable(text: String) -> String {
    match text.contains('\0') {
        true => text.replace('\0', &REPLACED.to_string()),
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
        if connection.backend_name() == POSTGRES {
            return self.write_columns(connection, &rows).await;
        }
        let mut rows = rows.into_iter();
        for count in portions(rows.len(), (MOST_VALUES / N).min(MOST_ROWS)) {
            let text = format!("{}{}", self.insert(&format!("values {}", tuples(count, N))), self.on_known());
            let query = sqlx::query(sql(text));
            let query = rows.by_ref().take(count).flatten().fold(query, |query, cell| cell.bind(query));
            query.execute(&mut *connection).await?;
        }
        Ok(())
    }

    /// As [`write`](Self::write), each column as an array.
    async fn write_columns(
        &self,
        connection: &mut AnyConnection,
        rows: &[[Cell; N]],
    ) -> Result<(), sqlx::Error> {
        for insert in rows.chunks(MOST_ROWS).filter_map(|some| self.columns_of(some)) {
            let text = insert.statement(&format!("select * from {}", insert.unnest(1)));
            let query =
                insert.arrays.into_iter().fold(sqlx::query(sql(text)), |query, array| query.bind(array));
            query.execute(&mut *connection).await?;
        }
        Ok(())
    }

    /// An insert of `rows`, each column as an array; `None` without rows.
    pub(crate) fn columns_of(&self, rows: &[[Cell; N]]) -> Option<Insert> {
        let kinds = rows.first()?.iter().map(Cell::kind).collect();
        let arrays = (0..N).map(|column| array(rows.iter().filter_map(|row| row.get(column)))).collect();
        let (into, known) = (self.insert(""), self.on_known());
        Some(Insert { into, known, kinds, arrays })
    }

    fn insert(&self, rows: &str) -> String {
        format!("insert into {} ({}) {rows}", self.table, self.columns.join(", "))
    }

    /// What follows the rows of an insert.
    fn on_known(&self) -> String {
        match self.known {
            Known::Refuse => String::new(),
            Known::Replace => {
                let (key, others) = self.columns.split_at(self.key);
                let set =
                    others.iter().map(|column| format!("{column} = excluded.{column}")).collect::<Vec<_>>();
                format!(" on conflict ({}) do update set {}", key.join(", "), set.join(", "))
            }
        }
    }
}

/// An insert for PostgreSQL with its values, an array for each column. Arrays go as text: the driver for both engines has
/// none.
#[derive(Debug)]
pub(crate) struct Insert {
    into: String,
    known: String,
    kinds: Vec<&'static str>,
    /// The values, column by column: the parameters of [`unnest`](Self::unnest), in their order.
    pub arrays: Vec<String>,
}

impl Insert {
    /// Its text, with `rows` for what selects the rows.
    pub(crate) fn statement(&self, rows: &str) -> String {
        format!("{}{rows}{}", self.into, self.known)
    }

    /// The rows, as the function that makes them of the arrays, the first of which is the parameter `first`.
    pub(crate) fn unnest(&self, first: usize) -> String {
        let arrays = (first..).zip(&self.kinds).map(|(place, kind)| format!("cast(${place} as {kind}[])"));
        format!("unnest({})", arrays.collect::<Vec<_>>().join(", "))
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
    fn an_array_holds_any_text() {
        let texts = ["plain", "", "a \"quoted\" \\ é\n{,}", "NULL", "\0x\0"].map(Cell::from);
        let cells: Vec<Cell> = texts.into_iter().chain([Cell::Text(None)]).collect();
        assert_eq!(
            array(cells.iter()),
            "{\"plain\",\"\",\"a \\\"quoted\\\" \\\\ é\n{,}\",\"NULL\",\"\u{fffd}x\u{fffd}\",NULL}"
        );
        let numbers = [Cell::Number(Some(-7)), Cell::Number(None)];
        assert_eq!(array(numbers.iter()), "{-7,NULL}");
        assert_eq!(array([].iter()), "{}");
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
