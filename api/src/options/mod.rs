//! `/v1.0/sw-update-options` (fleet.md §10): how strategies are built in subclouds.

mod list;
mod reference;
mod remove;
pub mod render;
mod set;
mod show;

use axum::routing::post;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::asker::Asker;
use crate::transport::ApiError;

/// The routes of update options.
pub(crate) fn routes() -> OpenApiRouter<App> {
    let without = post(without_reference).patch(without_reference).delete(without_reference);
    OpenApiRouter::new()
        .routes(routes!(list::list))
        .routes(routes!(show::show))
        .routes(routes!(set::set))
        .routes(routes!(remove::remove))
        .route("/v1.0/sw-update-options", without)
}

/// Setting or removing the options of no subcloud in particular (decisions.md, "Reference missing").
async fn without_reference(_: Asker) -> ApiError {
    ApiError::bad_request("Subcloud ID required")
}
