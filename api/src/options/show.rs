//! F36: show options.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use dcm_domain::options::Rejection;

use super::reference;
use super::render::{self, OptionsBody};
use crate::app::App;
use crate::freshness::Wanted;
use crate::openapi::ErrorBody;
use crate::policy::{Allowed, rule};
use crate::transport::ApiError;

/// Shows the update options of a subcloud, or the default.
#[utoipa::path(
    get, path = "/v1.0/sw-update-options/{subcloud}", tag = "strategy", operation_id = "show_update_options",
    params(
        ("subcloud" = String, Path, description = "Id or name of the subcloud; `RegionOne` for the default"),
        ("DCM-Position" = Option<String>, Header, description = "Position of a write that the answer must show"),
    ),
    responses(
        (status = 200, description = "The options", body = OptionsBody),
        (status = 403, description = "Not allowed", body = ErrorBody),
        (status = 404, description = "There is no such subcloud, or it has no options of its own", body = ErrorBody),
        (status = 503, description = "The read models are not available", body = ErrorBody),
    )
)]
pub(super) async fn show(
    State(app): State<App>,
    _: Allowed<rule::SwUpdateOptionsGet>,
    wanted: Wanted,
    Path(subcloud): Path<String>,
) -> Result<Response, ApiError> {
    let waited = wanted.wait(&app).await?;
    let (position, event_time) = app.models().subclouds().position().await?;
    let mut response = Json(options(&app, &subcloud).await?).into_response();
    waited.mark(&app, &mut response, position, event_time).await;
    Ok(response)
}

async fn options(app: &App, subcloud: &str) -> Result<OptionsBody, ApiError> {
    let models = app.models().options();
    if reference::is_default(subcloud) {
        return Ok(render::default(models.default().await?));
    }
    let row = reference::subcloud(subcloud).row(app).await?;
    let stored = models.of(row.uuid).await?.ok_or(Rejection::NoOwnOptions)?;
    Ok(render::own(row.subcloud.name.into(), stored))
}
