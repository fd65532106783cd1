//! Why a command on a group is refused.

use crate::key_directory;

/// Why a command on a group is refused (fleet.md §2).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// There is no such group.
    #[error("Subcloud Group not found")]
    NotFound,
    /// Empty, digits only, `Default`, too long, or with control characters.
    #[error("Invalid group name")]
    InvalidName,
    /// Empty, too long, or with NUL.
    #[error("Invalid group description")]
    InvalidDescription,
    /// Neither `parallel` nor `serial`.
    #[error("Invalid group update_apply_type")]
    InvalidApplyType,
    /// Out of 1..=500.
    #[error("Invalid group max_parallel_subclouds")]
    InvalidMaxParallel,
    /// An update without anything in it.
    #[error("nothing to update")]
    NothingToUpdate,
    /// The name of the group that exists always is fixed.
    #[error("Default group name cannot be changed")]
    DefaultNameFixed,
    /// The group that exists always stays.
    #[error("Default Subcloud Group may not be deleted")]
    DefaultStays,
    /// Subclouds belong to it.
    #[error("Subcloud Group not empty")]
    NotEmpty,
    /// Another group has the name.
    #[error("A subcloud group with this name already exists")]
    NameTaken,
    /// The stream has begun, so it cannot begin again or be abandoned.
    #[error("Subcloud Group already exists")]
    AlreadyExists,
    /// Another request changes its name right now; trying again is safe.
    #[error("the group is being changed by another request")]
    ChangeUnderWay,
}

impl From<key_directory::Rejection> for Rejection {
    fn from(refused: key_directory::Rejection) -> Self {
        use key_directory::Rejection as R;
        match refused {
            R::KeyTaken { .. } => Self::NameTaken,
            R::IdTaken { .. } => Self::AlreadyExists,
            R::ChangeUnderWay | R::ReferenceClosed { .. } | R::Referenced { .. } => Self::ChangeUnderWay,
            R::Unknown => Self::NotFound,
        }
    }
}
