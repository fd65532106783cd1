//! `/v1.0/peer-group-associations` (fleet.md §7).

mod create;
mod delete;
mod list;
mod reference;
pub mod render;
mod show;
mod sync;
mod update;

use axum::routing::patch;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::asker::Asker;
use crate::transport::{ApiError, unknown_path};

/// The routes of associations.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list::list))
        .routes(routes!(create::create))
        .routes(routes!(show::show))
        .routes(routes!(update::update))
        .routes(routes!(delete::delete))
        .routes(routes!(sync::sync))
        // Any second segment synchronises (fleet.md, Q1); other methods do not know it.
        .route(
            "/v1.0/peer-group-associations/{association}/{verb}",
            patch(sync::any_verb).fallback(unknown_path),
        )
        .route("/v1.0/peer-group-associations", patch(without_reference).delete(without_reference))
}

/// Changing or deleting no association in particular (decisions.md, "Reference missing").
async fn without_reference(_: Asker) -> ApiError {
    ApiError::bad_request("Peer Group Association ID required")
}
