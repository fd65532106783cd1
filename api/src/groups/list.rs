//! F1: list groups.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};

use super::render::SubcloudGroupList;
use crate::app::App;
use crate::freshness::Wanted;
use crate::openapi::ErrorBody;
use crate::policy::{Allowed, rule};
use crate::transport::ApiError;

/// Lists subcloud groups.
///
/// By id; the group `Default` is always there.
#[utoipa::path(
    get, path = "/v1.0/subcloud-groups", tag = "groups", operation_id = "list_subcloud_groups",
    params(("DCM-Position" = Option<String>, Header, description = "Position of a write that the answer must show")),
    responses(
        (status = 200, description = "The groups", body = SubcloudGroupList),
        (status = 403, description = "Not allowed", body = ErrorBody),
        (status = 503, description = "The read models are not available", body = ErrorBody),
    )
)]
pub(super) async fn list(
    State(app): State<App>,
    _: Allowed<rule::SubcloudGroupsGet>,
    wanted: Wanted,
) -> Result<Response, ApiError> {
    let waited = wanted.wait(&app).await?;
    let (position, event_time) = app.models().subclouds().position().await?;
    let mut rows = app.models().groups().all().await?;
    if rows.is_empty() {
        // One group exists always: the read models are still at the beginning.
        let head = app.journal().head().await?;
        app.models().progress().wait(head, app.settings().wait).await;
        rows = app.models().groups().all().await?;
    }
    let body = SubcloudGroupList { subcloud_groups: rows.into_iter().map(Into::into).collect() };
    let mut response = Json(body).into_response();
    waited.mark(&app, &mut response, position, event_time).await;
    Ok(response)
}
