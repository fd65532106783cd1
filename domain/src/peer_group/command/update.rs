//! Update a peer group.

use serde::Serialize;

use super::existing;
use crate::aggregate::{Command, Facts};
use crate::peer_group::{
    MigrationStatusChanged, PeerGroupChanges, Rejection, StatusChange, SubcloudPeerGroup,
    SubcloudPeerGroupEvent, SubcloudPeerGroupUpdated,
};

/// Changes a peer group's values (fleet.md §3.3, F12); a new name is reserved in the directory of peer groups.
#[derive(Clone, Debug, Serialize)]
pub struct UpdatePeerGroup {
    /// What is to change.
    pub changes: PeerGroupChanges,
}

impl Command<SubcloudPeerGroup> for UpdatePeerGroup {
    type Rejection = Rejection;
    const NAME: &'static str = "UpdatePeerGroup";

    fn decide(
        &self,
        state: Option<&SubcloudPeerGroup>,
        _: &Facts,
    ) -> Result<Vec<SubcloudPeerGroupEvent>, Rejection> {
        let state = existing(state)?;
        self.changes.check()?;
        let mut events = Vec::new();
        let updated = self.updated(state);
        if updated != SubcloudPeerGroupUpdated::default() {
            events.push(updated.into());
        }
        if let Some(to) = self.changes.migration_status.as_ref().map(StatusChange::stored)
            && to != state.migration_status
        {
            events.push(MigrationStatusChanged { from: state.migration_status.clone(), to }.into());
        }
        Ok(events)
    }
}

impl UpdatePeerGroup {
    fn updated(&self, state: &SubcloudPeerGroup) -> SubcloudPeerGroupUpdated {
        let changes = &self.changes;
        SubcloudPeerGroupUpdated {
            peer_group_name: changed(&changes.peer_group_name, Some(&state.peer_group_name)),
            group_priority: changed(&changes.group_priority, Some(&state.group_priority)),
            group_state: changed(&changes.group_state, Some(&state.group_state)),
            max_subcloud_rehoming: changed(
                &changes.max_subcloud_rehoming,
                Some(&state.max_subcloud_rehoming),
            ),
            system_leader_id: changed(&changes.system_leader_id, state.system_leader_id.as_ref()),
            system_leader_name: changed(&changes.system_leader_name, state.system_leader_name.as_ref()),
        }
    }
}

/// The value given, unless it is the one held.
fn changed<T: Clone + PartialEq>(given: &Option<T>, held: Option<&T>) -> Option<T> {
    given.clone().filter(|given| held != Some(given))
}
