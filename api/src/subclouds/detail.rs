//! E4: show one subcloud with what its own region says (subclouds.md §6.2).

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};

use super::reference::{Agent, Given, Place};
use super::render::{self, DetailedSubcloud};
use crate::app::App;
use crate::freshness::{Waited, Wanted};
use crate::openapi::ErrorBody;
use crate::transport::ApiError;

/// Shows a subcloud in detail.
///
/// No client of the subclouds' platforms is configured, so that nothing is known of their own side: the address is
/// `unavailable`, the state of the configuration `unknown`.
#[utoipa::path(
    get, path = "/v1.0/subclouds/{subcloud}/detail", tag = "subclouds", operation_id = "detail_subcloud",
    params(
        ("subcloud" = String, Path, description = "Id or name"),
        ("DCM-Position" = Option<String>, Header, description = "Position of a write that the answer must show"),
    ),
    responses(
        (status = 200, description = "The subcloud", body = DetailedSubcloud),
        (status = 404, description = "There is no such subcloud", body = ErrorBody),
        (status = 503, description = "The read models are not available", body = ErrorBody),
    )
)]
pub(super) async fn detail(
    State(app): State<App>,
    agent: Agent,
    wanted: Wanted,
    Path(subcloud): Path<String>,
) -> Result<Response, ApiError> {
    let waited = wanted.wait(&app).await?;
    row(&app, Given::new(&subcloud, Place::BeforeVerb, agent), waited).await
}

/// The details under any other second segment, which the contract does not look at.
pub(super) async fn any_view(
    State(app): State<App>,
    agent: Agent,
    wanted: Wanted,
    Path((subcloud, _)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let waited = wanted.wait(&app).await?;
    row(&app, Given::new(&subcloud, Place::BeforeVerb, agent), waited).await
}

async fn row(app: &App, given: Given<'_>, waited: Waited) -> Result<Response, ApiError> {
    let (position, event_time) = app.models().subclouds().position().await?;
    let row = given.row(app).await?;
    let mut response = Json(render::detailed(&row.subcloud, (&row).into())).into_response();
    waited.mark(app, &mut response, position, event_time).await;
    Ok(response)
}
