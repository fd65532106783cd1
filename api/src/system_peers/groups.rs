//! F18: the peer groups that are associated with a system peer.

use std::collections::HashSet;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};

use super::reference;
use crate::app::App;
use crate::freshness::{Waited, Wanted};
use crate::openapi::ErrorBody;
use crate::peer_groups::render::PeerGroupList;
use crate::policy::{Allowed, rule};
use crate::subclouds::reference::Place;
use crate::transport::ApiError;

/// Lists the peer groups that are associated with a system peer.
///
/// By id of the peer group.
#[utoipa::path(
    get, path = "/v1.0/system-peers/{peer}/subcloud-peer-groups", tag = "peers",
    operation_id = "list_system_peer_subcloud_peer_groups",
    params(
        ("peer" = String, Path, description = "Id, UUID or name"),
        ("DCM-Position" = Option<String>, Header, description = "Position of a write that the answer must show"),
    ),
    responses(
        (status = 200, description = "The peer groups", body = PeerGroupList),
        (status = 403, description = "Not allowed", body = ErrorBody),
        (status = 404, description = "There is no such system peer", body = ErrorBody),
        (status = 503, description = "The read models are not available", body = ErrorBody),
    )
)]
pub(super) async fn groups(
    State(app): State<App>,
    _: Allowed<rule::SystemPeersGet>,
    wanted: Wanted,
    Path(peer): Path<String>,
) -> Result<Response, ApiError> {
    let waited = wanted.wait(&app).await?;
    rows(&app, &peer, waited).await
}

/// The peer groups under any other second segment, which the contract does not look at.
pub(super) async fn any_view(
    State(app): State<App>,
    _: Allowed<rule::SystemPeersGet>,
    wanted: Wanted,
    Path((peer, _)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let waited = wanted.wait(&app).await?;
    rows(&app, &peer, waited).await
}

async fn rows(app: &App, peer: &str, waited: Waited) -> Result<Response, ApiError> {
    let (position, event_time) = app.models().subclouds().position().await?;
    let peer = reference::row(app, peer, Place::BeforeVerb).await?;
    let associations = app.models().associations().of_peer(peer.state.id).await?;
    let ids: HashSet<i64> = associations.iter().map(|row| row.state.peer_group_id).collect();
    let groups = app.models().peer_groups().all().await?;
    let groups = groups.into_iter().filter(|group| ids.contains(&group.state.id));
    let body = PeerGroupList { subcloud_peer_groups: groups.map(Into::into).collect() };
    let mut response = Json(body).into_response();
    waited.mark(app, &mut response, position, event_time).await;
    Ok(response)
}
