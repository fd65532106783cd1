//! Ask the running phase to stop.

use serde::Serialize;

use super::existing;
use crate::aggregate::{Command, Facts};
use crate::subcloud::phase::aborting;
use crate::subcloud::{DeployAbortRequested, DeployStatusChanged, Rejection, Subcloud, SubcloudEvent};
use crate::value::DeployStatus;

/// Asks for the end of the phase that runs now; its worker watches for it (subclouds.md §7.7, E20; M-1, M-2, M-17).
#[derive(Clone, Copy, Debug, Serialize)]
pub struct AbortDeployment;

impl AbortDeployment {
    /// The deploy statuses that can be aborted.
    pub const ALLOWED: &'static [DeployStatus] =
        &[DeployStatus::Installing, DeployStatus::Bootstrapping, DeployStatus::Configuring];
}

impl Command<Subcloud> for AbortDeployment {
    type Rejection = Rejection;
    const NAME: &'static str = "AbortDeployment";

    fn decide(&self, state: Option<&Subcloud>, _: &Facts) -> Result<Vec<SubcloudEvent>, Rejection> {
        let state = existing(state)?;
        let from = state.deploy;
        let Some(to) = aborting(from) else {
            return Err(Rejection::NotAbortable { status: from, allowed: Self::ALLOWED });
        };
        if !state.initial_deployment {
            return Err(Rejection::NotInitialDeployment { verb: "abort", verbed: "aborted" });
        }
        let run_id = state.run.as_ref().ok_or(Rejection::RunNotActive)?.id;
        Ok(vec![
            DeployAbortRequested { run_id }.into(),
            DeployStatusChanged { from, to, run_id: Some(run_id), error: None }.into(),
        ])
    }
}
