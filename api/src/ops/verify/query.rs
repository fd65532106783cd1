//! What to verify.

use serde::Deserialize;
use utoipa::IntoParams;

/// What to verify.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::ops) struct VerifyQuery {
    /// Name of the read model; all of them without it.
    pub name: Option<String>,
    /// How many streams of each read model to fold; the whole journal without it.
    pub sample: Option<usize>,
}
