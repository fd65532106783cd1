//! F27: remove an association.

use axum::extract::{Path, State};
use axum::response::Response;
use dcm_domain::association::command::{DeleteAssociation, check_enabled};
use serde_json::Value;

use super::reference;
use crate::app::App;
use crate::error_map::no_worker;
use crate::openapi::ErrorBody;
use crate::policy::{Allowed, rule};
use crate::subclouds::reference::Place;
use crate::transport::ApiError;
use crate::written;

/// Removes a peer group association.
///
/// Where this site owns the group, its copy on the peer goes first: that answers 503 while no worker speaks with peers.
#[utoipa::path(
    delete, path = "/v1.0/peer-group-associations/{association}", tag = "peers",
    operation_id = "delete_peer_group_association",
    params(("association" = String, Path, description = "Id")),
    responses(
        (status = 200, description = "It is removed", body = Value, headers(
            ("DCM-Position" = String, description = "Where the journal was after the command"),
        ), example = json!(null)),
        (status = 400, description = "No id", body = ErrorBody),
        (status = 403, description = "Not allowed", body = ErrorBody),
        (status = 404, description = "There is no such association", body = ErrorBody),
        (status = 503, description = "No worker speaks with peers, or it could not be stored now", body = ErrorBody),
    ))]
pub(super) async fn delete(
    State(app): State<App>,
    Allowed { meta, .. }: Allowed<rule::PeerGroupAssociationsDelete>,
    Path(association): Path<String>,
) -> Result<Response, ApiError> {
    let (entity, state) = reference::living(&app, &association, Place::Last).await?;
    if check_enabled(&state).is_ok() {
        return Err(no_worker("peer-group-removal"));
    }
    written::to_the_end(async move {
        let associations = &app.fleet().collections().associations;
        let done = associations.remove(entity, &DeleteAssociation, None, &meta).await?;
        Ok(written::body(&app, &done, Value::Null).await)
    })
    .await
}
