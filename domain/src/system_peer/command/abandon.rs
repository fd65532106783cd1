//! Close a stream whose system peer was reserved but never begun.

use serde::Serialize;

use crate::aggregate::{Command, Facts};
use crate::system_peer::{Rejection, SystemPeer, SystemPeerAbandoned, SystemPeerEvent};

/// Makes sure a stale reservation's system peer can never begin; refused if it has (design, reservation protocol).
#[derive(Clone, Copy, Debug, Serialize)]
pub struct AbandonSystemPeer {
    /// The id that was reserved.
    pub id: i64,
}

impl Command<SystemPeer> for AbandonSystemPeer {
    type Rejection = Rejection;
    const NAME: &'static str = "AbandonSystemPeer";

    fn decide(&self, state: Option<&SystemPeer>, _: &Facts) -> Result<Vec<SystemPeerEvent>, Rejection> {
        match state {
            None => Ok(vec![SystemPeerAbandoned { id: self.id }.into()]),
            Some(_) => Err(Rejection::AlreadyExists),
        }
    }
}
