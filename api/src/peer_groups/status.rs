//! F10: in which states the members of a peer group are.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};

use super::reference;
use super::render::{self, PeerGroupStatus};
use crate::app::App;
use crate::freshness::Wanted;
use crate::openapi::ErrorBody;
use crate::policy::{Allowed, rule};
use crate::subclouds::reference::Place;
use crate::transport::ApiError;

/// Counts the members of a peer group by their states.
#[utoipa::path(
    get, path = "/v1.0/subcloud-peer-groups/{group}/status", tag = "peers",
    operation_id = "show_subcloud_peer_group_status",
    params(
        ("group" = String, Path, description = "Id or name"),
        ("DCM-Position" = Option<String>, Header, description = "Position of a write that the answer must show"),
    ),
    responses(
        (status = 200, description = "The counts", body = PeerGroupStatus),
        (status = 403, description = "Not allowed", body = ErrorBody),
        (status = 404, description = "There is no such peer group", body = ErrorBody),
        (status = 503, description = "The read models are not available", body = ErrorBody),
    )
)]
pub(super) async fn status(
    State(app): State<App>,
    _: Allowed<rule::SubcloudPeerGroupsGet>,
    wanted: Wanted,
    Path(group): Path<String>,
) -> Result<Response, ApiError> {
    let waited = wanted.wait(&app).await?;
    let subclouds = app.models().subclouds();
    let (position, event_time) = subclouds.position().await?;
    let group = reference::row(&app, &group, Place::BeforeVerb).await?;
    let counts = subclouds.counts_in_peer_group(group.state.id).await?;
    let mut response = Json(render::status(&group.state, &counts)).into_response();
    waited.mark(&app, &mut response, position, event_time).await;
    Ok(response)
}
