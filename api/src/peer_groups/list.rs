//! F7: list peer groups.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};

use super::render::PeerGroupList;
use crate::app::App;
use crate::freshness::Wanted;
use crate::openapi::ErrorBody;
use crate::policy::{Allowed, rule};
use crate::transport::ApiError;

/// Lists subcloud peer groups.
///
/// By id.
#[utoipa::path(
    get, path = "/v1.0/subcloud-peer-groups", tag = "peers", operation_id = "list_subcloud_peer_groups",
    params(("DCM-Position" = Option<String>, Header, description = "Position of a write that the answer must show")),
    responses(
        (status = 200, description = "The peer groups", body = PeerGroupList),
        (status = 403, description = "Not allowed", body = ErrorBody),
        (status = 503, description = "The read models are not available", body = ErrorBody),
    )
)]
pub(super) async fn list(
    State(app): State<App>,
    _: Allowed<rule::SubcloudPeerGroupsGet>,
    wanted: Wanted,
) -> Result<Response, ApiError> {
    let waited = wanted.wait(&app).await?;
    let (position, event_time) = app.models().subclouds().position().await?;
    let rows = app.models().peer_groups().all().await?;
    let body = PeerGroupList { subcloud_peer_groups: rows.into_iter().map(Into::into).collect() };
    let mut response = Json(body).into_response();
    waited.mark(&app, &mut response, position, event_time).await;
    Ok(response)
}
