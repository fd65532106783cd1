//! What reads of subclouds may be asked for.

use serde::Deserialize;
use utoipa::IntoParams;

/// What a list may be asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Shows this one subcloud instead of the list.
    pub subcloud_ref: Option<String>,
}

/// What one subcloud may be asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ShowQuery {
    /// Its state at an RFC 3339 time, or after the event with this revision. Finds deleted subclouds too, by uuid or by
    /// their last name.
    pub as_of: Option<String>,
}
