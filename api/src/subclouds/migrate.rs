//! E9: take a secondary subcloud over from another controller (subclouds.md §6.7).

use axum::extract::{FromRequest, Path, Request, State};
use axum::response::Response;
use dcm_domain::aggregate::{Command, Facts};
use dcm_domain::subcloud::Subcloud;
use dcm_domain::subcloud::command::MigrateSubcloud;
use dcm_domain::validate::base64_password;
use dcm_domain::value::{Secret, Timestamp};
use dcm_journal::repository::{Done, Meta};
use uuid::Uuid;

use super::forms::MigrateBody;
use super::reference::{Agent, Given, Place};
use super::render::{SubcloudBody, TimeForm};
use super::update::living;
use crate::app::App;
use crate::documents::Documents;
use crate::openapi::ErrorBody;
use crate::policy::{Allowed, rule};
use crate::transport::{ApiError, JsonObject};
use crate::written;

/// Take a secondary subcloud over.
///
/// The answer comes at once; `deploy-status` stays as it is until a worker begins.
#[utoipa::path(
    patch, path = "/v1.0/subclouds/{subcloud}/migrate", tag = "subclouds", operation_id = "migrate_subcloud",
    params(("subcloud" = String, Path, description = "Id or name")),
    request_body(content = MigrateBody),
    responses(
        (status = 200, description = "The subcloud, still as it was", body = SubcloudBody, headers(
            ("DCM-Position" = String, description = "Where the journal was after the command"),
        )),
        (status = 400, description = "A field is missing, or the subcloud's state or rehome data do not allow it", body = ErrorBody),
        (status = 404, description = "Subcloud not found", body = ErrorBody),
        (status = 422, description = "Another run is active", body = ErrorBody),
        (status = 503, description = "It could not be stored now", body = ErrorBody),
    ))]
pub async fn migrate(
    State(app): State<App>,
    Allowed { meta, .. }: Allowed<rule::SubcloudsModify>,
    agent: Agent,
    Path(subcloud): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let entity = Given::new(&subcloud, Place::BeforeVerb, agent).entity(&app).await?;
    let body = JsonObject::from_request(request, &()).await.map_err(unable)?;
    let state = living(&app, entity).await?;
    let password = checked(&state, body).map_err(unable)?;
    written::to_the_end(async move {
        let done = ask(&app, entity, password, &meta).await.map_err(unable)?;
        written::subcloud(&app, &done, TimeForm::Blank, |_| {}).await
    })
    .await
}

/// The state's own rules first, then that there is a password: null is one, and what is no base64 as well; both only
/// show once a worker needs it (subclouds.md §6.7).
fn checked(state: &Subcloud, JsonObject(body): JsonObject) -> Result<Option<Secret>, ApiError> {
    let facts = Facts { now: Timestamp::from(chrono::Utc::now()) };
    MigrateSubcloud { run_id: Uuid::nil(), sysadmin_password: None }.decide(Some(state), &facts)?;
    let sent =
        body.get("sysadmin_password").ok_or_else(|| ApiError::bad_request("sysadmin_password required"))?;
    Ok(sent.as_str().and_then(|sent| base64_password("sysadmin_password", Some(sent)).ok()))
}

async fn ask(
    app: &App,
    entity: Uuid,
    password: Option<Secret>,
    meta: &Meta,
) -> Result<Done<Subcloud>, ApiError> {
    let mut documents = Documents::new(app.vault().as_ref(), entity);
    let sysadmin_password = match password {
        Some(password) => Some(documents.password(password).await?),
        None => None,
    };
    let command = MigrateSubcloud { run_id: Uuid::now_v7(), sysadmin_password };
    documents.settle(app.fleet().run(entity, &command, meta).await).await
}

/// Every bad request reads alike (subclouds.md §6.7; decisions.md, "Keep the 500").
fn unable(error: ApiError) -> ApiError {
    match error.status() == http::StatusCode::BAD_REQUEST {
        true => ApiError::bad_request(format!(
            "Unable to migrate subcloud: {}",
            error.detail().unwrap_or_default()
        )),
        false => error,
    }
}
