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
    ConnectOptions, Sqlite, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{
    Journal, OpenError,
    open::assemble,
    sql::{self, Connect, PATIENCE},
};

/// The file, in the data directory.
const FILE: &str = "journal.db";
/// Reading connections; each has a thread of its own.
const READERS: u32 = 4;

sql::driver!(Sqlite, SqliteConnection, begin: "begin immediate", lock: "select head from journal_meta", guard: "select 1");

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
        .connect_lazy_with(options.clone().pragma("query_only", "on"));
    let unusable = |error: &sqlx::Error| OpenError::Unusable {
        place: path.display().to_string(),
        reason: error.to_string(),
        advice: "choose another --data-dir, or restore the file from a backup".to_owned(),
    };
    assemble(&path.display().to_string(), Writer(options), reader, unusable).await
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
