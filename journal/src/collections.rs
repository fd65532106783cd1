//! The collections of the program: one for each small kind that has a directory of its own.

use std::sync::Arc;

use dcm_domain::group::{DEFAULT_GROUP, DEFAULT_GROUP_ID, DEFAULT_GROUP_NAME, EnsureDefaultGroup};
use dcm_domain::group::{SubcloudGroup, name_key};
use dcm_domain::value::Timestamp;
use dcm_schemas::stream::InvalidStreamId;

use crate::collection::{Collection, CollectionError, NewEntity};
use crate::repository::{Meta, Unavailable};
use crate::store::Journal;

/// Every collection, over one journal.
pub struct Collections {
    /// Subcloud groups.
    pub groups: Collection<SubcloudGroup>,
}

impl Collections {
    /// The collections over `journal`.
    ///
    /// # Errors
    /// Never in practice: the directories' streams have valid names.
    pub fn new(journal: &Arc<dyn Journal>) -> Result<Self, InvalidStreamId> {
        Ok(Self { groups: Collection::new(journal)? })
    }

    /// Makes sure that the `Default` group exists and is listed.
    ///
    /// # Errors
    /// [`Unavailable`] if the journal is.
    pub async fn ensure_default_group(&self, meta: &Meta) -> Result<(), Unavailable> {
        self.groups.ensure(DEFAULT_GROUP, &EnsureDefaultGroup, meta).await?;
        let keys = [name_key(DEFAULT_GROUP_NAME)].into();
        let listed = NewEntity { entity: DEFAULT_GROUP, id: Some(DEFAULT_GROUP_ID), ..NewEntity::new(keys) };
        match self.groups.list(listed, meta).await {
            Err(CollectionError::Unavailable(cause)) => Err(cause),
            // Anything else is what an import left: it is kept as it is.
            _ => Ok(()),
        }
    }

    /// Finishes what crashes left half-way in any directory. Returns how many entries were settled.
    ///
    /// # Errors
    /// [`Unavailable`] if the journal is; what is settled by then stays settled.
    pub async fn settle(&self, now: Timestamp, meta: &Meta) -> Result<usize, Unavailable> {
        self.groups.settle(now, meta).await
    }
}
