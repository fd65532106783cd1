//! End a synchronisation that nobody works on.

use serde::Serialize;
use uuid::Uuid;

use super::existing;
use crate::aggregate::{Command, Facts};
use crate::association::{
    AssociationSyncStatusChanged, FAILED, PeerGroupAssociation, PeerGroupAssociationEvent, Rejection, SYNCING,
};

/// What a synchronisation that no worker took is said to have failed of.
const NO_WORKER: &str = "no worker for peer-sync";

/// Ends a synchronisation that no worker took in its time (design, invariant 10). Nothing happens if it is not the one
/// that waits, unless none waits at all and the status says otherwise (`None`: an imported row).
#[derive(Clone, Copy, Debug, Serialize)]
pub struct LoseAssociationSync {
    /// The run that waited.
    pub run_id: Option<Uuid>,
}

impl Command<PeerGroupAssociation> for LoseAssociationSync {
    type Rejection = Rejection;
    const NAME: &'static str = "LoseAssociationSync";

    fn decide(
        &self,
        state: Option<&PeerGroupAssociation>,
        _: &Facts,
    ) -> Result<Vec<PeerGroupAssociationEvent>, Rejection> {
        let state = existing(state)?;
        if state.sync_run != self.run_id || state.sync_status != SYNCING {
            return Ok(Vec::new());
        }
        let changed = AssociationSyncStatusChanged {
            from: state.sync_status.clone(),
            to: FAILED.to_owned(),
            run_id: self.run_id,
            message: Some(NO_WORKER.to_owned()),
        };
        Ok(vec![changed.into()])
    }
}
