//! Settling what crashes left half-way in a directory.

use dcm_domain::key_directory::{
    ConfirmKeyChange, ConfirmKeys, KeyEntry, Listed, ReleaseKeyChange, ReleaseKeys,
};
use dcm_domain::value::Timestamp;
use uuid::Uuid;

use super::{Collection, CollectionError, Outcome, is_stale, stream};
use crate::repository::{CommandError, Meta, Unavailable};

impl<A: Listed> Collection<A> {
    /// Finishes what crashes left half-way: stale creations are closed and released, changes of keys ended one way or
    /// the other, deleted entities released. Returns how many entries were settled.
    ///
    /// # Errors
    /// [`Unavailable`] if the journal is; what is settled by then stays settled.
    pub async fn settle(&self, now: Timestamp, meta: &Meta) -> Result<usize, Unavailable> {
        let directory = self.directory().await?;
        let mut settled = 0;
        for (entity, entry) in directory.entries() {
            let pending = !entry.confirmed || entry.next_keys.is_some();
            let due = match pending {
                true => is_stale(entry.reserved_at, now),
                // The kinds are small: looking at every entry costs little.
                false => self.load(entity).await?.state.is_some_and(|state| state.is_deleted()),
            };
            if due {
                harmless(self.settle_entry(entity, entry, meta).await)?;
                settled += 1;
            }
        }
        Ok(settled)
    }

    /// Reopens references that were closed for deletions that came to nothing: those that are stale at `now` and whose
    /// target still `exists`. The others stay closed. Returns how many were reopened.
    ///
    /// # Errors
    /// [`Unavailable`] if the journal is, or what `exists` says.
    pub async fn settle_references<F>(
        &self,
        now: Timestamp,
        meta: &Meta,
        exists: impl Fn(String) -> F + Send,
    ) -> Result<usize, Unavailable>
    where
        F: Future<Output = Result<bool, Unavailable>> + Send,
    {
        let meta = Meta { command_id: Uuid::now_v7(), ..meta.clone() };
        let directory = self.directory().await?;
        let mut settled = 0;
        for (reference, closed_at) in directory.closed() {
            if is_stale(closed_at, now) && exists(reference.to_owned()).await? {
                harmless(self.reopen_reference(reference, closed_at, &meta).await)?;
                settled += 1;
            }
        }
        Ok(settled)
    }

    /// Makes the directory agree with one entity's own stream, which wins.
    pub(super) async fn settle_entry(&self, entity: Uuid, entry: &KeyEntry, meta: &Meta) -> Outcome<(), A> {
        let meta = Meta { command_id: Uuid::now_v7(), ..meta.clone() };
        match self.load(entity).await?.state {
            None => self.abandon(entity, entry, &meta).await,
            Some(state) if state.is_deleted() => self.tell(&ReleaseKeys { entity }, "release", &meta).await,
            Some(state) => {
                self.tell(&ConfirmKeys { entity }, "confirm", &meta).await?;
                match entry.next_keys.clone() {
                    Some(keys) if keys == state.keys() => {
                        self.tell(&ConfirmKeyChange { entity, keys }, "confirm-keys", &meta).await
                    }
                    Some(keys) => self.tell(&ReleaseKeyChange { entity, keys }, "release-keys", &meta).await,
                    None => Ok(()),
                }
            }
        }
    }

    /// Closes the stream of a creation that never began, so that its reservation can be released safely.
    async fn abandon(&self, entity: Uuid, entry: &KeyEntry, meta: &Meta) -> Outcome<(), A> {
        match self.entities.run(&stream::<A>(entity), &A::abandon(entry), meta).await {
            Ok(_) => self.tell(&ReleaseKeys { entity }, "release", meta).await,
            // The creator won after all.
            Err(CommandError::Rejected(_)) => self.tell(&ConfirmKeys { entity }, "confirm", meta).await,
            Err(error) => Err(error.into()),
        }
    }
}

/// What is refused while settling was settled by somebody else.
fn harmless<R: std::error::Error>(settled: Result<(), CollectionError<R>>) -> Result<(), Unavailable> {
    match settled {
        Err(CollectionError::Unavailable(cause)) => Err(cause),
        _ => Ok(()),
    }
}
