//! A subcloud peer group: subclouds that move to another controller together (fleet.md §3).

pub mod command;
mod event;
mod rejection;
mod state;
mod values;

pub use event::{
    MigrationFinished, MigrationMember, MigrationRequested, MigrationStatusChanged,
    SubcloudPeerGroupAbandoned, SubcloudPeerGroupAdded, SubcloudPeerGroupDeleted, SubcloudPeerGroupEvent,
    SubcloudPeerGroupImported, SubcloudPeerGroupUpdated, SystemLeader,
};
pub use rejection::Rejection;
pub use state::{Migration, SubcloudPeerGroup};
pub use values::{
    COMPLETE, DEFAULT_MAX_REHOMING, DEFAULT_PRIORITY, DEFAULT_STATE, MIGRATING, PeerGroupChanges,
    PeerGroupValues, StatusChange, check_name,
};

/// The key of a peer group of that name in the directory of peer groups.
pub fn name_key(name: &str) -> String {
    format!("name:{name}")
}
