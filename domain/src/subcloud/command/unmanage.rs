//! Release a subcloud from management, perhaps as the first step of a migration.

use serde::Serialize;

use super::{Details, check_migrate, existing};
use crate::aggregate::{Command, Facts};
use crate::subcloud::transition::Transition;
use crate::subcloud::{Rejection, Subcloud, SubcloudEvent};
use crate::value::{DeployStatus, ManagementState};

/// Releases a subcloud from management (subclouds.md §9.2, §9.3).
#[derive(Clone, Debug, Default, Serialize)]
pub struct UnmanageSubcloud {
    /// Also makes it `rehome-pending`, so that its certificate is no longer audited.
    pub migrate: bool,
    /// What else changes.
    pub details: Details,
}

impl Command<Subcloud> for UnmanageSubcloud {
    type Rejection = Rejection;
    const NAME: &'static str = "UnmanageSubcloud";

    fn decide(&self, state: Option<&Subcloud>, _: &Facts) -> Result<Vec<SubcloudEvent>, Rejection> {
        let state = existing(state)?;
        let migrates = self.migrate && check_migrate(state, true)?;
        let transition = Transition {
            management: Some(ManagementState::Unmanaged),
            deploy: migrates.then_some(DeployStatus::RehomePending),
            force: false,
        };
        let axes = transition.decide(state)?;
        Ok(self.details.events(state).into_iter().chain(axes).collect())
    }
}
