//! Take a system peer over from an older installation.

use serde::Serialize;

use crate::aggregate::{Command, Facts};
use crate::system_peer::{Rejection, SystemPeer, SystemPeerEvent, SystemPeerImported};

/// Starts a system peer's stream with the values and times it had; none is checked (decisions.md, "Import").
#[derive(Clone, Debug, Serialize)]
pub struct ImportSystemPeer {
    /// What is recorded.
    pub imported: SystemPeerImported,
}

impl Command<SystemPeer> for ImportSystemPeer {
    type Rejection = Rejection;
    const NAME: &'static str = "ImportSystemPeer";

    fn decide(&self, state: Option<&SystemPeer>, _: &Facts) -> Result<Vec<SystemPeerEvent>, Rejection> {
        match state {
            None => Ok(vec![self.imported.clone().into()]),
            Some(_) => Err(Rejection::AlreadyExists),
        }
    }
}
