//! E19: declare a bootstrapped subcloud complete (subclouds.md §7.6).

use axum::extract::{Path, State};
use axum::response::Response;
use dcm_domain::subcloud::command::CompleteDeployment;

use super::subcloud;
use crate::app::App;
use crate::openapi::ErrorBody;
use crate::policy::{Allowed, rule};
use crate::subclouds::reference::Place;
use crate::subclouds::render::{SubcloudBody, TimeForm};
use crate::transport::ApiError;
use crate::written;

/// Complete a deployment without configuring it.
#[utoipa::path(
    patch, path = "/v1.0/phased-subcloud-deploy/{subcloud}/complete", tag = "deployment", operation_id = "deploy_complete",
    params(("subcloud" = String, Path, description = "Id or name")),
    responses(
        (status = 200, description = "The subcloud, complete", body = SubcloudBody, headers(
            ("DCM-Position" = String, description = "Where the journal was after the command"),
        )),
        (status = 400, description = "The deploy status does not allow it", body = ErrorBody),
        (status = 404, description = "Subcloud not found", body = ErrorBody),
        (status = 422, description = "A run is active", body = ErrorBody),
        (status = 503, description = "It could not be stored now", body = ErrorBody),
    ))]
pub async fn complete(
    State(app): State<App>,
    Allowed { meta, .. }: Allowed<rule::PhasedSubcloudDeployModify>,
    Path(reference): Path<String>,
) -> Result<Response, ApiError> {
    let (entity, _) = subcloud(&app, &reference, Place::BeforeVerb).await?;
    written::to_the_end(async move {
        let done = app.fleet().run(entity, &CompleteDeployment, &meta).await?;
        written::subcloud(&app, &done, TimeForm::T, |_| {}).await
    })
    .await
}
