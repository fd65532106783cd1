//! End the migration of a peer group.

use serde::Serialize;
use uuid::Uuid;

use super::existing;
use crate::aggregate::{Command, Facts};
use crate::peer_group::state::final_status;
use crate::peer_group::{
    MigrationFinished, Rejection, SubcloudPeerGroup, SubcloudPeerGroupEvent, SubcloudPeerGroupUpdated,
};

/// Ends a migration whose runs have all ended: `complete`, and led by this system, if any member was rehomed; else as if
/// there had been none. Nothing happens if it has ended already.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct FinishMigration {
    /// The migration.
    pub run_id: Uuid,
    /// How many members were rehomed.
    pub completed: u32,
}

impl Command<SubcloudPeerGroup> for FinishMigration {
    type Rejection = Rejection;
    const NAME: &'static str = "FinishMigration";

    fn decide(
        &self,
        state: Option<&SubcloudPeerGroup>,
        _: &Facts,
    ) -> Result<Vec<SubcloudPeerGroupEvent>, Rejection> {
        let state = existing(state)?;
        let Some(migration) = state.migration.as_ref().filter(|migration| migration.run_id == self.run_id)
        else {
            return Ok(Vec::new());
        };
        let Self { run_id, completed } = *self;
        let mut events =
            vec![MigrationFinished { run_id, completed, status: final_status(completed) }.into()];
        if let Some(leader) = migration.leader.as_ref().filter(|_| completed > 0) {
            let differs =
                |held: &Option<String>, now: &String| (held.as_ref() != Some(now)).then(|| now.clone());
            let updated = SubcloudPeerGroupUpdated {
                system_leader_id: differs(&state.system_leader_id, &leader.id),
                system_leader_name: differs(&state.system_leader_name, &leader.name),
                ..SubcloudPeerGroupUpdated::default()
            };
            if updated != SubcloudPeerGroupUpdated::default() {
                events.push(updated.into());
            }
        }
        Ok(events)
    }
}
