//! The lease store of the simulated world, as one process reaches it. Its clock may jump.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dcm_domain::value::Timestamp;
use dcm_journal::SqlError;
use dcm_journal::lease::{Holder, Lease, LeaseError, LeaseRecord, LeaseStore, Leases};
use serde_json::{Value, json};

use super::dice::named;
use super::truth::{LeaseRow, Truth};
use super::world::{Broken, Fate, Node};

/// A process' way to the lease store.
struct SimLeases(Arc<Node>);

/// The leases, as `node` reaches them.
pub fn leases(node: &Arc<Node>) -> Leases {
    Leases::over(Arc::new(SimLeases(Arc::clone(node))))
}

impl std::fmt::Debug for SimLeases {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SimLeases")
    }
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

impl SimLeases {
    async fn call<T>(
        &self,
        what: &'static str,
        name: &str,
        step: impl FnOnce(&mut Truth, i64) -> T + Send,
    ) -> Result<T, LeaseError> {
        let key = named(what) ^ named(name);
        let fate = self.0.turn("lease", key).await;
        if fate == Fate::Refused {
            self.0.answered("lease", key, fate).await;
            return Err(LeaseError::Unavailable(SqlError::TimedOut));
        }
        let answer = {
            let mut truth = self.0.world.truth();
            let now = truth.store_time(self.0.world.now());
            step(&mut truth, now)
        };
        match self.0.answered("lease", key, fate).await {
            true => Ok(answer),
            false => Err(LeaseError::Unavailable(SqlError::TimedOut)),
        }
    }

    fn shown(&self, name: &str, row: &LeaseRow, now: i64) -> LeaseRecord {
        // As if it had run out an hour ago.
        let late = if self.0.world.broken == Some(Broken::Lease) { 3_600_000_000 } else { 0 };
        LeaseRecord {
            name: name.to_owned(),
            holder: row.holder.clone(),
            details: row.details.clone(),
            epoch: row.epoch,
            expires_at: Timestamp::from_micros(row.expires_at - late),
            read_at: Timestamp::from_micros(now),
        }
    }
}

/// The caller's row, whether or not it ran out.
fn own<'a>(truth: &'a mut Truth, lease: &Lease) -> Option<&'a mut LeaseRow> {
    let row = truth.leases.get_mut(&lease.name)?;
    let same =
        row.epoch == lease.epoch && row.holder.as_ref().is_some_and(|holder| holder.id() == lease.holder);
    same.then_some(row)
}

#[async_trait]
impl LeaseStore for SimLeases {
    async fn acquire(&self, name: &str, holder: &Holder, ttl: Duration) -> Result<Option<Lease>, LeaseError> {
        let world = Arc::clone(&self.0.world);
        self.call("acquire", name, |truth, now| {
            let before = truth.leases.get(name).cloned();
            let held = before.as_ref().filter(|row| row.holder.is_some() && row.expires_at > now);
            let ours = |row: &LeaseRow| row.holder.as_ref().is_some_and(|one| one.id() == holder.id());
            let free = held.is_none();
            if held.is_some_and(|row| !ours(row)) {
                return None;
            }
            let (epoch, details) = match before {
                Some(row) if ours(&row) => (row.epoch, row.details),
                Some(row) => (now.max(row.epoch + 1), row.details),
                None => (now, json!({})),
            };
            if free {
                world.note(format_args!("{} takes {} ({epoch})", self.0.name, holder.role));
            }
            let row =
                LeaseRow { holder: Some(holder.clone()), details, epoch, expires_at: now + micros(ttl) };
            truth.leases.insert(name.to_owned(), row);
            Some(Lease { name: name.to_owned(), holder: holder.id(), epoch, ttl })
        })
        .await
    }

    async fn renew(&self, lease: &Lease) -> Result<bool, LeaseError> {
        self.call("renew", &lease.name, |truth, now| {
            match own(truth, lease).filter(|row| row.expires_at > now) {
                Some(row) => {
                    row.expires_at = now + micros(lease.ttl);
                    true
                }
                None => false,
            }
        })
        .await
    }

    async fn release(&self, lease: &Lease) -> Result<bool, LeaseError> {
        self.call("release", &lease.name, |truth, _| match own(truth, lease) {
            Some(row) => {
                *row = LeaseRow { holder: None, details: json!({}), epoch: row.epoch, expires_at: 0 };
                true
            }
            None => false,
        })
        .await
    }

    async fn remove(&self, lease: &Lease) -> Result<bool, LeaseError> {
        self.call("remove", &lease.name, |truth, _| {
            let owned = own(truth, lease).is_some();
            if owned {
                truth.leases.remove(&lease.name);
            }
            owned
        })
        .await
    }

    async fn update_details(&self, lease: &Lease, details: Value) -> Result<bool, LeaseError> {
        self.call("details", &lease.name, |truth, now| {
            match own(truth, lease).filter(|row| row.expires_at > now) {
                Some(row) => {
                    row.details = details;
                    true
                }
                None => false,
            }
        })
        .await
    }

    async fn read(&self, name: &str) -> Result<Option<LeaseRecord>, LeaseError> {
        self.call("read", name, |truth, now| truth.leases.get(name).map(|row| self.shown(name, row, now)))
            .await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<LeaseRecord>, LeaseError> {
        self.call("list", prefix, |truth, now| {
            let named = truth.leases.iter().filter(|(name, _)| name.starts_with(prefix));
            named.map(|(name, row)| self.shown(name, row, now)).collect()
        })
        .await
    }
}
