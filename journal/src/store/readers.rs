//! The connections of those that read: a pool asks each one that it is given back whether it lives, which would double the
//! round trips of every read. These are kept beside the pool as long as they answer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::{Connection, Database, Pool};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::sql::in_time;

/// A connection that was used so lately is taken for alive.
const FRESH: Duration = Duration::from_secs(1);

/// A pool, and those of its connections that nobody uses now.
pub(super) struct Readers<DB: Database> {
    pool: Pool<DB>,
    idle: Mutex<Vec<Kept<DB>>>,
    /// As many as the pool may have connections, for what is kept here looks used to the pool.
    turns: Arc<Semaphore>,
}

struct Kept<DB: Database> {
    connection: PoolConnection<DB>,
    since: Instant,
}

/// A connection that one reader has.
pub(super) struct Taken<DB: Database> {
    pub(super) connection: PoolConnection<DB>,
    _turn: OwnedSemaphorePermit,
}

impl<DB: Database> Readers<DB> {
    /// The connections of `pool`, which nobody else uses.
    pub(super) fn new(pool: Pool<DB>) -> Self {
        let most = usize::try_from(pool.options().get_max_connections()).unwrap_or(1);
        Self { pool, idle: Mutex::default(), turns: Arc::new(Semaphore::new(most)) }
    }

    /// A connection, waited for no longer than for any answer.
    pub(super) async fn take(&self) -> sqlx::Result<Taken<DB>> {
        let turn =
            async { Arc::clone(&self.turns).acquire_owned().await.map_err(|_| sqlx::Error::PoolClosed) };
        let turn = in_time(turn).await?;
        let kept = self.idle().pop();
        let connection = match kept {
            Some(kept) => in_time(alive(kept)).await?,
            None => None,
        };
        let connection = match connection {
            Some(connection) => connection,
            None => self.pool.acquire().await?,
        };
        Ok(Taken { connection, _turn: turn })
    }

    /// Keeps a connection that answered. One that failed is closed without asking the server, which may never answer.
    pub(super) fn give_back<T>(&self, taken: Taken<DB>, answer: sqlx::Result<T>) -> sqlx::Result<T> {
        let Taken { connection, .. } = taken;
        match answer {
            Ok(_) => self.idle().push(Kept { connection, since: Instant::now() }),
            Err(_) => drop(connection.detach()),
        }
        answer
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Kept<DB>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that was kept, unless it has died since.
async fn alive<DB: Database>(kept: Kept<DB>) -> sqlx::Result<Option<PoolConnection<DB>>> {
    let Kept { mut connection, since } = kept;
    if since.elapsed() < FRESH || connection.ping().await.is_ok() {
        return Ok(Some(connection));
    }
    drop(connection.detach());
    Ok(None)
}
