//! Read models: how far they are, rebuilding them, and going back.

use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::openapi::ErrorBody;
use crate::policy::{Allowed, rule};
use crate::transport::ApiError;
use crate::written::to_the_end;

/// How far a read model is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Lag {
    /// Its name.
    #[schema(example = "subclouds")]
    name: String,
    /// The version that is read.
    version: i64,
    /// The version before it, if it can be rolled back to.
    #[schema(required)]
    previous_version: Option<i64>,
    /// Order of the last event it shows.
    position: u64,
    /// How many events of the journal it does not show yet.
    lag_events: u64,
    /// How long ago the first of them was recorded; 0 without any.
    lag_seconds: f64,
}

/// Events that are counted one by one at most, where orders do not tell their number.
const MOST_COUNTED: u64 = 100_000;

/// The read models.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LagList {
    /// Every read model, by name.
    projections: Vec<Lag>,
}

/// What a rebuild did.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RebuiltBody {
    /// The read model.
    name: String,
    /// The version that is read from now on.
    version: i64,
    /// The version that was read before.
    previous_version: i64,
    /// How many events were folded.
    events: u64,
    /// Order of the last one.
    position: u64,
}

/// What a rollback did.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RolledBackBody {
    /// The read model.
    name: String,
    /// The version that is read from now on.
    version: i64,
}

/// Lists read models and how far they are behind the journal.
#[utoipa::path(
    get, path = "/v1.0/projections", tag = "operation", operation_id = "list_projections",
    responses(
        (status = 200, description = "The read models", body = LagList),
        (status = 503, description = "Journal or read models are not available", body = ErrorBody),
    )
)]
pub(super) async fn list(
    State(app): State<App>,
    _: Allowed<rule::ProjectionsGet>,
) -> Result<Json<LagList>, ApiError> {
    Ok(Json(LagList { projections: lags(&app).await? }))
}

/// Rebuilds a read model from the journal beside the one that is read, and then reads the new one.
#[utoipa::path(
    post, path = "/v1.0/projections/{name}/rebuild", tag = "operation", operation_id = "rebuild_projection",
    params(("name" = String, Path, description = "Name of the read model")),
    responses(
        (status = 200, description = "Rebuilt", body = RebuiltBody),
        (status = 404, description = "There is no such read model", body = ErrorBody),
        (status = 503, description = "Journal or read models are not available", body = ErrorBody),
    )
)]
pub(super) async fn rebuild(
    State(app): State<App>,
    _: Allowed<rule::ProjectionsModify>,
    Path(name): Path<String>,
) -> Result<Json<RebuiltBody>, ApiError> {
    to_the_end(async move {
        let rebuilt = app.models().rebuild(app.rebuilds(), app.journal(), &name).await?;
        Ok(Json(RebuiltBody {
            name: rebuilt.name,
            version: rebuilt.version,
            previous_version: rebuilt.previous_version,
            events: rebuilt.events,
            position: rebuilt.position,
        }))
    })
    .await
}

/// Reads the version before the last rebuild again.
#[utoipa::path(
    post, path = "/v1.0/projections/{name}/rollback", tag = "operation", operation_id = "roll_back_projection",
    params(("name" = String, Path, description = "Name of the read model")),
    responses(
        (status = 200, description = "Rolled back", body = RolledBackBody),
        (status = 404, description = "There is no such read model", body = ErrorBody),
        (status = 409, description = "There is no version to go back to", body = ErrorBody),
        (status = 503, description = "The read models are not available", body = ErrorBody),
    )
)]
pub(super) async fn roll_back(
    State(app): State<App>,
    _: Allowed<rule::ProjectionsModify>,
    Path(name): Path<String>,
) -> Result<Json<RolledBackBody>, ApiError> {
    to_the_end(async move {
        let version = app.models().roll_back(app.rebuilds(), app.journal(), &name).await?;
        Ok(Json(RolledBackBody { name, version }))
    })
    .await
}

/// How many events stand behind `position`, up to the journal's `head`.
async fn events_between(app: &App, position: u64, head: u64) -> Result<u64, ApiError> {
    if position >= head || app.journal().traits().orders_are_dense {
        return Ok(head.saturating_sub(position));
    }
    Ok(app.journal().count_after(position, MOST_COUNTED).await?)
}

/// How far every read model is.
///
/// # Errors
/// 503 if journal or read models are not available.
pub(super) async fn lags(app: &App) -> Result<Vec<Lag>, ApiError> {
    // The read models first: what happens in between counts as lag, never as being ahead.
    let models = app.models().status().await?;
    let head = app.journal().head().await?;
    let mut lags = Vec::new();
    for model in models {
        let active = model.checkpoints.iter().find(|checkpoint| checkpoint.version == model.active_version);
        let (position, event_time) =
            active.map_or((0, None), |checkpoint| (checkpoint.position, checkpoint.event_time));
        let lag_ms = app.head().age_ms(app.journal(), position, event_time).await;
        lags.push(Lag {
            name: model.name,
            version: model.active_version,
            previous_version: model.previous_version,
            position,
            lag_events: events_between(app, position, head).await?,
            lag_seconds: std::time::Duration::from_millis(lag_ms).as_secs_f64(),
        });
    }
    Ok(lags)
}
