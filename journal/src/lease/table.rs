//! The lease table on an SQL store.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use dcm_domain::value::Timestamp;
use serde_json::Value;
use sqlx::{FromRow, SqlStr};

use super::{Holder, Lease, LeaseError, LeaseRecord, LeaseStore};
use crate::sql::{Db, bounded, on_engine};

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

/// Takes a lease that is free, run out, or the same holder's already: one statement, so that one claimant wins. Epochs begin
/// at the time, not at 1: checkpoints may hold epochs of a table that was lost.
const ACQUIRE: &str = "
insert into lease (name, holder, host, boot_id, pid, start_time, details, epoch, expires_at)
values ($1, $2, $3, $4, $5, $6, '{}', {now}, {now} + $7)
on conflict (name) do update set
    holder = excluded.holder,
    host = excluded.host,
    boot_id = excluded.boot_id,
    pid = excluded.pid,
    start_time = excluded.start_time,
    epoch = case
        when lease.holder = excluded.holder then lease.epoch
        when lease.epoch < excluded.epoch then excluded.epoch
        else lease.epoch + 1
    end,
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

/// The lease table of either engine.
#[derive(Debug)]
pub(super) struct Table {
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

impl Table {
    /// See [`Leases::open`](super::Leases::open).
    pub(super) async fn open(url: &str, data_dir: &Path) -> Result<Self, LeaseError> {
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

#[async_trait]
impl LeaseStore for Table {
    async fn acquire(&self, name: &str, holder: &Holder, ttl: Duration) -> Result<Option<Lease>, LeaseError> {
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

    async fn renew(&self, lease: &Lease) -> Result<bool, LeaseError> {
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

    async fn release(&self, lease: &Lease) -> Result<bool, LeaseError> {
        self.end(RELEASE, lease).await
    }

    async fn remove(&self, lease: &Lease) -> Result<bool, LeaseError> {
        self.end(REMOVE, lease).await
    }

    async fn update_details(&self, lease: &Lease, details: Value) -> Result<bool, LeaseError> {
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

    async fn read(&self, name: &str) -> Result<Option<LeaseRecord>, LeaseError> {
        let text = self.read.clone();
        let row: Option<Row> = bounded(async {
            on_engine!(&self.db, pool => sqlx::query_as(text).bind(name).fetch_optional(pool).await)
        })
        .await?;
        row.map(Row::into_record).transpose()
    }

    async fn list(&self, prefix: &str) -> Result<Vec<LeaseRecord>, LeaseError> {
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
