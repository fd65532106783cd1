//! The vault: secrets and whole secret documents, encrypted and deletable, and the erasable names of actors.
//!
//! Events hold only a [`SecretRef`] and a keyed digest. The secret is written first, then the event that refers to
//! it; what a crash leaves without an event is removed by [`sweep`]. Entries must be deletable, so they are in tables
//! of their own and not in the journal (design.md §5). Back up the journal first, then the vault, and keep the key
//! file apart from both.

mod check;
mod key;
mod store;
mod sweep;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use dcm_domain::value::{Secret, SecretRef, Timestamp};
use thiserror::Error;
use uuid::Uuid;

use crate::sql::SqlError;
pub use key::KeyFileError;
pub use sweep::{References, SweepError, sweep};

/// Where secrets live. Every method answers within seconds, also when the store is gone.
#[async_trait]
pub trait Vault: Send + Sync {
    /// Keeps `secret` for `owner` (a subcloud or a run) under a new id. `purpose` says what it is, in the clear
    /// (`sysadmin_password`, `bootstrap_values`).
    async fn put(&self, owner: Uuid, purpose: &str, secret: Secret) -> Result<SecretRef, VaultError> {
        self.put_as(Uuid::now_v7(), owner, purpose, secret).await
    }

    /// As [`Vault::put`] under an id that the caller chose. The same again changes nothing; the id with another
    /// owner, purpose or secret is a [`VaultError::Conflict`].
    async fn put_as(
        &self,
        id: Uuid,
        owner: Uuid,
        purpose: &str,
        secret: Secret,
    ) -> Result<SecretRef, VaultError>;

    /// As [`Vault::put_as`] of each of `entries`; those before one that fails may be kept. One transaction where the store
    /// has them, for the many of an import.
    async fn put_all(&self, entries: Vec<NewEntry>) -> Result<(), VaultError> {
        for entry in entries {
            self.put_as(entry.id, entry.owner, entry.purpose, entry.secret).await?;
        }
        Ok(())
    }

    /// The secret of that entry, which must belong to `owner`; else it is [`VaultError::NotFound`].
    async fn get(&self, entry: &SecretRef, owner: Uuid) -> Result<Secret, VaultError>;

    /// Removes the entry; `false` if there was none.
    async fn delete(&self, entry: &SecretRef) -> Result<bool, VaultError>;

    /// Removes every entry of `owner` and returns how many there were.
    async fn delete_owner(&self, owner: Uuid) -> Result<u64, VaultError>;

    /// The entries of `owner`, in the order of their ids.
    async fn list(&self, owner: Uuid) -> Result<Vec<EntryInfo>, VaultError>;

    /// Entries created before `before`, with their owners, in the order of their ids: at most `limit` (bounded to
    /// 1000) of those that come behind `after`. For the sweep of orphans.
    async fn entries_older_than(
        &self,
        before: Timestamp,
        after: Option<SecretRef>,
        limit: u32,
    ) -> Result<Vec<(SecretRef, Uuid)>, VaultError>;

    /// Seals every entry that is still under an older key with the newest one; returns how many it sealed. After it
    /// the older keys can be taken out of the key file.
    async fn reseal(&self) -> Result<u64, VaultError>;

    /// HMAC-SHA-256 of `owner` and `document`, in hex: equal documents of one owner have equal digests, and without
    /// the vault's key nobody can test a guess. Stable across key rotation.
    fn digest(&self, owner: Uuid, document: &[u8]) -> String;

    /// Keeps or replaces the display name of an actor, whom events name by `user_id` alone.
    async fn remember_name(&self, user_id: &str, display_name: &str) -> Result<(), VaultError>;

    /// The display name of an actor, if one is kept.
    async fn name_of(&self, user_id: &str) -> Result<Option<String>, VaultError>;

    /// Removes the display name of an actor; `false` if there was none.
    async fn forget(&self, user_id: &str) -> Result<bool, VaultError>;
}

/// An entry to be written under an id that the caller chose.
#[derive(Debug)]
pub struct NewEntry {
    /// Its id.
    pub id: Uuid,
    /// Whose it is.
    pub owner: Uuid,
    /// What it is, in the clear.
    pub purpose: &'static str,
    /// The secret.
    pub secret: Secret,
}

/// What can be shown about an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryInfo {
    /// Its reference.
    pub entry: SecretRef,
    /// What it is, as the writer named it.
    pub purpose: String,
    /// When it was written, by the writer's clock.
    pub created_at: Timestamp,
}

/// Why the vault gave no answer. Holds ids and key ids, never a secret.
#[derive(Debug, Error)]
pub enum VaultError {
    /// No such entry, or not of this owner.
    #[error("the vault has no entry {0} of this owner")]
    NotFound(SecretRef),
    /// Sealed with a key that the key file does not hold.
    #[error("vault entry {entry} is sealed with key `{key_id}`, which the key file does not hold")]
    WrongKey {
        /// The entry.
        entry: SecretRef,
        /// The missing key.
        key_id: String,
    },
    /// It does not open with the key it names: altered, or moved to another id or owner.
    #[error("vault entry {0} was altered")]
    Altered(SecretRef),
    /// The chosen id is taken by something else.
    #[error("vault entry {0} already holds something else")]
    Conflict(SecretRef),
    /// Beyond what the cipher takes (64 GiB).
    #[error("the secret is too large")]
    TooLarge,
    /// The store is gone or did not answer in time; the same call may succeed later.
    #[error("the vault is unavailable")]
    Unavailable(#[source] SqlError),
}

/// Why the vault could not be opened; each stops the start.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The store could not be opened or prepared.
    #[error("cannot open the vault: {0}")]
    Store(#[from] SqlError),
    /// The key file could not be used.
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    /// A vault on a server has no key file of its own making.
    #[error("a vault on a server needs --vault-key-file")]
    KeyFileRequired,
    /// The vault has entries, but its key file is gone.
    #[error("vault key file {0} is missing; without it nothing in the existing vault can be opened")]
    KeyFileMissing(PathBuf),
    /// The check entry names this key, but this is another one.
    #[error("vault key file {path}: key `{key_id}` does not open this vault")]
    KeyRefused {
        /// The key file.
        path: PathBuf,
        /// The key that was tried.
        key_id: String,
    },
    /// Something in the vault is sealed with a key that the key file does not hold.
    #[error("vault key file {path} lacks key `{key_id}`, with which this vault is sealed")]
    KeyMissing {
        /// The key file.
        path: PathBuf,
        /// The missing key.
        key_id: String,
    },
    /// Written by a later version of the program.
    #[error("the vault has format {0}, which this version of the program does not know")]
    UnknownFormat(i64),
}

/// Opens the vault at `url`: `embedded:` is `vault.db` under `data_dir`, `postgres://…` a server.
///
/// `key_file` may be left out with `embedded:` only; it is then `vault.key` under `data_dir`. With `embedded:` a
/// missing key file is created for a new vault, and only for a new one. A key that does not open the check entry is
/// refused.
pub async fn open(url: &str, data_dir: &Path, key_file: Option<&Path>) -> Result<Arc<dyn Vault>, OpenError> {
    let vault = store::SqlVault::open(url, data_dir, key_file).await?;
    Ok(Arc::new(vault))
}
