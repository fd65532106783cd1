//! The SQL of the journal: one text for SQLite and PostgreSQL, made into code for each of the two drivers.

use std::{future::Future, time::Duration};

use async_trait::async_trait;

use super::batch::{Known, NewRow};

/// How long a store may take to answer before it counts as unavailable.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// Format of the tables, fixed when a journal is created.
pub(super) const FORMAT: i64 = 1;

/// The tables. `journal_meta` has one row; its `head` is the last order given, and its lock is the right to append.
pub(super) const CREATE: [&str; 2] = [
    "create table if not exists journal_meta (
        one bigint primary key check (one = 1),
        id text not null,
        format bigint not null,
        head bigint not null
    )",
    "create table if not exists journal_event (
        ord bigint primary key,
        stream text not null,
        revision bigint not null,
        id text not null unique,
        type text not null,
        recorded_at bigint not null,
        hash text not null,
        body text not null,
        unique (stream, revision)
    )",
];

/// Names the journal, unless it has a name already. Parameters: id, format.
pub(super) const NAME: &str = "insert into journal_meta (one, id, format, head) values (1, $1, $2, 0)
     on conflict (one) do nothing";

/// What the journal is called and how it is written.
pub(super) const META: &str = "select id, format from journal_meta";

/// The last order given.
pub(super) const HEAD: &str = "select head from journal_meta";

/// Parameters: the new last order.
pub(super) const SET_HEAD: &str = "update journal_meta set head = $1";

/// Parameters: stream, first revision, limit.
pub(super) const READ_STREAM: &str = "select ord, body from journal_event
     where stream = $1 and revision >= $2 order by revision limit $3";

/// Parameters: order before the first, limit.
pub(super) const READ_ALL: &str = "select ord, body from journal_event where ord > $1 order by ord limit $2";

/// SQLite: followed by an id list and [`KNOWN_STREAMS`].
pub(super) const KNOWN_IDS: &str = "select stream, revision, ord, id, hash from journal_event where id in (";

/// Followed by a `values` list of streams, whose column both engines call `column1`, and [`KNOWN_END`].
pub(super) const KNOWN_STREAMS: &str = ") union all
     select e.stream, e.revision, e.ord, e.id, e.hash from (values ";

/// Picks the last event of each stream.
pub(super) const KNOWN_END: &str = ") as wanted join journal_event e on e.stream = wanted.column1
     and e.revision = (select max(revision) from journal_event m where m.stream = wanted.column1)";

/// Followed by a `values` list.
pub(super) const INSERT: &str =
    "insert into journal_event (ord, stream, revision, id, type, recorded_at, hash, body) ";

/// Rows of one insert: eight parameters each stay far below SQLite's 32,766 and PostgreSQL's 65,535.
pub(super) const ROWS_PER_INSERT: usize = 512;

/// Most ids or streams asked for in one query, for the same reason.
pub(super) const KNOWN_PER_QUERY: usize = 4096;

/// A row of a [`Known`].
pub(super) type KnownRow = (String, i64, i64, String, String);

/// The connection of the one that appends, or that looks where streams end. Any error, and any call not waited for, makes it unusable: drop it, which
/// rolls back.
#[async_trait]
pub(super) trait Session: Send {
    /// Begins a transaction, takes the right to append, and returns the last order given.
    async fn begin(&mut self) -> sqlx::Result<u64>;
    /// The last order given; outside of a transaction.
    async fn head(&mut self) -> sqlx::Result<u64>;
    /// The events with one of `ids`, and the last event of each of `streams` (an event may come twice).
    async fn known(&mut self, streams: &[&str], ids: &[&str]) -> sqlx::Result<Vec<Known>>;
    /// Writes `rows`, and the order of the last one as the last order given.
    async fn write(&mut self, rows: &[NewRow<'_>]) -> sqlx::Result<()>;
    /// Outside of a transaction: writes `rows` and commits them, as `write` and `commit` do, if `head` still is the last order
    /// given. Whether it was; if not, nothing is written.
    async fn write_at(&mut self, head: u64, rows: &[NewRow<'_>]) -> sqlx::Result<bool>;
    /// Commits; returns when all is on disk.
    async fn commit(&mut self) -> sqlx::Result<()>;
    /// Creates the tables and names the journal `id` where that was not done before, safe while others do the same.
    /// Returns the id and format of the journal. Needs no right to create if there is nothing to create.
    async fn create(&mut self, id: String) -> sqlx::Result<(String, i64)>;
}

/// Opens such a connection.
#[async_trait]
pub(super) trait Connect: Send + Sync + 'static {
    /// The connection.
    type Session: Session;
    /// A new connection.
    async fn connect(&self) -> sqlx::Result<Self::Session>;
}

/// The readers' queries; rows are order and body.
#[async_trait]
pub(super) trait Reader: Send + Sync {
    /// Events of one stream.
    async fn stream(&self, stream: &str, from: u64, limit: usize) -> sqlx::Result<Vec<(i64, String)>>;
    /// Events of all streams.
    async fn all(&self, after: u64, limit: usize) -> sqlx::Result<Vec<(i64, String)>>;
    /// The last order given.
    async fn head(&self) -> sqlx::Result<i64>;
}

/// Waits for the store no longer than [`PATIENCE`].
pub(super) async fn in_time<T>(answer: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
    tokio::time::timeout(PATIENCE, answer).await.unwrap_or_else(|_| Err(timed_out()))
}

/// The error of a store that did not answer in time.
pub(super) fn timed_out() -> sqlx::Error {
    let reason = format!("no answer within {} s", PATIENCE.as_secs());
    sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, reason))
}

/// As a parameter: the engines have no unsigned integers, and no order or revision reaches the sign.
pub(super) fn int(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

/// From a column.
pub(super) fn unsigned(number: i64) -> sqlx::Result<u64> {
    u64::try_from(number).map_err(|error| sqlx::Error::Decode(error.into()))
}

/// `items`, lengthened to a power of two by repeating the last: few statement texts, so prepared statements are used again.
pub(super) fn padded<'a>(items: &'a [&'a str]) -> impl Iterator<Item = &'a str> {
    let last = items.last().copied().unwrap_or_default();
    items.iter().copied().chain(std::iter::repeat(last)).take(items.len().next_power_of_two())
}

/// Implements the traits of this module for one driver. `begin` starts a transaction that may write, `guard` keeps others
/// from creating the tables at the same time. What is much quicker said in the engine's own words, the calling module has as
/// the functions `lock`, `known`, `write` and `write_at`.
macro_rules! driver {
    ($database:ty, $connection:ty, begin: $begin:literal, guard: $guard:literal) => {
        #[async_trait::async_trait]
        impl $crate::store::sql::Session for $connection {
            async fn begin(&mut self) -> sqlx::Result<u64> {
                $crate::store::sql::unsigned(lock(self).await?)
            }

            async fn head(&mut self) -> sqlx::Result<u64> {
                use $crate::store::sql;
                sql::unsigned(sqlx::query_scalar(sql::HEAD).fetch_one(&mut *self).await?)
            }

            async fn known(
                &mut self,
                streams: &[&str],
                ids: &[&str],
            ) -> sqlx::Result<Vec<$crate::store::batch::Known>> {
                use $crate::store::{batch::Known, sql};
                let known = known(self, streams, ids).await?.into_iter();
                let known = known.map(|(stream, revision, order, id, hash)| {
                    let (revision, order) = (sql::unsigned(revision)?, sql::unsigned(order)?);
                    Ok(Known { stream, revision, order, id, hash })
                });
                known.collect()
            }

            async fn write(&mut self, rows: &[$crate::store::batch::NewRow<'_>]) -> sqlx::Result<()> {
                match rows.last() {
                    Some(last) => write(self, rows, $crate::store::sql::int(last.order)).await,
                    None => Ok(()),
                }
            }

            async fn write_at(
                &mut self,
                head: u64,
                rows: &[$crate::store::batch::NewRow<'_>],
            ) -> sqlx::Result<bool> {
                use $crate::store::sql::int;
                match rows.last() {
                    Some(last) => write_at(self, int(head), rows, int(last.order)).await,
                    None => Ok(true),
                }
            }

            async fn commit(&mut self) -> sqlx::Result<()> {
                sqlx::raw_sql("commit").execute(&mut *self).await.map(|_| ())
            }

            async fn create(&mut self, id: String) -> sqlx::Result<(String, i64)> {
                use $crate::store::sql;
                if let Ok(meta) = sqlx::query_as(sql::META).fetch_one(&mut *self).await {
                    return Ok(meta);
                }
                sqlx::raw_sql($begin).execute(&mut *self).await?;
                sqlx::raw_sql($guard).execute(&mut *self).await?;
                for table in sql::CREATE {
                    sqlx::raw_sql(table).execute(&mut *self).await?;
                }
                sqlx::query(sql::NAME).bind(id).bind(sql::FORMAT).execute(&mut *self).await?;
                let meta = sqlx::query_as(sql::META).fetch_one(&mut *self).await?;
                sqlx::raw_sql("commit").execute(&mut *self).await?;
                Ok(meta)
            }
        }

        #[async_trait::async_trait]
        impl $crate::store::sql::Reader for $crate::store::readers::Readers<$database> {
            async fn stream(
                &self,
                stream: &str,
                from: u64,
                limit: usize,
            ) -> sqlx::Result<Vec<(i64, String)>> {
                use $crate::store::sql;
                let mut taken = self.take().await?;
                let rows = sqlx::query_as(sql::READ_STREAM)
                    .bind(stream)
                    .bind(sql::int(from))
                    .bind(sql::int(limit))
                    .fetch_all(taken.connection()?);
                let answer = sql::in_time(rows).await;
                self.give_back(taken, answer)
            }

            async fn all(&self, after: u64, limit: usize) -> sqlx::Result<Vec<(i64, String)>> {
                use $crate::store::sql;
                let mut taken = self.take().await?;
                let rows = sqlx::query_as(sql::READ_ALL)
                    .bind(sql::int(after))
                    .bind(sql::int(limit))
                    .fetch_all(taken.connection()?);
                let answer = sql::in_time(rows).await;
                self.give_back(taken, answer)
            }

            async fn head(&self) -> sqlx::Result<i64> {
                use $crate::store::sql;
                let mut taken = self.take().await?;
                let head = sqlx::query_scalar(sql::HEAD).fetch_one(taken.connection()?);
                let answer = sql::in_time(head).await;
                self.give_back(taken, answer)
            }
        }
    };
}
pub(super) use driver;
