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

use axum::routing::get;
use utoipa::openapi::HttpMethod;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::openapi::refused;
use crate::policy::{Allowed, refuse, rule};
use crate::transport::unknown_path;

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
        .routes(refused(
            "/v1.0/system-peers",
            "peers",
            &[HttpMethod::Patch],
            refuse::<Allowed<rule::SystemPeersModify>>("System Peer UUID or ID required"),
        ))
        .routes(refused(
            "/v1.0/system-peers",
            "peers",
            &[HttpMethod::Delete],
            refuse::<Allowed<rule::SystemPeersDelete>>("System Peer UUID or ID required"),
        ))
}
