//! `/v1.0/peer-group-associations` (fleet.md §7).

mod create;
mod delete;
mod list;
mod reference;
pub mod render;
mod show;
mod sync;
mod update;

use utoipa::openapi::HttpMethod;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::openapi::refused;
use crate::policy::{Allowed, refuse, rule};

/// The routes of associations.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list::list))
        .routes(routes!(create::create))
        .routes(routes!(show::show))
        .routes(routes!(update::update))
        .routes(routes!(delete::delete))
        .routes(routes!(sync::sync))
        .routes(refused(
            "/v1.0/peer-group-associations",
            "peers",
            &[HttpMethod::Patch],
            refuse::<Allowed<rule::PeerGroupAssociationsModify>>("Peer Group Association ID required"),
        ))
        .routes(refused(
            "/v1.0/peer-group-associations",
            "peers",
            &[HttpMethod::Delete],
            refuse::<Allowed<rule::PeerGroupAssociationsDelete>>("Peer Group Association ID required"),
        ))
}
