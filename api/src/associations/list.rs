//! F22: list associations.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};

use super::render::AssociationList;
use crate::app::App;
use crate::freshness::Wanted;
use crate::openapi::ErrorBody;
use crate::policy::{Allowed, rule};
use crate::transport::ApiError;

/// Lists peer group associations.
///
/// By id, without what the last synchronisations said.
#[utoipa::path(
    get, path = "/v1.0/peer-group-associations", tag = "peers", operation_id = "list_peer_group_associations",
    params(("DCM-Position" = Option<String>, Header, description = "Position of a write that the answer must show")),
    responses(
        (status = 200, description = "The associations", body = AssociationList),
        (status = 403, description = "Not allowed", body = ErrorBody),
        (status = 503, description = "The read models are not available", body = ErrorBody),
    )
)]
pub(super) async fn list(
    State(app): State<App>,
    _: Allowed<rule::PeerGroupAssociationsGet>,
    wanted: Wanted,
) -> Result<Response, ApiError> {
    let waited = wanted.wait(&app).await?;
    let (position, event_time) = app.models().subclouds().position().await?;
    let rows = app.models().associations().all().await?;
    let body = AssociationList { peer_group_associations: rows.into_iter().map(Into::into).collect() };
    let mut response = Json(body).into_response();
    waited.mark(&app, &mut response, position, event_time).await;
    Ok(response)
}
