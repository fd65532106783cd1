//! A subcloud group. One exists always: `Default`, id 1 (subclouds.md §2.2, fleet.md §2).

pub mod command;
mod event;
mod rejection;
mod state;
mod values;

use uuid::Uuid;

pub use command::EnsureDefaultGroup;
pub use event::{
    SubcloudGroupAbandoned, SubcloudGroupAdded, SubcloudGroupDeleted, SubcloudGroupEvent,
    SubcloudGroupImported, SubcloudGroupUpdated,
};
pub use rejection::Rejection;
pub use state::SubcloudGroup;
pub use values::{GroupChanges, GroupValues};

/// Id of the group that exists always.
pub const DEFAULT_GROUP_ID: i64 = 1;

/// Name of the group that exists always.
pub const DEFAULT_GROUP_NAME: &str = "Default";

/// Uuid of the group that exists always, the same in every installation.
pub const DEFAULT_GROUP: Uuid = Uuid::from_u128(0x6463_6d00_0000_8000_8000_0000_0000_0001);

/// The key of a group of that name in the directory of groups.
pub fn name_key(name: &str) -> String {
    format!("name:{name}")
}
