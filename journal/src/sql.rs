//! SQLite or PostgreSQL behind one handle, for the small tables beside the journal: vault and leases.
//!
//! Their SQL is one text for both engines; what differs (opening, the clock, how a schema is created while others
//! do the same) is in this file. Every operation has a deadline: a store that is gone or hangs is an error, soon.

use std::fs::{DirBuilder, OpenOptions};
use std::future::Future;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};
use thiserror::Error;

/// How long to wait for a free connection, or for SQLite's write lock.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long one operation may take in all.
const DEADLINE: Duration = Duration::from_secs(5);
/// Connections per store; its operations are few and short.
const CONNECTIONS: u32 = 4;
/// Serialises schema creation on PostgreSQL, where `create table if not exists` races with itself.
const SCHEMA_LOCK: i64 = 0x64_63_6d_5f_64_64_6c;

/// Why a small store could not be used. Never holds a value that was bound, nor a URL.
#[derive(Debug, Error)]
pub enum SqlError {
    /// The store, or the way to it, failed.
    #[error("the store failed: {0}")]
    Failed(#[from] sqlx::Error),
    /// The store did not answer in time.
    #[error("the store did not answer within {} s", DEADLINE.as_secs())]
    TimedOut,
    /// The file of an embedded store, or its directory, could not be made.
    #[error("cannot create {path}: {cause}")]
    NotCreated {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// Neither `embedded:` nor `postgres://…`.
    #[error("unknown store URL; expected `embedded:` or `postgres://…`")]
    UnknownUrl,
}

/// A connection that has been idle for less than this is taken for alive: to ask it first would double every round trip.
pub(crate) const FRESH: Duration = Duration::from_secs(1);

/// A pool whose connections are asked whether they live only if they have been idle for a while. One that died since fails
/// its first query, and is not kept.
pub fn trusting<DB: sqlx::Database>(options: sqlx::pool::PoolOptions<DB>) -> sqlx::pool::PoolOptions<DB> {
    use sqlx::Connection;
    options.test_before_acquire(false).before_acquire(|connection, idle| {
        Box::pin(async move {
            match idle.idle_for < FRESH {
                true => Ok(true),
                false => connection.ping().await.map(|()| true),
            }
        })
    })
}

/// A pool of connections to an embedded file, none of which is used again if it counts as in a transaction when it is given
/// back. A full disk makes SQLite end a transaction by itself, which its driver does not see: the next one would be taken for
/// a part of the one that is gone, and what it commits would be seen by nobody and keep everybody else from writing.
pub fn whole<DB: sqlx::Database>(options: sqlx::pool::PoolOptions<DB>) -> sqlx::pool::PoolOptions<DB> {
    use sqlx::Connection;
    options.after_release(|connection, _| {
        Box::pin(async move {
            // A rollback that was begun comes before the answer.
            connection.ping().await?;
            Ok(!connection.is_in_transaction())
        })
    })
}

/// A pool of connections to one of the two engines.
#[derive(Clone, Debug)]
pub(crate) enum Db {
    /// An embedded file.
    Sqlite(SqlitePool),
    /// A server.
    Postgres(PgPool),
}

/// Runs the same expression on the pool of either engine; its SQL must be of the portable subset.
macro_rules! on_engine {
    ($db:expr, $pool:ident => $body:expr) => {
        match $db {
            $crate::sql::Db::Sqlite($pool) => $body,
            $crate::sql::Db::Postgres($pool) => $body,
        }
    };
}
pub(crate) use on_engine;

impl Db {
    /// Opens `embedded:` as `<data_dir>/<file>`, created with mode 0600, or the server at `postgres://…`.
    pub(crate) async fn open(url: &str, data_dir: &Path, file: &str) -> Result<Self, SqlError> {
        match url.split_once(':') {
            Some(("embedded", _)) => Self::open_file(data_dir, file).await,
            Some(("postgres" | "postgresql", _)) => Self::open_server(url).await,
            _ => Err(SqlError::UnknownUrl),
        }
    }

    async fn open_file(data_dir: &Path, file: &str) -> Result<Self, SqlError> {
        let path = data_dir.join(file);
        create_private(data_dir, &path)?;
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .busy_timeout(PATIENCE)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("secure_delete", "on");
        let connect = async {
            loop {
                let pool = whole(SqlitePoolOptions::new())
                    .max_connections(CONNECTIONS)
                    .acquire_timeout(PATIENCE)
                    .connect_with(options.clone())
                    .await;
                match pool {
                    // The switch to WAL does not wait for a lock; somebody else may be making the same switch.
                    Err(error) if is_busy(&error) => tokio::time::sleep(Duration::from_millis(10)).await,
                    other => return other,
                }
            }
        };
        bounded(connect).await.map(Self::Sqlite)
    }

    async fn open_server(url: &str) -> Result<Self, SqlError> {
        let options = PgConnectOptions::from_str(url)?;
        let pool =
            PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(PATIENCE).connect_with(options);
        bounded(pool).await.map(Self::Postgres)
    }

    /// Whether the store is a file of this host's.
    pub(crate) fn is_embedded(&self) -> bool {
        matches!(self, Self::Sqlite(_))
    }

    /// Runs `statements`, which create what does not exist yet. Safe while others do the same.
    pub(crate) async fn create_schema(&self, statements: &'static str) -> Result<(), SqlError> {
        let create = async {
            match self {
                Self::Sqlite(pool) => sqlx::raw_sql(statements).execute(pool).await.map(drop),
                Self::Postgres(pool) => {
                    let mut tx = pool.begin().await?;
                    sqlx::query("select pg_advisory_xact_lock($1)")
                        .bind(SCHEMA_LOCK)
                        .execute(&mut *tx)
                        .await?;
                    sqlx::raw_sql(statements).execute(&mut *tx).await?;
                    tx.commit().await
                }
            }
        };
        bounded(create).await
    }

    /// `template` with every `{now}` replaced by the database's own clock, in microseconds since 1970.
    pub(crate) fn with_clock(&self, template: &'static str) -> SqlStr {
        let now = match self {
            Self::Sqlite(_) => "cast(round(unixepoch('subsec') * 1000) as integer) * 1000",
            Self::Postgres(_) => "cast(extract(epoch from clock_timestamp()) * 1000000 as bigint)",
        };
        AssertSqlSafe(template.replace("{now}", now)).into_sql_str()
    }

    /// Moves the write-ahead log into the file and empties it, so that what `secure_delete` overwrote is in neither.
    /// On a server that is its own vacuum's work.
    pub(crate) async fn scrub(&self) -> Result<(), SqlError> {
        match self {
            Self::Sqlite(pool) => {
                bounded(async { sqlx::query("pragma wal_checkpoint(truncate)").execute(pool).await }).await?;
                Ok(())
            }
            Self::Postgres(_) => Ok(()),
        }
    }
}

/// Runs `operation` under the deadline that every operation has.
pub(crate) async fn bounded<T>(
    operation: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, SqlError> {
    match tokio::time::timeout(DEADLINE, operation).await {
        Ok(outcome) => outcome.map_err(SqlError::Failed),
        Err(_) => Err(SqlError::TimedOut),
    }
}

/// SQLITE_BUSY, with or without its extended reasons.
fn is_busy(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code()).and_then(|code| code.parse().ok());
    code.is_some_and(|code: i32| code & 0xff == 5)
}

/// Makes directory and file for their owner alone; SQLite gives its side files the same mode.
fn create_private(directory: &Path, file: &Path) -> Result<(), SqlError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        |cause| SqlError::NotCreated { path, cause }
    };
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed(directory))?;
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(file)
        .map(drop)
        .map_err(failed(file))
}
