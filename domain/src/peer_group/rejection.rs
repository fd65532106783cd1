//! Why a command on a peer group is refused.

use crate::key_directory;

/// Why a command on a peer group is refused (fleet.md §3).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// There is no such peer group; other controllers look for this text.
    #[error("Subcloud Peer Group not found")]
    NotFound,
    /// Missing, digits only, `none`, too long, or with control characters.
    #[error("Invalid peer-group-name")]
    InvalidName,
    /// No UUID.
    #[error("Invalid system-leader-id")]
    InvalidLeaderId,
    /// Too long, or with control characters.
    #[error("Invalid system-leader-name")]
    InvalidLeaderName,
    /// Out of 0..=65536.
    #[error("Invalid group-priority")]
    InvalidPriority,
    /// Neither `enabled` nor `disabled`.
    #[error("Invalid group-state")]
    InvalidState,
    /// Out of 1..=250.
    #[error("Invalid max-subcloud-rehoming")]
    InvalidMaxRehoming,
    /// None of `migrating`, `complete`, `none`.
    #[error("Invalid migration_status")]
    InvalidMigrationStatus,
    /// An update without anything in it.
    #[error("nothing to update")]
    NothingToUpdate,
    /// An association refers to it; other controllers look for this text.
    #[error("Cannot delete a peer group which is associated with a system peer")]
    Associated,
    /// Members are being rehomed.
    #[error("the subcloud peer group is being migrated")]
    MigrationUnderWay,
    /// No member can be rehomed.
    #[error("nothing to migrate: no subcloud of the peer group is unmanaged and secondary")]
    NothingToMigrate,
    /// Another peer group has the name.
    #[error("A subcloud peer group with this name already exists")]
    NameTaken,
    /// The stream has begun, so it cannot begin again or be abandoned.
    #[error("Subcloud Peer Group already exists")]
    AlreadyExists,
    /// Another request changes its name, or deletes it, right now; trying again is safe.
    #[error("the subcloud peer group is being changed by another request")]
    ChangeUnderWay,
}

impl From<key_directory::Rejection> for Rejection {
    fn from(refused: key_directory::Rejection) -> Self {
        use key_directory::Rejection as R;
        match refused {
            R::KeyTaken { .. } => Self::NameTaken,
            R::IdTaken { .. } => Self::AlreadyExists,
            R::Referenced { .. } => Self::Associated,
            R::ChangeUnderWay | R::ReferenceClosed { .. } => Self::ChangeUnderWay,
            R::Unknown => Self::NotFound,
        }
    }
}
