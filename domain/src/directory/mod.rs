//! The directory of subclouds: what must hold across their streams.
//!
//! It owns names, region names, address ranges and group membership, and hands out the small integer ids the
//! contract shows. A name is reserved here first, then the entity's stream is written, then the reservation is
//! confirmed; whoever finds a stale reservation closes the entity's stream before releasing it.

mod command;
mod event;
mod state;

pub use command::{
    ChangeSubnet, ConfirmEntry, ConfirmName, MoveToGroup, Rejection, ReleaseEntry, ReleaseName, ReserveEntry,
    ReserveName,
};
pub use event::{
    DirectoryEvent, EntryConfirmed, EntryReleased, EntryReserved, GroupMembershipChanged, NameConfirmed,
    NameReleased, NameReserved, SubnetChanged,
};
pub use state::{Directory, Entry};
