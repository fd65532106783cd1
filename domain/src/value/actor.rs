//! Who caused an event.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who caused an event: an opaque user with project and roles, or the system role that acted. Never a display name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Actor {
    /// Opaque user id, or `system:<role>` for one of the program's own workers.
    pub user_id: String,
    /// Opaque project id; absent for system roles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
    /// Role names the request was made with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
}

impl Actor {
    /// The program itself, acting in `role` (for example `cert-mon`).
    pub fn system(role: &str) -> Self {
        Self { user_id: format!("system:{role}"), project_id: None, roles: Vec::new() }
    }
}
