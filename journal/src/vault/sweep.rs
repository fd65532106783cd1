//! Removes entries that no event refers to: the secret is written before its event, and the event may never come.

use std::error::Error as StdError;

use async_trait::async_trait;
use dcm_domain::value::{SecretRef, Timestamp};
use thiserror::Error;
use uuid::Uuid;

use super::{Vault, VaultError};

/// Entries looked at per round.
const PAGE: u32 = 200;

/// Knows which entries are still referred to.
#[async_trait]
pub trait References: Send + Sync {
    /// Whether anything in `owner`'s history still needs `entry`. An error keeps the entry.
    async fn refers(&self, entry: SecretRef, owner: Uuid) -> Result<bool, Box<dyn StdError + Send + Sync>>;
}

/// Why a sweep ended early. What it had not reached is kept.
#[derive(Debug, Error)]
pub enum SweepError {
    /// The vault did not answer.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// Nobody could say whether an entry is needed.
    #[error("cannot tell which vault entries are needed")]
    References(#[source] Box<dyn StdError + Send + Sync>),
}

/// Deletes the entries created before `before` that `references` does not know; returns how many.
/// `before` must leave every writer ample time between secret and event.
pub async fn sweep(
    vault: &dyn Vault,
    references: &dyn References,
    before: Timestamp,
) -> Result<u64, SweepError> {
    let mut swept = 0;
    let mut after = None;
    loop {
        let page = vault.entries_older_than(before, after, PAGE).await?;
        let Some((last, _)) = page.last() else {
            return Ok(swept);
        };
        after = Some(*last);
        for (entry, owner) in page {
            if !references.refers(entry, owner).await.map_err(SweepError::References)?
                && vault.delete(&entry).await?
            {
                tracing::info!(%entry, %owner, "removed a vault entry that nothing refers to");
                swept += 1;
            }
        }
    }
}
