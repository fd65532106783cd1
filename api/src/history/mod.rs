//! What happened to a subcloud, and how it was at any moment.

pub(crate) mod as_of;
mod query;
mod sentence;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use dcm_projections::{HistoryRow, SubcloudRow};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use crate::app::App;
use crate::freshness::Wanted;
use crate::openapi::ErrorBody;
use crate::policy::{Allowed, rule};
use crate::subclouds::reference::{Agent, Given, Place, not_found};
use crate::transport::ApiError;
use query::{HistoryQuery, marker};
use sentence::sentence;

/// The routes of histories.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(history))
}

/// A page of a history, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct HistoryPage {
    /// What happened.
    pub events: Vec<HistoryEntry>,
    /// The `marker` of the next page; null on the last one.
    #[schema(required)]
    pub next: Option<String>,
}

/// One event of a history.
#[derive(Debug, Serialize, ToSchema)]
pub struct HistoryEntry {
    /// Uuid of the event.
    pub id: Uuid,
    /// Event name.
    #[schema(example = "SubcloudUnmanaged")]
    pub r#type: String,
    /// Version of the shape of `data`.
    pub version: u32,
    /// Place in the subcloud's history, from 0.
    pub revision: u64,
    /// Place in the journal.
    pub position: String,
    /// When it was recorded (RFC 3339, UTC).
    pub recorded_at: String,
    /// Who caused it: `user_id` (`system:<role>` for the program itself), `project_id`, `roles`.
    #[schema(value_type = Object)]
    pub actor: Value,
    /// The HTTP request.
    #[schema(required)]
    pub request_id: Option<String>,
    /// Shared by everything that follows from one outside cause.
    pub correlation_id: Uuid,
    /// The event that led to this one.
    #[schema(required)]
    pub causation_id: Option<Uuid>,
    /// The facts, as they were written.
    #[schema(value_type = Object)]
    pub data: Value,
    /// The event in one sentence.
    #[schema(example = "anonymous took the subcloud under management.")]
    pub sentence: String,
}

impl From<HistoryRow> for HistoryEntry {
    fn from(HistoryRow { position, envelope }: HistoryRow) -> Self {
        let sentence = sentence(&envelope);
        Self {
            id: envelope.id,
            r#type: envelope.r#type,
            version: envelope.version,
            revision: envelope.revision,
            position: position.to_string(),
            recorded_at: envelope.recorded_at.to_string(),
            actor: serde_json::to_value(&envelope.actor).unwrap_or_default(),
            request_id: envelope.request_id,
            correlation_id: envelope.correlation_id,
            causation_id: envelope.causation_id,
            data: envelope.data,
            sentence,
        }
    }
}

/// Shows what happened to a subcloud.
///
/// A deleted subcloud answers by uuid, or by its last name if no living one has it.
#[utoipa::path(
    get, path = "/v1.0/subclouds/{subcloud}/history", tag = "history", operation_id = "subcloud_history",
    params(
        ("subcloud" = String, Path, description = "Id, name or uuid"),
        HistoryQuery,
        ("DCM-Position" = Option<String>, Header, description = "Position of a write that the answer must show"),
    ),
    responses(
        (status = 200, description = "A page of its history", body = HistoryPage),
        (status = 400, description = "A parameter is at fault; the text names it", body = ErrorBody),
        (status = 404, description = "There never was such a subcloud", body = ErrorBody),
        (status = 503, description = "The read models are not available", body = ErrorBody),
    )
)]
async fn history(
    State(app): State<App>,
    _: Allowed<rule::HistoryGet>,
    agent: Agent,
    wanted: Wanted,
    Path(subcloud): Path<String>,
    Query(query): Query<HistoryQuery>,
) -> Result<Response, ApiError> {
    let mut filter = query.filter()?;
    let waited = wanted.wait(&app).await?;
    let (position, event_time) = app.models().subclouds().position().await?;
    let row = living_or_deleted(&app, Given::new(&subcloud, Place::BeforeVerb, agent)).await?;
    let limit = filter.limit as usize;
    // One more than asked for tells whether there is another page.
    filter.limit += 1;
    let mut rows = app.models().history().of(row.uuid, &filter).await?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|last| marker(last.envelope.revision));
    let page = HistoryPage { events: rows.into_iter().map(HistoryEntry::from).collect(), next };
    let mut response = Json(page).into_response();
    waited.mark(&app, &mut response, position, event_time).await;
    Ok(response)
}

/// The subcloud that is meant, also if it is deleted: living ones by id, name or uuid, deleted ones by uuid or by the
/// last name they had.
pub(crate) async fn living_or_deleted(app: &App, given: Given<'_>) -> Result<SubcloudRow, ApiError> {
    if let Some(row) = given.find_row(app).await? {
        return Ok(row);
    }
    let subclouds = app.models().subclouds();
    for text in given.texts() {
        let found = match Uuid::try_parse(text) {
            Ok(uuid) => subclouds.by_uuid(uuid).await?,
            Err(_) => subclouds.deleted_by_name(text).await?,
        };
        if let Some(row) = found {
            return Ok(row);
        }
    }
    Err(not_found())
}
