//! Opening the read models: one pool, SQLite or PostgreSQL, one SQL text.

use std::path::Path;
use std::sync::{Arc, Once};
use std::time::Duration;

use dcm_journal::outage::Told;
use dcm_journal::{trusting, whole};
use dcm_schemas::JournalId;
use sqlx::AnyPool;
use sqlx::any::AnyPoolOptions;
use sqlx::{AssertSqlSafe, Executor, Row, SqlSafeStr, SqlStr};

use crate::alarms::Alarms;
use crate::associations::Associations;
use crate::checkpoint::{self, Checkpoint};
use crate::edition::Edition;
use crate::failure::{self, Failure};
use crate::groups::Groups;
use crate::history::History;
use crate::options::Options;
use crate::peer_groups::PeerGroups;
use crate::progress::Progress;
use crate::projection::Projection;
use crate::rebuild::{self, RebuildStatus};
use crate::strategy::Strategies;
use crate::subclouds::Subclouds;
use crate::system_peers::SystemPeers;

/// How long a query may wait for a connection before the read models count as unavailable.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long a query may take in all; the server ends single statements before.
const DEADLINE: Duration = Duration::from_secs(8);
/// Readers at once.
const READERS: u32 = 8;
/// Readers at once of an embedded file, each of which is a thread with a cache.
const EMBEDDED_READERS: u32 = 4;
/// Writers at once on PostgreSQL: the projector, a rebuild, and what keeps the rebuild's claim meanwhile.
const WRITERS: u32 = 4;
/// Settings of the connections to an embedded file. A lost tail is folded again from the journal: rows and checkpoint are
/// lost together.
const EMBEDDED: &[&str] =
    &["pragma busy_timeout = 3000", "pragma journal_mode = wal", "pragma synchronous = normal"];
/// The same for those that read: what they have read is in the system's cache, and for each of them once more would be memory
/// for nothing.
const EMBEDDED_READER: &[&str] = &["pragma busy_timeout = 3000", "pragma cache_size = -256"];
/// Settings of the connections to a server. As above: one that crashes loses rows and checkpoint together, and the journal
/// has it all.
const SERVER: &[&str] = &["set statement_timeout = '5s'", "set synchronous_commit = off"];
/// The same for those that write: their few statements go by keys, whatever the parameters, and need no plan each time.
const SERVER_WRITER: &[&str] = &[
    "set statement_timeout = '5s'",
    "set synchronous_commit = off",
    "set plan_cache_mode = force_generic_plan",
];
/// Serialises schema changes on PostgreSQL.
const SCHEMA_LOCK: i64 = 0x64_63_6d_5f_70_72_6a;

/// Why the read models cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Neither `embedded:` nor `postgres://…`.
    #[error("unknown read-model URL; expected `embedded:` or `postgres://…`")]
    UnknownUrl,
    /// The directory of the embedded file cannot be made.
    #[error("cannot create the directory of the read models: {0}")]
    NoDirectory(#[from] std::io::Error),
    /// The database failed.
    #[error("the read models cannot be opened: {0}")]
    Database(#[from] sqlx::Error),
}

/// The read models of one journal.
pub struct ReadModels {
    pub(crate) reads: AnyPool,
    pub(crate) writes: AnyPool,
    pub(crate) embedded: bool,
    pub(crate) journal: JournalId,
    projections: Vec<&'static dyn Projection>,
    pub(crate) edition: Edition,
    progress: Progress,
    /// Of the versions that stopped: why.
    pub(crate) stopped: Told<(&'static str, i64)>,
}

/// How far one read model is.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ReadModelStatus {
    /// Its name.
    pub name: String,
    /// The version that is read.
    pub active_version: i64,
    /// The version before it, if it can be rolled back to.
    pub previous_version: Option<i64>,
    /// Where each version is.
    pub checkpoints: Vec<Checkpoint>,
    /// Why the version that is read has stopped, if it has.
    pub failure: Option<Failure>,
    /// The last rebuild, under way or ended.
    pub rebuild: Option<RebuildStatus>,
}

impl ReadModels {
    /// Opens `embedded:` as a file in `data_dir`, or the database at `postgres://…`, and creates what is missing.
    ///
    /// # Errors
    /// [`OpenError`]; never shows the URL.
    pub async fn open(url: &str, data_dir: &Path, journal: JournalId) -> Result<Arc<Self>, OpenError> {
        Self::open_with(url, data_dir, journal, standard()).await
    }

    /// Like [`open`](Self::open), with the read models that `projections` fill. Queries of others will fail.
    ///
    /// # Errors
    /// [`OpenError`]; never shows the URL.
    pub async fn open_with(
        url: &str,
        data_dir: &Path,
        journal: JournalId,
        projections: Vec<&'static dyn Projection>,
    ) -> Result<Arc<Self>, OpenError> {
        install_drivers();
        let (reads, writes, embedded) = match url.split_once(':') {
            Some(("embedded", _)) => {
                std::fs::create_dir_all(data_dir)?;
                let file = data_dir.join("read-models.db");
                let url = format!("sqlite://{}?mode=rwc", file.display());
                // SQLite has one writer; more than one connection for it would only wait for each other.
                let writes = pool(&url, 1, EMBEDDED).await?;
                (pool(&url, EMBEDDED_READERS, EMBEDDED_READER).await?, writes, true)
            }
            Some(("postgres" | "postgresql", _)) => {
                (pool(url, READERS, SERVER).await?, pool(url, WRITERS, SERVER_WRITER).await?, false)
            }
            _ => return Err(OpenError::UnknownUrl),
        };
        let progress = Progress::new(reads.clone());
        // The lock on the directory keeps every other process away from an embedded file.
        let edition = Edition::new(embedded);
        let stopped = Told::default();
        let models = Self { reads, writes, embedded, journal, projections, edition, progress, stopped };
        models.migrate().await?;
        Ok(Arc::new(models))
    }

    /// The projections that fill them.
    pub fn projections(&self) -> &[&'static dyn Projection] {
        &self.projections
    }

    /// The projection of the read model `name`.
    pub(crate) fn projection(&self, name: &str) -> Option<&'static dyn Projection> {
        self.projections.iter().copied().find(|projection| projection.name() == name)
    }

    /// Queries of subclouds.
    pub fn subclouds(self: &Arc<Self>) -> Subclouds {
        Subclouds::new(Arc::clone(self))
    }

    /// Queries of groups.
    pub fn groups(self: &Arc<Self>) -> Groups {
        Groups::new(Arc::clone(self))
    }

    /// Queries of the update strategy.
    pub fn strategies(self: &Arc<Self>) -> Strategies {
        Strategies::new(Arc::clone(self))
    }

    /// Queries of update options.
    pub fn options(self: &Arc<Self>) -> Options {
        Options::new(Arc::clone(self))
    }

    /// Queries of alarm counts.
    pub fn alarms(self: &Arc<Self>) -> Alarms {
        Alarms::new(Arc::clone(self))
    }

    /// Queries of peer groups.
    pub fn peer_groups(self: &Arc<Self>) -> PeerGroups {
        PeerGroups::new(Arc::clone(self))
    }

    /// Queries of system peers.
    pub fn system_peers(self: &Arc<Self>) -> SystemPeers {
        SystemPeers::new(Arc::clone(self))
    }

    /// Queries of associations.
    pub fn associations(self: &Arc<Self>) -> Associations {
        Associations::new(Arc::clone(self))
    }

    /// Queries of histories.
    pub fn history(self: &Arc<Self>) -> History {
        History::new(Arc::clone(self))
    }

    /// How far the projectors are, and waiting for them.
    pub const fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// If it does not.
    pub async fn health(&self) -> Result<(), sqlx::Error> {
        bounded(self.reads.execute("select 1")).await.map(drop)
    }

    /// The pools of readers and writers: name, and how many connections are open, idle, and allowed at most.
    pub fn pools(&self) -> [(&'static str, u32, u32, u32); 2] {
        [("read-models-read", &self.reads), ("read-models-write", &self.writes)].map(|(name, pool)| {
            let idle = u32::try_from(pool.num_idle()).unwrap_or(u32::MAX);
            (name, pool.size(), idle, pool.options().get_max_connections())
        })
    }

    /// How far each read model is.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn status(&self) -> Result<Vec<ReadModelStatus>, sqlx::Error> {
        bounded(async {
            let mut found = Vec::new();
            for row in
                sqlx::query("select name, active_version, previous_version from read_model order by name")
                    .fetch_all(&self.reads)
                    .await?
            {
                let name: String = row.try_get(0)?;
                let checkpoints = checkpoint::of(&self.reads, &name).await?;
                let active_version = row.try_get(1)?;
                let failure = failure::of(&self.reads, &name, active_version).await?;
                let rebuild = rebuild::status(self, &name).await?;
                found.push(ReadModelStatus {
                    name,
                    active_version,
                    failure,
                    rebuild,
                    previous_version: row.try_get(2)?,
                    checkpoints,
                });
            }
            Ok(found)
        })
        .await
    }

    /// The database's own time, in microseconds since 1970: whose claim has run out is not for the clocks of hosts.
    pub(crate) const fn clock(&self) -> &'static str {
        match self.embedded {
            true => "cast(round(unixepoch('subsec') * 1000) as integer) * 1000",
            false => "cast(extract(epoch from clock_timestamp()) * 1000000 as bigint)",
        }
    }

    /// Commits what changes rows that are read.
    pub(crate) async fn commit(&self, tx: sqlx::Transaction<'_, sqlx::Any>) -> Result<(), sqlx::Error> {
        let commit = self.edition.commits();
        tx.commit().await?;
        commit.end();
        Ok(())
    }

    /// The version of a read model that is read now, asked inside the query's own transaction.
    pub(crate) async fn active_version(
        connection: &mut sqlx::AnyConnection,
        name: &str,
    ) -> Result<i64, sqlx::Error> {
        sqlx::query_scalar("select active_version from read_model where name = $1")
            .bind(name.to_owned())
            .fetch_one(connection)
            .await
    }

    async fn migrate(&self) -> Result<(), sqlx::Error> {
        let mut tx = self.writes.begin().await?;
        if !self.embedded {
            sqlx::query("select pg_advisory_xact_lock($1)").bind(SCHEMA_LOCK).execute(&mut *tx).await?;
        }
        for statement in checkpoint::TABLES {
            sqlx::query(*statement).execute(&mut *tx).await?;
        }
        if self.embedded {
            // Whoever had it open before is gone, and what it rebuilt is abandoned.
            sqlx::query("update projection_rebuild set expires_at = 0").execute(&mut *tx).await?;
        }
        for projection in &self.projections {
            // The first version may have been dropped by rebuilds since.
            let known = sqlx::query("select 1 from read_model where name = $1")
                .bind(projection.name())
                .fetch_optional(&mut *tx);
            if known.await?.is_some() {
                continue;
            }
            for table in projection.tables() {
                let create = table.create(1, self.embedded);
                for statement in std::iter::once(create).chain(table.create_indices(1)) {
                    sqlx::query(sql(statement)).execute(&mut *tx).await?;
                }
            }
            checkpoint::register(&mut tx, *projection, 1, self.journal).await?;
        }
        tx.commit().await
    }
}

/// Every projection of the product.
fn standard() -> Vec<&'static dyn Projection> {
    vec![
        &crate::subclouds::PROJECTION,
        &crate::groups::PROJECTION,
        &crate::history::PROJECTION,
        &crate::strategy::PROJECTION,
        &crate::options::PROJECTION,
        &crate::alarms::PROJECTION,
        &crate::peer_groups::PROJECTION,
        &crate::system_peers::PROJECTION,
        &crate::associations::PROJECTION,
    ]
}

/// Makes a query, which takes no longer than any query may: a database that is cut off does not even refuse.
pub(crate) async fn bounded<T>(
    query: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    tokio::time::timeout(DEADLINE, query).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}

/// SQL made from constants and version numbers, never from input.
pub(crate) fn sql(text: String) -> SqlStr {
    AssertSqlSafe(text).into_sql_str()
}

pub(crate) fn install_drivers() {
    static ONCE: Once = Once::new();
    ONCE.call_once(sqlx::any::install_default_drivers);
}

async fn pool(
    url: &str,
    connections: u32,
    settings: &'static [&'static str],
) -> Result<AnyPool, sqlx::Error> {
    let options = trusting(AnyPoolOptions::new());
    let options = if url.starts_with("sqlite:") { whole(options) } else { options };
    options
        .max_connections(connections)
        .acquire_timeout(PATIENCE)
        .after_connect(move |connection, _| {
            Box::pin(async move {
                for setting in settings {
                    connection.execute(*setting).await?;
                }
                Ok(())
            })
        })
        .connect(url)
        .await
}
