//! E10: report the certificate status of a subcloud (subclouds.md §6.8).

use axum::extract::{FromRequest, Path, Request, State};
use axum::response::Response;
use dcm_domain::subcloud::command::ReportEndpoint;
use dcm_domain::value::{Endpoint, SyncStatus};
use serde_json::{Map, Value, json};

use super::forms::UpdateStatusBody;
use super::reference::{Agent, Given, Place};
use crate::app::App;
use crate::openapi::ErrorBody;
use crate::policy::{Allowed, rule};
use crate::transport::{ApiError, JsonObject};
use crate::written;

/// Report the status of the `dc-cert` endpoint.
///
/// A report that does not apply in the subcloud's state is ignored; the answer is the same.
#[utoipa::path(
    patch, path = "/v1.0/subclouds/{subcloud}/update_status", tag = "subclouds", operation_id = "update_subcloud_status",
    params(("subcloud" = String, Path, description = "Id or name; the region for cert-mon")),
    request_body(content = UpdateStatusBody),
    responses(
        (status = 200, description = "The report was taken", body = Value, headers(
            ("DCM-Position" = String, description = "Where the journal was after the command"),
        ), example = json!({"result": "OK"})),
        (status = 400, description = "A field is missing or wrong", body = ErrorBody),
        (status = 404, description = "Subcloud not found", body = ErrorBody),
        (status = 503, description = "It could not be stored now", body = ErrorBody),
    ))]
pub async fn update_status(
    State(app): State<App>,
    Allowed { meta, .. }: Allowed<rule::SubcloudsModify>,
    agent: Agent,
    Path(subcloud): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let entity = Given::new(&subcloud, Place::BeforeVerb, agent).entity(&app).await?;
    let JsonObject(body) = JsonObject::from_request(request, &()).await?;
    let report = report(&body)?;
    written::to_the_end(async move {
        let done = app.fleet().run(entity, &report, &meta).await?;
        Ok(written::body(&app, &done, json!({"result": "OK"})).await)
    })
    .await
}

/// Steps 3 to 7.
fn report(body: &Map<String, Value>) -> Result<ReportEndpoint, ApiError> {
    if body.is_empty() {
        return Err(ApiError::bad_request("Body required"));
    }
    let text = |key: &str| body.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let endpoint = text("endpoint").ok_or_else(|| ApiError::bad_request("endpoint required"))?;
    let endpoint =
        Endpoint::parse(endpoint).filter(|endpoint| *endpoint == Endpoint::DcCert).ok_or_else(|| {
            ApiError::bad_request("updating endpoint is not allowed, only dc-cert can be updated")
        })?;
    let status = text("status").ok_or_else(|| ApiError::bad_request("status required"))?;
    // The contract spells it so.
    let status = SyncStatus::parse(status).ok_or_else(|| ApiError::bad_request("status in invalid"))?;
    Ok(ReportEndpoint { endpoint, status, seen: None })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn sc_182_183_184_checks_in_order() {
        for (body, phrase) in [
            (json!({}), "Body required"),
            (json!({"x": 1}), "endpoint required"),
            (json!({"endpoint": "", "status": "in-sync"}), "endpoint required"),
            (json!({"endpoint": 1}), "endpoint required"),
            (json!({"endpoint": "any-other-endpoint"}), "is not allowed"),
            (json!({"endpoint": "platform", "status": "in-sync"}), "is not allowed"),
            (json!({"endpoint": "dc-cert"}), "status required"),
            (json!({"endpoint": "dc-cert", "status": "not-sure"}), "in invalid"),
        ] {
            let refused = report(body.as_object().unwrap()).unwrap_err();
            assert_eq!(refused.status(), 400);
            assert!(refused.detail().unwrap().contains(phrase), "{refused}");
        }
        let body = json!({"endpoint": "dc-cert", "status": "out-of-sync", "more": 1});
        assert_eq!(report(body.as_object().unwrap()).unwrap().status, SyncStatus::OutOfSync);
    }
}
