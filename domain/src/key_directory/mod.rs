//! The directory of a small kind (groups, peer groups, system peers, associations): what must hold across its streams.
//!
//! It owns the kind's unique keys (`name:edge`, `uuid:…`, `pair:1:2`), hands out the small integer ids the contract
//! shows, and knows what each entry refers to (`peer-group:1`), so that a thing that is referred to is not deleted. The
//! protocol is that of the directory of subclouds: keys are reserved here first, then the entity's stream is written,
//! then the reservation is confirmed; whoever finds a stale reservation closes the entity's stream before releasing it.
//! Keys change the same way, and never without a reservation: [`Holding`] sees to that where the entity decides.
//!
//! A reference is closed before the thing it names is deleted, and stays closed after that: ids are never used again.

mod command;
mod entity;
mod event;
mod holding;
mod state;

pub use command::{
    CloseReference, ConfirmKeyChange, ConfirmKeys, Rejection, ReleaseKeyChange, ReleaseKeys, ReopenReference,
    ReserveKeyChange, ReserveKeys,
};
pub use entity::Listed;
pub use event::{
    KeyChangeConfirmed, KeyChangeReleased, KeyChangeReserved, KeyDirectoryEvent, KeysConfirmed, KeysReleased,
    KeysReserved, ReferenceClosed, ReferenceReopened,
};
pub use holding::{Holding, HoldingRejection, keys_after};
pub use state::{KeyDirectory, KeyEntry, Keys};
