//! Health, readiness, metrics, and the description of the messages.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use dcm_journal::outage::Told;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::projections::{Lag, lags};
use super::readiness::{API, READY};
use crate::app::App;

/// How long one of the program's own checks may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Parts without which requests are not answered. What the others do can wait: they only warn.
const NEEDED: [&str; 4] = [API, "journal", "read-models", "vault"];

/// What the log was told of the parts.
static TOLD: LazyLock<Told<&'static str>> = LazyLock::new(Told::default);

/// Says that the process runs.
#[utoipa::path(
    get, path = "/healthz", tag = "operation", operation_id = "health",
    responses((status = 200, description = "It runs", body = String, content_type = "text/plain"))
)]
pub(super) async fn healthz() -> &'static str {
    "ok"
}

/// Whether requests can be answered, and why not.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReadyBody {
    /// Whether requests can be answered: every part is ready that this takes.
    ready: bool,
    /// `ready`, `standby` where another process does it, or why it is not, by part.
    parts: BTreeMap<String, String>,
    /// What an operator should put right although requests are answered, by part.
    warnings: BTreeMap<String, String>,
    /// How far the read models are behind the journal.
    projections: Vec<Lag>,
}

/// Says whether requests can be answered.
///
/// Asks the journal, the read models, the vault and the bus, and reports what the roles of this process say about
/// themselves. Warnings alone do not make it unready: commands and queries go on while the bus is away or a role fails.
#[utoipa::path(
    get, path = "/readyz", tag = "operation", operation_id = "readiness",
    responses(
        (status = 200, description = "Ready", body = ReadyBody),
        (status = 503, description = "Not ready", body = ReadyBody),
    )
)]
pub(super) async fn readyz(State(app): State<App>) -> Response {
    let (mut parts, journal, vault, projections, mut warnings) =
        tokio::join!(app.readiness().ask(), journal(&app), vault(&app), projections(&app), warnings(&app));
    parts.insert("journal".to_owned(), journal.map(|()| READY));
    parts.insert("vault".to_owned(), vault.map(|()| READY));
    let (models, projections) = match projections {
        Ok(projections) => (Ok(READY), projections),
        Err(reason) => (Err(reason), Vec::new()),
    };
    parts.insert("read-models".to_owned(), models);
    // The others go on, and what was shown is shown still.
    warnings.extend(projections.iter().filter_map(Lag::warning));
    let failing = parts.iter().filter_map(|(name, state)| Some((name, state.as_ref().err()?)));
    let (needed, others): (Vec<_>, Vec<_>) = failing.partition(|(name, _)| NEEDED.contains(&name.as_str()));
    let ready = needed.is_empty();
    warnings.extend(others.into_iter().map(|(name, reason)| (name.clone(), reason.clone())));
    let parts = parts
        .into_iter()
        .map(|(name, state)| (name, state.map_or_else(|reason| reason, str::to_owned)))
        .collect();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(ReadyBody { ready, parts, warnings, projections })).into_response()
}

async fn journal(app: &App) -> Result<(), String> {
    let head = tokio::time::timeout(PATIENCE, app.journal().head()).await;
    told("journal", head.map_err(|_| no_answer())?.map(drop))
}

async fn warnings(app: &App) -> BTreeMap<String, String> {
    app.policy().refresh().await;
    // Which file, and what is wrong with it, is for the log.
    let policy = app
        .policy()
        .problem()
        .map(|_| "the policy files cannot be used; the rules from before stay in force");
    policy.map(|text| ("policy".to_owned(), text.to_owned())).into_iter().collect()
}

/// Any question will do.
async fn vault(app: &App) -> Result<(), String> {
    let name = tokio::time::timeout(PATIENCE, app.vault().name_of("system:readiness")).await;
    told("vault", name.map_err(|_| no_answer())?.map(drop))
}

async fn projections(app: &App) -> Result<Vec<Lag>, String> {
    let health = tokio::time::timeout(PATIENCE, app.models().health()).await;
    told("read models", health.map_err(|_| no_answer())?)?;
    let outdated = tokio::time::timeout(PATIENCE, app.models().outdated()).await.map_err(|_| no_answer())?;
    if let Some(one) = outdated.unwrap_or_default().iter().find(|one| !one.serves) {
        return Err(format!("{} is of an older program, and is being filled anew", one.name));
    }
    // Without the journal there is nothing to compare with; its own part says so.
    let lags = tokio::time::timeout(PATIENCE, lags(app)).await;
    Ok(lags.ok().and_then(Result::ok).unwrap_or_default())
}

fn no_answer() -> String {
    "no answer in time".to_owned()
}

/// Anyone may read the answer: what lies behind it is for the log, once and not for each probe.
fn told<E: std::error::Error>(part: &'static str, answer: Result<(), E>) -> Result<(), String> {
    let Err(error) = answer else {
        if TOLD.is_well(&part) {
            tracing::info!(part, "ready again");
        }
        return Ok(());
    };
    if TOLD.is_news(part, &error) {
        tracing::warn!(%error, part, "not ready");
    }
    Err("not available".to_owned())
}

/// Shows what is measured, in Prometheus' text form.
#[utoipa::path(
    get, path = "/metrics", tag = "operation", operation_id = "metrics",
    responses((status = 200, description = "The metrics", body = String, content_type = "text/plain"))
)]
pub(super) async fn metrics(State(app): State<App>) -> Response {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], app.metrics().render()).into_response()
}

/// Describes the messages on the bus.
#[utoipa::path(
    get, path = "/asyncapi.json", tag = "operation", operation_id = "asyncapi",
    responses((status = 200, description = "An AsyncAPI document", body = Value))
)]
pub(super) async fn asyncapi(State(app): State<App>) -> Json<Value> {
    Json(app.asyncapi().clone())
}
