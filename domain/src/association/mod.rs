//! The association of a peer group with a system peer: the peer holds a copy of the group (fleet.md §7).

pub mod command;
mod event;
mod rejection;
mod state;

pub use event::{
    AssociationSyncRequested, AssociationSyncStatusChanged, PeerGroupAssociationAbandoned,
    PeerGroupAssociationAdded, PeerGroupAssociationDeleted, PeerGroupAssociationEvent,
    PeerGroupAssociationImported,
};
pub use rejection::Rejection;
pub use state::PeerGroupAssociation;

/// The sync status while a job is queued or running.
pub const SYNCING: &str = "syncing";
/// The sync status after a job that failed.
pub const FAILED: &str = "failed";
/// The sync status where nothing can be synchronised: this site holds the copy.
pub const DISABLED: &str = "disabled";

/// The key of an association of that pair in the directory of associations.
pub fn pair_key(peer_group_id: i64, system_peer_id: i64) -> String {
    format!("pair:{peer_group_id}:{system_peer_id}")
}

/// What an association refers to: the peer group with that id.
pub fn peer_group_reference(id: i64) -> String {
    format!("{PEER_GROUP}{id}")
}

/// What an association refers to: the system peer with that id.
pub fn system_peer_reference(id: i64) -> String {
    format!("{SYSTEM_PEER}{id}")
}

/// The id of the peer group a reference names, if it names one.
pub fn referred_peer_group(reference: &str) -> Option<i64> {
    reference.strip_prefix(PEER_GROUP)?.parse().ok()
}

/// The id of the system peer a reference names, if it names one.
pub fn referred_system_peer(reference: &str) -> Option<i64> {
    reference.strip_prefix(SYSTEM_PEER)?.parse().ok()
}

const PEER_GROUP: &str = "peer-group:";
const SYSTEM_PEER: &str = "system-peer:";
