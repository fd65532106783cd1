//! `/v1.0/subcloud-backup`: back up and restore one subcloud or the members of a group (subclouds.md §7.9–7.12).

mod address;
mod body;
mod create;
mod delete;
pub mod forms;
mod restore;
mod target;

use axum::routing::patch;
use utoipa::openapi::HttpMethod;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::openapi::refused;
use crate::policy::{AllowedEither, refuse, rule};

/// The routes of backups.
pub(crate) fn routes() -> OpenApiRouter<App> {
    let unknown_verb = refuse::<AllowedVerb>("Unexpected verb received");
    OpenApiRouter::new()
        .routes(routes!(create::create))
        .routes(routes!(delete::delete))
        .routes(routes!(restore::restore))
        .routes(refused("/v1.0/subcloud-backup", "backup", &[HttpMethod::Patch], unknown_verb.clone()))
        .route("/v1.0/subcloud-backup/delete", patch(delete::without_release))
        .route("/v1.0/subcloud-backup/{verb}", patch(unknown_verb))
}

/// Who may do one of the two things that this resource has verbs for.
type AllowedVerb = AllowedEither<rule::SubcloudBackupDelete, rule::SubcloudBackupRestore>;
