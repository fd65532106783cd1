//! Why a command on an association is refused.

use super::referred_peer_group;
use crate::key_directory;

/// Why a command on an association is refused (fleet.md §7).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// There is no such association.
    #[error("Peer Group Association not found")]
    NotFound,
    /// No such peer group, or it is being deleted.
    #[error("Invalid peer_group_id")]
    InvalidPeerGroup,
    /// No such system peer, or it is being deleted.
    #[error("Invalid system_peer_id")]
    InvalidSystemPeer,
    /// The group is owned by this site, so the copy needs a priority.
    #[error("Peer Group Association priority is required: the local subcloud peer group's priority is 0")]
    PriorityRequired,
    /// This site holds the copy, so there is none to give a priority.
    #[error(
        "Peer Group Association create is not allowed with a priority: the local subcloud peer group's priority is not 0"
    )]
    PriorityForbidden,
    /// Out of 1..=65536.
    #[error("Invalid peer_group_priority")]
    InvalidPriority,
    /// An update without anything in it.
    #[error("nothing to update")]
    NothingToUpdate,
    /// The two are associated already.
    #[error("A peer group association with the same peer group and system peer already exists")]
    PairTaken,
    /// This site holds the copy: nothing can be synchronised from here.
    #[error(
        "Peer Group Association's sync_status is disabled: it cannot be updated or synchronised from here"
    )]
    Disabled,
    /// Its copy on the peer has to go first.
    #[error("Peer Group Association is not disabled: its copy on the peer has to be removed first")]
    NotDisabled,
    /// Another system leads the group.
    #[error("Peer Group Association sync is only allowed from the system that leads the subcloud peer group")]
    NotLeader,
    /// The stream has begun, so it cannot begin again or be abandoned.
    #[error("Peer Group Association already exists")]
    AlreadyExists,
    /// Another request changes it right now; trying again is safe.
    #[error("the peer group association is being changed by another request")]
    ChangeUnderWay,
}

impl From<key_directory::Rejection> for Rejection {
    fn from(refused: key_directory::Rejection) -> Self {
        use key_directory::Rejection as R;
        match refused {
            R::KeyTaken { .. } => Self::PairTaken,
            R::IdTaken { .. } => Self::AlreadyExists,
            R::ReferenceClosed { reference } => match referred_peer_group(&reference) {
                Some(_) => Self::InvalidPeerGroup,
                None => Self::InvalidSystemPeer,
            },
            R::ChangeUnderWay | R::Referenced { .. } => Self::ChangeUnderWay,
            R::Unknown => Self::NotFound,
        }
    }
}
