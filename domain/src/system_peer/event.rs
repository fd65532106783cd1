//! What can happen to a system peer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::value::{SecretRef, Timestamp};

/// An event of a system peer's stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
#[expect(missing_docs, reason = "each variant is named after, and documented at, its one field type")]
pub enum SystemPeerEvent {
    SystemPeerAdded(SystemPeerAdded),
    SystemPeerImported(SystemPeerImported),
    SystemPeerUpdated(SystemPeerUpdated),
    SystemPeerDeleted(SystemPeerDeleted),
    SystemPeerAbandoned(SystemPeerAbandoned),
}

macro_rules! event {
    ($(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $field:ident: $kind:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        pub struct $name { $($(#[$fdoc])* pub $field: $kind),* }

        impl From<$name> for SystemPeerEvent {
            fn from(event: $name) -> Self {
                Self::$name(event)
            }
        }
    };
}

event!(
    /// A system peer was added.
    SystemPeerAdded {
        /// The small integer the contract shows.
        id: i64,
        /// UUID of the other system, as it was sent.
        peer_uuid: String,
        /// Unique name.
        peer_name: String,
        /// Where its Keystone answers.
        manager_endpoint: String,
        /// Who logs in there.
        manager_username: String,
        /// The vault entry of the password.
        manager_password: SecretRef,
        /// Gateway towards its subclouds' controller.
        peer_controller_gateway_address: String,
        /// `enabled` or `disabled`.
        administrative_state: String,
        /// Seconds between two heartbeats.
        heartbeat_interval: i64,
        /// Heartbeats in a row that may fail.
        heartbeat_failure_threshold: i64,
        /// `alarm`, `rehome` or `delegate`.
        heartbeat_failure_policy: String,
        /// Seconds that maintenance may take.
        heartbeat_maintenance_timeout: i64,
    }
);
event!(
    /// A system peer was taken over from an older installation, with its values as they were.
    SystemPeerImported {
        /// The small integer the contract shows.
        id: i64,
        /// UUID of the other system.
        peer_uuid: String,
        /// Name.
        peer_name: String,
        /// Where its Keystone answers.
        manager_endpoint: String,
        /// Who logs in there.
        manager_username: String,
        /// The vault entry of the password, if there was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        manager_password: Option<SecretRef>,
        /// Gateway towards its subclouds' controller.
        peer_controller_gateway_address: String,
        /// `enabled` or `disabled`.
        administrative_state: String,
        /// Seconds between two heartbeats.
        heartbeat_interval: i64,
        /// Heartbeats in a row that may fail.
        heartbeat_failure_threshold: i64,
        /// `alarm`, `rehome` or `delegate`.
        heartbeat_failure_policy: String,
        /// Seconds that maintenance may take.
        heartbeat_maintenance_timeout: i64,
        /// `created`, `alive` or `failure`.
        heartbeat_status: String,
        /// When it was added there.
        created_at: Timestamp,
        /// When it last changed there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        updated_at: Option<Timestamp>,
    }
);
event!(
    /// A system peer's values changed; absent ones did not.
    #[derive(Default)]
    SystemPeerUpdated {
        /// Its new UUID.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        peer_uuid: Option<String>,
        /// Its new name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        peer_name: Option<String>,
        /// Where its Keystone answers now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        manager_endpoint: Option<String>,
        /// Who logs in there now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        manager_username: Option<String>,
        /// The vault entry of the new password.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        manager_password: Option<SecretRef>,
        /// Its new gateway.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        peer_controller_gateway_address: Option<String>,
        /// `enabled` or `disabled`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        administrative_state: Option<String>,
        /// Seconds between two heartbeats.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        heartbeat_interval: Option<i64>,
        /// Heartbeats in a row that may fail.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        heartbeat_failure_threshold: Option<i64>,
        /// `alarm`, `rehome` or `delegate`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        heartbeat_failure_policy: Option<String>,
        /// Seconds that maintenance may take.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        heartbeat_maintenance_timeout: Option<i64>,
    }
);
event!(
    /// A system peer was deleted.
    SystemPeerDeleted {
        /// Its last name.
        peer_name: String,
    }
);
event!(
    /// A system peer that was reserved in the directory never began; its id is not used again.
    SystemPeerAbandoned {
        /// The id it would have had.
        id: i64,
    }
);
