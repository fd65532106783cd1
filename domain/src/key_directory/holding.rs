//! Commands that leave an entity exactly the keys that are held for it.

use serde::{Serialize, Serializer};

use super::{Keys, Listed};
use crate::aggregate::{Command, Facts};

/// A command that may only be carried out if it leaves the entity the keys that are held for it: its own, or those that
/// were reserved. Which they would be was looked up before the decision, and another request may have changed the
/// entity since. Recorded as the command itself.
#[derive(Clone, Copy, Debug)]
pub struct Holding<'a, C> {
    /// The command.
    pub command: &'a C,
    /// The keys that were reserved for it; without them the entity keeps those it has.
    pub reserved: Option<&'a Keys>,
}

/// Why a command that must leave certain keys is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HoldingRejection<R> {
    /// The rule that refuses the command itself.
    #[error(transparent)]
    Refused(R),
    /// It would leave keys that are not held for the entity; what to reserve has to be looked up anew.
    #[error("it would leave keys that are not reserved")]
    OtherKeys,
}

impl<C: Serialize> Serialize for Holding<'_, C> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.command.serialize(serializer)
    }
}

impl<A: Listed, C: Command<A>> Command<A> for Holding<'_, C> {
    type Rejection = HoldingRejection<C::Rejection>;
    const NAME: &'static str = C::NAME;
    const VERSION: u32 = C::VERSION;

    fn decide(&self, state: Option<&A>, facts: &Facts) -> Result<Vec<A::Event>, Self::Rejection> {
        let events = self.command.decide(state, facts).map_err(HoldingRejection::Refused)?;
        let held = self.reserved.cloned().or_else(|| state.map(|entity| entity.keys()));
        match keys_after(state, &events) == held {
            true => Ok(events),
            false => Err(HoldingRejection::OtherKeys),
        }
    }
}

/// The keys that the entity has after `events`; `None` if there is none then, or they cannot follow its state.
pub fn keys_after<A: Listed>(state: Option<&A>, events: &[A::Event]) -> Option<Keys> {
    let left = events.iter().try_fold(state.cloned(), |state, event| A::evolve(state, event).map(Some));
    left.ok().flatten().map(|entity| entity.keys())
}
