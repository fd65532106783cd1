//! The commands on a peer group, one file each.

mod abandon;
mod add;
mod delete;
mod finish_migration;
mod import;
mod request_migration;
mod update;

pub use abandon::AbandonPeerGroup;
pub use add::AddPeerGroup;
pub use delete::DeletePeerGroup;
pub use finish_migration::FinishMigration;
pub use import::ImportPeerGroup;
pub use request_migration::RequestMigration;
pub use update::UpdatePeerGroup;

use super::{Rejection, SubcloudPeerGroup};

/// The peer group, unless it is gone.
fn existing(state: Option<&SubcloudPeerGroup>) -> Result<&SubcloudPeerGroup, Rejection> {
    state.filter(|group| !group.deleted).ok_or(Rejection::NotFound)
}
