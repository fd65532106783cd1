//! F17: show a system peer.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};

use super::reference;
use super::render::PeerBody;
use crate::app::App;
use crate::freshness::Wanted;
use crate::openapi::ErrorBody;
use crate::policy::{Allowed, rule};
use crate::subclouds::reference::Place;
use crate::transport::ApiError;

/// Shows a system peer.
#[utoipa::path(
    get, path = "/v1.0/system-peers/{peer}", tag = "peers", operation_id = "show_system_peer",
    params(
        ("peer" = String, Path, description = "Id, UUID or name"),
        ("DCM-Position" = Option<String>, Header, description = "Position of a write that the answer must show"),
    ),
    responses(
        (status = 200, description = "The system peer", body = PeerBody),
        (status = 403, description = "Not allowed", body = ErrorBody),
        (status = 404, description = "There is no such system peer", body = ErrorBody),
        (status = 503, description = "The read models are not available", body = ErrorBody),
    )
)]
pub(super) async fn show(
    State(app): State<App>,
    _: Allowed<rule::SystemPeersGet>,
    wanted: Wanted,
    Path(peer): Path<String>,
) -> Result<Response, ApiError> {
    let waited = wanted.wait(&app).await?;
    let (position, event_time) = app.models().subclouds().position().await?;
    let row = reference::row(&app, &peer, Place::Last).await?;
    let mut response = Json(PeerBody::from(row)).into_response();
    waited.mark(&app, &mut response, position, event_time).await;
    Ok(response)
}
