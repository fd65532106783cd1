//! The commands on a system peer, one file each.

mod abandon;
mod add;
mod delete;
mod import;
mod update;

pub use abandon::AbandonSystemPeer;
pub use add::AddSystemPeer;
pub use delete::DeleteSystemPeer;
pub use import::ImportSystemPeer;
pub use update::UpdateSystemPeer;

use super::{Rejection, SystemPeer};

/// The system peer, unless it is gone.
fn existing(state: Option<&SystemPeer>) -> Result<&SystemPeer, Rejection> {
    state.filter(|peer| !peer.deleted).ok_or(Rejection::NotFound)
}
