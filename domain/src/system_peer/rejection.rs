//! Why a command on a system peer is refused.

use crate::key_directory;

/// Why a command on a system peer is refused (fleet.md §5).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// There is no such system peer.
    #[error("System Peer not found")]
    NotFound,
    /// No UUID, or longer than its column.
    #[error("Invalid peer uuid")]
    InvalidUuid,
    /// Empty, digits only, too long, or with control characters.
    #[error("Invalid peer name")]
    InvalidName,
    /// Empty, too long, with control characters, or not beginning with `http`.
    #[error("Invalid peer manager_endpoint")]
    InvalidEndpoint,
    /// Empty, too long, or with control characters.
    #[error("Invalid peer manager_username")]
    InvalidUsername,
    /// Empty or too long. Says nothing about the text.
    #[error("Invalid peer manager_password")]
    InvalidPassword,
    /// No single IPv4 or IPv6 address.
    #[error("Invalid peer peer_controller_gateway_address")]
    InvalidGateway,
    /// Neither `enabled` nor `disabled`.
    #[error("Invalid peer administrative_state")]
    InvalidState,
    /// Out of 10..=600.
    #[error("Invalid peer heartbeat_interval")]
    InvalidInterval,
    /// Out of 1..=30.
    #[error("Invalid peer heartbeat_failure_threshold")]
    InvalidThreshold,
    /// None of `alarm`, `rehome`, `delegate`.
    #[error("Invalid peer heartbeat_failure_policy")]
    InvalidPolicy,
    /// Out of 300..=36000.
    #[error("Invalid peer heartbeat_maintenance_timeout")]
    InvalidMaintenance,
    /// An update without anything in it.
    #[error("nothing to update")]
    NothingToUpdate,
    /// An association refers to it.
    #[error("Cannot delete a system peer which is associated with peer group")]
    Associated,
    /// Another peer has the UUID or name.
    #[error("A system peer with this {0} already exists")]
    Taken(&'static str),
    /// The stream has begun, so it cannot begin again or be abandoned.
    #[error("System Peer already exists")]
    AlreadyExists,
    /// Another request changes its UUID, name or password, or deletes it, right now; trying again is safe.
    #[error("the system peer is being changed by another request")]
    ChangeUnderWay,
}

impl From<key_directory::Rejection> for Rejection {
    fn from(refused: key_directory::Rejection) -> Self {
        use key_directory::Rejection as R;
        match refused {
            R::KeyTaken { key } if key.starts_with("uuid:") => Self::Taken("UUID"),
            R::KeyTaken { .. } => Self::Taken("name"),
            R::IdTaken { .. } => Self::AlreadyExists,
            R::Referenced { .. } => Self::Associated,
            R::ChangeUnderWay | R::ReferenceClosed { .. } => Self::ChangeUnderWay,
            R::Unknown => Self::NotFound,
        }
    }
}
