//! F9: the subclouds of a peer group.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};

use super::reference;
use crate::app::App;
use crate::freshness::Wanted;
use crate::openapi::ErrorBody;
use crate::policy::{Allowed, rule};
use crate::subclouds::reference::Place;
use crate::subclouds::render::{MemberList, member};
use crate::transport::ApiError;

/// Lists the subclouds of a peer group.
///
/// By id.
#[utoipa::path(
    get, path = "/v1.0/subcloud-peer-groups/{group}/subclouds", tag = "peers",
    operation_id = "list_peer_group_subclouds",
    params(
        ("group" = String, Path, description = "Id or name"),
        ("DCM-Position" = Option<String>, Header, description = "Position of a write that the answer must show"),
    ),
    responses(
        (status = 200, description = "The subclouds", body = MemberList),
        (status = 403, description = "Not allowed", body = ErrorBody),
        (status = 404, description = "There is no such peer group", body = ErrorBody),
        (status = 503, description = "The read models are not available", body = ErrorBody),
    )
)]
pub(super) async fn members(
    State(app): State<App>,
    _: Allowed<rule::SubcloudPeerGroupsGet>,
    wanted: Wanted,
    Path(group): Path<String>,
) -> Result<Response, ApiError> {
    let waited = wanted.wait(&app).await?;
    let subclouds = app.models().subclouds();
    let (position, event_time) = subclouds.position().await?;
    let group = reference::row(&app, &group, Place::BeforeVerb).await?;
    let rows = subclouds.in_peer_group(group.state.id).await?;
    let body = MemberList { subclouds: rows.iter().map(member).collect() };
    let mut response = Json(body).into_response();
    waited.mark(&app, &mut response, position, event_time).await;
    Ok(response)
}
