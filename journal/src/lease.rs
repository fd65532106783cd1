//! Leases: who does a thing that only one may do, and until when (design.md §6, §8).
//!
//! They are rows beside the read models, not events. Time is the database's own, so the clocks of hosts need not
//! agree. Every change of holder raises the epoch; whatever a holder writes elsewhere carries it, so that one who was
//! paused past its time and does not know it yet is refused there.

mod holder;

use std::path::Path;
use std::time::Duration;

use dcm_domain::value::Timestamp;
use serde_json::Value;
use sqlx::{FromRow, SqlStr};
use thiserror::Error;

use crate::sql::{Db, SqlError, bounded, on_engine};
pub use holder::{Holder, HolderError, process_alive};

const SCHEMA: &str = "
create table if not exists lease (
    name        text   primary key,
    holder      text   not null,
    host        text   not null,
    boot_id     text   not null,
    pid         bigint not null,
    start_time  bigint not null,
    details     text   not null,
    epoch       bigint not null,
    expires_at  bigint not null
);";

/// Takes a lease that is free, run out, or the same holder's already: one statement, so that one claimant wins.
const ACQUIRE: &str = "
insert into lease (name, holder, host, boot_id, pid, start_time, details, epoch, expires_at)
values ($1, $2, $3, $4, $5, $6, '{}', 1, {now} + $7)
on conflict (name) do update set
    holder = excluded.holder,
    host = excluded.host,
    boot_id = excluded.boot_id,
    pid = excluded.pid,
    start_time = excluded.start_time,
    epoch = lease.epoch + case when lease.holder = excluded.holder then 0 else 1 end,
    expires_at = {now} + $7
where lease.expires_at <= {now} or lease.holder = excluded.holder
returning epoch";
const RENEW: &str = "
update lease set expires_at = {now} + $4
where name = $1 and holder = $2 and epoch = $3 and expires_at > {now}";
const RELEASE: &str = "
update lease set holder = '', details = '{}', expires_at = 0
where name = $1 and holder = $2 and epoch = $3";
const REMOVE: &str = "delete from lease where name = $1 and holder = $2 and epoch = $3";
const SET_DETAILS: &str = "
update lease set details = $4
where name = $1 and holder = $2 and epoch = $3 and expires_at > {now}";
const READ: &str = "
select name, holder, host, boot_id, pid, start_time, details, epoch, expires_at, {now} as read_at
from lease where name = $1";
const LIST: &str = "
select name, holder, host, boot_id, pid, start_time, details, epoch, expires_at, {now} as read_at
from lease where substr(name, 1, cast($2 as integer)) = $1 order by name";

/// A lease that was won. Only as good as its last renewal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// What it is for: a singleton (`relay`) or a run (`run/<uuid>`).
    pub name: String,
    /// [`Holder::id`] of who won it.
    pub holder: String,
    /// Grows with every change of holder.
    pub epoch: i64,
    /// How long each renewal lasts.
    pub ttl: Duration,
}

/// A lease as the table has it.
#[derive(Clone, Debug, PartialEq)]
pub struct LeaseRecord {
    /// What it is for.
    pub name: String,
    /// Who holds it, or held it last; `None` after a release.
    pub holder: Option<Holder>,
    /// What holders noted, such as the process group of a playbook. It stays through a change of holder until the
    /// new one replaces it, so that what a dead holder left running is not forgotten.
    pub details: Value,
    /// Grows with every change of holder.
    pub epoch: i64,
    /// Until when it was last renewed, in database time.
    pub expires_at: Timestamp,
    /// When the row was read, in database time.
    pub read_at: Timestamp,
}

impl LeaseRecord {
    /// Whether it was held when it was read.
    pub fn is_held(&self) -> bool {
        self.holder.is_some() && self.expires_at > self.read_at
    }

    /// How long ago it ran out, when it was read; `None` while held, and after a release.
    pub fn expired_for(&self) -> Option<Duration> {
        self.holder.as_ref()?;
        let micros = self.read_at.micros().checked_sub(self.expires_at.micros())?;
        u64::try_from(micros).ok().map(Duration::from_micros)
    }
}

/// Why the lease table gave no answer.
#[derive(Debug, Error)]
pub enum LeaseError {
    /// The store is gone or did not answer in time. Whether a change was made is not known.
    #[error("the lease store is unavailable: {0}")]
    Unavailable(#[from] SqlError),
    /// A row holds details that are no JSON.
    #[error("lease `{name}` cannot be read: {cause}")]
    Unreadable {
        /// The lease.
        name: String,
        /// What is wrong with it.
        cause: serde_json::Error,
    },
}

/// The lease table. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Leases {
    db: Db,
    acquire: SqlStr,
    renew: SqlStr,
    set_details: SqlStr,
    read: SqlStr,
    list: SqlStr,
}

#[derive(FromRow)]
struct Row {
    name: String,
    holder: String,
    host: String,
    boot_id: String,
    pid: i64,
    start_time: i64,
    details: String,
    epoch: i64,
    expires_at: i64,
    read_at: i64,
}

impl Leases {
    /// Opens the table at `url`: `embedded:` is `leases.db` under `data_dir`, `postgres://…` a server.
    pub async fn open(url: &str, data_dir: &Path) -> Result<Self, LeaseError> {
        let db = Db::open(url, data_dir, "leases.db").await?;
        db.create_schema(SCHEMA).await?;
        Ok(Self {
            acquire: db.with_clock(ACQUIRE),
            renew: db.with_clock(RENEW),
            set_details: db.with_clock(SET_DETAILS),
            read: db.with_clock(READ),
            list: db.with_clock(LIST),
            db,
        })
    }

    /// Takes lease `name` for `ttl` if it is free or has run out, or prolongs it if `holder` has it already; `None`
    /// while another holds it. Claimants that must not share a lease need different [`Holder::id`]s.
    pub async fn acquire(
        &self,
        name: &str,
        holder: &Holder,
        ttl: Duration,
    ) -> Result<Option<Lease>, LeaseError> {
        let id = holder.id();
        // All of the answer is read: only then has SQLite committed.
        let epochs: Vec<i64> = bounded(async {
            on_engine!(&self.db, pool => {
                sqlx::query_scalar(self.acquire.clone())
                    .bind(name)
                    .bind(&id)
                    .bind(&holder.host)
                    .bind(&holder.boot_id)
                    .bind(holder.pid)
                    .bind(holder.start_time)
                    .bind(micros(ttl))
                    .fetch_all(pool)
                    .await
            })
        })
        .await?;
        Ok(epochs.first().map(|&epoch| Lease { name: name.to_owned(), holder: id, epoch, ttl }))
    }

    /// Prolongs `lease` by its ttl from now. `false` if it ran out or another has it: the holder must stop, and may
    /// acquire again.
    pub async fn renew(&self, lease: &Lease) -> Result<bool, LeaseError> {
        let text = self.renew.clone();
        let done = bounded(async {
            on_engine!(&self.db, pool => {
                sqlx::query(text)
                    .bind(&lease.name)
                    .bind(&lease.holder)
                    .bind(lease.epoch)
                    .bind(micros(lease.ttl))
                    .execute(pool)
                    .await
                    .map(|done| done.rows_affected())
            })
        });
        Ok(done.await? == 1)
    }

    /// Gives `lease` up and clears its details. The row stays, so that the epoch goes on growing. `false` if it was
    /// not the caller's any more.
    pub async fn release(&self, lease: &Lease) -> Result<bool, LeaseError> {
        self.end(RELEASE, lease).await
    }

    /// Gives `lease` up and removes its row, for a name that is never used again, such as a run's. `false` if it was
    /// not the caller's any more.
    pub async fn remove(&self, lease: &Lease) -> Result<bool, LeaseError> {
        self.end(REMOVE, lease).await
    }

    /// Replaces what is noted on `lease`. `false` if it ran out or another has it.
    pub async fn update_details(&self, lease: &Lease, details: Value) -> Result<bool, LeaseError> {
        let (text, details) = (self.set_details.clone(), details.to_string());
        let done = bounded(async {
            on_engine!(&self.db, pool => {
                sqlx::query(text)
                    .bind(&lease.name)
                    .bind(&lease.holder)
                    .bind(lease.epoch)
                    .bind(&details)
                    .execute(pool)
                    .await
                    .map(|done| done.rows_affected())
            })
        });
        Ok(done.await? == 1)
    }

    /// The lease of that name, held or not; `None` if it never was.
    pub async fn read(&self, name: &str) -> Result<Option<LeaseRecord>, LeaseError> {
        let text = self.read.clone();
        let row: Option<Row> = bounded(async {
            on_engine!(&self.db, pool => sqlx::query_as(text).bind(name).fetch_optional(pool).await)
        })
        .await?;
        row.map(Row::into_record).transpose()
    }

    /// The leases whose names begin with `prefix`, held or not, in the order of their names.
    pub async fn list(&self, prefix: &str) -> Result<Vec<LeaseRecord>, LeaseError> {
        let text = self.list.clone();
        let length = i64::try_from(prefix.chars().count()).unwrap_or(i64::MAX);
        let rows: Vec<Row> = bounded(async {
            on_engine!(&self.db, pool => {
                sqlx::query_as(text).bind(prefix).bind(length).fetch_all(pool).await
            })
        })
        .await?;
        rows.into_iter().map(Row::into_record).collect()
    }

    async fn end(&self, sql: &'static str, lease: &Lease) -> Result<bool, LeaseError> {
        let done = bounded(async {
            on_engine!(&self.db, pool => {
                sqlx::query(sql)
                    .bind(&lease.name)
                    .bind(&lease.holder)
                    .bind(lease.epoch)
                    .execute(pool)
                    .await
                    .map(|done| done.rows_affected())
            })
        });
        Ok(done.await? == 1)
    }
}

impl Row {
    fn into_record(self) -> Result<LeaseRecord, LeaseError> {
        let details = match serde_json::from_str(&self.details) {
            Ok(details) => details,
            Err(cause) => return Err(LeaseError::Unreadable { name: self.name, cause }),
        };
        let holder = Holder::from_row(&self.holder, self.host, self.boot_id, self.pid, self.start_time);
        Ok(LeaseRecord {
            name: self.name,
            holder,
            details,
            epoch: self.epoch,
            expires_at: Timestamp::from_micros(self.expires_at),
            read_at: Timestamp::from_micros(self.read_at),
        })
    }
}

fn micros(ttl: Duration) -> i64 {
    // A ttl beyond a year is as good as a year, and cannot overflow the clock.
    i64::try_from(ttl.as_micros()).unwrap_or(i64::MAX).min(366 * 86_400 * 1_000_000)
}
