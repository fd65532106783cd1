//! The directory of subclouds: what must hold across their streams.
//!
//! It owns names, region names, address ranges and group membership, and hands out the small integer ids the
//! contract shows. A name is reserved here first, then the entity's stream is written, then the reservation is
//! confirmed; whoever finds a stale reservation closes the entity's stream before releasing it.
//!
//! A move to another group is reserved likewise, and a group is closed before it is deleted, so that none is deleted
//! with a subcloud in it. A deleted group stays closed: ids are never used again.

mod command;
mod event;
mod groups;
mod import;
mod state;
mod subnets;

pub use command::{
    ChangeSubnet, ConfirmEntry, ConfirmName, Rejection, ReleaseEntry, ReleaseName, ReserveEntry, ReserveName,
};
pub use event::{
    DirectoryEvent, EntryConfirmed, EntryImported, EntryReleased, EntryReserved, GroupClosed,
    GroupMembershipChanged, GroupMoveReleased, GroupMoveReserved, GroupReopened, NameConfirmed, NameReleased,
    NameReserved, SubnetChanged, SubnetReleased, SubnetReserved,
};
pub use groups::{CloseGroup, MoveToGroup, ReleaseGroupMove, ReopenGroup, ReserveGroupMove};
pub use import::{EntryToImport, ImportEntries};
pub use state::{Directory, Entry};
pub use subnets::{ConfirmSubnet, ReleaseSubnet, ReserveSubnet};
