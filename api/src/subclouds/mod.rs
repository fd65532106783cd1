//! `/v1.0/subclouds`.

mod advice;
mod create;
pub(crate) mod creation;
mod delete;
mod detail;
pub mod forms;
pub(crate) mod group;
mod list;
mod migrate;
mod network_reconfiguration;
pub(crate) mod payload;
mod prestage;
mod query;
mod redeploy;
pub mod reference;
pub mod render;
mod retired;
mod show;
pub(crate) mod update;
mod update_availability;
mod update_status;

use axum::routing::get;
use utoipa::openapi::HttpMethod;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::openapi::refused;
use crate::policy::{Allowed, refuse, rule};
use crate::transport::unknown_path;

/// The routes of subclouds.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list::list))
        .routes(routes!(create::create))
        .routes(routes!(show::show))
        .routes(routes!(update::update))
        .routes(routes!(delete::delete))
        .routes(routes!(update_status::update_status))
        .routes(routes!(update_availability::update_availability))
        .routes(routes!(redeploy::redeploy))
        .routes(routes!(prestage::prestage))
        .routes(routes!(migrate::migrate))
        .routes(routes!(retired::restore))
        .routes(routes!(retired::reconfigure))
        .routes(routes!(retired::reinstall))
        .routes(routes!(detail::detail))
        // Any second segment that is no verb shows the details (subclouds.md §6.2); other methods do not know it.
        .route("/v1.0/subclouds/{subcloud}/{view}", get(detail::any_view).fallback(unknown_path))
        .routes(refused(
            "/v1.0/subclouds",
            "subclouds",
            &[HttpMethod::Patch],
            refuse::<Allowed<rule::SubcloudsModify>>("Subcloud ID required"),
        ))
        .routes(refused(
            "/v1.0/subclouds",
            "subclouds",
            &[HttpMethod::Delete],
            refuse::<Allowed<rule::SubcloudsDelete>>("Subcloud ID required"),
        ))
}
