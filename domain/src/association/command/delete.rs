//! Remove an association.

use serde::Serialize;

use super::existing;
use crate::aggregate::{Command, Facts};
use crate::association::{
    DISABLED, PeerGroupAssociation, PeerGroupAssociationDeleted, PeerGroupAssociationEvent, Rejection,
};

/// Removes an association of a group that is only a copy here (fleet.md §7.5, F27). Where this site owns the group, the
/// copies on the peer go first.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct DeleteAssociation;

impl Command<PeerGroupAssociation> for DeleteAssociation {
    type Rejection = Rejection;
    const NAME: &'static str = "DeleteAssociation";

    fn decide(
        &self,
        state: Option<&PeerGroupAssociation>,
        _: &Facts,
    ) -> Result<Vec<PeerGroupAssociationEvent>, Rejection> {
        let PeerGroupAssociation { peer_group_id, system_peer_id, sync_status, .. } = existing(state)?;
        if sync_status != DISABLED {
            return Err(Rejection::NotDisabled);
        }
        let (peer_group_id, system_peer_id) = (*peer_group_id, *system_peer_id);
        Ok(vec![PeerGroupAssociationDeleted { peer_group_id, system_peer_id }.into()])
    }
}
