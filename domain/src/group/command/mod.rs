//! The commands on a group, one file each.

mod abandon;
mod add;
mod delete;
mod ensure_default;
mod import;
mod update;

pub use abandon::AbandonSubcloudGroup;
pub use add::AddSubcloudGroup;
pub use delete::DeleteSubcloudGroup;
pub use ensure_default::EnsureDefaultGroup;
pub use import::ImportSubcloudGroup;
pub use update::UpdateSubcloudGroup;

use super::{Rejection, SubcloudGroup};

/// The group, unless it is gone.
fn existing(state: Option<&SubcloudGroup>) -> Result<&SubcloudGroup, Rejection> {
    state.filter(|group| !group.deleted).ok_or(Rejection::NotFound)
}
