//! E7: deploy a subcloud again, from the start (subclouds.md §6.5).

use axum::extract::{FromRequest, Path, Request, State};
use axum::response::Response;
use dcm_domain::subcloud::command::{check_not_secondary, check_redeploy};
use dcm_domain::subcloud::{RunInputs, Subcloud};
use dcm_domain::validate;
use serde_json::Value;
use uuid::Uuid;

use super::forms::RedeployForm;
use super::payload::{Payload, deploy_config};
use super::reference::{Agent, Given, Place};
use super::render::{SubcloudBody, TimeForm};
use super::update::living;
use crate::app::App;
use crate::deploy_files::DeployFiles;
use crate::openapi::ErrorBody;
use crate::phased::parts::{self, Verb};
use crate::policy::{Allowed, rule};
use crate::transport::{ApiError, Form};
use crate::written;

/// Deploy a subcloud again.
///
/// It is installed, bootstrapped, and configured or completed; what is not sent is taken from what is stored.
#[utoipa::path(
    patch, path = "/v1.0/subclouds/{subcloud}/redeploy", tag = "subclouds", operation_id = "redeploy_subcloud",
    params(("subcloud" = String, Path, description = "Id or name")),
    request_body(content = RedeployForm, content_type = "multipart/form-data"),
    responses(
        (status = 200, description = "The subcloud, about to be installed", body = SubcloudBody, headers(
            ("DCM-Position" = String, description = "Where the journal was after the command"),
        )),
        (status = 400, description = "A field is missing or wrong, or the subcloud's state does not allow it", body = ErrorBody),
        (status = 404, description = "Subcloud not found", body = ErrorBody),
        (status = 422, description = "Another run is active, or the controller is being patched", body = ErrorBody),
        (status = 503, description = "It could not be checked or stored now", body = ErrorBody),
    ))]
pub async fn redeploy(
    State(app): State<App>,
    Allowed { meta, .. }: Allowed<rule::SubcloudsModify>,
    agent: Agent,
    Path(subcloud): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let (entity, before) = Given::new(&subcloud, Place::BeforeVerb, agent).living(&app).await?;
    check_not_secondary(&before)?;
    let form = Form::from_request(request, &()).await?;
    // After the body, which may take its time: refusals are given on fresh state.
    let state = living(&app, entity).await?;
    let request = checked(&app, entity, &state, &form).await?;
    written::to_the_end(async move {
        let done = request.carry_out(&app, entity, &state, &meta).await?;
        written::subcloud(&app, &done, TimeForm::Blank, |_| {}).await
    })
    .await
}

/// Steps 3 to 9.
async fn checked(app: &App, entity: Uuid, state: &Subcloud, form: &Form) -> Result<parts::Request, ApiError> {
    let mut payload = Payload::read(form)?;
    let deploy_config = deploy_config(form)?;
    check_redeploy(state)?;
    let release = validate::release(payload.text("release").as_deref(), &app.settings().releases)?;
    let held = parts::stored_install(app, entity, state).await?;
    let install = parts::install(app, &mut payload, &release, held).await?;
    let held = match payload.has_bootstrap_file {
        true => None,
        false => parts::stored(app, entity, state.bootstrap.as_ref()).await?,
    };
    if held.is_none() && !payload.has_bootstrap_file {
        return Err(ApiError::bad_request("Required bootstrap_values file was not provided"));
    }
    let mut bootstrap = parts::bootstrap(&mut payload, held, state)?;
    // The subcloud is reached where it was installed.
    let address = install.get("bootstrap_address").cloned().unwrap_or(Value::Null);
    bootstrap.values.insert(parts::BOOTSTRAP_ADDRESS.to_owned(), address);
    let mut inputs = RunInputs::default();
    if deploy_config.is_some() || state.deploy_config.is_some() {
        let files = DeployFiles::from(app.settings());
        inputs.artifacts = Some(parts::artifacts(&files, deploy_config.as_ref(), state).await?);
    }
    let password = parts::password(&payload)?;
    let install = parts::pre_install(app, install, &release).await?;
    let bootstrap = parts::pre_bootstrap(app, bootstrap, (entity, state), &release).await?;
    Ok(parts::Request {
        verb: Verb::Redeploy,
        password,
        release: Some(release),
        install: Some(install),
        bootstrap: Some(bootstrap),
        bootstrap_address: None,
        deploy_config,
        inputs,
    })
}
