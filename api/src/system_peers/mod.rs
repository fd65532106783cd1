//! `/v1.0/system-peers` (fleet.md §5).

mod create;
mod delete;
mod groups;
mod list;
mod password;
mod reference;
pub mod render;
mod show;
mod update;

use axum::routing::{get, patch};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::asker::Asker;
use crate::transport::{ApiError, unknown_path};

/// The routes of system peers.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list::list))
        .routes(routes!(create::create))
        .routes(routes!(show::show))
        .routes(routes!(update::update))
        .routes(routes!(delete::delete))
        .routes(routes!(groups::groups))
        // Any second segment shows the peer groups (fleet.md, Q1); other methods do not know it.
        .route("/v1.0/system-peers/{peer}/{view}", get(groups::any_view).fallback(unknown_path))
        .route("/v1.0/system-peers", patch(without_reference).delete(without_reference))
}

/// Changing or deleting no peer in particular (decisions.md, "Reference missing").
async fn without_reference(_: Asker) -> ApiError {
    ApiError::bad_request("System Peer UUID or ID required")
}
