//! Verifying read models: the journal is folded again, and the rows are compared with what comes out.

mod query;

use std::convert::Infallible;

use axum::body::Body;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use dcm_projections::{Difference, Extent, Problem, Verified};
use futures::StreamExt;
use http::header::CONTENT_TYPE;
use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use utoipa::ToSchema;

use crate::app::App;
use crate::openapi::ErrorBody;
use crate::policy::{Allowed, rule};
use crate::transport::ApiError;
use query::VerifyQuery;

/// Whoever comes second waits: each folds the whole journal.
static ONE_AT_A_TIME: Semaphore = Semaphore::const_new(1);

/// What a verification found.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct VerifiedBody {
    /// Whether every read model was compared, and every row that was looked at is what the journal says.
    ok: bool,
    /// The read models.
    projections: Vec<VerifiedModel>,
}

/// What the verification of one read model found.
#[derive(Debug, Serialize, ToSchema)]
struct VerifiedModel {
    /// Its name.
    #[schema(example = "subclouds")]
    name: String,
    /// The version that is read.
    version: i64,
    /// Order of the last event it shows: up to there the journal was folded.
    position: u64,
    /// Streams that were folded; null for all.
    #[schema(required)]
    streams: Option<usize>,
    /// How many of its rows were looked at.
    rows: u64,
    /// How many rows are not what the journal says.
    differing: u64,
    /// Those rows, at most a thousand of them.
    differences: Vec<DifferenceBody>,
    /// Why nothing was compared; null if it was.
    #[schema(required)]
    not_compared: Option<String>,
}

/// A row that is not what it should be.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DifferenceBody {
    /// Its table, without the version.
    #[schema(example = "subcloud")]
    table: String,
    /// What tells it from other rows, by column.
    key: Map<String, Value>,
    /// `missing`, `unexpected` or `different`.
    #[schema(example = "different")]
    problem: &'static str,
    /// The columns that differ, if the row is different.
    columns: Vec<String>,
}

impl From<Difference> for DifferenceBody {
    fn from(Difference { table, key, problem, columns }: Difference) -> Self {
        let problem = match problem {
            Problem::Missing => "missing",
            Problem::Unexpected => "unexpected",
            Problem::Different => "different",
        };
        Self { table, key, problem, columns }
    }
}

impl From<Verified> for VerifiedModel {
    fn from(found: Verified) -> Self {
        Self {
            name: found.name,
            version: found.version,
            position: found.position,
            streams: found.streams,
            rows: found.rows,
            differing: found.differing,
            differences: found.differences.into_iter().map(DifferenceBody::from).collect(),
            not_compared: found.not_compared,
        }
    }
}

impl VerifiedBody {
    /// A sample leaves out what no single stream makes; that is no failure.
    fn new(found: Vec<Verified>, sampled: bool) -> Self {
        let whole = |one: &Verified| one.not_compared.is_none() || (sampled && one.streams.is_none());
        let ok = found.iter().all(|one| one.differing == 0 && whole(one));
        Self { ok, projections: found.into_iter().map(VerifiedModel::from).collect() }
    }
}

/// Folds the journal again beside the read models, up to where they are, and compares the rows.
///
/// Nothing that is served is changed, and it ends when the client goes away. The answer is lines of JSON: how far it is
/// (`{"folded": 2000, "of": 51234}`), and as the last line what was found, or `{"error": "…"}`.
#[utoipa::path(
    post, path = "/v1.0/projections/verify", tag = "operation", operation_id = "verify_projections",
    params(VerifyQuery),
    responses(
        (status = 200, description = "Lines of progress, then what was found", body = VerifiedBody,
            content_type = "application/x-ndjson"),
        (status = 404, description = "There is no such read model", body = ErrorBody),
        (status = 503, description = "The read models are not available", body = ErrorBody),
    )
)]
pub(super) async fn verify(
    State(app): State<App>,
    _: Allowed<rule::ProjectionsModify>,
    Query(query): Query<VerifyQuery>,
) -> Result<Response, ApiError> {
    let models = app.models().projections();
    if let Some(name) = query.name.as_ref().filter(|name| !models.iter().any(|model| model.name() == *name)) {
        return Err(ApiError::not_found(format!("there is no read model {name:?}")));
    }
    // Says now, and not in the middle of an answer, if they are not available.
    app.models().health().await?;
    let (lines, written) = mpsc::channel(4);
    tokio::spawn(async move {
        tokio::select! {
            () = lines.closed() => {}
            () = app.stop().cancelled() => {}
            () = work(&app, query, &lines) => {}
        }
    });
    let body = Body::from_stream(ReceiverStream::new(written).map(Ok::<_, Infallible>));
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], body).into_response())
}

async fn work(app: &App, query: VerifyQuery, lines: &mpsc::Sender<Bytes>) {
    let Ok(_turn) = ONE_AT_A_TIME.acquire().await else { return };
    let extent = query.sample.map_or(Extent::All, Extent::Sample);
    let progressed = |folded: u64, of: u64| {
        // A client that reads slowly misses a line, and delays nothing.
        let _ = lines.try_send(line(&json!({"folded": folded, "of": of})));
    };
    let found = app.models().verify(app.journal(), query.name.as_deref(), extent, progressed).await;
    let last = match found {
        Ok(found) => line(&VerifiedBody::new(found, query.sample.is_some())),
        Err(error) => {
            tracing::warn!(%error, "the read models could not be verified");
            line(&json!({"error": "journal or read models are not available"}))
        }
    };
    let _ = lines.send(last).await;
}

fn line(value: &impl Serialize) -> Bytes {
    let mut text = serde_json::to_vec(value).unwrap_or_default();
    text.push(b'\n');
    text.into()
}
