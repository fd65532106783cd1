//! F11: add a peer group.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use dcm_domain::peer_group::command::AddPeerGroup;
use dcm_domain::peer_group::{
    DEFAULT_MAX_REHOMING, DEFAULT_PRIORITY, DEFAULT_STATE, PeerGroupValues, check_name, name_key,
};
use dcm_journal::collection::NewEntity;
use serde_json::{Map, Value};

use super::render::{self, NewPeerGroup, PeerGroupBody};
use crate::app::App;
use crate::fields::Fields;
use crate::openapi::ErrorBody;
use crate::policy::{Allowed, rule};
use crate::transport::{ApiError, JsonObject};
use crate::written;

/// Adds a subcloud peer group.
///
/// This system leads it unless another leader is given.
#[utoipa::path(
    post, path = "/v1.0/subcloud-peer-groups", tag = "peers", operation_id = "create_subcloud_peer_group",
    request_body = NewPeerGroup,
    responses(
        (status = 200, description = "The peer group", body = PeerGroupBody, headers(
            ("DCM-Position" = String, description = "Where the journal was after the command"),
        )),
        (status = 400, description = "A member is missing or wrong, or this system is not known", body = ErrorBody),
        (status = 403, description = "Not allowed", body = ErrorBody),
        (status = 409, description = "The name is taken", body = ErrorBody),
        (status = 503, description = "It could not be stored now", body = ErrorBody),
    ))]
pub(super) async fn create(
    State(app): State<App>,
    Allowed { meta, .. }: Allowed<rule::SubcloudPeerGroupsCreate>,
    JsonObject(body): JsonObject,
) -> Result<Response, ApiError> {
    let values = values(&app, &body).await?;
    values.check()?;
    written::to_the_end(async move {
        let new = NewEntity::new([name_key(&values.peer_group_name)].into());
        let groups = &app.fleet().collections().peer_groups;
        let done = groups.add(new, &meta, |id| AddPeerGroup { id, values }).await?;
        let response = Json(render::left(&done)).into_response();
        Ok(written::once_shown(&app, &done, response).await)
    })
    .await
}

/// What is sent, and the defaults of what is falsy (fleet.md §3.2).
async fn values(app: &App, body: &Map<String, Value>) -> Result<PeerGroupValues, ApiError> {
    let fields = Fields::of(body)?;
    let owned = |key| Ok::<_, ApiError>(fields.text(key)?.map(str::to_owned));
    let number = |key| fields.integer_or_default(key);
    let peer_group_name = owned("peer-group-name")?.unwrap_or_default();
    check_name(&peer_group_name)?;
    let (id, name) = (owned("system-leader-id")?, owned("system-leader-name")?);
    let (system_leader_id, system_leader_name) = match (id, name) {
        (Some(id), Some(name)) => (id, name),
        (id, name) => {
            let local = app.platform().local_system().await.map_err(|error| {
                tracing::warn!(%error, "a peer group cannot be led by this system");
                ApiError::bad_request("Unable to retrieve the local system information")
            })?;
            (id.unwrap_or(local.uuid), name.unwrap_or(local.name))
        }
    };
    Ok(PeerGroupValues {
        peer_group_name,
        system_leader_id,
        system_leader_name,
        group_priority: number("group-priority")?.unwrap_or(DEFAULT_PRIORITY),
        group_state: owned("group-state")?.unwrap_or_else(|| DEFAULT_STATE.to_owned()),
        max_subcloud_rehoming: number("max-subcloud-rehoming")?.unwrap_or(DEFAULT_MAX_REHOMING),
    })
}
