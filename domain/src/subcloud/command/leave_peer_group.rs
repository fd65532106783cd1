//! Leave a peer group that is gone.

use serde::Serialize;

use super::existing;
use crate::aggregate::{Command, Facts};
use crate::subcloud::{PeerGroupChanged, Rejection, Subcloud, SubcloudEvent};

/// Lets a subcloud leave the peer group that was deleted (fleet.md §3.6). Nothing happens if it belongs to another by
/// now, or to none.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct LeavePeerGroup {
    /// Id of the peer group that is gone.
    pub peer_group_id: i64,
}

impl Command<Subcloud> for LeavePeerGroup {
    type Rejection = Rejection;
    const NAME: &'static str = "LeavePeerGroup";

    fn decide(&self, state: Option<&Subcloud>, _: &Facts) -> Result<Vec<SubcloudEvent>, Rejection> {
        let from = existing(state)?.peer_group_id;
        Ok(match from == Some(self.peer_group_id) {
            true => vec![PeerGroupChanged { from, to: None }.into()],
            false => Vec::new(),
        })
    }
}
