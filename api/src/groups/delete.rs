//! F6: delete a group.

use axum::extract::{Path, State};
use axum::response::Response;
use serde_json::Value;

use super::reference;
use crate::app::App;
use crate::openapi::ErrorBody;
use crate::policy::{Allowed, rule};
use crate::transport::ApiError;
use crate::written;

/// Deletes a subcloud group.
///
/// It must be empty; `Default` stays. Its name is free again with the answer.
#[utoipa::path(
    delete, path = "/v1.0/subcloud-groups/{group}", tag = "groups", operation_id = "delete_subcloud_group",
    params(("group" = String, Path, description = "Id or name")),
    responses(
        (status = 200, description = "It is deleted", body = Value, headers(
            ("DCM-Position" = String, description = "Where the journal was after the command"),
        ), example = json!(null)),
        (status = 400, description = "It is `Default`, or subclouds belong to it", body = ErrorBody),
        (status = 403, description = "Not allowed", body = ErrorBody),
        (status = 404, description = "There is no such group", body = ErrorBody),
        (status = 503, description = "It could not be stored now", body = ErrorBody),
    ))]
pub(super) async fn delete(
    State(app): State<App>,
    Allowed { meta, .. }: Allowed<rule::SubcloudGroupsDelete>,
    Path(group): Path<String>,
) -> Result<Response, ApiError> {
    let entity = reference::entity(&app, &group).await?;
    written::to_the_end(async move {
        let done = app.fleet().delete_group(entity, &meta).await?;
        Ok(written::body(&app, &done, Value::Null).await)
    })
    .await
}
