//! Delete a system peer.

use serde::Serialize;

use super::existing;
use crate::aggregate::{Command, Facts};
use crate::system_peer::{Rejection, SystemPeer, SystemPeerDeleted, SystemPeerEvent};

/// Deletes a system peer (fleet.md §5, F21). That no association refers to it is made sure by closing it in the
/// directory of associations before.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct DeleteSystemPeer;

impl Command<SystemPeer> for DeleteSystemPeer {
    type Rejection = Rejection;
    const NAME: &'static str = "DeleteSystemPeer";

    fn decide(&self, state: Option<&SystemPeer>, _: &Facts) -> Result<Vec<SystemPeerEvent>, Rejection> {
        let peer_name = existing(state)?.peer_name.clone();
        Ok(vec![SystemPeerDeleted { peer_name }.into()])
    }
}
