//! Add a peer group.

use serde::Serialize;

use crate::aggregate::{Command, Facts};
use crate::peer_group::{
    PeerGroupValues, Rejection, SubcloudPeerGroup, SubcloudPeerGroupAdded, SubcloudPeerGroupEvent,
};

/// Starts a peer group's stream (fleet.md §3.2, F11); its id and name are reserved in the directory of peer groups.
#[derive(Clone, Debug, Serialize)]
pub struct AddPeerGroup {
    /// The id that was handed out.
    pub id: i64,
    /// What it starts with.
    pub values: PeerGroupValues,
}

impl Command<SubcloudPeerGroup> for AddPeerGroup {
    type Rejection = Rejection;
    const NAME: &'static str = "AddPeerGroup";

    fn decide(
        &self,
        state: Option<&SubcloudPeerGroup>,
        _: &Facts,
    ) -> Result<Vec<SubcloudPeerGroupEvent>, Rejection> {
        self.values.check()?;
        if state.is_some() {
            return Err(Rejection::AlreadyExists);
        }
        let values = self.values.clone();
        let added = SubcloudPeerGroupAdded {
            id: self.id,
            peer_group_name: values.peer_group_name,
            group_priority: values.group_priority,
            group_state: values.group_state,
            max_subcloud_rehoming: values.max_subcloud_rehoming,
            system_leader_id: values.system_leader_id,
            system_leader_name: values.system_leader_name,
        };
        Ok(vec![added.into()])
    }
}
