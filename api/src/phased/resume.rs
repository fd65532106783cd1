//! E21: go on with a deployment where it stopped (subclouds.md §7.8).

use axum::extract::{FromRequest, Path, Request, State};
use axum::response::Response;
use dcm_domain::subcloud::command::{DeployVerb, check_deploy, phases};
use dcm_domain::subcloud::{RunInputs, Subcloud};
use dcm_domain::value::Phase;
use uuid::Uuid;

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

/// Go on with a deployment where it stopped.
///
/// What is left is install, bootstrap and configure, from the phase that failed or was aborted on. Install is left out
/// without install values; without a deployment manager configuration the deployment is completed instead.
#[utoipa::path(
    patch, path = "/v1.0/phased-subcloud-deploy/{subcloud}/resume", tag = "deployment", operation_id = "deploy_resume",
    params(("subcloud" = String, Path, description = "Id or name")),
    request_body(content = PhaseForm, content_type = "multipart/form-data"),
    responses(
        (status = 200, description = "The subcloud, about to enter its next phase", body = SubcloudBody, headers(
            ("DCM-Position" = String, description = "Where the journal was after the command"),
        )),
        (status = 400, description = "A field is missing or wrong, or the deploy status does not allow it", body = ErrorBody),
        (status = 404, description = "Subcloud not found", body = ErrorBody),
        (status = 422, description = "Another run is active", body = ErrorBody),
        (status = 503, description = "It could not be stored now", body = ErrorBody),
    ))]
pub async fn resume(
    State(app): State<App>,
    Allowed { meta, .. }: Allowed<rule::PhasedSubcloudDeployModify>,
    Path(reference): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let (entity, state) = subcloud(&app, &reference, Place::BeforeVerb).await?;
    check_deploy(&state, DeployVerb::Resume)?;
    let form = Form::from_request(request, &()).await?;
    let request = checked(&app, entity, &state, &form).await?;
    written::to_the_end(async move {
        let done = request.carry_out(&app, entity, &state, &meta).await?;
        written::subcloud(&app, &done, TimeForm::Blank, |_| {}).await
    })
    .await
}

async fn checked(app: &App, entity: Uuid, state: &Subcloud, form: &Form) -> Result<parts::Request, ApiError> {
    let has = |name| form.part(name).is_some();
    let phases = phases(
        DeployVerb::Resume,
        state.deploy,
        has("install_values") || state.has_install_values(),
        has("deploy_config") || state.deploy_config.is_some(),
    )?;
    let left = |phase| phases.contains(&phase);
    let mut payload = Payload::read_parts(form, |part| match part {
        "install_values" => left(Phase::Install),
        _ => left(Phase::Bootstrap),
    })?;
    let deploy_config = if left(Phase::Configure) { deploy_config(form)? } else { None };
    let requested = payload.text("release").filter(|_| left(Phase::Install));
    let release = parts::release(app, requested.as_deref(), state)?;
    let install = match left(Phase::Install) {
        true => {
            let held = parts::stored_install(app, entity, state).await?;
            Some(parts::install(app, &mut payload, &release, held).await?)
        }
        false => None,
    };
    let mut inputs = RunInputs::default();
    let address = parts::bootstrap_address(&payload, state);
    let bootstrap = match left(Phase::Bootstrap) {
        true => {
            let held = parts::stored(app, entity, state.bootstrap.as_ref()).await?;
            Some(parts::bootstrap(&mut payload, held, state)?)
        }
        false => None,
    };
    if left(Phase::Configure) {
        let files = DeployFiles::from(app.settings());
        inputs.artifacts = Some(parts::artifacts(&files, deploy_config.as_ref(), state).await?);
    }
    // New bootstrap values bring the address, and check it.
    let bootstrap_address = if bootstrap.is_some() { None } else { address? };
    let password = parts::password(&payload)?;
    let install = match install {
        Some(values) => Some(parts::pre_install(app, values, &release).await?),
        None => None,
    };
    let bootstrap = match bootstrap {
        Some(bootstrap) => Some(parts::pre_bootstrap(app, bootstrap, (entity, state), &release).await?),
        None => None,
    };
    let verb = DeployVerb::Resume.into();
    let release = Some(release);
    Ok(parts::Request {
        verb,
        password,
        release,
        install,
        bootstrap,
        bootstrap_address,
        deploy_config,
        inputs,
    })
}
