//! `/v1.0/subcloud-groups` (fleet.md §2).

mod create;
mod delete;
mod list;
mod members;
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

/// The routes of subcloud groups.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list::list))
        .routes(routes!(create::create))
        .routes(routes!(show::show))
        .routes(routes!(update::update))
        .routes(routes!(delete::delete))
        .routes(routes!(members::members))
        // Any second segment shows the members (fleet.md, Q1); other methods do not know it.
        .route("/v1.0/subcloud-groups/{group}/{view}", get(members::any_view).fallback(unknown_path))
        .route("/v1.0/subcloud-groups", patch(without_reference).delete(without_reference))
}

/// Changing or deleting no group in particular (decisions.md, "Reference missing").
async fn without_reference(_: Asker) -> ApiError {
    ApiError::bad_request("Subcloud Group ID required")
}
