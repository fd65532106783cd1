//! Reading the database of a running installation: one consistent snapshot, and nothing is ever written.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use sha2::{Digest, Sha256};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row as _};

use super::row::Row;
use super::tables::{self, Table};

/// How long to wait for the connection, and for each statement.
const PATIENCE: Duration = Duration::from_secs(60);
/// Before anything is read: no write can follow, and every read sees the same moment.
const SNAPSHOT: &str = "set datestyle = 'ISO, YMD'; set timezone = 'UTC'; set extra_float_digits = 3;
    begin transaction isolation level repeatable read, read only";
const COLUMNS: &str = "select c.table_name::text, c.column_name::text from information_schema.columns c
    join information_schema.tables t on t.table_schema = c.table_schema and t.table_name = c.table_name
    where c.table_schema = 'public' and t.table_type = 'BASE TABLE'";

/// What the database held at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Which database it is: name and, if it tells, the cluster's own identifier.
    pub source: String,
    /// Digest of every row that is taken over, hex.
    pub digest: String,
    /// The rows that are not deleted, by table and in the order of their ids.
    pub rows: BTreeMap<&'static str, Vec<Row>>,
    /// How many rows of each table are marked as deleted.
    pub deleted: BTreeMap<&'static str, u64>,
    /// Tables this program does not know.
    pub unknown_tables: BTreeSet<String>,
    /// Columns this program does not know, as `table.column`.
    pub unknown_columns: BTreeSet<String>,
}

/// Why there is no snapshot. Never shows the URL or its password.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The URL is none of PostgreSQL.
    #[error("--from: expected postgres://USER:PASSWORD@HOST:PORT/DATABASE")]
    Url,
    /// The database is not there, or does not answer.
    #[error("the source database: {0}")]
    Database(#[from] sqlx::Error),
    /// It does not answer in time.
    #[error("the source database did not answer within {} s", PATIENCE.as_secs())]
    TimedOut,
    /// It is not of this kind.
    #[error("the source database has no {}; is it the right database, and may this user read it?", .0.join(", no "))]
    Missing(Vec<String>),
    /// A row has no id.
    #[error("the source database: a row of {0} has no id")]
    NoId(&'static str),
}

impl Snapshot {
    /// Reads everything from the database at `url`.
    ///
    /// # Errors
    /// [`SourceError`]; a missing table or column is named.
    pub async fn read(url: &str) -> Result<Self, SourceError> {
        let options: PgConnectOptions = match url.split_once("://") {
            Some(("postgres" | "postgresql", _)) => url.parse().map_err(|_| SourceError::Url)?,
            _ => return Err(SourceError::Url),
        };
        let mut connection = in_time(options.disable_statement_logging().connect()).await?;
        in_time(sqlx::raw_sql(SNAPSHOT).execute(&mut connection)).await?;
        let source = identity(&mut connection).await?;
        let there = columns(&mut connection).await?;
        let missing = missing(&there);
        if !missing.is_empty() {
            return Err(SourceError::Missing(missing));
        }
        let (unknown_tables, unknown_columns) = unknown(&there);
        let mut hash = Sha256::new();
        let (mut rows, mut deleted) = (BTreeMap::new(), BTreeMap::new());
        for table in &tables::READ {
            let (kept, gone) = table_rows(&mut connection, table, &mut hash).await?;
            rows.insert(table.name, kept);
            deleted.insert(table.name, gone);
        }
        // Nothing was written: how the transaction ends does not matter.
        let _ = connection.close().await;
        let digest = hex::encode(hash.finalize());
        Ok(Self { source, digest, rows, deleted, unknown_tables, unknown_columns })
    }

    /// The rows of a table.
    pub fn table(&self, name: &str) -> &[Row] {
        self.rows.get(name).map_or(&[], Vec::as_slice)
    }
}

/// Name of the database and identifier of its cluster, which survives renames and moves of the host.
async fn identity(connection: &mut PgConnection) -> Result<String, SourceError> {
    let name: String =
        in_time(sqlx::query_scalar("select current_database()::text").fetch_one(&mut *connection)).await?;
    let allowed = "select has_function_privilege('pg_catalog.pg_control_system()', 'execute')";
    let allowed: bool = in_time(sqlx::query_scalar(allowed).fetch_one(&mut *connection)).await?;
    if !allowed {
        return Ok(name);
    }
    let system = "select system_identifier::text from pg_catalog.pg_control_system()";
    let system: String = in_time(sqlx::query_scalar(system).fetch_one(connection)).await?;
    Ok(format!("{name}@{system}"))
}

type Columns = BTreeMap<String, BTreeSet<String>>;

async fn columns(connection: &mut PgConnection) -> Result<Columns, SourceError> {
    let found: Vec<(String, String)> = in_time(sqlx::query_as(COLUMNS).fetch_all(connection)).await?;
    let mut columns = Columns::new();
    for (table, column) in found {
        columns.entry(table).or_default().insert(column);
    }
    Ok(columns)
}

fn missing(there: &Columns) -> Vec<String> {
    let mut missing = Vec::new();
    for table in &tables::READ {
        match there.get(table.name) {
            None => missing.push(format!("table {}", table.name)),
            Some(columns) => missing.extend(
                table
                    .needed()
                    .filter(|column| !columns.contains(*column))
                    .map(|column| format!("column {}.{column}", table.name)),
            ),
        }
    }
    missing
}

fn unknown(there: &Columns) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut tables, mut columns) = (BTreeSet::new(), BTreeSet::new());
    for (name, found) in there {
        match tables::READ.iter().find(|table| table.name == name) {
            Some(table) => columns.extend(
                found.iter().filter(|column| !table.knows(column)).map(|column| format!("{name}.{column}")),
            ),
            None if tables::IGNORED.contains(&name.as_str()) => {}
            None => drop(tables.insert(name.clone())),
        }
    }
    (tables, columns)
}

async fn table_rows(
    connection: &mut PgConnection,
    table: &Table,
    hash: &mut Sha256,
) -> Result<(Vec<Row>, u64), SourceError> {
    let names: Vec<&'static str> = table.needed().collect();
    // The names are this program's own.
    let list = names.iter().map(|name| format!("\"{name}\"::text")).collect::<Vec<_>>().join(", ");
    let text = format!("select {list} from public.\"{}\" order by \"id\"", table.name);
    let found = in_time(sqlx::query(AssertSqlSafe(text)).fetch_all(connection)).await?;
    let (mut rows, mut gone) = (Vec::with_capacity(found.len()), 0);
    hash.update(table.name);
    for row in found {
        let mut values = HashMap::new();
        for (place, name) in names.iter().enumerate() {
            let value: Option<String> = row.try_get(place)?;
            hash.update(match &value {
                Some(text) => [&[1], text.len().to_be_bytes().as_slice(), text.as_bytes()].concat(),
                None => vec![0],
            });
            values.extend(value.map(|value| (*name, value)));
        }
        let is_gone =
            values.get("deleted").is_some_and(|deleted| !["0", "false"].contains(&deleted.as_str()));
        if is_gone {
            gone += 1;
            continue;
        }
        let id = values.get("id").and_then(|id| id.parse().ok()).ok_or(SourceError::NoId(table.name))?;
        rows.push(Row::new(table.name, id, values));
    }
    Ok((rows, gone))
}

async fn in_time<T>(asked: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, SourceError> {
    tokio::time::timeout(PATIENCE, asked).await.map_err(|_| SourceError::TimedOut)?.map_err(SourceError::from)
}
