//! Health, readiness and figures of a process that serves no API.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::Parts;
use crate::commands::Failure;

/// Answers at `address` until `stop`. The paths are those of a process with an API.
///
/// # Errors
/// [`Failure::Start`] if nobody can be listened to there.
pub async fn serve(
    address: SocketAddr,
    parts: Parts,
    metrics: PrometheusHandle,
    stop: CancellationToken,
) -> Result<impl Future<Output = Result<(), Failure>>, Failure> {
    let failed = move |error| Failure::start(format!("telemetry.listen on {address}"), error);
    let listener = tokio::net::TcpListener::bind(address).await.map_err(failed)?;
    tracing::info!(address = %listener.local_addr().map_err(failed)?, "health and metrics are served");
    let shown = move || {
        let rendered = metrics.render();
        async move { ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], rendered) }
    };
    let router = Router::new()
        .route("/healthz", get(async || "ok"))
        .route("/readyz", get(ready))
        .route("/metrics", get(shown))
        .with_state(parts);
    let serving = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned());
    Ok(async move { serving.await.map_err(failed) })
}

async fn ready(State(parts): State<Parts>) -> Response {
    let parts = parts.ask().await;
    let ready = parts.values().all(Result::is_ok);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let parts: BTreeMap<String, String> = parts
        .into_iter()
        .map(|(part, state)| (part, state.map_or_else(|reason| reason, str::to_owned)))
        .collect();
    (status, Json(json!({"ready": ready, "parts": parts}))).into_response()
}
