//! Add a system peer.

use serde::Serialize;

use crate::aggregate::{Command, Facts};
use crate::system_peer::{PeerValues, Rejection, SystemPeer, SystemPeerAdded, SystemPeerEvent};
use crate::value::SecretRef;

/// Starts a system peer's stream (fleet.md §5, F19); its id, name and UUID are reserved in the directory of system
/// peers.
#[derive(Clone, Debug, Serialize)]
pub struct AddSystemPeer {
    /// The id that was handed out.
    pub id: i64,
    /// What it starts with.
    pub values: PeerValues,
    /// The vault entry of the password, which was checked before it was kept.
    pub manager_password: SecretRef,
}

impl Command<SystemPeer> for AddSystemPeer {
    type Rejection = Rejection;
    const NAME: &'static str = "AddSystemPeer";

    fn decide(&self, state: Option<&SystemPeer>, _: &Facts) -> Result<Vec<SystemPeerEvent>, Rejection> {
        self.values.check()?;
        if state.is_some() {
            return Err(Rejection::AlreadyExists);
        }
        let values = self.values.clone();
        let added = SystemPeerAdded {
            id: self.id,
            peer_uuid: values.peer_uuid,
            peer_name: values.peer_name,
            manager_endpoint: values.manager_endpoint,
            manager_username: values.manager_username,
            manager_password: self.manager_password,
            peer_controller_gateway_address: values.peer_controller_gateway_address,
            administrative_state: values.administrative_state,
            heartbeat_interval: values.heartbeat_interval,
            heartbeat_failure_threshold: values.heartbeat_failure_threshold,
            heartbeat_failure_policy: values.heartbeat_failure_policy,
            heartbeat_maintenance_timeout: values.heartbeat_maintenance_timeout,
        };
        Ok(vec![added.into()])
    }
}
