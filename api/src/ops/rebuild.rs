//! Rebuilding read models: begun by one request, followed and cancelled by others, in whatever process it runs.

mod query;

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use dcm_projections::{RebuildOptions, RebuildStatus};
use http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::verify::DifferenceBody;
use crate::app::App;
use crate::openapi::ErrorBody;
use crate::policy::{Allowed, rule};
use crate::transport::ApiError;
use crate::written::to_the_end;
use query::RebuildQuery;

/// A rebuild that was begun.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BegunBody {
    /// The read model.
    name: String,
    /// The version that is filled.
    version: i64,
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
    /// How many rows are others than before; null if they could not be compared.
    #[schema(required)]
    differing: Option<u64>,
}

/// The last rebuild of a read model, or its last roll-back.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RebuildBody {
    /// The version that it fills, or filled.
    version: i64,
    /// `filling`, `indexing`, `comparing`, and at its end `done`, `refused` (rows differ), `failed`, `cancelled` or
    /// `abandoned` (its process is gone).
    #[schema(example = "filling")]
    phase: &'static str,
    /// How many events it has folded.
    events_done: u64,
    /// How many there are to fold; null if the journal cannot tell.
    #[schema(required)]
    events_total: Option<u64>,
    /// How many it has folded a second, since it began.
    events_per_second: f64,
    /// How long it will still fold at that rate, in seconds; null if that cannot be told, or it no longer folds.
    #[schema(required)]
    seconds_left: Option<f64>,
    /// When it began.
    #[schema(format = DateTime)]
    started_at: String,
    /// When it last gave a sign of life, or ended.
    #[schema(format = DateTime)]
    updated_at: String,
    /// How many rows differ from those of the version that was read; null if they were not compared.
    #[schema(required)]
    differing: Option<u64>,
    /// The first of those rows.
    differences: Vec<DifferenceBody>,
    /// Why it failed; null if it did not.
    #[schema(required)]
    reason: Option<String>,
}

impl From<RebuildStatus> for RebuildBody {
    fn from(status: RebuildStatus) -> Self {
        let micros = status.updated_at.micros().saturating_sub(status.started_at.micros());
        let spent = Duration::from_micros(micros.try_into().unwrap_or(0)).as_secs_f64();
        let events_per_second = if spent > 0.0 { count(status.events_done) / spent } else { 0.0 };
        let left = status.events_total.map(|total| total.saturating_sub(status.events_done));
        let left = left.filter(|_| status.phase.is_under_way() && events_per_second > 0.0);
        Self {
            version: status.version,
            phase: status.phase.as_str(),
            events_done: status.events_done,
            events_total: status.events_total,
            events_per_second,
            seconds_left: left.map(|left| count(left) / events_per_second),
            started_at: status.started_at.to_string(),
            updated_at: status.updated_at.to_string(),
            differing: status.differing,
            differences: status.differences.into_iter().map(DifferenceBody::from).collect(),
            reason: status.reason,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate is an estimate")]
const fn count(events: u64) -> f64 {
    events as f64
}

/// Rebuilds a read model from the journal beside the one that is read, and then reads the new one.
///
/// When everything is folded, the rows are compared with those that are read; if some differ, the old version stays, unless
/// `accept_differences` is true. It goes on whether or not the client waits; the list of read models says how far it is and
/// how it ended.
#[utoipa::path(
    post, path = "/v1.0/projections/{name}/rebuild", tag = "operation", operation_id = "rebuild_projection",
    params(("name" = String, Path, description = "Name of the read model"), RebuildQuery),
    responses(
        (status = 200, description = "Rebuilt", body = RebuiltBody),
        (status = 202, description = "Begun, and not waited for", body = BegunBody),
        (status = 404, description = "There is no such read model", body = ErrorBody),
        (status = 409, description = "It is being rebuilt, was cancelled, or rows differ", body = ErrorBody),
        (status = 422, description = "An event cannot be folded", body = ErrorBody),
        (status = 503, description = "Journal or read models are not available", body = ErrorBody),
    )
)]
pub(super) async fn rebuild(
    State(app): State<App>,
    _: Allowed<rule::ProjectionsModify>,
    Path(name): Path<String>,
    Query(query): Query<RebuildQuery>,
) -> Result<Response, ApiError> {
    let options = RebuildOptions {
        accept_differences: query.accept_differences.unwrap_or(false),
        events_per_second: app.settings().rebuild_events_per_second,
    };
    let rebuild = app.models().begin_rebuild(app.journal(), &name, options).await?;
    let version = rebuild.version();
    let stop = app.stop().clone();
    // How it ends is noted and logged where it runs, also if nobody waits for it any longer.
    let running = to_the_end(async move { Ok(rebuild.run(&stop).await?) });
    if !query.wait.unwrap_or(true) {
        tokio::spawn(running);
        return Ok((StatusCode::ACCEPTED, Json(BegunBody { name, version })).into_response());
    }
    let rebuilt = running.await?;
    let body = RebuiltBody {
        name: rebuilt.name,
        version: rebuilt.version,
        previous_version: rebuilt.previous_version,
        events: rebuilt.events,
        position: rebuilt.position,
        differing: rebuilt.differing,
    };
    Ok(Json(body).into_response())
}

/// Ends a rebuild, in whatever process it runs; the version that is read stays as it is.
#[utoipa::path(
    post, path = "/v1.0/projections/{name}/cancel", tag = "operation", operation_id = "cancel_rebuild",
    params(("name" = String, Path, description = "Name of the read model")),
    responses(
        (status = 202, description = "It will end"),
        (status = 404, description = "There is no such read model", body = ErrorBody),
        (status = 409, description = "It is not being rebuilt", body = ErrorBody),
        (status = 503, description = "The read models are not available", body = ErrorBody),
    )
)]
pub(super) async fn cancel(
    State(app): State<App>,
    _: Allowed<rule::ProjectionsModify>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    app.models().cancel_rebuild(&name).await?;
    Ok(StatusCode::ACCEPTED)
}
