//! E16: install a subcloud (subclouds.md §7.3).

use axum::extract::{FromRequest, Path, Request, State};
use axum::response::Response;
use dcm_domain::subcloud::command::{DeployVerb, check_deploy};
use dcm_domain::subcloud::{RunInputs, Subcloud};
use uuid::Uuid;

use super::{parts, subcloud};
use crate::app::App;
use crate::openapi::ErrorBody;
use crate::policy::{Allowed, rule};
use crate::subclouds::forms::PhaseForm;
use crate::subclouds::payload::Payload;
use crate::subclouds::reference::Place;
use crate::subclouds::render::{SubcloudBody, TimeForm};
use crate::transport::{ApiError, Form};
use crate::written;

/// Install a subcloud.
#[utoipa::path(
    patch, path = "/v1.0/phased-subcloud-deploy/{subcloud}/install", tag = "deployment", operation_id = "deploy_install",
    params(("subcloud" = String, Path, description = "Id or name")),
    request_body(content = PhaseForm, content_type = "multipart/form-data"),
    responses(
        (status = 200, description = "The subcloud, about to be installed", body = SubcloudBody, headers(
            ("DCM-Position" = String, description = "Where the journal was after the command"),
        )),
        (status = 400, description = "A field is missing or wrong, or the deploy status does not allow it", body = ErrorBody),
        (status = 404, description = "Subcloud not found", body = ErrorBody),
        (status = 422, description = "Another run is active", body = ErrorBody),
        (status = 503, description = "It could not be stored now", body = ErrorBody),
    ))]
pub async fn install(
    State(app): State<App>,
    Allowed { meta, .. }: Allowed<rule::PhasedSubcloudDeployModify>,
    Path(reference): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let (entity, state) = subcloud(&app, &reference, Place::BeforeVerb).await?;
    let form = Form::from_request(request, &()).await?;
    let request = checked(&app, entity, &state, &form).await?;
    written::to_the_end(async move {
        let done = request.carry_out(&app, entity, &state, &meta).await?;
        written::subcloud(&app, &done, TimeForm::Blank, |_| {}).await
    })
    .await
}

async fn checked(app: &App, entity: Uuid, state: &Subcloud, form: &Form) -> Result<parts::Request, ApiError> {
    let mut payload = Payload::read_parts(form, |part| part == "install_values")?;
    if form.is_empty() {
        return Err(ApiError::bad_request("Body required"));
    }
    check_deploy(state, DeployVerb::Install)?;
    let release = parts::release(app, payload.text("release").as_deref(), state)?;
    let held = parts::stored_install(app, entity, state).await?;
    let values = parts::install(app, &mut payload, &release, held).await?;
    let password = parts::password(&payload)?;
    let values = parts::pre_install(app, values, &release).await?;
    Ok(parts::Request {
        verb: DeployVerb::Install.into(),
        password,
        release: Some(release),
        install: Some(values),
        bootstrap: None,
        bootstrap_address: None,
        deploy_config: None,
        inputs: RunInputs::default(),
    })
}
