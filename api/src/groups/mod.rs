//! `/v1.0/subcloud-groups` (fleet.md §2).

mod create;
mod delete;
mod list;
mod members;
mod reference;
pub mod render;
mod show;
mod update;

use axum::routing::get;
use utoipa::openapi::HttpMethod;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::openapi::refused;
use crate::policy::{Allowed, refuse, rule};
use crate::transport::unknown_path;

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
        .routes(refused(
            "/v1.0/subcloud-groups",
            "groups",
            &[HttpMethod::Patch],
            refuse::<Allowed<rule::SubcloudGroupsModify>>("Subcloud Group ID required"),
        ))
        .routes(refused(
            "/v1.0/subcloud-groups",
            "groups",
            &[HttpMethod::Delete],
            refuse::<Allowed<rule::SubcloudGroupsDelete>>("Subcloud Group ID required"),
        ))
}
