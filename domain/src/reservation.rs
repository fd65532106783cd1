//! Commands that hold only while something is reserved for them elsewhere.
//!
//! Whoever reserves a name or closes a group decides on one stream and writes another. If it stalls in between for too
//! long, its reservation is settled by others, so the second step must then be refused.

use serde::{Serialize, Serializer};

use crate::aggregate::{Aggregate, Command, Facts};
use crate::value::Timestamp;

/// How long a reservation may be used, in microseconds; half of [`STALE_AFTER`].
pub const USABLE_FOR: i64 = 30_000_000;

/// A reservation this old, in microseconds, belongs to a request that died, and is settled.
pub const STALE_AFTER: i64 = 60_000_000;

/// A command that may only be carried out while what was reserved at `reserved_at` is surely still reserved. Recorded
/// as the command itself.
#[derive(Clone, Copy, Debug)]
pub struct InTime<'a, C> {
    /// The command.
    pub command: &'a C,
    /// When the reservation was made.
    pub reserved_at: Timestamp,
}

/// Why a command with a reservation is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InTimeRejection<R> {
    /// The rule that refuses the command itself.
    #[error(transparent)]
    Refused(R),
    /// It came so late that others may have settled the reservation; trying again is safe.
    #[error("the reservation for this request is too old")]
    Stale,
}

impl<C: Serialize> Serialize for InTime<'_, C> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.command.serialize(serializer)
    }
}

impl<A: Aggregate, C: Command<A>> Command<A> for InTime<'_, C> {
    type Rejection = InTimeRejection<C::Rejection>;
    const NAME: &'static str = C::NAME;
    const VERSION: u32 = C::VERSION;

    fn decide(&self, state: Option<&A>, facts: &Facts) -> Result<Vec<A::Event>, Self::Rejection> {
        let events = self.command.decide(state, facts).map_err(InTimeRejection::Refused)?;
        let age = facts.now.micros().saturating_sub(self.reserved_at.micros());
        match !events.is_empty() && age > USABLE_FOR {
            true => Err(InTimeRejection::Stale),
            false => Ok(events),
        }
    }
}
