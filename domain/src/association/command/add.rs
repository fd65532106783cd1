//! Associate a peer group with a system peer.

use serde::Serialize;
use uuid::Uuid;

use crate::aggregate::{Command, Facts};
use crate::association::{
    AssociationSyncRequested, DISABLED, PeerGroupAssociation, PeerGroupAssociationAdded,
    PeerGroupAssociationEvent, Rejection, SYNCING,
};

/// The lowest rank of a copy.
const LOWEST_PRIORITY: i64 = 65_536;

/// Starts an association's stream (fleet.md §7.1, F24); its id, pair and references are reserved in the directory of
/// associations. A group that this site owns is copied to the peer at once.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct AddAssociation {
    /// The id that was handed out.
    pub id: i64,
    /// Id of the peer group.
    pub peer_group_id: i64,
    /// Id of the system peer.
    pub system_peer_id: i64,
    /// The group's own priority.
    pub group_priority: i64,
    /// Priority of the copy on the peer, if one was given.
    pub peer_group_priority: Option<i64>,
    /// The run that copies the group, if it is copied.
    pub run_id: Uuid,
}

impl Command<PeerGroupAssociation> for AddAssociation {
    type Rejection = Rejection;
    const NAME: &'static str = "AddAssociation";

    fn decide(
        &self,
        state: Option<&PeerGroupAssociation>,
        _: &Facts,
    ) -> Result<Vec<PeerGroupAssociationEvent>, Rejection> {
        check_priority(self.group_priority, self.peer_group_priority)?;
        if state.is_some() {
            return Err(Rejection::AlreadyExists);
        }
        let copied = self.group_priority == 0;
        let added = PeerGroupAssociationAdded {
            id: self.id,
            peer_group_id: self.peer_group_id,
            system_peer_id: self.system_peer_id,
            peer_group_priority: self.peer_group_priority,
            sync_status: if copied { SYNCING } else { DISABLED }.to_owned(),
        };
        let mut events = vec![added.into()];
        if copied {
            events.push(AssociationSyncRequested { run_id: self.run_id }.into());
        }
        Ok(events)
    }
}

/// Checks the priority that a copy is to have, given the group's own (fleet.md §7.1).
///
/// # Errors
/// [`Rejection::PriorityRequired`], [`Rejection::PriorityForbidden`] or [`Rejection::InvalidPriority`].
pub fn check_priority(group_priority: i64, copy: Option<i64>) -> Result<(), Rejection> {
    match copy {
        None if group_priority == 0 => Err(Rejection::PriorityRequired),
        None => Ok(()),
        Some(_) if group_priority > 0 => Err(Rejection::PriorityForbidden),
        Some(priority) if (1..=LOWEST_PRIORITY).contains(&priority) => Ok(()),
        Some(_) => Err(Rejection::InvalidPriority),
    }
}
