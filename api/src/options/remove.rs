//! F38: remove options.

use axum::extract::{Path, State};
use axum::response::Response;
use dcm_domain::options::RemoveSwUpdateOptions;
use serde_json::Value;

use super::reference;
use crate::app::App;
use crate::openapi::ErrorBody;
use crate::policy::{Allowed, rule};
use crate::transport::ApiError;
use crate::written;

/// Removes the update options of a subcloud, or the default, in whose place constants stand then.
#[utoipa::path(
    delete, path = "/v1.0/sw-update-options/{subcloud}", tag = "strategy", operation_id = "remove_update_options",
    params(("subcloud" = String, Path, description = "Id or name of the subcloud; `RegionOne` for the default")),
    responses(
        (status = 200, description = "They are removed", body = Value, headers(
            ("DCM-Position" = String, description = "Where the journal was after the command"),
        ), example = json!(null)),
        (status = 403, description = "Not allowed", body = ErrorBody),
        (status = 404, description = "There is no such subcloud, or it has no options of its own", body = ErrorBody),
        (status = 503, description = "It could not be stored now", body = ErrorBody),
    ))]
pub(super) async fn remove(
    State(app): State<App>,
    Allowed { meta, .. }: Allowed<rule::SwUpdateOptionsDelete>,
    Path(subcloud): Path<String>,
) -> Result<Response, ApiError> {
    let subcloud = match reference::is_default(&subcloud) {
        true => None,
        false => Some(reference::subcloud(&subcloud).entity(&app).await?),
    };
    written::to_the_end(async move {
        let command = RemoveSwUpdateOptions { subcloud };
        let done = app.fleet().collections().options.run(&command, &meta).await?;
        Ok(written::body(&app, &done, Value::Null).await)
    })
    .await
}
