//! Update a system peer.

use serde::Serialize;

use super::existing;
use crate::aggregate::{Command, Facts};
use crate::system_peer::{PeerChanges, Rejection, SystemPeer, SystemPeerEvent, SystemPeerUpdated};

/// Changes a system peer's values (fleet.md §5, F20); a new name or UUID is reserved in the directory of system peers.
#[derive(Clone, Debug, Serialize)]
pub struct UpdateSystemPeer {
    /// What is to change.
    pub changes: PeerChanges,
}

impl Command<SystemPeer> for UpdateSystemPeer {
    type Rejection = Rejection;
    const NAME: &'static str = "UpdateSystemPeer";

    fn decide(&self, state: Option<&SystemPeer>, _: &Facts) -> Result<Vec<SystemPeerEvent>, Rejection> {
        let state = existing(state)?;
        self.changes.check()?;
        let given = &self.changes;
        if given.kept_password.is_some() && given.kept_password != state.manager_password {
            // Another request put another one in its place since.
            return Err(Rejection::ChangeUnderWay);
        }
        let updated = SystemPeerUpdated {
            peer_uuid: changed(&given.peer_uuid, &state.peer_uuid),
            peer_name: changed(&given.peer_name, &state.peer_name),
            manager_endpoint: changed(&given.manager_endpoint, &state.manager_endpoint),
            manager_username: changed(&given.manager_username, &state.manager_username),
            manager_password: given.manager_password,
            peer_controller_gateway_address: changed(
                &given.peer_controller_gateway_address,
                &state.peer_controller_gateway_address,
            ),
            administrative_state: changed(&given.administrative_state, &state.administrative_state),
            heartbeat_interval: changed(&given.heartbeat_interval, &state.heartbeat_interval),
            heartbeat_failure_threshold: changed(
                &given.heartbeat_failure_threshold,
                &state.heartbeat_failure_threshold,
            ),
            heartbeat_failure_policy: changed(
                &given.heartbeat_failure_policy,
                &state.heartbeat_failure_policy,
            ),
            heartbeat_maintenance_timeout: changed(
                &given.heartbeat_maintenance_timeout,
                &state.heartbeat_maintenance_timeout,
            ),
        };
        Ok(match updated == SystemPeerUpdated::default() {
            true => Vec::new(),
            false => vec![updated.into()],
        })
    }
}

/// The value given, unless it is the one held.
fn changed<T: Clone + PartialEq>(given: &Option<T>, held: &T) -> Option<T> {
    given.clone().filter(|given| given != held)
}
