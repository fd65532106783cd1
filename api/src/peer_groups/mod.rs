//! `/v1.0/subcloud-peer-groups` (fleet.md §3).

mod audit;
mod create;
mod delete;
mod list;
mod members;
mod migrate;
pub(crate) mod reference;
pub mod render;
mod show;
mod status;
mod update;

use axum::routing::get;
use utoipa::openapi::HttpMethod;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::openapi::refused;
use crate::policy::{Allowed, refuse, rule};
use crate::transport::unknown_path;

/// The routes of peer groups.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list::list))
        .routes(routes!(create::create))
        .routes(routes!(show::show))
        .routes(routes!(update::update))
        .routes(routes!(delete::delete))
        .routes(routes!(members::members))
        .routes(routes!(status::status))
        .routes(routes!(migrate::migrate))
        .routes(routes!(audit::audit))
        // Another second segment is refused once the group is found (fleet.md §3.1); other methods do not know it.
        .route("/v1.0/subcloud-peer-groups/{group}/{view}", get(show::other_view).fallback(unknown_path))
        .routes(refused(
            "/v1.0/subcloud-peer-groups",
            "peers",
            &[HttpMethod::Patch],
            refuse::<Allowed<rule::SubcloudPeerGroupsModify>>("Subcloud Peer Group ID required"),
        ))
        .routes(refused(
            "/v1.0/subcloud-peer-groups",
            "peers",
            &[HttpMethod::Delete],
            refuse::<Allowed<rule::SubcloudPeerGroupsDelete>>("Subcloud Peer Group ID required"),
        ))
}
