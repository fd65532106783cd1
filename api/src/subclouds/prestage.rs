//! E8: bring a release onto a subcloud (subclouds.md §6.6).

use axum::extract::{FromRequest, Path, Request, State};
use axum::response::Response;
use dcm_domain::subcloud::command::{
    PrestageSubcloud, WithSkippedChecks, check_not_secondary, check_prestage,
};
use dcm_domain::subcloud::{PrestageTask, Subcloud};
use dcm_domain::validate::{self, base64_password, has_affecting_alarms};
use dcm_domain::value::Secret;
use dcm_journal::repository::{Done, Meta};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::forms::PrestageBody;
use super::reference::{Agent, Given, Place};
use super::render::{PrestagedSubcloud, TimeForm};
use super::update::living;
use crate::app::App;
use crate::checks::{Checks, no_answer};
use crate::documents::Documents;
use crate::openapi::ErrorBody;
use crate::policy::{Allowed, rule};
use crate::transport::{ApiError, JsonObject};
use crate::written;

/// Prestage a subcloud.
///
/// Packages and images of a release are brought onto it in the background; `deploy-status` says how far that is.
#[utoipa::path(
    patch, path = "/v1.0/subclouds/{subcloud}/prestage", tag = "subclouds", operation_id = "prestage_subcloud",
    params(("subcloud" = String, Path, description = "Id or name")),
    request_body(content = PrestageBody),
    responses(
        (status = 200, description = "The subcloud, whose packages are being prestaged", body = PrestagedSubcloud, headers(
            ("DCM-Position" = String, description = "Where the journal was after the command"),
        )),
        (status = 400, description = "A field is missing or wrong, or the subcloud's state does not allow it", body = ErrorBody),
        (status = 404, description = "Subcloud not found", body = ErrorBody),
        (status = 422, description = "Another run is active", body = ErrorBody),
        (status = 503, description = "It could not be checked or stored now", body = ErrorBody),
    ))]
pub async fn prestage(
    State(app): State<App>,
    Allowed { meta, .. }: Allowed<rule::SubcloudsModify>,
    agent: Agent,
    Path(subcloud): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let (entity, before) = Given::new(&subcloud, Place::BeforeVerb, agent).living(&app).await?;
    check_not_secondary(&before)?;
    // Whatever is no JSON object is refused alike.
    let body = JsonObject::from_request(request, &()).await?;
    let state = living(&app, entity).await?;
    let prestage = Prestage::checked(&app, &state, body).await?;
    written::to_the_end(async move {
        let release = prestage.task.release.clone();
        let done = prestage.carry_out(&app, entity, &meta).await?;
        written::subcloud(&app, &done, TimeForm::Blank, |shown| {
            shown.insert("prestage-software-version".to_owned(), Value::String(release));
        })
        .await
    })
    .await
}

/// A prestage that passed every check.
struct Prestage {
    password: Secret,
    task: PrestageTask,
    checks: Checks,
}

impl Prestage {
    /// Steps 4 to 17.
    async fn checked(app: &App, state: &Subcloud, JsonObject(body): JsonObject) -> Result<Self, ApiError> {
        let password = Password::read(&body)?;
        let force = force(&body)?;
        let mut checks = Checks::default();
        not_upgrading(app, &mut checks).await?;
        let Password::Given(password) = password else {
            return Err(failed("Prestage failed", "Missing required parameter 'sysadmin_password'"));
        };
        check_prestage(state)?;
        let release = release(&body)?;
        if let Some(release) = &release {
            imported(app, state, release, &mut checks).await?;
        }
        simplex(app, state, &mut checks).await?;
        if !force {
            no_affecting_alarms(app, state, &mut checks).await?;
        }
        let release = validate::release(release.as_deref(), &app.settings().releases)?;
        Ok(Self { password, task: PrestageTask { release, force }, checks })
    }

    async fn carry_out(self, app: &App, entity: Uuid, meta: &Meta) -> Result<Done<Subcloud>, ApiError> {
        let mut documents = Documents::new(app.vault().as_ref(), entity);
        let sysadmin_password = documents.password(self.password).await?;
        let command = PrestageSubcloud { run_id: Uuid::now_v7(), sysadmin_password, task: self.task };
        let command = WithSkippedChecks { command, skipped: self.checks.skipped() };
        documents.settle(app.fleet().run(entity, &command, meta).await).await
    }
}

enum Password {
    /// An empty text, which is only refused later (step 8).
    Empty,
    Given(Secret),
}

impl Password {
    /// Steps 4 and 5.
    fn read(body: &Map<String, Value>) -> Result<Self, ApiError> {
        match body.get("sysadmin_password") {
            None | Some(Value::Null) => Err(ApiError::bad_request("subcloud sysadmin_password is required")),
            Some(Value::String(sent)) if sent.is_empty() => Ok(Self::Empty),
            Some(sent) => {
                // What is no text is no base64 either.
                let sent = sent.as_str().unwrap_or("=");
                Ok(Self::Given(base64_password("sysadmin_password", Some(sent))?))
            }
        }
    }
}

/// Step 6; a boolean is taken too (S-Q22).
fn force(body: &Map<String, Value>) -> Result<bool, ApiError> {
    let word = match body.get("force") {
        None | Some(Value::Null) => return Ok(false),
        Some(Value::Bool(force)) => return Ok(*force),
        Some(other) => other.as_str().unwrap_or_default().to_ascii_lowercase(),
    };
    match word.as_str() {
        "true" | "t" => Ok(true),
        "false" | "f" => Ok(false),
        _ => Err(ApiError::bad_request("Invalid value for force option: it must be true or false")),
    }
}

/// The release asked for, if any.
fn release(body: &Map<String, Value>) -> Result<Option<String>, ApiError> {
    match body.get("release") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(release)) => Ok(Some(release.clone()).filter(|release| !release.is_empty())),
        Some(Value::Number(release)) => Ok(Some(release.to_string())),
        Some(_) => Err(ApiError::bad_request("invalid release version parameter: it must be a text")),
    }
}

/// Step 7.
async fn not_upgrading(app: &App, checks: &mut Checks) -> Result<(), ApiError> {
    match checks.asked("upgrade in progress", app.platform().upgrade_in_progress().await) {
        Ok(Some(true)) => Err(failed(
            "Prestage failed 'SystemController'",
            "Prestage operations are not allowed while system controller upgrade is in progress.",
        )),
        Ok(_) => Ok(()),
        Err(error) => Err(no_answer("the platform inventory does not answer", &error)),
    }
}

/// Step 13.
async fn imported(app: &App, state: &Subcloud, release: &str, checks: &mut Checks) -> Result<(), ApiError> {
    if release == state.software_version {
        return Ok(());
    }
    match checks.asked("release imported", app.platform().loads().await) {
        Ok(Some(loads)) if !loads.iter().any(|load| load == release) => {
            let name = &state.name;
            Err(failed(
                &format!("Prestage skipped '{name}'"),
                "Specified release is not supported. The release must first be imported.",
            ))
        }
        Ok(_) => Ok(()),
        Err(error) => Err(no_answer("the platform inventory does not answer", &error)),
    }
}

/// Steps 14 and 15.
async fn simplex(app: &App, state: &Subcloud, checks: &mut Checks) -> Result<(), ApiError> {
    let name = &state.name;
    match checks.asked("system mode", app.platform().system_mode(&state.region).await) {
        Ok(Some(mode)) if mode != "simplex" => Err(failed(
            &format!("Prestage skipped '{name}'"),
            "The prestage operation is currently only accepted for a simplex subcloud.",
        )),
        Ok(_) => Ok(()),
        Err(error) => {
            tracing::warn!(%name, %error, "a subcloud's system mode is not known");
            Err(failed(&format!("Prestage failed '{name}'"), "Failed to retrieve subcloud system mode."))
        }
    }
}

/// Step 16.
async fn no_affecting_alarms(app: &App, state: &Subcloud, checks: &mut Checks) -> Result<(), ApiError> {
    let prefix = format!("Prestage failed '{}'", state.name);
    match checks.asked("management affecting alarms", app.platform().health(&state.region).await) {
        Ok(Some(report)) if has_affecting_alarms(&report) => Err(failed(
            &prefix,
            "Subcloud has one or more management affecting alarm(s). Use force to go on nevertheless.",
        )),
        Ok(_) => Ok(()),
        Err(error) => {
            tracing::warn!(name = %state.name, %error, "a subcloud's health is not known");
            Err(failed(&prefix, "Failed to retrieve subcloud health."))
        }
    }
}

fn failed(prefix: &str, text: &str) -> ApiError {
    ApiError::bad_request(format!("{prefix}: {text}"))
}
