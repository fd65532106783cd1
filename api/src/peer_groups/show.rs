//! F8: show a peer group.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};

use super::reference;
use super::render::PeerGroupBody;
use crate::app::App;
use crate::freshness::Wanted;
use crate::openapi::ErrorBody;
use crate::policy::{Allowed, rule};
use crate::subclouds::reference::Place;
use crate::transport::ApiError;

/// Shows a subcloud peer group.
#[utoipa::path(
    get, path = "/v1.0/subcloud-peer-groups/{group}", tag = "peers", operation_id = "show_subcloud_peer_group",
    params(
        ("group" = String, Path, description = "Id or name"),
        ("DCM-Position" = Option<String>, Header, description = "Position of a write that the answer must show"),
    ),
    responses(
        (status = 200, description = "The peer group", body = PeerGroupBody),
        (status = 403, description = "Not allowed", body = ErrorBody),
        (status = 404, description = "There is no such peer group", body = ErrorBody),
        (status = 503, description = "The read models are not available", body = ErrorBody),
    )
)]
pub(super) async fn show(
    State(app): State<App>,
    _: Allowed<rule::SubcloudPeerGroupsGet>,
    wanted: Wanted,
    Path(group): Path<String>,
) -> Result<Response, ApiError> {
    let waited = wanted.wait(&app).await?;
    let (position, event_time) = app.models().subclouds().position().await?;
    let row = reference::row(&app, &group, Place::Last).await?;
    let mut response = Json(PeerGroupBody::from(row)).into_response();
    waited.mark(&app, &mut response, position, event_time).await;
    Ok(response)
}

/// Refuses a second segment that is none of the contract's, once the group is found.
pub(super) async fn other_view(
    State(app): State<App>,
    _: Allowed<rule::SubcloudPeerGroupsGet>,
    Path((group, _)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    reference::row(&app, &group, Place::BeforeVerb).await?;
    Err(ApiError::bad_request("Invalid request"))
}
