//! Take a subcloud under management.

use serde::Serialize;

use super::{Details, check_migrate, existing};
use crate::aggregate::{Command, Facts};
use crate::subcloud::transition::Transition;
use crate::subcloud::{Rejection, Subcloud, SubcloudEvent};
use crate::value::ManagementState;

/// Takes a subcloud under management; one that waits to be rehomed goes back to `complete` (subclouds.md §9.3).
#[derive(Clone, Debug, Default, Serialize)]
pub struct ManageSubcloud {
    /// Waives the conditions on deploy status and availability.
    pub force: bool,
    /// `migrate=true` was sent along: refused, unless the subcloud waits to be rehomed (rows 10 and 14).
    pub migrate: bool,
    /// What else changes.
    pub details: Details,
}

impl Command<Subcloud> for ManageSubcloud {
    type Rejection = Rejection;
    const NAME: &'static str = "ManageSubcloud";

    fn decide(&self, state: Option<&Subcloud>, _: &Facts) -> Result<Vec<SubcloudEvent>, Rejection> {
        let state = existing(state)?;
        if self.migrate {
            check_migrate(state, false)?;
        }
        let transition =
            Transition { management: Some(ManagementState::Managed), deploy: None, force: self.force };
        let axes = transition.decide(state)?;
        Ok(self.details.events(state).into_iter().chain(axes).collect())
    }
}
