//! The commands on an association, one file each.

mod abandon;
mod add;
mod delete;
mod import;
mod lose_sync;
mod request_sync;

pub use abandon::AbandonAssociation;
pub use add::{AddAssociation, check_priority};
pub use delete::DeleteAssociation;
pub use import::ImportAssociation;
pub use lose_sync::LoseAssociationSync;
pub use request_sync::RequestAssociationSync;

use super::{DISABLED, PeerGroupAssociation, Rejection};

/// The association, unless it is gone.
fn existing(state: Option<&PeerGroupAssociation>) -> Result<&PeerGroupAssociation, Rejection> {
    state.filter(|association| !association.deleted).ok_or(Rejection::NotFound)
}

/// Refuses an association whose group is only a copy here (fleet.md §7.2, §7.3).
///
/// # Errors
/// [`Rejection::Disabled`].
pub fn check_enabled(association: &PeerGroupAssociation) -> Result<(), Rejection> {
    if association.sync_status == DISABLED { Err(Rejection::Disabled) } else { Ok(()) }
}
