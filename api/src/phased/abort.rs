//! E20: abort the phase that runs (subclouds.md §7.7).

use axum::extract::{Path, State};
use axum::response::Response;
use dcm_domain::subcloud::command::AbortDeployment;

use super::subcloud;
use crate::app::App;
use crate::openapi::ErrorBody;
use crate::policy::{Allowed, rule};
use crate::subclouds::reference::Place;
use crate::subclouds::render::{SubcloudBody, TimeForm};
use crate::transport::ApiError;
use crate::written;

/// Abort the phase that runs.
///
/// The answer comes at once; its worker ends the phase, and `deploy-status` then says how it ended.
#[utoipa::path(
    patch, path = "/v1.0/phased-subcloud-deploy/{subcloud}/abort", tag = "deployment", operation_id = "deploy_abort",
    params(("subcloud" = String, Path, description = "Id or name")),
    responses(
        (status = 200, description = "The subcloud, being aborted", body = SubcloudBody, headers(
            ("DCM-Position" = String, description = "Where the journal was after the command"),
        )),
        (status = 400, description = "Nothing runs that can be aborted", body = ErrorBody),
        (status = 404, description = "Subcloud not found", body = ErrorBody),
        (status = 503, description = "It could not be stored now", body = ErrorBody),
    ))]
pub async fn abort(
    State(app): State<App>,
    Allowed { meta, .. }: Allowed<rule::PhasedSubcloudDeployModify>,
    Path(reference): Path<String>,
) -> Result<Response, ApiError> {
    let (entity, _) = subcloud(&app, &reference, Place::BeforeVerb).await?;
    written::to_the_end(async move {
        let done = app.fleet().run(entity, &AbortDeployment, &meta).await?;
        written::subcloud(&app, &done, TimeForm::Blank, |_| {}).await
    })
    .await
}
