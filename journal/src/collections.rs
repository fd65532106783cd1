//! The small kinds: a collection for each that has a directory of its own, and what there is only one of.

use std::sync::Arc;

use dcm_domain::association::PeerGroupAssociation;
use dcm_domain::audit::AuditTriggers;
use dcm_domain::group::{DEFAULT_GROUP, DEFAULT_GROUP_ID, DEFAULT_GROUP_NAME, EnsureDefaultGroup};
use dcm_domain::group::{SubcloudGroup, name_key};
use dcm_domain::options::SwUpdateOptions;
use dcm_domain::peer_group::SubcloudPeerGroup;
use dcm_domain::system_peer::SystemPeer;
use dcm_domain::value::Timestamp;
use dcm_schemas::stream::InvalidStreamId;

use crate::collection::{Collection, CollectionError, NewEntity};
use crate::repository::{Meta, Unavailable};
use crate::singleton::Singleton;
use crate::store::Journal;

/// Every collection, over one journal.
pub struct Collections {
    /// Subcloud groups.
    pub groups: Collection<SubcloudGroup>,
    /// Subcloud peer groups.
    pub peer_groups: Collection<SubcloudPeerGroup>,
    /// System peers.
    pub system_peers: Collection<SystemPeer>,
    /// Associations of peer groups with system peers.
    pub associations: Collection<PeerGroupAssociation>,
    /// Update options.
    pub options: Singleton<SwUpdateOptions>,
    /// Audits that were asked for.
    pub audits: Singleton<AuditTriggers>,
}

impl Collections {
    /// The collections over `journal`.
    ///
    /// # Errors
    /// Never in practice: the directories' streams have valid names.
    pub fn new(journal: &Arc<dyn Journal>) -> Result<Self, InvalidStreamId> {
        Ok(Self {
            groups: Collection::new(journal)?,
            peer_groups: Collection::new(journal)?,
            system_peers: Collection::new(journal)?,
            associations: Collection::new(journal)?,
            options: Singleton::new(journal)?,
            audits: Singleton::new(journal)?,
        })
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
        let entries = self.groups.settle(now, meta).await?
            + self.peer_groups.settle(now, meta).await?
            + self.system_peers.settle(now, meta).await?
            + self.associations.settle(now, meta).await?;
        Ok(entries + self.settle_peering(now, meta).await?)
    }
}
