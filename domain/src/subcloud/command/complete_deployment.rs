//! Declare a bootstrapped subcloud complete.

use serde::Serialize;

use super::existing;
use crate::aggregate::{Command, Facts};
use crate::subcloud::{DeployStatusChanged, Rejection, Subcloud, SubcloudEvent};
use crate::value::DeployStatus;

/// Ends a deployment without a configuration phase (subclouds.md §7.6, E19).
#[derive(Clone, Copy, Debug, Serialize)]
pub struct CompleteDeployment;

impl Command<Subcloud> for CompleteDeployment {
    type Rejection = Rejection;
    const NAME: &'static str = "CompleteDeployment";

    fn decide(&self, state: Option<&Subcloud>, _: &Facts) -> Result<Vec<SubcloudEvent>, Rejection> {
        let state = existing(state)?;
        let from = state.deploy;
        if from != DeployStatus::BootstrapComplete {
            return Err(Rejection::NotCompletable { status: from });
        }
        if state.run.is_some() {
            return Err(Rejection::RunActive { name: state.name.to_string() });
        }
        let changed = DeployStatusChanged { from, to: DeployStatus::Complete, run_id: None, error: None };
        Ok(vec![changed.into()])
    }
}
