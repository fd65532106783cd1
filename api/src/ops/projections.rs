//! Read models: how far they are, rebuilding them, and going back.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, State};
use dcm_projections::{Failure, ReadModelStatus};
use serde::Serialize;
use utoipa::ToSchema;

use super::rebuild::RebuildBody;
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
    /// The event in front of which it has stopped; null while it goes on.
    #[schema(required)]
    stopped: Option<StoppedBody>,
}

impl Lag {
    /// Why it has stopped, in a sentence with its name; `None` while it goes on.
    pub(super) fn warning(&self) -> Option<(String, String)> {
        let StoppedBody { position, event_type, reason, .. } = self.stopped.as_ref()?;
        let event = event_type.as_ref().map_or_else(String::new, |name| format!(" ({name})"));
        let text = format!("the read model has stopped at {position}{event}: {reason}");
        Some((format!("projection-{}", self.name), text))
    }
}

/// Why a read model has stopped.
#[derive(Debug, Serialize, ToSchema)]
struct StoppedBody {
    /// Order of the event that it cannot take.
    position: u64,
    /// Id of the event, if it is due to one.
    #[schema(required)]
    event_id: Option<String>,
    /// Name of the event, if it is due to one.
    #[schema(required)]
    event_type: Option<String>,
    /// What is wrong.
    reason: String,
    /// Since when.
    #[schema(format = DateTime)]
    since: String,
}

impl From<Failure> for StoppedBody {
    fn from(Failure { position, event_id, event_type, reason, failed_at }: Failure) -> Self {
        Self { position, event_id, event_type, reason, since: failed_at.to_string() }
    }
}

/// A read model.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Model {
    #[serde(flatten)]
    lag: Lag,
    /// The last rebuild; null if there was none.
    #[schema(required)]
    rebuild: Option<RebuildBody>,
}

/// Events that are counted one by one at most, where orders do not tell their number.
const MOST_COUNTED: u64 = 100_000;

/// The read models.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LagList {
    /// Every read model, by name.
    projections: Vec<Model>,
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
    let (mut rebuilds, mut models) = (BTreeMap::new(), Vec::new());
    let status = app.models().status().await?;
    for model in &status {
        rebuilds.insert(model.name.clone(), model.rebuild.clone().map(RebuildBody::from));
    }
    for lag in lags_of(&app, status).await? {
        let rebuild = rebuilds.remove(&lag.name).flatten();
        models.push(Model { lag, rebuild });
    }
    Ok(Json(LagList { projections: models }))
}

/// Reads the version before the last rebuild again.
#[utoipa::path(
    post, path = "/v1.0/projections/{name}/rollback", tag = "operation", operation_id = "roll_back_projection",
    params(("name" = String, Path, description = "Name of the read model")),
    responses(
        (status = 200, description = "Rolled back", body = RolledBackBody),
        (status = 404, description = "There is no such read model", body = ErrorBody),
        (status = 409, description = "There is no version to go back to, or it is being rebuilt", body = ErrorBody),
        (status = 503, description = "The read models are not available", body = ErrorBody),
    )
)]
pub(super) async fn roll_back(
    State(app): State<App>,
    _: Allowed<rule::ProjectionsModify>,
    Path(name): Path<String>,
) -> Result<Json<RolledBackBody>, ApiError> {
    to_the_end(async move {
        let version = app.models().roll_back(app.journal(), &name).await?;
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
    lags_of(app, models).await
}

async fn lags_of(app: &App, models: Vec<ReadModelStatus>) -> Result<Vec<Lag>, ApiError> {
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
            stopped: model.failure.map(StoppedBody::from),
        });
    }
    Ok(lags)
}
