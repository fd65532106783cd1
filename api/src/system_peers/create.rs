//! F19: add a system peer.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use dcm_domain::system_peer::command::AddSystemPeer;
use dcm_domain::system_peer::{
    DEFAULT_FAILURE_POLICY, DEFAULT_FAILURE_THRESHOLD, DEFAULT_HEARTBEAT_INTERVAL,
    DEFAULT_MAINTENANCE_TIMEOUT, DEFAULT_STATE, PeerValues, name_key, uuid_key,
};
use dcm_journal::collection::NewEntity;

use super::password;
use super::render::{self, NewPeer, PeerBody};
use crate::app::App;
use crate::fields::Fields;
use crate::openapi::ErrorBody;
use crate::policy::{Allowed, rule};
use crate::transport::{ApiError, JsonObject};
use crate::written;

/// Adds a system peer.
#[utoipa::path(
    post, path = "/v1.0/system-peers", tag = "peers", operation_id = "create_system_peer",
    request_body = NewPeer,
    responses(
        (status = 200, description = "The system peer", body = PeerBody, headers(
            ("DCM-Position" = String, description = "Where the journal was after the command"),
        )),
        (status = 400, description = "A member is missing or wrong", body = ErrorBody),
        (status = 403, description = "Not allowed", body = ErrorBody),
        (status = 409, description = "The UUID or the name is taken", body = ErrorBody),
        (status = 503, description = "It could not be stored now", body = ErrorBody),
    ))]
pub(super) async fn create(
    State(app): State<App>,
    Allowed { meta, .. }: Allowed<rule::SystemPeersCreate>,
    JsonObject(body): JsonObject,
) -> Result<Response, ApiError> {
    let fields = Fields::of(&body)?;
    let values = values(fields)?;
    let sent = fields.text("manager_password")?.unwrap_or_default();
    values.check_with(sent)?;
    let new = NewEntity::new([name_key(&values.peer_name), uuid_key(&values.peer_uuid)].into());
    let manager_password = password::keep(&app, new.entity, sent).await?;
    written::to_the_end(async move {
        let peers = &app.fleet().collections().system_peers;
        let added = peers.add(new, &meta, |id| AddSystemPeer { id, values, manager_password }).await;
        let done = password::settle(&app, Some(manager_password), added).await?;
        let response = Json(render::left(&done)).into_response();
        Ok(written::once_shown(&app, &done, response).await)
    })
    .await
}

/// What is sent; what is missing is empty, and so refused, but for the five with defaults (fleet.md, Q9).
fn values(fields: Fields<'_>) -> Result<PeerValues, ApiError> {
    let text = |key| fields.text(key).map(|text| text.unwrap_or_default().to_owned());
    let word = |key, default: &str| fields.text(key).map(|text| text.unwrap_or(default).to_owned());
    let number = |key, default| fields.integer(key).map(|number| number.unwrap_or(default));
    Ok(PeerValues {
        peer_uuid: text("peer_uuid")?,
        peer_name: text("peer_name")?,
        manager_endpoint: text("manager_endpoint")?,
        manager_username: text("manager_username")?,
        peer_controller_gateway_address: text("peer_controller_gateway_address")?,
        administrative_state: word("administrative_state", DEFAULT_STATE)?,
        heartbeat_interval: number("heartbeat_interval", DEFAULT_HEARTBEAT_INTERVAL)?,
        heartbeat_failure_threshold: number("heartbeat_failure_threshold", DEFAULT_FAILURE_THRESHOLD)?,
        heartbeat_failure_policy: word("heartbeat_failure_policy", DEFAULT_FAILURE_POLICY)?,
        heartbeat_maintenance_timeout: number("heartbeat_maintenance_timeout", DEFAULT_MAINTENANCE_TIMEOUT)?,
    })
}
