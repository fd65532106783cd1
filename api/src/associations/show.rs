//! F23: show an association.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};

use super::reference;
use super::render::AssociationBody;
use crate::app::App;
use crate::freshness::Wanted;
use crate::openapi::ErrorBody;
use crate::policy::{Allowed, rule};
use crate::transport::ApiError;

/// Shows a peer group association.
#[utoipa::path(
    get, path = "/v1.0/peer-group-associations/{association}", tag = "peers",
    operation_id = "show_peer_group_association",
    params(
        ("association" = String, Path, description = "Id"),
        ("DCM-Position" = Option<String>, Header, description = "Position of a write that the answer must show"),
    ),
    responses(
        (status = 200, description = "The association", body = AssociationBody),
        (status = 400, description = "No id", body = ErrorBody),
        (status = 403, description = "Not allowed", body = ErrorBody),
        (status = 404, description = "There is no such association", body = ErrorBody),
        (status = 503, description = "The read models are not available", body = ErrorBody),
    )
)]
pub(super) async fn show(
    State(app): State<App>,
    _: Allowed<rule::PeerGroupAssociationsGet>,
    wanted: Wanted,
    Path(association): Path<String>,
) -> Result<Response, ApiError> {
    let waited = wanted.wait(&app).await?;
    let (position, event_time) = app.models().subclouds().position().await?;
    let row = reference::row(&app, &association).await?;
    let mut response = Json(AssociationBody::from(row)).into_response();
    waited.mark(&app, &mut response, position, event_time).await;
    Ok(response)
}
