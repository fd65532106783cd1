//! Take a peer group over from an older installation.

use serde::Serialize;

use crate::aggregate::{Command, Facts};
use crate::peer_group::{Rejection, SubcloudPeerGroup, SubcloudPeerGroupEvent, SubcloudPeerGroupImported};

/// Starts a peer group's stream with the values and times it had; none is checked (decisions.md, "Import").
#[derive(Clone, Debug, Serialize)]
pub struct ImportPeerGroup {
    /// What is recorded.
    pub imported: SubcloudPeerGroupImported,
}

impl Command<SubcloudPeerGroup> for ImportPeerGroup {
    type Rejection = Rejection;
    const NAME: &'static str = "ImportPeerGroup";

    fn decide(
        &self,
        state: Option<&SubcloudPeerGroup>,
        _: &Facts,
    ) -> Result<Vec<SubcloudPeerGroupEvent>, Rejection> {
        match state {
            None => Ok(vec![self.imported.clone().into()]),
            Some(_) => Err(Rejection::AlreadyExists),
        }
    }
}
