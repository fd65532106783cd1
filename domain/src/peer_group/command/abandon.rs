//! Close a stream whose peer group was reserved but never begun.

use serde::Serialize;

use crate::aggregate::{Command, Facts};
use crate::peer_group::{Rejection, SubcloudPeerGroup, SubcloudPeerGroupAbandoned, SubcloudPeerGroupEvent};

/// Makes sure a stale reservation's peer group can never begin; refused if it has (design, reservation protocol).
#[derive(Clone, Copy, Debug, Serialize)]
pub struct AbandonPeerGroup {
    /// The id that was reserved.
    pub id: i64,
}

impl Command<SubcloudPeerGroup> for AbandonPeerGroup {
    type Rejection = Rejection;
    const NAME: &'static str = "AbandonPeerGroup";

    fn decide(
        &self,
        state: Option<&SubcloudPeerGroup>,
        _: &Facts,
    ) -> Result<Vec<SubcloudPeerGroupEvent>, Rejection> {
        match state {
            None => Ok(vec![SubcloudPeerGroupAbandoned { id: self.id }.into()]),
            Some(_) => Err(Rejection::AlreadyExists),
        }
    }
}
