//! A system peer: another controller that may take subclouds over, or hand them here (fleet.md §5).

pub mod command;
mod event;
mod rejection;
mod state;
mod values;

pub use event::{
    SystemPeerAbandoned, SystemPeerAdded, SystemPeerDeleted, SystemPeerEvent, SystemPeerImported,
    SystemPeerUpdated,
};
pub use rejection::Rejection;
pub use state::SystemPeer;
pub use values::{
    DEFAULT_FAILURE_POLICY, DEFAULT_FAILURE_THRESHOLD, DEFAULT_HEARTBEAT_INTERVAL,
    DEFAULT_MAINTENANCE_TIMEOUT, DEFAULT_STATE, PeerChanges, PeerValues, check_password,
};

/// The heartbeat status of a peer that was never contacted.
pub const CREATED: &str = "created";

/// The key of a peer of that name in the directory of system peers.
pub fn name_key(name: &str) -> String {
    format!("name:{name}")
}

/// The key of a peer with that UUID, as it was sent, in the directory of system peers.
pub fn uuid_key(uuid: &str) -> String {
    format!("uuid:{uuid}")
}
