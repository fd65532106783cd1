//! `/v1.0/alarms` (fleet.md §11): F39 and F40.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use dcm_projections::AlarmRow;
use http::Method;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::freshness::Wanted;
use crate::openapi::ErrorBody;
use crate::policy::{Allowed, authorise, rule};
use crate::transport::{ApiError, Caller};

/// The method of F40, which no standard knows.
const SUMMARY: &str = "SUMMARY";

/// The routes of alarms.
pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .route("/v1.0/alarms", MethodRouter::new().fallback(other_method))
}

/// Counts of a subcloud's alarms.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AlarmCounts {
    /// Name of the subcloud.
    #[schema(example = "subcloud1")]
    pub region_name: String,
    /// Names this entry.
    #[schema(required)]
    pub uuid: Option<String>,
    /// Critical alarms; -1 if not known.
    #[schema(example = 0)]
    pub critical_alarms: i64,
    /// Major alarms; -1 if not known.
    #[schema(example = 1)]
    pub major_alarms: i64,
    /// Minor alarms; -1 if not known.
    #[schema(example = 0)]
    pub minor_alarms: i64,
    /// Warnings; -1 if not known.
    #[schema(example = 0)]
    pub warnings: i64,
    /// `OK`, `degraded`, `critical`, or `disabled` if not known.
    #[schema(example = "degraded")]
    pub cloud_status: String,
}

/// Alarm counts of the subclouds, newest first.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AlarmList {
    /// The entries.
    pub alarm_summary: Vec<AlarmCounts>,
}

impl From<AlarmRow> for AlarmCounts {
    fn from(row: AlarmRow) -> Self {
        Self {
            region_name: row.name,
            uuid: row.uuid,
            critical_alarms: row.summary.critical_alarms,
            major_alarms: row.summary.major_alarms,
            minor_alarms: row.summary.minor_alarms,
            warnings: row.summary.warnings,
            cloud_status: row.summary.cloud_status,
        }
    }
}

/// Lists the alarm counts of subclouds, newest subcloud first.
///
/// The method `SUMMARY` on this path counts subclouds by status: `{"critical": 0, "degraded": 1, "OK": 2}`.
#[utoipa::path(
    get, path = "/v1.0/alarms", tag = "alarms", operation_id = "list_alarms",
    params(("DCM-Position" = Option<String>, Header, description = "Position of a write that the answer must show")),
    responses(
        (status = 200, description = "The counts", body = AlarmList),
        (status = 403, description = "Not allowed", body = ErrorBody),
        (status = 503, description = "The read models are not available", body = ErrorBody),
    )
)]
pub(crate) async fn list(
    State(app): State<App>,
    _: Allowed<rule::AlarmManagerGet>,
    wanted: Wanted,
) -> Result<Response, ApiError> {
    let waited = wanted.wait(&app).await?;
    let (position, event_time) = app.models().subclouds().position().await?;
    let rows = app.models().alarms().all().await?;
    let body = AlarmList { alarm_summary: rows.into_iter().map(Into::into).collect() };
    let mut response = Json(body).into_response();
    waited.mark(&app, &mut response, position, event_time).await;
    Ok(response)
}

/// How many subclouds have each status; those whose alarms are not known do not count.
#[derive(Debug, Default, Serialize)]
struct StatusCounts {
    critical: i64,
    degraded: i64,
    #[serde(rename = "OK")]
    ok: i64,
}

/// F40, or 405.
async fn other_method(State(app): State<App>, caller: Caller, method: Method) -> Result<Response, ApiError> {
    if method.as_str() != SUMMARY {
        return Err(ApiError::method_not_allowed("GET, HEAD, SUMMARY"));
    }
    authorise::<rule::AlarmManagerGet>(&app, &caller).await?;
    let mut counts = StatusCounts::default();
    for (status, count) in app.models().alarms().statuses().await? {
        match status.as_str() {
            "critical" => counts.critical = count,
            "degraded" => counts.degraded = count,
            "OK" => counts.ok = count,
            _ => {}
        }
    }
    Ok(Json(counts).into_response())
}
