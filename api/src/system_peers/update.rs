//! F20: update a system peer.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use dcm_domain::system_peer::command::UpdateSystemPeer;
use dcm_domain::system_peer::{PeerChanges, Rejection};

use super::render::{self, PeerBody, PeerPatch};
use super::{password, reference};
use crate::app::App;
use crate::fields::Fields;
use crate::openapi::ErrorBody;
use crate::policy::{Allowed, rule};
use crate::transport::{ApiError, JsonObject};
use crate::written;

const PASSWORD: &str = "manager_password";
const KEYS: [&str; 11] = [
    "peer_uuid",
    "peer_name",
    "manager_endpoint",
    "manager_username",
    PASSWORD,
    "peer_controller_gateway_address",
    "administrative_state",
    "heartbeat_interval",
    "heartbeat_failure_threshold",
    "heartbeat_failure_policy",
    "heartbeat_maintenance_timeout",
];

/// Updates a system peer.
#[utoipa::path(
    patch, path = "/v1.0/system-peers/{peer}", tag = "peers", operation_id = "update_system_peer",
    params(("peer" = String, Path, description = "Id, UUID or name")),
    request_body = PeerPatch,
    responses(
        (status = 200, description = "The system peer after the update", body = PeerBody, headers(
            ("DCM-Position" = String, description = "Where the journal was after the command"),
        )),
        (status = 400, description = "A member is wrong, or none is given", body = ErrorBody),
        (status = 403, description = "Not allowed", body = ErrorBody),
        (status = 404, description = "There is no such system peer", body = ErrorBody),
        (status = 409, description = "The UUID or the name is taken", body = ErrorBody),
        (status = 503, description = "It could not be stored now", body = ErrorBody),
    ))]
pub(super) async fn update(
    State(app): State<App>,
    Allowed { meta, .. }: Allowed<rule::SystemPeersModify>,
    Path(peer): Path<String>,
    JsonObject(body): JsonObject,
) -> Result<Response, ApiError> {
    let fields = Fields::of(&body)?;
    let entity = reference::entity(&app, &peer).await?;
    if !fields.changes_any(&KEYS, &[])? {
        return Err(Rejection::NothingToUpdate.into());
    }
    let mut changes = changes(fields)?;
    let sent = fields.text(PASSWORD)?;
    // Nothing is put into the vault for what is refused.
    changes.check_with(sent)?;
    let before = app.fleet().collections().system_peers.load(entity).await?.state;
    let old = before.and_then(|before| before.manager_password);
    if let Some(sent) = sent {
        match password::is_kept(&app, entity, old, sent).await? {
            true => changes.kept_password = old,
            false => changes.manager_password = Some(password::keep(&app, entity, sent).await?),
        }
    }
    written::to_the_end(async move {
        let peers = &app.fleet().collections().system_peers;
        let new = changes.manager_password;
        let outcome = peers.run_changing_keys(entity, &UpdateSystemPeer { changes }, &meta).await;
        let done = password::settle(&app, new, outcome).await?;
        if let (Some(old), Some(_)) = (old, new) {
            password::discard(&app, old).await;
        }
        let response = Json(render::left(&done)).into_response();
        Ok(written::once_shown(&app, &done, response).await)
    })
    .await
}

/// What is to change, apart from the password.
fn changes(fields: Fields<'_>) -> Result<PeerChanges, ApiError> {
    let text = |key| Ok::<_, ApiError>(fields.text(key)?.map(str::to_owned));
    Ok(PeerChanges {
        peer_uuid: text("peer_uuid")?,
        peer_name: text("peer_name")?,
        manager_endpoint: text("manager_endpoint")?,
        manager_username: text("manager_username")?,
        manager_password: None,
        kept_password: None,
        peer_controller_gateway_address: text("peer_controller_gateway_address")?,
        administrative_state: text("administrative_state")?,
        heartbeat_interval: fields.integer("heartbeat_interval")?,
        heartbeat_failure_threshold: fields.integer("heartbeat_failure_threshold")?,
        heartbeat_failure_policy: text("heartbeat_failure_policy")?,
        heartbeat_maintenance_timeout: fields.integer("heartbeat_maintenance_timeout")?,
    })
}
