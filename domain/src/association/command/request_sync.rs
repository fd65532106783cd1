//! Copy a peer group to its peer again.

use serde::Serialize;
use uuid::Uuid;

use super::{check_enabled, existing};
use crate::aggregate::{Command, Facts};
use crate::association::{
    AssociationSyncRequested, AssociationSyncStatusChanged, PeerGroupAssociation, PeerGroupAssociationEvent,
    Rejection, SYNCING,
};
use crate::value::SystemUuid;

/// The message while a synchronisation that was asked for again waits: the word the old service wrote for "none"
/// (fleet.md §7.3, Q11); clients show it as it is.
const NO_MESSAGE: &str = "None";

/// Asks for the group to be copied to the peer again (fleet.md §7.3, F26); one may be asked for while another waits.
#[derive(Clone, Debug, Serialize)]
pub struct RequestAssociationSync {
    /// The new run.
    pub run_id: Uuid,
    /// UUID of the system that leads the group, if the group has one.
    pub leader_id: Option<String>,
    /// UUID of the system this controller is.
    pub local_id: String,
}

impl Command<PeerGroupAssociation> for RequestAssociationSync {
    type Rejection = Rejection;
    const NAME: &'static str = "RequestAssociationSync";

    fn decide(
        &self,
        state: Option<&PeerGroupAssociation>,
        _: &Facts,
    ) -> Result<Vec<PeerGroupAssociationEvent>, Rejection> {
        let state = existing(state)?;
        check_enabled(state)?;
        if !self.leader_id.as_ref().is_some_and(|leader| SystemUuid::same(leader, &self.local_id)) {
            return Err(Rejection::NotLeader);
        }
        let mut events = Vec::new();
        if state.sync_status != SYNCING || state.sync_message.as_deref() != Some(NO_MESSAGE) {
            let changed = AssociationSyncStatusChanged {
                from: state.sync_status.clone(),
                to: SYNCING.to_owned(),
                run_id: Some(self.run_id),
                message: Some(NO_MESSAGE.to_owned()),
            };
            events.push(changed.into());
        }
        events.push(AssociationSyncRequested { run_id: self.run_id }.into());
        Ok(events)
    }
}
