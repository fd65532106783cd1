//! What an aggregate has to tell so that a directory can list it.

use super::{KeyEntry, Keys, Rejection};
use crate::aggregate::{Aggregate, Command};

/// An aggregate of a small kind: it has an id and unique keys in a directory.
pub trait Listed: Aggregate {
    /// Why its commands are refused; a refusal of the directory is told as one of them.
    type Rejection: std::error::Error + From<Rejection> + Send + Sync + 'static;

    /// Closes a stream that never began; refused if it has begun (design, reservation protocol).
    type Abandon: Command<Self, Rejection = Self::Rejection>;

    /// The small integer id.
    fn id(&self) -> i64;

    /// What must be unique about it now.
    fn keys(&self) -> Keys;

    /// Whether it is deleted, or never began.
    fn is_deleted(&self) -> bool;

    /// The command that closes the stream of an entity that was reserved as `entry` and never began.
    fn abandon(entry: &KeyEntry) -> Self::Abandon;
}
