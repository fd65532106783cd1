//! Ask for a deploy status directly, as the system itself does.

use serde::Serialize;

use super::existing;
use crate::aggregate::{Command, Facts};
use crate::subcloud::transition::Transition;
use crate::subcloud::{Rejection, Subcloud, SubcloudEvent};
use crate::value::{DeployStatus, ManagementState};

/// Changes deploy status and perhaps management state in one step, without the checks of the REST API.
///
/// The rules are the manager's (subclouds.md §9.2 rule 5): `secondary` and `rehome-pending` only together with, or
/// after, becoming unmanaged; `rehome-pending` only from `complete`; managing only back to `complete`.
#[derive(Clone, Debug, Serialize)]
pub struct ChangeDeployStatus {
    /// The status asked for.
    pub to: DeployStatus,
    /// The management state asked for with it.
    pub management: Option<ManagementState>,
    /// Waives the conditions of managing.
    pub force: bool,
}

impl ChangeDeployStatus {
    /// Marks the subcloud as a secondary copy, managed by another controller (jobs.md §6.1 `MarkSecondary`).
    pub const fn mark_secondary() -> Self {
        Self { to: DeployStatus::Secondary, management: None, force: false }
    }
}

impl Command<Subcloud> for ChangeDeployStatus {
    type Rejection = Rejection;
    const NAME: &'static str = "ChangeDeployStatus";

    fn decide(&self, state: Option<&Subcloud>, _: &Facts) -> Result<Vec<SubcloudEvent>, Rejection> {
        let transition = Transition { management: self.management, deploy: Some(self.to), force: self.force };
        transition.decide(existing(state)?)
    }
}
