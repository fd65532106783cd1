//! F29, F30: the steps of the strategy (fleet.md §8.1).

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};

use super::render::{StepBody, StrategySteps};
use crate::app::App;
use crate::freshness::Wanted;
use crate::openapi::ErrorBody;
use crate::policy::{Allowed, rule};
use crate::transport::{ApiError, alternatives};

/// List the steps of the update strategy.
///
/// In the order of execution; none if there is no strategy.
#[utoipa::path(
    get, path = "/v1.0/sw-update-strategy/steps", tag = "strategy", operation_id = "list_strategy_steps",
    params(
        ("DCM-Position" = Option<String>, Header, description = "Position of a write that the answer must show"),
    ),
    responses(
        (status = 200, description = "The steps", body = StrategySteps, headers(
            ("DCM-Read-Position" = String, description = "Where the read model was"),
            ("DCM-Read-Age-Ms" = u64, description = "How old the answer is"),
            ("DCM-Stale" = Option<bool>, description = "`true` if the position asked for was not reached in time"),
        )),
        (status = 503, description = "The read models are not available", body = ErrorBody),
    )
)]
pub(super) async fn list(
    State(app): State<App>,
    _: Allowed<rule::SwUpdateStrategyGet>,
    wanted: Wanted,
) -> Result<Response, ApiError> {
    let waited = wanted.wait(&app).await?;
    let (position, event_time) = app.models().subclouds().position().await?;
    let steps = app.models().strategies().steps().await?;
    let strategy_steps = steps.into_iter().map(StepBody::from).collect();
    let mut response = Json(StrategySteps { strategy_steps }).into_response();
    waited.mark(&app, &mut response, position, event_time).await;
    Ok(response)
}

/// Show the step of a subcloud.
#[utoipa::path(
    get, path = "/v1.0/sw-update-strategy/steps/{cloud}", tag = "strategy", operation_id = "show_strategy_step",
    params(
        ("cloud" = String, Path, description = "Name of the subcloud"),
        ("DCM-Position" = Option<String>, Header, description = "Position of a write that the answer must show"),
    ),
    responses(
        (status = 200, description = "The step", body = StepBody, headers(
            ("DCM-Read-Position" = String, description = "Where the read model was"),
            ("DCM-Read-Age-Ms" = u64, description = "How old the answer is"),
            ("DCM-Stale" = Option<bool>, description = "`true` if the position asked for was not reached in time"),
        )),
        (status = 404, description = "There is no such subcloud, or it has no step", body = ErrorBody),
        (status = 503, description = "The read models are not available", body = ErrorBody),
    )
)]
pub(super) async fn show(
    State(app): State<App>,
    _: Allowed<rule::SwUpdateStrategyGet>,
    wanted: Wanted,
    Path(cloud): Path<String>,
) -> Result<Response, ApiError> {
    let waited = wanted.wait(&app).await?;
    let (position, event_time) = app.models().subclouds().position().await?;
    for name in alternatives(&cloud) {
        if let Some(step) = app.models().strategies().step(name).await? {
            let mut response = Json(StepBody::from(step)).into_response();
            waited.mark(&app, &mut response, position, event_time).await;
            return Ok(response);
        }
    }
    Err(ApiError::not_found("Strategy step not found"))
}
