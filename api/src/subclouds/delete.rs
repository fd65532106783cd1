//! E14: delete a subcloud (subclouds.md §6.10).

use axum::extract::{Path, State};
use axum::response::Response;
use serde_json::Value;
use uuid::Uuid;

use super::reference::{Given, Naming, Place};
use crate::app::App;
use crate::openapi::ErrorBody;
use crate::policy::{Allowed, rule};
use crate::transport::ApiError;
use crate::written;

/// Delete a subcloud.
///
/// It must be unmanaged and offline. Its name, region and addresses are free again with the answer; its history stays.
#[utoipa::path(
    delete, path = "/v1.0/subclouds/{subcloud}", tag = "subclouds", operation_id = "delete_subcloud",
    params(("subcloud" = String, Path, description = "Id or name")),
    responses(
        (status = 200, description = "It is deleted", body = Value, headers(
            ("DCM-Position" = String, description = "Where the journal was after the command"),
        ), example = json!(null)),
        (status = 404, description = "Subcloud not found", body = ErrorBody),
        (status = 422, description = "It is managed, online, or being deployed", body = ErrorBody),
        (status = 503, description = "It could not be stored now", body = ErrorBody),
    ))]
pub async fn delete(
    State(app): State<App>,
    Allowed { meta, .. }: Allowed<rule::SubcloudsDelete>,
    Path(subcloud): Path<String>,
) -> Result<Response, ApiError> {
    let entity = Given::new(&subcloud, Place::Last, Naming::Names).entity(&app).await?;
    written::to_the_end(async move {
        let done = app.fleet().delete(entity, &meta).await?;
        forget_secrets(&app, entity).await;
        Ok(written::body(&app, &done, Value::Null).await)
    })
    .await
}

/// A deleted subcloud's secrets are of no more use; what cannot be removed now is left to the sweep.
async fn forget_secrets(app: &App, entity: Uuid) {
    if let Err(error) = app.vault().delete_owner(entity).await {
        tracing::warn!(subcloud = %entity, %error, "secrets of a deleted subcloud are left to the sweep");
    }
}
