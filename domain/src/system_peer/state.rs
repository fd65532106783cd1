//! The state of a system peer.

use serde::{Deserialize, Serialize};

use super::command::AbandonSystemPeer;
use super::{
    CREATED, Rejection, SystemPeerAdded, SystemPeerEvent, SystemPeerImported, SystemPeerUpdated, name_key,
    uuid_key,
};
use crate::aggregate::{Aggregate, Unfoldable};
use crate::key_directory::{KeyEntry, Keys, Listed};
use crate::subcloud::ImportedTimes;
use crate::value::SecretRef;

/// A system peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemPeer {
    /// The small integer the contract shows.
    pub id: i64,
    /// UUID of the other system, as it was sent.
    pub peer_uuid: String,
    /// Unique name.
    pub peer_name: String,
    /// Where its Keystone answers.
    pub manager_endpoint: String,
    /// Who logs in there.
    pub manager_username: String,
    /// The vault entry of the password.
    pub manager_password: Option<SecretRef>,
    /// Gateway towards its subclouds' controller.
    pub peer_controller_gateway_address: String,
    /// `enabled` or `disabled`.
    pub administrative_state: String,
    /// Seconds between two heartbeats.
    pub heartbeat_interval: i64,
    /// Heartbeats in a row that may fail.
    pub heartbeat_failure_threshold: i64,
    /// `alarm`, `rehome` or `delegate`.
    pub heartbeat_failure_policy: String,
    /// Seconds that maintenance may take.
    pub heartbeat_maintenance_timeout: i64,
    /// `created`, `alive` or `failure`.
    pub heartbeat_status: String,
    /// The times of the row it was imported from; `None` if it was added here.
    pub imported: Option<ImportedTimes>,
    /// Whether it is gone, or never began.
    pub deleted: bool,
}

impl SystemPeer {
    fn added(added: &SystemPeerAdded) -> Self {
        let added = added.clone();
        Self {
            id: added.id,
            peer_uuid: added.peer_uuid,
            peer_name: added.peer_name,
            manager_endpoint: added.manager_endpoint,
            manager_username: added.manager_username,
            manager_password: Some(added.manager_password),
            peer_controller_gateway_address: added.peer_controller_gateway_address,
            administrative_state: added.administrative_state,
            heartbeat_interval: added.heartbeat_interval,
            heartbeat_failure_threshold: added.heartbeat_failure_threshold,
            heartbeat_failure_policy: added.heartbeat_failure_policy,
            heartbeat_maintenance_timeout: added.heartbeat_maintenance_timeout,
            heartbeat_status: CREATED.to_owned(),
            imported: None,
            deleted: false,
        }
    }

    fn imported(row: &SystemPeerImported) -> Self {
        let row = row.clone();
        Self {
            id: row.id,
            peer_uuid: row.peer_uuid,
            peer_name: row.peer_name,
            manager_endpoint: row.manager_endpoint,
            manager_username: row.manager_username,
            manager_password: row.manager_password,
            peer_controller_gateway_address: row.peer_controller_gateway_address,
            administrative_state: row.administrative_state,
            heartbeat_interval: row.heartbeat_interval,
            heartbeat_failure_threshold: row.heartbeat_failure_threshold,
            heartbeat_failure_policy: row.heartbeat_failure_policy,
            heartbeat_maintenance_timeout: row.heartbeat_maintenance_timeout,
            heartbeat_status: row.heartbeat_status,
            imported: Some(ImportedTimes { created_at: Some(row.created_at), updated_at: row.updated_at }),
            deleted: false,
        }
    }

    fn abandoned(id: i64) -> Self {
        Self {
            id,
            peer_uuid: String::new(),
            peer_name: String::new(),
            manager_endpoint: String::new(),
            manager_username: String::new(),
            manager_password: None,
            peer_controller_gateway_address: String::new(),
            administrative_state: String::new(),
            heartbeat_interval: 0,
            heartbeat_failure_threshold: 0,
            heartbeat_failure_policy: String::new(),
            heartbeat_maintenance_timeout: 0,
            heartbeat_status: String::new(),
            imported: None,
            deleted: true,
        }
    }

    fn update(&mut self, updated: &SystemPeerUpdated) {
        fn take<T: Clone>(held: &mut T, given: Option<&T>) {
            if let Some(given) = given {
                held.clone_from(given);
            }
        }
        let SystemPeerUpdated {
            peer_uuid,
            peer_name,
            manager_endpoint,
            manager_username,
            manager_password,
            peer_controller_gateway_address,
            administrative_state,
            heartbeat_interval,
            heartbeat_failure_threshold,
            heartbeat_failure_policy,
            heartbeat_maintenance_timeout,
        } = updated;
        take(&mut self.peer_uuid, peer_uuid.as_ref());
        take(&mut self.peer_name, peer_name.as_ref());
        take(&mut self.manager_endpoint, manager_endpoint.as_ref());
        take(&mut self.manager_username, manager_username.as_ref());
        if manager_password.is_some() {
            self.manager_password = *manager_password;
        }
        take(&mut self.peer_controller_gateway_address, peer_controller_gateway_address.as_ref());
        take(&mut self.administrative_state, administrative_state.as_ref());
        take(&mut self.heartbeat_interval, heartbeat_interval.as_ref());
        take(&mut self.heartbeat_failure_threshold, heartbeat_failure_threshold.as_ref());
        take(&mut self.heartbeat_failure_policy, heartbeat_failure_policy.as_ref());
        take(&mut self.heartbeat_maintenance_timeout, heartbeat_maintenance_timeout.as_ref());
    }
}

impl Aggregate for SystemPeer {
    type Event = SystemPeerEvent;

    const KIND: &'static str = "system-peer";

    fn evolve(state: Option<Self>, event: &SystemPeerEvent) -> Result<Self, Unfoldable> {
        use SystemPeerEvent as E;
        match (state, event) {
            (None, E::SystemPeerAdded(added)) => Ok(Self::added(added)),
            (None, E::SystemPeerImported(row)) => Ok(Self::imported(row)),
            (None, E::SystemPeerAbandoned(abandoned)) => Ok(Self::abandoned(abandoned.id)),
            (Some(mut state), E::SystemPeerUpdated(updated)) if !state.deleted => {
                state.update(updated);
                Ok(state)
            }
            (Some(state), E::SystemPeerDeleted(_)) if !state.deleted => Ok(Self { deleted: true, ..state }),
            (_, event) => Err(Unfoldable { aggregate: Self::KIND, event: format!("{event:?}") }),
        }
    }
}

impl Listed for SystemPeer {
    type Rejection = Rejection;
    type Abandon = AbandonSystemPeer;

    fn id(&self) -> i64 {
        self.id
    }

    fn keys(&self) -> Keys {
        [name_key(&self.peer_name), uuid_key(&self.peer_uuid)].into()
    }

    fn is_deleted(&self) -> bool {
        self.deleted
    }

    fn abandon(entry: &KeyEntry) -> AbandonSystemPeer {
        AbandonSystemPeer { id: entry.id }
    }
}
