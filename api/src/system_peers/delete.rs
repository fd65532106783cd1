//! F21: delete a system peer.

use axum::extract::{Path, State};
use axum::response::Response;
use serde_json::Value;

use super::reference;
use crate::app::App;
use crate::openapi::ErrorBody;
use crate::policy::{Allowed, rule};
use crate::transport::ApiError;
use crate::written;

/// Deletes a system peer.
///
/// It must not be associated with a peer group.
#[utoipa::path(
    delete, path = "/v1.0/system-peers/{peer}", tag = "peers", operation_id = "delete_system_peer",
    params(("peer" = String, Path, description = "Id, UUID or name")),
    responses(
        (status = 200, description = "It is deleted", body = Value, headers(
            ("DCM-Position" = String, description = "Where the journal was after the command"),
        ), example = json!(null)),
        (status = 400, description = "It is associated with a peer group", body = ErrorBody),
        (status = 403, description = "Not allowed", body = ErrorBody),
        (status = 404, description = "There is no such system peer", body = ErrorBody),
        (status = 503, description = "It could not be stored now", body = ErrorBody),
    ))]
pub(super) async fn delete(
    State(app): State<App>,
    Allowed { meta, .. }: Allowed<rule::SystemPeersDelete>,
    Path(peer): Path<String>,
) -> Result<Response, ApiError> {
    let entity = reference::entity(&app, &peer).await?;
    written::to_the_end(async move {
        let done = app.fleet().collections().delete_system_peer(entity, &meta).await?;
        if let Err(error) = app.vault().delete_owner(entity).await {
            tracing::warn!(%entity, %error, "the secrets of a deleted system peer are left to the sweep");
        }
        Ok(written::body(&app, &done, Value::Null).await)
    })
    .await
}
