//! The embedded journal: one SQLite file.

use std::{
    fs::{DirBuilder, OpenOptions},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use sqlx::{
    ConnectOptions, QueryBuilder, Sqlite, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{
    Journal, OpenError,
    batch::NewRow,
    open::assemble,
    readers::Readers,
    sql::{self, Connect, KnownRow, PATIENCE},
};

/// The file, in the data directory.
const FILE: &str = "journal.db";
/// Reading connections; each has a thread of its own.
const READERS: u32 = 4;

/// What a reading connection keeps of the file, as SQLite writes KiB: the system's cache has it all, for all of them.
const CACHE: &str = "-256";

sql::driver!(Sqlite, SqliteConnection, begin: "begin immediate", guard: "select 1");

/// Begins, takes the right to append, and gives the last order.
async fn lock(connection: &mut SqliteConnection) -> sqlx::Result<i64> {
    sqlx::raw_sql("begin immediate").execute(&mut *connection).await?;
    sqlx::query_scalar(sql::HEAD).fetch_one(connection).await
}

async fn known(
    connection: &mut SqliteConnection,
    streams: &[&str],
    ids: &[&str],
) -> sqlx::Result<Vec<KnownRow>> {
    let mut known = Vec::new();
    let queries = streams.len().max(ids.len()).div_ceil(sql::KNOWN_PER_QUERY);
    for query in 0..queries {
        let mut select = QueryBuilder::<Sqlite>::new(sql::KNOWN_IDS);
        let mut list = select.separated(", ");
        for id in sql::padded(ids.chunks(sql::KNOWN_PER_QUERY).nth(query).unwrap_or_default()) {
            list.push_bind(id);
        }
        select.push(sql::KNOWN_STREAMS);
        values(&mut select, streams.chunks(sql::KNOWN_PER_QUERY).nth(query).unwrap_or_default());
        select.push(sql::KNOWN_END);
        known.extend(select.build_query_as::<KnownRow>().fetch_all(&mut *connection).await?);
    }
    Ok(known)
}

fn values(query: &mut QueryBuilder<Sqlite>, streams: &[&str]) {
    let mut list = query.separated(", ");
    for stream in sql::padded(streams) {
        list.push("(").push_bind_unseparated(stream).push_unseparated(")");
    }
}

async fn write(connection: &mut SqliteConnection, rows: &[NewRow<'_>], head: i64) -> sqlx::Result<()> {
    for part in rows.chunks(sql::ROWS_PER_INSERT) {
        let mut insert = QueryBuilder::<Sqlite>::new(sql::INSERT);
        insert.push_values(part, |mut values, row| {
            values
                .push_bind(sql::int(row.order))
                .push_bind(row.stream)
                .push_bind(sql::int(row.revision))
                .push_bind(row.id)
                .push_bind(row.r#type)
                .push_bind(row.recorded_at)
                .push_bind(row.hash)
                .push_bind(row.body);
        });
        insert.build().execute(&mut *connection).await?;
    }
    sqlx::query(sql::SET_HEAD).bind(head).execute(connection).await.map(drop)
}

async fn write_at(
    connection: &mut SqliteConnection,
    before: i64,
    rows: &[NewRow<'_>],
    head: i64,
) -> sqlx::Result<bool> {
    let still = lock(connection).await? == before;
    if still {
        write(connection, rows, head).await?;
    }
    sqlx::raw_sql("commit").execute(connection).await?;
    Ok(still)
}

struct Writer(SqliteConnectOptions);

#[async_trait]
impl Connect for Writer {
    type Session = SqliteConnection;

    async fn connect(&self) -> sqlx::Result<SqliteConnection> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.0.connect().await {
                // The switch to WAL does not wait for a lock; somebody else may be making the same switch.
                Err(error) if is_busy(&error) && Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                outcome => return outcome,
            }
        }
    }
}

/// Opens or creates the journal in `data_dir`.
pub(super) async fn open(data_dir: &Path) -> Result<Arc<dyn Journal>, OpenError> {
    let path = data_dir.join(FILE);
    create_private(data_dir, &path)
        .map_err(|cause| OpenError::NotCreated { path: path.display().to_string(), cause })?;
    let options = SqliteConnectOptions::new()
        .filename(&path)
        .busy_timeout(PATIENCE)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true);
    let reader = SqlitePoolOptions::new()
        .max_connections(READERS)
        .acquire_timeout(PATIENCE)
        .connect_lazy_with(options.clone().pragma("query_only", "on").pragma("cache_size", CACHE));
    let unusable = |error: &sqlx::Error| OpenError::Unusable {
        place: path.display().to_string(),
        reason: error.to_string(),
        advice: "choose another --data-dir, or restore the file from a backup".to_owned(),
    };
    assemble(&path.display().to_string(), Writer(options), Readers::new(reader), unusable).await
}

/// Makes directory and file for their owner alone; SQLite gives its side files the same mode.
fn create_private(directory: &Path, file: &Path) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(file).map(drop)
}

fn is_busy(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.and_then(|code| code.parse::<u32>().ok()).is_some_and(|code| code & 0xff == 5)
}
