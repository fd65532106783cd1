//! Add a subcloud and ask for its deployment.

use serde::Serialize;

use crate::aggregate::{Command, Facts};
use crate::subcloud::{DeployRunRequested, Rejection, Subcloud, SubcloudAdded, SubcloudEvent};

/// Starts a subcloud's stream; its deployment waits for a worker (subclouds.md §6.3, E5 and E15).
#[derive(Clone, Debug, Serialize)]
pub struct AddSubcloud {
    /// What it starts as; id, name and region are reserved in the directory.
    pub subcloud: SubcloudAdded,
    /// The run that creates, and perhaps deploys, it.
    pub run: DeployRunRequested,
}

impl Command<Subcloud> for AddSubcloud {
    type Rejection = Rejection;
    const NAME: &'static str = "AddSubcloud";

    fn decide(&self, state: Option<&Subcloud>, _: &Facts) -> Result<Vec<SubcloudEvent>, Rejection> {
        match state {
            None => Ok(vec![self.subcloud.clone().into(), self.run.clone().into()]),
            Some(_) => Err(Rejection::AlreadyExists),
        }
    }
}
