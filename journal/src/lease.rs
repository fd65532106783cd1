//! Leases: who does a thing that only one may do, and until when (design.md §6, §8).
//!
//! They are rows beside the read models, not events. Time is the database's own, so the clocks of hosts need not
//! agree. Every change of holder raises the epoch to that time or beyond; whatever a holder writes elsewhere carries it, so
//! that one who was paused past its time and does not know it yet is refused there. A table that was lost, or restored from
//! a backup, gives no epoch again that was used before.

mod holder;
mod table;

use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dcm_domain::value::Timestamp;
use serde_json::Value;
use thiserror::Error;

use crate::sql::SqlError;
pub use holder::{Holder, HolderError, process_alive};

/// A lease that was won. Only as good as its last renewal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// What it is for: a singleton (`relay`) or a run (`run/<uuid>`).
    pub name: String,
    /// [`Holder::id`] of who won it.
    pub holder: String,
    /// Grows with every change of holder, also over a loss of the table.
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

/// The port: where leases are kept. Each call is one atomic step of the store, timed by the store's own clock.
#[async_trait]
pub trait LeaseStore: Send + Sync + std::fmt::Debug {
    /// Takes lease `name` for `ttl` if it is free or has run out, or prolongs it if `holder` has it already; `None`
    /// while another holds it. Claimants that must not share a lease need different [`Holder::id`]s.
    async fn acquire(&self, name: &str, holder: &Holder, ttl: Duration) -> Result<Option<Lease>, LeaseError>;

    /// Prolongs `lease` by its ttl from now. `false` if it ran out or another has it: the holder must stop, and may
    /// acquire again.
    async fn renew(&self, lease: &Lease) -> Result<bool, LeaseError>;

    /// Gives `lease` up and clears its details. The row stays, so that the epoch goes on growing. `false` if it was
    /// not the caller's any more.
    async fn release(&self, lease: &Lease) -> Result<bool, LeaseError>;

    /// Gives `lease` up and removes its row, for a name that is never used again, such as a run's. `false` if it was
    /// not the caller's any more.
    async fn remove(&self, lease: &Lease) -> Result<bool, LeaseError>;

    /// Replaces what is noted on `lease`. `false` if it ran out or another has it.
    async fn update_details(&self, lease: &Lease, details: Value) -> Result<bool, LeaseError>;

    /// The lease of that name, held or not; `None` if it never was.
    async fn read(&self, name: &str) -> Result<Option<LeaseRecord>, LeaseError>;

    /// The leases whose names begin with `prefix`, held or not, in the order of their names.
    async fn list(&self, prefix: &str) -> Result<Vec<LeaseRecord>, LeaseError>;
}

/// The leases of a deployment, wherever they are kept; see [`LeaseStore`] for what can be done with them. Cheap to
/// clone.
#[derive(Clone, Debug)]
pub struct Leases(Arc<dyn LeaseStore>);

impl Leases {
    /// Opens the table at `url`: `embedded:` is `leases.db` under `data_dir`, `postgres://…` a server.
    ///
    /// # Errors
    /// [`LeaseError::Unavailable`] if it cannot be opened or created.
    pub async fn open(url: &str, data_dir: &Path) -> Result<Self, LeaseError> {
        Ok(Self::over(Arc::new(table::Table::open(url, data_dir).await?)))
    }

    /// Leases that are kept in `store`.
    pub fn over(store: Arc<dyn LeaseStore>) -> Self {
        Self(store)
    }
}

impl Deref for Leases {
    type Target = dyn LeaseStore;

    fn deref(&self) -> &Self::Target {
        self.0.as_ref()
    }
}
