//! E18: configure a subcloud (subclouds.md §7.5).

use axum::extract::{FromRequest, Path, Request, State};
use axum::response::Response;
use dcm_domain::subcloud::command::{DeployVerb, check_deploy};
use dcm_domain::subcloud::{RunInputs, Subcloud};

use super::{parts, subcloud};
use crate::app::App;
use crate::deploy_files::DeployFiles;
use crate::openapi::ErrorBody;
use crate::policy::{Allowed, rule};
use crate::subclouds::forms::PhaseForm;
use crate::subclouds::payload::{Payload, deploy_config};
use crate::subclouds::reference::Place;
use crate::subclouds::render::{SubcloudBody, TimeForm};
use crate::transport::{ApiError, Form};
use crate::written;

/// Configure a subcloud.
#[utoipa::path(
    patch, path = "/v1.0/phased-subcloud-deploy/{subcloud}/configure", tag = "deployment", operation_id = "deploy_configure",
    params(("subcloud" = String, Path, description = "Id or name")),
    request_body(content = PhaseForm, content_type = "multipart/form-data"),
    responses(
        (status = 200, description = "The subcloud, about to be configured", body = SubcloudBody, headers(
            ("DCM-Position" = String, description = "Where the journal was after the command"),
        )),
        (status = 400, description = "A field is missing or wrong, or the deploy status does not allow it", body = ErrorBody),
        (status = 404, description = "Subcloud not found", body = ErrorBody),
        (status = 422, description = "Another run is active", body = ErrorBody),
        (status = 503, description = "It could not be stored now", body = ErrorBody),
    ))]
pub async fn configure(
    State(app): State<App>,
    Allowed { meta, .. }: Allowed<rule::PhasedSubcloudDeployModify>,
    Path(reference): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let (entity, state) = subcloud(&app, &reference, Place::BeforeVerb).await?;
    let form = Form::from_request(request, &()).await?;
    let request = checked(&app, &state, &form).await?;
    written::to_the_end(async move {
        let done = request.carry_out(&app, entity, &state, &meta).await?;
        written::subcloud(&app, &done, TimeForm::Blank, |_| {}).await
    })
    .await
}

async fn checked(app: &App, state: &Subcloud, form: &Form) -> Result<parts::Request, ApiError> {
    let deploy_config = deploy_config(form)?;
    if form.is_empty() {
        return Err(ApiError::bad_request("Body required"));
    }
    check_deploy(state, DeployVerb::Configure)?;
    let artifacts =
        parts::artifacts(&DeployFiles::from(app.settings()), deploy_config.as_ref(), state).await?;
    let payload = Payload::read_parts(form, |_| false)?;
    let password = parts::password(&payload)?;
    let bootstrap_address = parts::bootstrap_address(&payload, state)?;
    Ok(parts::Request {
        verb: DeployVerb::Configure.into(),
        password,
        release: None,
        install: None,
        bootstrap: None,
        bootstrap_address,
        deploy_config,
        inputs: RunInputs { artifacts: Some(artifacts), ..RunInputs::default() },
    })
}
