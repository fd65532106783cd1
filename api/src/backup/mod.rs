//! `/v1.0/subcloud-backup`: back up and restore one subcloud or the members of a group (subclouds.md §7.9–7.12).

mod address;
mod body;
mod create;
mod delete;
pub mod forms;
mod restore;
mod target;

use axum::routing::patch;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::asker::Asker;
use crate::transport::ApiError;

/// The routes of backups.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create::create))
        .routes(routes!(delete::delete))
        .routes(routes!(restore::restore))
        .route("/v1.0/subcloud-backup", patch(unknown_verb))
        .route("/v1.0/subcloud-backup/delete", patch(delete::without_release))
        .route("/v1.0/subcloud-backup/{verb}", patch(unknown_verb))
}

async fn unknown_verb(_: Asker) -> ApiError {
    ApiError::bad_request("Unexpected verb received")
}
