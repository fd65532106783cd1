//! The connections of those that read: a pool asks each one that it is given back whether it lives, which would double the
//! round trips of every read. These are kept beside the pool as long as they answer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::{Connection, Database, Pool};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::sql::in_time;
use crate::sql::FRESH;

/// How soon a connection that lives says so.
const SOON: Duration = Duration::from_secs(1);

/// How long a connection that nobody needs is kept.
const UNUSED: Duration = Duration::from_secs(600);

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

/// A connection that one reader has. One that is not given back is closed without asking the server, which may never answer.
pub(super) struct Taken<DB: Database> {
    connection: Option<PoolConnection<DB>>,
    _turn: OwnedSemaphorePermit,
}

impl<DB: Database> Taken<DB> {
    /// The connection, as long as it is not given back.
    pub(super) fn connection(&mut self) -> sqlx::Result<&mut DB::Connection> {
        self.connection.as_deref_mut().ok_or(sqlx::Error::PoolClosed)
    }

    /// Whether there is a connection that says soon that it lives.
    async fn is_alive(&mut self) -> bool {
        match &mut self.connection {
            Some(connection) => matches!(tokio::time::timeout(SOON, connection.ping()).await, Ok(Ok(()))),
            None => false,
        }
    }

    fn close(&mut self) {
        drop(self.connection.take().map(PoolConnection::detach));
    }
}

impl<DB: Database> Drop for Taken<DB> {
    fn drop(&mut self) {
        self.close();
    }
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
        let (connection, since) = kept.map(|Kept { connection, since }| (connection, since)).unzip();
        // Taken before it is asked whether it lives: a caller that goes away meanwhile leaves a connection that is closed.
        let mut taken = Taken { connection, _turn: turn };
        if since.is_none_or(|since| since.elapsed() >= FRESH) && !taken.is_alive().await {
            taken.close();
            taken.connection = Some(self.pool.acquire().await?);
        }
        Ok(taken)
    }

    /// Keeps a connection that answered.
    pub(super) fn give_back<T>(&self, mut taken: Taken<DB>, answer: sqlx::Result<T>) -> sqlx::Result<T> {
        if answer.is_ok()
            && let Some(connection) = taken.connection.take()
        {
            let mut idle = self.idle();
            idle.push(Kept { connection, since: Instant::now() });
            // Those at the bottom were needed by so many at once as have not come since.
            let unused = idle.iter().take_while(|kept| kept.since.elapsed() >= UNUSED).count();
            idle.drain(..unused).for_each(|kept| drop(kept.connection.detach()));
        }
        answer
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Kept<DB>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use sqlx::sqlite::SqlitePoolOptions;

    use super::*;

    #[tokio::test]
    async fn a_connection_whose_reader_goes_away_while_it_is_asked_is_closed() {
        let pool = SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await.unwrap();
        let readers = Readers::new(pool.clone());
        let mut taken = readers.take().await.unwrap();
        {
            // What is left to do keeps the connection from answering at once.
            let long = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 1000000) \
                        select count(*) from n";
            let busy = std::pin::pin!(sqlx::query(long).fetch_one(taken.connection().unwrap()));
            assert!(futures::poll!(busy).is_pending());
        }
        readers.give_back(taken, Ok(())).unwrap();
        for kept in &mut *readers.idle() {
            kept.since = kept.since.checked_sub(FRESH).unwrap();
        }
        {
            let asking = std::pin::pin!(readers.take());
            assert!(futures::poll!(asking).is_pending(), "it is asked whether it lives");
        }
        // Given back, it would be asked by the pool, for ever should nobody answer, and hold its place that long.
        assert_eq!(pool.size(), 0);
        assert!(readers.take().await.is_ok());
    }

    #[tokio::test]
    async fn connections_that_nobody_needed_for_long_are_closed() {
        let pool = SqlitePoolOptions::new().max_connections(3).connect_lazy("sqlite::memory:").unwrap();
        let readers = Readers::new(pool.clone());
        let taken = [readers.take().await.unwrap(), readers.take().await.unwrap()];
        let another = readers.take().await.unwrap();
        for taken in taken {
            readers.give_back(taken, Ok(())).unwrap();
        }
        assert_eq!(pool.size(), 3);
        for kept in &mut *readers.idle() {
            kept.since = kept.since.checked_sub(UNUSED).unwrap();
        }
        readers.give_back(another, Ok(())).unwrap();
        assert_eq!(pool.size(), 1);
    }
}
