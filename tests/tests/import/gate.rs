//! Holds up whoever appends to a journal on PostgreSQL, so that a process can be killed half-way at leisure.

use sqlx::{Connection, PgConnection};

/// The advisory lock that appends wait for.
const LOCK: i64 = 4711;
/// Events that pass before the gate.
const PASS: u32 = 700;

/// A gate behind the first events of a journal. It is shut until it is opened, or this is dropped.
pub struct Gate(PgConnection);

impl Gate {
    /// Shuts the gate of the journal at `url`, whose tables exist.
    pub async fn shut(url: &str) -> Self {
        let mut database = PgConnection::connect(url).await.unwrap();
        let setup = format!(
            "select pg_advisory_lock({LOCK});
             create function wait_at_gate() returns trigger language plpgsql as $$
             begin perform pg_advisory_xact_lock_shared({LOCK}); return new; end $$;
             create trigger gate before insert on journal_event for each row when (new.ord > {PASS})
             execute function wait_at_gate();"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(setup)).execute(&mut database).await.unwrap();
        Self(database)
    }

    /// Whether an append waits.
    pub async fn holds_somebody_up(&mut self) -> bool {
        let waiting =
            "select count(*) from pg_locks where locktype = 'advisory' and objid = $1 and not granted";
        let count: i64 = sqlx::query_scalar(waiting).bind(LOCK).fetch_one(&mut self.0).await.unwrap();
        count > 0
    }

    /// Lets everybody pass again. What waits is written, or not, before this returns.
    pub async fn open(mut self) {
        let text = format!("select pg_advisory_unlock({LOCK}); drop trigger gate on journal_event;");
        sqlx::raw_sql(sqlx::AssertSqlSafe(text)).execute(&mut self.0).await.unwrap();
    }
}
