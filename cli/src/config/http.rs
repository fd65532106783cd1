//! How HTTP is served.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How HTTP is served: bounds on connections, and how a process begins and ends beside others.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// Connections at once; one more waits.
    pub connections: usize,
    /// How long a connection may take to send the head of a request, or to begin one, in seconds.
    pub header_secs: u64,
    /// How long a client may leave an answer unread, in seconds.
    pub unread_secs: u64,
    /// How long SIGTERM lets a process go on answering while `/readyz` says that it drains, in seconds: a proxy needs the
    /// time to turn to other processes.
    pub drain_secs: u64,
    /// Whether several processes may listen at one address (SO_REUSEPORT): a new one starts beside the one it replaces.
    pub reuse_port: bool,
}

impl Default for Http {
    fn default() -> Self {
        Self { connections: 2048, header_secs: 30, unread_secs: 60, drain_secs: 1, reuse_port: false }
    }
}

/// Certificate and key of the server, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The certificate, and those that it is signed with.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
}
