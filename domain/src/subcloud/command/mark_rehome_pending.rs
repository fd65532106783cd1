//! Mark an unmanaged subcloud as waiting to be rehomed.

use serde::Serialize;

use super::{Details, existing};
use crate::aggregate::{Command, Facts};
use crate::subcloud::transition::Transition;
use crate::subcloud::{Rejection, Subcloud, SubcloudEvent};
use crate::value::{DeployStatus, ManagementState};

/// `migrate=true` alone, on a subcloud that is unmanaged already (subclouds.md §9.3, rows 5, 6, 8 and 11).
#[derive(Clone, Debug, Default, Serialize)]
pub struct MarkRehomePending {
    /// What else changes.
    pub details: Details,
}

impl Command<Subcloud> for MarkRehomePending {
    type Rejection = Rejection;
    const NAME: &'static str = "MarkRehomePending";

    fn decide(&self, state: Option<&Subcloud>, _: &Facts) -> Result<Vec<SubcloudEvent>, Rejection> {
        let state = existing(state)?;
        let migrates = check_migrate(state, state.management == ManagementState::Unmanaged)?;
        let deploy = migrates.then_some(DeployStatus::RehomePending);
        let axes = Transition { deploy, ..Transition::default() }.decide(state)?;
        Ok(self.details.events(state).into_iter().chain(axes).collect())
    }
}

/// The rule for `migrate=true` (subclouds.md §9.1): whether it has anything to do.
/// `unmanaged` says whether the subcloud is unmanaged or becomes so with the same request.
///
/// # Errors
/// Both conditions are looked at; if both fail, the second one's rejection is given.
pub fn check_migrate(state: &Subcloud, unmanaged: bool) -> Result<bool, Rejection> {
    if state.deploy == DeployStatus::RehomePending {
        return Ok(false);
    }
    if !unmanaged {
        return Err(Rejection::MigrateNotUnmanaged);
    }
    if state.deploy != DeployStatus::Complete {
        return Err(Rejection::MigrateNotComplete { status: state.deploy });
    }
    Ok(true)
}
