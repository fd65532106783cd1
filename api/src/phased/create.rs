//! E15: create a subcloud without deploying it (subclouds.md §7.1).

use std::time::{Duration, Instant};

use axum::extract::{FromRequest, Request, State};
use axum::response::Response;
use dcm_domain::subcloud::Subcloud;
use dcm_journal::repository::{Done, Loaded};
use uuid::Uuid;

use crate::app::App;
use crate::openapi::ErrorBody;
use crate::policy::{Allowed, rule};
use crate::subclouds::creation::{Creation, Start, new_region};
use crate::subclouds::forms::CreateForm;
use crate::subclouds::payload::Payload;
use crate::subclouds::render::{SubcloudBody, TimeForm};
use crate::transport::{ApiError, Form};
use crate::written;

/// How often the subcloud is looked at at most while its creation goes on, and at least.
const LOOKS: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(500));
/// When a client whose wait was too short may look again.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Create a subcloud; its phases are asked for one by one.
///
/// The answer comes when the creation is done: `deploy-status` says whether it succeeded.
#[utoipa::path(
    post, path = "/v1.0/phased-subcloud-deploy", tag = "deployment", operation_id = "deploy_create",
    request_body(content = CreateForm, content_type = "multipart/form-data"),
    responses(
        (status = 200, description = "The subcloud, created or failed", body = SubcloudBody, headers(
            ("DCM-Position" = String, description = "Where the journal was after the command"),
        )),
        (status = 400, description = "A field is missing or wrong", body = ErrorBody),
        (status = 409, description = "The name is taken", body = ErrorBody),
        (status = 422, description = "Not possible now", body = ErrorBody),
        (status = 503, description = "It could not be stored, or its creation is not done yet", body = ErrorBody),
    ))]
pub async fn create(
    State(app): State<App>,
    Allowed { meta, .. }: Allowed<rule::PhasedSubcloudDeployCreate>,
    request: Request,
) -> Result<Response, ApiError> {
    let form = Form::from_request(request, &()).await?;
    let creation = checked(&app, &form).await?;
    let entity = creation.entity();
    let begun = {
        let app = app.clone();
        written::to_the_end(async move { creation.begin(&app, &meta, Start::CreateOnly).await }).await?
    };
    let done = ended(&app, entity, begun).await?;
    written::subcloud(&app, &done, TimeForm::T, |_| {}).await
}

async fn checked(app: &App, form: &Form) -> Result<Creation, ApiError> {
    let missing: Vec<_> = ["bootstrap_values", "bootstrap-address"]
        .into_iter()
        .filter(|name| form.part(name).is_none())
        .collect();
    if !missing.is_empty() {
        return Err(ApiError::bad_request(format!("Missing required parameter(s): {}", missing.join(", "))));
    }
    let payload = Payload::read(form)?;
    // A region that was sent is not used (subclouds.md §7.1).
    let region = new_region(&payload)?;
    Creation::check(app, payload, form, region).await
}

/// Waits until the run that `begun` asked for has ended; the row stays, whatever comes of the wait.
async fn ended(app: &App, entity: Uuid, begun: Done<Subcloud>) -> Result<Done<Subcloud>, ApiError> {
    let run = begun.loaded.state.as_ref().and_then(|state| state.run.as_ref());
    let Some(run_id) = run.map(|run| run.id) else { return Ok(begun) };
    let until = Instant::now() + app.settings().creation_wait;
    let mut seen = begun.loaded.position.map_or(0, |position| position.order);
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ApiError::unavailable(
                "Unable to create subcloud: its creation is not done yet",
                RETRY_AFTER,
            ));
        }
        // Anything that happens may be what is waited for; a burst is looked at once.
        tokio::time::sleep(LOOKS.0.min(left)).await;
        app.models().progress().wait(seen + 1, LOOKS.1.min(left)).await;
        let known = *app.models().progress().follow().borrow();
        seen = seen.max(known);
        let loaded = app.fleet().subcloud(entity).await?;
        if !is_running(&loaded, run_id) {
            return Ok(Done { loaded, events: Vec::new(), position: None });
        }
    }
}

fn is_running(loaded: &Loaded<Subcloud>, run_id: Uuid) -> bool {
    loaded.state.as_ref().and_then(|state| state.run.as_ref()).is_some_and(|run| run.id == run_id)
}
