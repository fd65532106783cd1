//! The state of an association.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::command::AbandonAssociation;
use super::{PeerGroupAssociationEvent, Rejection, pair_key};
use crate::aggregate::{Aggregate, Unfoldable};
use crate::key_directory::{KeyEntry, Keys, Listed};
use crate::subcloud::ImportedTimes;

/// The association of a peer group with a system peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerGroupAssociation {
    /// The small integer the contract shows.
    pub id: i64,
    /// Id of the peer group.
    pub peer_group_id: i64,
    /// Id of the system peer.
    pub system_peer_id: i64,
    /// Priority of the copy on the peer; none if this site holds the copy.
    pub peer_group_priority: Option<i64>,
    /// `syncing`, `synced`, `failed` or `disabled`.
    pub sync_status: String,
    /// What the last synchronisation said.
    pub sync_message: Option<String>,
    /// The synchronisation that was asked for and has not ended.
    pub sync_run: Option<Uuid>,
    /// The times of the row it was imported from; `None` if it was added here.
    pub imported: Option<ImportedTimes>,
    /// Whether it is gone, or never began.
    pub deleted: bool,
}

impl PeerGroupAssociation {
    /// Whether the event belongs to the creation itself: the request that follows it at once, at revision 1, is no
    /// change of what was just added.
    pub const fn is_part_of_creation(event: &PeerGroupAssociationEvent, revision: u64) -> bool {
        revision <= 1 && matches!(event, PeerGroupAssociationEvent::AssociationSyncRequested(_))
    }
}

impl Aggregate for PeerGroupAssociation {
    type Event = PeerGroupAssociationEvent;

    const KIND: &'static str = "peer-group-association";

    fn evolve(state: Option<Self>, event: &PeerGroupAssociationEvent) -> Result<Self, Unfoldable> {
        use PeerGroupAssociationEvent as E;
        let empty = |id| Self {
            id,
            peer_group_id: 0,
            system_peer_id: 0,
            peer_group_priority: None,
            sync_status: String::new(),
            sync_message: None,
            sync_run: None,
            imported: None,
            deleted: false,
        };
        match (state, event) {
            (None, E::PeerGroupAssociationAdded(added)) => Ok(Self {
                peer_group_id: added.peer_group_id,
                system_peer_id: added.system_peer_id,
                peer_group_priority: added.peer_group_priority,
                sync_status: added.sync_status.clone(),
                ..empty(added.id)
            }),
            (None, E::PeerGroupAssociationImported(row)) => Ok(Self {
                peer_group_id: row.peer_group_id,
                system_peer_id: row.system_peer_id,
                peer_group_priority: row.peer_group_priority,
                sync_status: row.sync_status.clone(),
                sync_message: row.sync_message.clone(),
                imported: Some(ImportedTimes {
                    created_at: Some(row.created_at),
                    updated_at: row.updated_at,
                }),
                ..empty(row.id)
            }),
            (None, E::PeerGroupAssociationAbandoned(abandoned)) => {
                Ok(Self { deleted: true, ..empty(abandoned.id) })
            }
            (Some(state), E::AssociationSyncRequested(requested)) if !state.deleted => {
                Ok(Self { sync_run: Some(requested.run_id), ..state })
            }
            (Some(state), E::AssociationSyncStatusChanged(changed)) if !state.deleted => Ok(Self {
                sync_run: state.sync_run.filter(|_| changed.to == super::SYNCING),
                sync_message: changed.message.clone().or(state.sync_message),
                sync_status: changed.to.clone(),
                ..state
            }),
            (Some(state), E::PeerGroupAssociationDeleted(_)) if !state.deleted => {
                Ok(Self { deleted: true, ..state })
            }
            (_, event) => Err(Unfoldable { aggregate: Self::KIND, event: format!("{event:?}") }),
        }
    }
}

impl Listed for PeerGroupAssociation {
    type Rejection = Rejection;
    type Abandon = AbandonAssociation;

    fn id(&self) -> i64 {
        self.id
    }

    fn keys(&self) -> Keys {
        [pair_key(self.peer_group_id, self.system_peer_id)].into()
    }

    fn is_deleted(&self) -> bool {
        self.deleted
    }

    fn abandon(entry: &KeyEntry) -> AbandonAssociation {
        AbandonAssociation { id: entry.id }
    }
}
