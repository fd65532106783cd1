//! `/v1.0/phased-subcloud-deploy`: one phase of a deployment at a time (subclouds.md §7).

mod abort;
mod bootstrap;
mod complete;
mod configure;
mod create;
mod install;
pub(crate) mod parts;
mod resume;

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::routing::patch;
use dcm_domain::subcloud::Subcloud;
use utoipa::openapi::HttpMethod;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::app::App;
use crate::openapi::refused;
use crate::policy::{Allowed, refuse, rule};
use crate::subclouds::reference::{Given, Naming, Place};
use crate::transport::ApiError;

/// The routes of phased deployment.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create::create))
        .routes(routes!(install::install))
        .routes(routes!(bootstrap::bootstrap))
        .routes(routes!(configure::configure))
        .routes(routes!(complete::complete))
        .routes(routes!(abort::abort))
        .routes(routes!(resume::resume))
        .routes(refused(
            "/v1.0/phased-subcloud-deploy",
            "deployment",
            &[HttpMethod::Patch],
            refuse::<Allowed<rule::PhasedSubcloudDeployModify>>("Subcloud ID required"),
        ))
        .route("/v1.0/phased-subcloud-deploy/{subcloud}", patch(without_verb))
        .route("/v1.0/phased-subcloud-deploy/{subcloud}/{verb}", patch(unknown_verb))
}

/// The subcloud that a verb is for: by id or name, never by region (subclouds.md §4).
async fn subcloud(app: &App, reference: &str, place: Place) -> Result<(Uuid, Arc<Subcloud>), ApiError> {
    Given::new(reference, place, Naming::Names).living(app).await
}

async fn without_verb(
    State(app): State<App>,
    _: Allowed<rule::PhasedSubcloudDeployModify>,
    Path(reference): Path<String>,
) -> Result<(), ApiError> {
    subcloud(&app, &reference, Place::Last).await?;
    Err(ApiError::bad_request("Invalid request"))
}

async fn unknown_verb(
    State(app): State<App>,
    _: Allowed<rule::PhasedSubcloudDeployModify>,
    Path((reference, _)): Path<(String, String)>,
) -> Result<(), ApiError> {
    subcloud(&app, &reference, Place::BeforeVerb).await?;
    Err(ApiError::bad_request("Invalid request"))
}
