//! Close a stream whose creation was reserved but never begun.

use serde::Serialize;

use crate::aggregate::{Command, Facts};
use crate::subcloud::{CreationAbandoned, Rejection, Subcloud, SubcloudEvent};

/// Makes sure a stale reservation's subcloud can never begin; refused if it already has (design, reservation protocol).
#[derive(Clone, Debug, Serialize)]
pub struct AbandonCreation {
    /// What is recorded.
    pub abandoned: CreationAbandoned,
}

impl Command<Subcloud> for AbandonCreation {
    type Rejection = Rejection;
    const NAME: &'static str = "AbandonCreation";

    fn decide(&self, state: Option<&Subcloud>, _: &Facts) -> Result<Vec<SubcloudEvent>, Rejection> {
        match state {
            None => Ok(vec![self.abandoned.clone().into()]),
            Some(_) => Err(Rejection::AlreadyExists),
        }
    }
}
