//! ASSOCIATION (fleet.md §7). The structs are also its description.

use dcm_domain::association::PeerGroupAssociation;
use dcm_domain::value::Timestamp;
use dcm_journal::repository::Done;
use dcm_projections::AssociationRow;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::times::{Times, times};

/// The association of a peer group with a system peer.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = PeerGroupAssociation)]
#[serde(rename_all = "kebab-case")]
pub struct AssociationBody {
    /// Small integer, never used again.
    #[schema(example = 1)]
    pub id: i64,
    /// Id of the peer group.
    #[schema(example = 1)]
    pub peer_group_id: i64,
    /// Id of the system peer.
    #[schema(example = 1)]
    pub system_peer_id: i64,
    /// Priority of the copy on the peer; null if this site holds the copy.
    #[schema(required, example = 99)]
    pub peer_group_priority: Option<i64>,
    /// `syncing`, `synced`, `failed` or `disabled`.
    #[schema(example = "syncing")]
    pub sync_status: String,
    /// What the last synchronisation said.
    #[schema(required)]
    pub sync_message: Option<String>,
    /// When it was added, in UTC.
    #[schema(example = "2023-11-20 10:00:00.123456")]
    pub created_at: String,
    /// When it last changed, in UTC.
    #[schema(required)]
    pub updated_at: Option<String>,
}

/// An association as an entry of the list, without the message.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ListedAssociation {
    /// Small integer, never used again.
    #[schema(example = 1)]
    pub id: i64,
    /// Id of the peer group.
    #[schema(example = 1)]
    pub peer_group_id: i64,
    /// Id of the system peer.
    #[schema(example = 1)]
    pub system_peer_id: i64,
    /// Priority of the copy on the peer; null if this site holds the copy.
    #[schema(required, example = 99)]
    pub peer_group_priority: Option<i64>,
    /// `syncing`, `synced`, `failed` or `disabled`.
    #[schema(example = "syncing")]
    pub sync_status: String,
    /// When it was added, in UTC.
    #[schema(example = "2023-11-20 10:00:00.123456")]
    pub created_at: String,
    /// When it last changed, in UTC.
    #[schema(required)]
    pub updated_at: Option<String>,
}

/// The associations, by id.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AssociationList {
    /// The entries.
    pub peer_group_associations: Vec<ListedAssociation>,
}

/// A new association. Other members are ignored.
#[derive(Debug, Deserialize, ToSchema)]
pub struct NewAssociation {
    /// Id of the peer group; a number in a string is taken too.
    #[schema(example = 1)]
    pub peer_group_id: i64,
    /// Id of the system peer; a number in a string is taken too.
    #[schema(example = 1)]
    pub system_peer_id: i64,
    /// Priority of the copy on the peer: needed if the group's own is 0, else not allowed.
    #[schema(example = 99, minimum = 0, maximum = 65536)]
    pub peer_group_priority: Option<i64>,
}

/// Changes to an association.
#[derive(Debug, Deserialize, ToSchema)]
pub struct AssociationPatch {
    /// New priority of the copy on the peer; a number in a string is taken too.
    #[schema(example = 10, minimum = 1, maximum = 65536)]
    pub peer_group_priority: i64,
}

impl From<AssociationRow> for AssociationBody {
    fn from(row: AssociationRow) -> Self {
        let times = Times { created_at: row.created_at, updated_at: row.updated_at };
        body(&row.state, times)
    }
}

impl From<AssociationRow> for ListedAssociation {
    fn from(row: AssociationRow) -> Self {
        let shown = AssociationBody::from(row);
        Self {
            id: shown.id,
            peer_group_id: shown.peer_group_id,
            system_peer_id: shown.system_peer_id,
            peer_group_priority: shown.peer_group_priority,
            sync_status: shown.sync_status,
            created_at: shown.created_at,
            updated_at: shown.updated_at,
        }
    }
}

/// ASSOCIATION as a command left it; `None` if it left none, which a carried out command never does.
pub fn left(done: &Done<PeerGroupAssociation>) -> Option<AssociationBody> {
    let association = done.loaded.state.as_deref()?;
    // The creation itself is one event, or two if it asks for a synchronisation.
    let created = 1 + u64::from(association.sync_run.is_some() && association.sync_message.is_none());
    let changed = done.loaded.revision.is_some_and(|revision| revision >= created);
    Some(body(association, times(&done.loaded, association.imported, changed)?))
}

fn body(association: &PeerGroupAssociation, times: Times) -> AssociationBody {
    AssociationBody {
        id: association.id,
        peer_group_id: association.peer_group_id,
        system_peer_id: association.system_peer_id,
        peer_group_priority: association.peer_group_priority,
        sync_status: association.sync_status.clone(),
        sync_message: association.sync_message.clone(),
        created_at: times.created_at.blank_separated(),
        updated_at: times.updated_at.map(Timestamp::blank_separated),
    }
}
