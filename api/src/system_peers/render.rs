//! PEER (fleet.md §5). The structs are also its description.

use std::fmt;

use dcm_domain::system_peer::SystemPeer;
use dcm_domain::value::Timestamp;
use dcm_journal::repository::Done;
use dcm_projections::SystemPeerRow;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::times::{Times, times};

/// Another controller. Its password is never shown.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = SystemPeer)]
#[serde(rename_all = "kebab-case")]
pub struct PeerBody {
    /// Small integer, never used again.
    #[schema(example = 1)]
    pub id: i64,
    /// UUID of the other system, as it was sent.
    #[schema(example = "ac62f555-9386-42f1-b3a1-51ecb709409d")]
    pub peer_uuid: String,
    /// Unique name.
    #[schema(example = "dc-2")]
    pub peer_name: String,
    /// Where its Keystone answers.
    #[schema(example = "http://128.128.128.1:5000/v3")]
    pub manager_endpoint: String,
    /// Who logs in there.
    #[schema(example = "admin")]
    pub manager_username: String,
    /// Gateway towards its controller.
    #[schema(example = "192.168.204.1")]
    pub peer_controller_gateway_address: String,
    /// `enabled` or `disabled`.
    #[schema(example = "enabled")]
    pub administrative_state: String,
    /// Seconds between two heartbeats.
    #[schema(example = 60)]
    pub heartbeat_interval: i64,
    /// Heartbeats in a row that may fail.
    #[schema(example = 3)]
    pub heartbeat_failure_threshold: i64,
    /// `alarm`, `rehome` or `delegate`.
    #[schema(example = "alarm")]
    pub heartbeat_failure_policy: String,
    /// Seconds that maintenance may take.
    #[schema(example = 600)]
    pub heartbeat_maintenance_timeout: i64,
    /// `created`, `alive` or `failure`.
    #[schema(example = "created")]
    pub heartbeat_status: String,
    /// When it was added, in UTC.
    #[schema(example = "2023-11-20 10:00:00.123456")]
    pub created_at: String,
    /// When it last changed, in UTC.
    #[schema(required)]
    pub updated_at: Option<String>,
}

/// The system peers, by id.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PeerList {
    /// The entries.
    pub system_peers: Vec<PeerBody>,
}

/// A new system peer. Other members are ignored.
#[derive(Deserialize, ToSchema)]
pub struct NewPeer {
    /// UUID of the other system.
    #[schema(example = "ac62f555-9386-42f1-b3a1-51ecb709409d", max_length = 36)]
    pub peer_uuid: String,
    /// Unique name, not only digits.
    #[schema(example = "dc-2", min_length = 1, max_length = 254)]
    pub peer_name: String,
    /// Where its Keystone answers; begins with `http`.
    #[schema(example = "http://128.128.128.1:5000/v3", min_length = 1, max_length = 254)]
    pub manager_endpoint: String,
    /// Who logs in there.
    #[schema(example = "admin", min_length = 1, max_length = 254)]
    pub manager_username: String,
    /// The password, base64; never shown.
    #[schema(format = Password, min_length = 1, max_length = 254)]
    pub manager_password: String,
    /// One IPv4 or IPv6 address.
    #[schema(example = "192.168.204.1")]
    pub peer_controller_gateway_address: String,
    /// `enabled`, the default, or `disabled`.
    #[schema(pattern = "^(enabled|disabled)?$")]
    pub administrative_state: Option<String>,
    /// Seconds between two heartbeats; 60 by default.
    #[schema(minimum = 10, maximum = 600)]
    pub heartbeat_interval: Option<i64>,
    /// Heartbeats in a row that may fail; 3 by default.
    #[schema(minimum = 1, maximum = 30)]
    pub heartbeat_failure_threshold: Option<i64>,
    /// `alarm`, the default, `rehome` or `delegate`.
    #[schema(pattern = "^(alarm|rehome|delegate)?$")]
    pub heartbeat_failure_policy: Option<String>,
    /// Seconds that maintenance may take; 600 by default.
    #[schema(minimum = 300, maximum = 36000)]
    pub heartbeat_maintenance_timeout: Option<i64>,
}

/// Changes to a system peer; an absent or null member stays as it is. At least one must be given.
#[derive(Deserialize, ToSchema)]
pub struct PeerPatch {
    /// UUID of the other system.
    #[schema(max_length = 36)]
    pub peer_uuid: Option<String>,
    /// Unique name, not only digits.
    #[schema(min_length = 1, max_length = 254)]
    pub peer_name: Option<String>,
    /// Where its Keystone answers; begins with `http`.
    #[schema(min_length = 1, max_length = 254)]
    pub manager_endpoint: Option<String>,
    /// Who logs in there.
    #[schema(min_length = 1, max_length = 254)]
    pub manager_username: Option<String>,
    /// The password, base64; never shown.
    #[schema(format = Password, min_length = 1, max_length = 254)]
    pub manager_password: Option<String>,
    /// One IPv4 or IPv6 address.
    pub peer_controller_gateway_address: Option<String>,
    /// `enabled` or `disabled`.
    #[schema(pattern = "^(enabled|disabled)$")]
    pub administrative_state: Option<String>,
    /// Seconds between two heartbeats.
    #[schema(minimum = 10, maximum = 600)]
    pub heartbeat_interval: Option<i64>,
    /// Heartbeats in a row that may fail.
    #[schema(minimum = 1, maximum = 30)]
    pub heartbeat_failure_threshold: Option<i64>,
    /// `alarm`, `rehome` or `delegate`.
    #[schema(pattern = "^(alarm|rehome|delegate)$")]
    pub heartbeat_failure_policy: Option<String>,
    /// Seconds that maintenance may take.
    #[schema(minimum = 300, maximum = 36000)]
    pub heartbeat_maintenance_timeout: Option<i64>,
}

impl fmt::Debug for NewPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewPeer").field("peer_name", &self.peer_name).finish_non_exhaustive()
    }
}

impl fmt::Debug for PeerPatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerPatch").finish_non_exhaustive()
    }
}

impl From<SystemPeerRow> for PeerBody {
    fn from(row: SystemPeerRow) -> Self {
        let times = Times { created_at: row.created_at, updated_at: row.updated_at };
        body(&row.state, times)
    }
}

/// PEER as a command left it; `None` if it left none, which a carried out command never does.
pub fn left(done: &Done<SystemPeer>) -> Option<PeerBody> {
    let peer = done.loaded.state.as_deref()?;
    // Every event after the first one changes the row.
    let changed = done.loaded.revision != Some(0);
    Some(body(peer, times(&done.loaded, peer.imported, changed)?))
}

fn body(peer: &SystemPeer, times: Times) -> PeerBody {
    PeerBody {
        id: peer.id,
        peer_uuid: peer.peer_uuid.clone(),
        peer_name: peer.peer_name.clone(),
        manager_endpoint: peer.manager_endpoint.clone(),
        manager_username: peer.manager_username.clone(),
        peer_controller_gateway_address: peer.peer_controller_gateway_address.clone(),
        administrative_state: peer.administrative_state.clone(),
        heartbeat_interval: peer.heartbeat_interval,
        heartbeat_failure_threshold: peer.heartbeat_failure_threshold,
        heartbeat_failure_policy: peer.heartbeat_failure_policy.clone(),
        heartbeat_maintenance_timeout: peer.heartbeat_maintenance_timeout,
        heartbeat_status: peer.heartbeat_status.clone(),
        created_at: times.created_at.blank_separated(),
        updated_at: times.updated_at.map(Timestamp::blank_separated),
    }
}
