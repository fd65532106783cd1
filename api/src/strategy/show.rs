//! F28: show the strategy (fleet.md §8.1).

use axum::Json;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};

use super::refusal::{TypeQuery, quoted};
use super::render::StrategyBody;
use crate::app::App;
use crate::freshness::Wanted;
use crate::openapi::ErrorBody;
use crate::policy::{Allowed, rule};
use crate::transport::ApiError;

/// Show the update strategy.
///
/// There is one at most, whatever its type.
#[utoipa::path(
    get, path = "/v1.0/sw-update-strategy", tag = "strategy", operation_id = "show_strategy",
    params(
        TypeQuery,
        ("DCM-Position" = Option<String>, Header, description = "Position of a write that the answer must show"),
    ),
    responses(
        (status = 200, description = "The strategy", body = StrategyBody, headers(
            ("DCM-Read-Position" = String, description = "Where the read model was"),
            ("DCM-Read-Age-Ms" = u64, description = "How old the answer is"),
            ("DCM-Stale" = Option<bool>, description = "`true` if the position asked for was not reached in time"),
        )),
        (status = 404, description = "There is no strategy, or none of this type", body = ErrorBody),
        (status = 503, description = "The read models are not available", body = ErrorBody),
    )
)]
pub(super) async fn show(
    State(app): State<App>,
    _: Allowed<rule::SwUpdateStrategyGet>,
    wanted: Wanted,
    Query(query): Query<TypeQuery>,
) -> Result<Response, ApiError> {
    let waited = wanted.wait(&app).await?;
    // The position first: what is read afterwards is at least as new.
    let (position, event_time) = app.models().subclouds().position().await?;
    let row = app.models().strategies().current().await?;
    let row = row.filter(|row| query.text().is_none_or(|kind| kind == row.kind));
    let row = row.ok_or_else(|| match query.text() {
        Some(kind) => ApiError::not_found(format!("Strategy of type '{}' not found", quoted(kind))),
        None => ApiError::not_found("Strategy not found"),
    })?;
    let mut response = Json(StrategyBody::from(row)).into_response();
    waited.mark(&app, &mut response, position, event_time).await;
    Ok(response)
}
