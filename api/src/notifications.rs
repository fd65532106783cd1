//! `/v1.0/notifications` (fleet.md §12): F41. Any confirmed identity may notify; there is no policy.

use axum::extract::State;
use axum::response::Response;
use dcm_domain::audit::{AuditKind, TriggerAudits};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa::openapi::Object;
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::asker::Asker;
use crate::openapi::ErrorBody;
use crate::transport::{ApiError, JsonObject};
use crate::written;

/// The routes of notifications.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(notify))
}

/// What happened on the system controller.
#[derive(Debug, Deserialize, ToSchema)]
pub struct Notification {
    /// Names of what happened.
    #[schema(schema_with = named_events)]
    pub events: Vec<String>,
}

/// What names events: the entries of a list, the keys of an object, or words in a text.
fn named_events() -> Object {
    ObjectBuilder::new()
        .schema_type([Type::Array, Type::String, Type::Object].into_iter().collect::<SchemaType>())
        .description(Some(
            "`platform-upgrade-completed`, `k8s-upgrade-completed` and `kube-rootca-update-completed` ask for an audit; \
             others are ignored.",
        ))
        .examples([json!(["k8s-upgrade-completed"])])
        .build()
}

/// Notifies of operations that finished on the system controller.
///
/// Each known event asks for an audit of all subclouds.
#[utoipa::path(
    post, path = "/v1.0/notifications", tag = "alarms", operation_id = "notify",
    request_body = Notification,
    responses(
        (status = 200, description = "It was taken", body = Value, headers(
            ("DCM-Position" = String, description = "Where the journal was after the command"),
        ), example = json!(null)),
        (status = 400, description = "There are no events", body = ErrorBody),
        (status = 503, description = "It could not be stored now", body = ErrorBody),
    ))]
pub(crate) async fn notify(
    State(app): State<App>,
    Asker(meta): Asker,
    JsonObject(body): JsonObject,
) -> Result<Response, ApiError> {
    let kinds = kinds(&body)?;
    written::to_the_end(async move {
        let audits = &app.fleet().collections().audits;
        let done = audits.run(&TriggerAudits { kinds }, &meta).await?;
        Ok(written::body(&app, &done, Value::Null).await)
    })
    .await
}

/// What is asked for, in the order of the contract's table.
fn kinds(body: &Map<String, Value>) -> Result<Vec<AuditKind>, ApiError> {
    let events = body.get("events").ok_or_else(|| ApiError::bad_request("events required"))?;
    let known = AuditKind::TRIGGERS.into_iter().filter(|(event, _)| contains(events, event));
    match events {
        Value::Array(_) | Value::String(_) | Value::Object(_) => Ok(known.map(|(_, kind)| kind).collect()),
        _ => Err(ApiError::bad_request("events must be a list")),
    }
}

/// The containment test of the old service: an entry of a list, a part of a text, or a key of an object.
fn contains(events: &Value, event: &str) -> bool {
    match events {
        Value::Array(items) => items.iter().any(|item| item == event),
        Value::String(text) => text.contains(event),
        Value::Object(members) => members.contains_key(event),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::*;

    #[test]
    fn events_are_looked_for_in_whatever_is_sent() {
        use AuditKind::{KubeRootcaUpdate, Kubernetes, Load};
        for (body, expected) in [
            (json!({"events": []}), vec![]),
            (json!({"events": ["other", 1]}), vec![]),
            (json!({"events": "k8s-upgrade-completed"}), vec![Kubernetes]),
            (json!({"events": {"platform-upgrade-completed": 1}}), vec![Load]),
            (
                json!({"events": ["kube-rootca-update-completed", "k8s-upgrade-completed", "platform-upgrade-completed"]}),
                vec![Load, Kubernetes, KubeRootcaUpdate],
            ),
        ] {
            assert_eq!(kinds(body.as_object().unwrap()).unwrap(), expected, "{body}");
        }
        for body in [json!({}), json!({"events": null}), json!({"events": 1})] {
            assert_eq!(kinds(body.as_object().unwrap()).unwrap_err().status().as_u16(), 400, "{body}");
        }
    }
}
