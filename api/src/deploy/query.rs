//! The query of deploy files.

use serde::Deserialize;
use utoipa::IntoParams;

/// The release, if it is not in the path.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ReleaseQuery {
    /// A release; the active one if absent.
    #[param(example = "22.12")]
    pub release: Option<String>,
}
