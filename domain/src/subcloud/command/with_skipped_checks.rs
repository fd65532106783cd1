//! Any command, together with the checks that were left out before it.

use serde::{Serialize, Serializer};

use crate::aggregate::{Command, Facts};
use crate::subcloud::{ChecksSkipped, SkippedCheck, Subcloud, SubcloudEvent};

/// A command before which checks were left out, because nothing that could answer them is configured (design §8): if
/// it changes anything, `ChecksSkipped` is the last event of the same append. It is recorded as the command itself.
#[derive(Clone, Debug)]
pub struct WithSkippedChecks<C> {
    /// What is carried out.
    pub command: C,
    /// What was left out; nothing is recorded if it is empty.
    pub skipped: Vec<SkippedCheck>,
}

impl<C: Serialize> Serialize for WithSkippedChecks<C> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.command.serialize(serializer)
    }
}

impl<C: Command<Subcloud>> Command<Subcloud> for WithSkippedChecks<C> {
    type Rejection = C::Rejection;
    const NAME: &'static str = C::NAME;
    const VERSION: u32 = C::VERSION;

    fn decide(&self, state: Option<&Subcloud>, facts: &Facts) -> Result<Vec<SubcloudEvent>, C::Rejection> {
        let mut events = self.command.decide(state, facts)?;
        if !events.is_empty() && !self.skipped.is_empty() {
            events.push(ChecksSkipped { checks: self.skipped.clone() }.into());
        }
        Ok(events)
    }
}
