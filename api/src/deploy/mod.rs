//! `/v1.0/subcloud-deploy`: files that deployments of a release need (subclouds.md §8).

pub mod forms;
mod query;
mod receive;
mod show;
mod store;
mod upload;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;

/// The routes of deploy files.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(upload::upload, show::show_active)).routes(routes!(show::show))
}
