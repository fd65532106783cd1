//! Delete a peer group.

use serde::Serialize;

use super::existing;
use crate::aggregate::{Command, Facts};
use crate::peer_group::{Rejection, SubcloudPeerGroup, SubcloudPeerGroupDeleted, SubcloudPeerGroupEvent};

/// Deletes a peer group (fleet.md §3.6, F15). That no association refers to it is made sure by closing it in the
/// directory of associations before.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct DeletePeerGroup;

impl Command<SubcloudPeerGroup> for DeletePeerGroup {
    type Rejection = Rejection;
    const NAME: &'static str = "DeletePeerGroup";

    fn decide(
        &self,
        state: Option<&SubcloudPeerGroup>,
        _: &Facts,
    ) -> Result<Vec<SubcloudPeerGroupEvent>, Rejection> {
        let peer_group_name = existing(state)?.peer_group_name.clone();
        Ok(vec![SubcloudPeerGroupDeleted { peer_group_name }.into()])
    }
}
