//! The journal on a PostgreSQL server, shared by any number of processes.
//!
//! Positions are taken from the row of `journal_meta`, locked until the commit: the next writer sees all that came before,
//! and no reader sees a position whose predecessors could still appear.

use std::{str::FromStr, sync::Arc};

use async_trait::async_trait;
use sqlx::{
    Arguments, AssertSqlSafe, ConnectOptions, PgConnection, Postgres, Row,
    postgres::{PgArguments, PgConnectOptions, PgPoolOptions},
};

use super::{
    Journal, OpenError,
    batch::NewRow,
    open::assemble,
    readers::Readers,
    sql::{self, Connect, KnownRow, PATIENCE},
};

/// Reading connections of one process.
const READERS: u32 = 8;

// The advisory lock's number is arbitrary, and the same in every process.
sql::driver!(
    Postgres, PgConnection,
    begin: "begin isolation level read committed read write",
    guard: "select pg_advisory_xact_lock(7236971)"
);

/// One round trip. The isolation level is stated because what is read after the lock must be what others committed before
/// it.
const LOCK: &str =
    "begin isolation level read committed read write; select head from journal_meta for update";

/// Arrays instead of lists: one text, prepared once, for flushes of every size.
const KNOWN: &str = "select stream, revision, ord, id, hash from journal_event where id = any($1)
    union all
    select e.stream, e.revision, e.ord, e.id, e.hash from unnest($2) as wanted(stream) cross join lateral (
        select * from journal_event m where m.stream = wanted.stream order by m.revision desc limit 1
    ) as e";

/// Rows and head in one round trip.
const WRITE: &str = "with written as (
        insert into journal_event (ord, stream, revision, id, type, recorded_at, hash, body)
        select * from unnest(
            $1::bigint[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::bigint[], $7::text[], $8::text[]
        )
    ) update journal_meta set head = $9";

/// The same without a transaction around it, if nobody has written meanwhile: then what is remembered of the streams holds.
/// Whoever is at it keeps this one waiting, and then the row's new value is what counts.
const WRITE_AT: &str = "with moved as (update journal_meta set head = $9 where head = $10 returning head), written as (
        insert into journal_event (ord, stream, revision, id, type, recorded_at, hash, body)
        select new.* from moved cross join unnest(
            $1::bigint[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::bigint[], $7::text[], $8::text[]
        ) as new
    ) select count(*) from moved";

/// Begins, takes the right to append, and gives the last order.
async fn lock(connection: &mut PgConnection) -> sqlx::Result<i64> {
    let rows = sqlx::raw_sql(LOCK).fetch_all(connection).await?;
    rows.first().ok_or(sqlx::Error::RowNotFound)?.try_get(0)
}

async fn known(connection: &mut PgConnection, streams: &[&str], ids: &[&str]) -> sqlx::Result<Vec<KnownRow>> {
    sqlx::query_as(KNOWN).bind(ids).bind(streams).fetch_all(connection).await
}

async fn write(connection: &mut PgConnection, rows: &[NewRow<'_>], head: i64) -> sqlx::Result<()> {
    sqlx::query_with(WRITE, columns(rows, head)?).execute(connection).await.map(drop)
}

async fn write_at(
    connection: &mut PgConnection,
    before: i64,
    rows: &[NewRow<'_>],
    head: i64,
) -> sqlx::Result<bool> {
    let mut values = columns(rows, head)?;
    values.add(before).map_err(sqlx::Error::Encode)?;
    let moved: i64 = sqlx::query_scalar_with(WRITE_AT, values).fetch_one(connection).await?;
    Ok(moved == 1)
}

/// The parameters of an insert: `rows` column by column, and the new last order.
fn columns(rows: &[NewRow<'_>], head: i64) -> sqlx::Result<PgArguments> {
    let numbers = |of: fn(&NewRow<'_>) -> i64| rows.iter().map(of).collect::<Vec<i64>>();
    fn texts<'a>(rows: &'a [NewRow<'a>], of: fn(&'a NewRow<'a>) -> &'a str) -> Vec<&'a str> {
        rows.iter().map(of).collect()
    }
    let mut values = PgArguments::default();
    let added = values
        .add(numbers(|row| sql::int(row.order)))
        .and_then(|()| values.add(texts(rows, |row| row.stream)))
        .and_then(|()| values.add(numbers(|row| sql::int(row.revision))))
        .and_then(|()| values.add(texts(rows, |row| row.id)))
        .and_then(|()| values.add(texts(rows, |row| row.r#type)))
        .and_then(|()| values.add(numbers(|row| row.recorded_at)))
        .and_then(|()| values.add(texts(rows, |row| row.hash)))
        .and_then(|()| values.add(texts(rows, |row| row.body)))
        .and_then(|()| values.add(head));
    added.map_err(sqlx::Error::Encode)?;
    Ok(values)
}

/// Limits a session: a paused server or process must not hold others up for long, and a commit must be on disk. Its few
/// statements go by an index each, whatever their parameters: to plan them anew each time would cost more than the work.
const SESSION: &str = "set statement_timeout = '5s';
    set idle_in_transaction_session_timeout = '5s';
    set plan_cache_mode = force_generic_plan;
    select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') = 'off'";

struct Writer(PgConnectOptions);

#[async_trait]
impl Connect for Writer {
    type Session = PgConnection;

    async fn connect(&self) -> sqlx::Result<PgConnection> {
        let mut connection = self.0.connect().await?;
        sqlx::raw_sql(SESSION).execute(&mut connection).await?;
        Ok(connection)
    }
}

/// Opens the journal at `url`, and creates its tables where there are none.
pub(super) async fn open(url: &str) -> Result<Arc<dyn Journal>, OpenError> {
    open_in(url, None).await
}

/// As [`open`], with the tables in a schema of their own, which exists.
pub(super) async fn open_in(url: &str, schema: Option<&str>) -> Result<Arc<dyn Journal>, OpenError> {
    let mut options = options(url)?;
    if let Some(schema) = schema {
        options = options.options([("search_path", schema)]);
    }
    let place = place(&options);
    let unusable = |error: &sqlx::Error| unusable(error, &options);
    let writer = Writer(options.clone());
    let encoding: String = sql::in_time(async {
        let mut connection = writer.connect().await?;
        sqlx::query_scalar("show server_encoding").fetch_one(&mut connection).await
    })
    .await
    .map_err(|error| unusable(&error))?;
    if encoding != "UTF8" {
        return Err(OpenError::Unusable {
            place,
            reason: format!("its encoding is {encoding}"),
            advice: "create a database with `createdb -T template0 -E UTF8`".to_owned(),
        });
    }
    let reader = PgPoolOptions::new()
        .max_connections(READERS)
        .acquire_timeout(PATIENCE)
        .after_connect(|connection, _| {
            Box::pin(async move { sqlx::raw_sql(SESSION).execute(connection).await.map(drop) })
        })
        .connect_lazy_with(options.clone());
    assemble(&place, writer, Readers::new(reader), unusable).await
}

/// Creates a schema in the database at `url`.
pub(super) async fn create_schema(url: &str, schema: &str) -> Result<(), OpenError> {
    execute(url, format!("create schema {schema}")).await
}

/// Drops a schema with everything in it.
pub(super) async fn drop_schema(url: &str, schema: &str) -> Result<(), OpenError> {
    execute(url, format!("drop schema if exists {schema} cascade")).await
}

async fn execute(url: &str, statement: String) -> Result<(), OpenError> {
    let options = options(url)?;
    let done = sql::in_time(async {
        let mut connection = options.connect().await?;
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await.map(drop)
    });
    done.await.map_err(|error| unusable(&error, &options))
}

fn options(url: &str) -> Result<PgConnectOptions, OpenError> {
    PgConnectOptions::from_str(url).map_err(|_| OpenError::Url)
}

fn unusable(error: &sqlx::Error, options: &PgConnectOptions) -> OpenError {
    OpenError::Unusable { place: place(options), reason: error.to_string(), advice: advice(error, options) }
}

/// The URL without its password.
fn place(options: &PgConnectOptions) -> String {
    let (user, database) = (options.get_username(), database(options));
    format!("postgres://{user}@{}:{}/{database}", options.get_host(), options.get_port())
}

fn database(options: &PgConnectOptions) -> &str {
    options.get_database().unwrap_or_else(|| options.get_username())
}

fn advice(error: &sqlx::Error, options: &PgConnectOptions) -> String {
    let database = database(options);
    let code = error.as_database_error().and_then(|error| error.code());
    match code.as_deref() {
        Some("3D000") => format!("create it with `createdb -T template0 -E UTF8 {database}`"),
        Some(code) if code.starts_with("28") => {
            "check user and password, and the server's pg_hba.conf".to_owned()
        }
        Some("42501") => {
            format!(
                "let the user create tables there: `grant create, usage on schema public to {}`",
                options.get_username()
            )
        }
        Some(_) => "see the server's log".to_owned(),
        None => "check that the server runs and can be reached from here".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn the_password_is_never_shown() {
        let options = PgConnectOptions::from_str("postgres://dcm:hunter2@db.example:6543/site").unwrap();
        assert_eq!(place(&options), "postgres://dcm@db.example:6543/site");
    }
}
