//! How to rebuild.

use serde::Deserialize;
use utoipa::IntoParams;

/// How to rebuild.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::ops) struct RebuildQuery {
    /// Whether the new version is read also if its rows are others.
    pub accept_differences: Option<bool>,
    /// Whether the answer waits for the end, as it does by default; a large journal takes longer than a request may.
    pub wait: Option<bool>,
}
