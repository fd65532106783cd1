//! Report whether a subcloud can be reached: an extension, until subclouds are audited.

use axum::extract::{FromRequest, Path, Request, State};
use axum::response::Response;
use dcm_domain::subcloud::command::ReportAvailability;
use dcm_domain::value::Availability;
use serde_json::Value;

use super::forms::UpdateAvailabilityBody;
use super::reference::{Agent, Given, Place};
use super::render::{SubcloudBody, TimeForm};
use crate::app::App;
use crate::openapi::ErrorBody;
use crate::policy::{Allowed, rule};
use crate::transport::{ApiError, JsonObject};
use crate::written;

/// Report a subcloud online or offline.
///
/// Going offline, nothing is known of its endpoints any more.
#[utoipa::path(
    patch, path = "/v1.0/subclouds/{subcloud}/update_availability", tag = "subclouds", operation_id = "update_subcloud_availability",
    params(("subcloud" = String, Path, description = "Id or name")),
    request_body(content = UpdateAvailabilityBody),
    responses(
        (status = 200, description = "The subcloud after the report", body = SubcloudBody, headers(
            ("DCM-Position" = String, description = "Where the journal was after the command"),
        )),
        (status = 400, description = "The status is missing or wrong", body = ErrorBody),
        (status = 404, description = "Subcloud not found", body = ErrorBody),
        (status = 503, description = "It could not be stored now", body = ErrorBody),
    ))]
pub async fn update_availability(
    State(app): State<App>,
    Allowed { meta, .. }: Allowed<rule::SubcloudsModify>,
    agent: Agent,
    Path(subcloud): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let entity = Given::new(&subcloud, Place::BeforeVerb, agent).entity(&app).await?;
    let JsonObject(body) = JsonObject::from_request(request, &()).await?;
    let to = body.get("status").and_then(Value::as_str).and_then(Availability::parse);
    let to = to.ok_or_else(|| ApiError::bad_request("status required: online or offline"))?;
    written::to_the_end(async move {
        let done = app.fleet().run(entity, &ReportAvailability { to }, &meta).await?;
        written::subcloud(&app, &done, TimeForm::Blank, |_| {}).await
    })
    .await
}
