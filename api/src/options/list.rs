//! F35: list options.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};

use super::render::{self, OptionsList};
use crate::app::App;
use crate::freshness::Wanted;
use crate::openapi::ErrorBody;
use crate::policy::{Allowed, rule};
use crate::transport::ApiError;

/// Lists update options: the default, then each subcloud's that has its own.
#[utoipa::path(
    get, path = "/v1.0/sw-update-options", tag = "strategy", operation_id = "list_update_options",
    params(("DCM-Position" = Option<String>, Header, description = "Position of a write that the answer must show")),
    responses(
        (status = 200, description = "The options", body = OptionsList),
        (status = 403, description = "Not allowed", body = ErrorBody),
        (status = 503, description = "The read models are not available", body = ErrorBody),
    )
)]
pub(super) async fn list(
    State(app): State<App>,
    _: Allowed<rule::SwUpdateOptionsGet>,
    wanted: Wanted,
) -> Result<Response, ApiError> {
    let waited = wanted.wait(&app).await?;
    let (position, event_time) = app.models().subclouds().position().await?;
    let rows = app.models().options().all().await?;
    let own = rows.own.into_iter().map(|(name, stored)| render::own(name, stored));
    let body =
        OptionsList { sw_update_options: [render::default(rows.default)].into_iter().chain(own).collect() };
    let mut response = Json(body).into_response();
    waited.mark(&app, &mut response, position, event_time).await;
    Ok(response)
}
