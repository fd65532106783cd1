//! `/v1.0/sw-update-options` (fleet.md §10): how strategies are built in subclouds.

mod list;
mod reference;
mod remove;
pub mod render;
mod set;
mod show;

use utoipa::openapi::HttpMethod;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::openapi::refused;
use crate::policy::{Allowed, refuse, rule};

/// The routes of update options.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list::list))
        .routes(routes!(show::show))
        .routes(routes!(set::set))
        .routes(routes!(remove::remove))
        .routes(refused(
            "/v1.0/sw-update-options",
            "strategy",
            &[HttpMethod::Post, HttpMethod::Patch],
            refuse::<Allowed<rule::SwUpdateOptionsUpdate>>("Subcloud ID required"),
        ))
        .routes(refused(
            "/v1.0/sw-update-options",
            "strategy",
            &[HttpMethod::Delete],
            refuse::<Allowed<rule::SwUpdateOptionsDelete>>("Subcloud ID required"),
        ))
}
