//! Add a subcloud and ask for its deployment.

use serde::Serialize;

use crate::aggregate::{Command, Facts};
use crate::subcloud::{
    DeployRunClaimed, DeployRunRequested, Rejection, Subcloud, SubcloudAdded, SubcloudEvent,
};

/// Starts a subcloud's stream; its deployment waits for a worker (subclouds.md §6.3, E5 and E15).
#[derive(Clone, Debug, Serialize)]
pub struct AddSubcloud {
    /// What it starts as; id, name and region are reserved in the directory.
    pub subcloud: SubcloudAdded,
    /// The run that creates, and perhaps deploys, it.
    pub run: DeployRunRequested,
    /// A worker that carries the run out itself; no other can claim it in between.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claimed_by: Option<String>,
}

impl Command<Subcloud> for AddSubcloud {
    type Rejection = Rejection;
    const NAME: &'static str = "AddSubcloud";

    fn decide(&self, state: Option<&Subcloud>, _: &Facts) -> Result<Vec<SubcloudEvent>, Rejection> {
        match state {
            None => {
                let claimed = self
                    .claimed_by
                    .clone()
                    .map(|worker| SubcloudEvent::from(DeployRunClaimed { run_id: self.run.run_id, worker }));
                Ok([self.subcloud.clone().into(), self.run.clone().into()]
                    .into_iter()
                    .chain(claimed)
                    .collect())
            }
            Some(_) => Err(Rejection::AlreadyExists),
        }
    }
}
