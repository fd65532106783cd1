//! What an event stream may be asked for.

use serde::Deserialize;
use utoipa::IntoParams;

/// What an event stream may be asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct EventsQuery {
    /// Position after which to begin; the journal's beginning if not given.
    pub from: Option<String>,
    /// `false` ends the stream at the journal's head; else it goes on with what happens.
    pub follow: Option<bool>,
}
