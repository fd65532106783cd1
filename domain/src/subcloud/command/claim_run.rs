//! Take a requested run.

use serde::Serialize;
use uuid::Uuid;

use super::{active, existing};
use crate::aggregate::{Command, Facts};
use crate::subcloud::{DeployRunClaimed, Rejection, Subcloud, SubcloudEvent};

/// A worker takes the run; the first one wins, and no run is taken twice (design §8).
#[derive(Clone, Debug, Serialize)]
pub struct ClaimRun {
    /// The run.
    pub run_id: Uuid,
    /// The worker.
    pub worker: String,
}

impl Command<Subcloud> for ClaimRun {
    type Rejection = Rejection;
    const NAME: &'static str = "ClaimRun";

    fn decide(&self, state: Option<&Subcloud>, _: &Facts) -> Result<Vec<SubcloudEvent>, Rejection> {
        match active(existing(state)?, self.run_id)?.worker {
            Some(_) => Err(Rejection::RunClaimed),
            None => Ok(vec![DeployRunClaimed { run_id: self.run_id, worker: self.worker.clone() }.into()]),
        }
    }
}
