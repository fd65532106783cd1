//! F25: change the priority of a copy.

use axum::extract::{FromRequest, Path, Request, State};
use axum::response::Response;
use dcm_domain::association::Rejection;
use dcm_domain::association::command::{check_enabled, check_priority};

use super::reference;
use super::render::AssociationPatch;
use crate::app::App;
use crate::error_map::no_worker;
use crate::fields::Fields;
use crate::openapi::ErrorBody;
use crate::policy::{Allowed, rule};
use crate::subclouds::reference::Place;
use crate::transport::{ApiError, JsonObject};

/// Changes the priority that the copy of a peer group has on its peer.
///
/// Answers 503 while no worker speaks with peers.
#[utoipa::path(
    patch, path = "/v1.0/peer-group-associations/{association}", tag = "peers",
    operation_id = "update_peer_group_association",
    params(("association" = String, Path, description = "Id")),
    request_body = AssociationPatch,
    responses(
        (status = 400, description = "No id, the priority is missing or wrong, or this site holds the copy", body = ErrorBody),
        (status = 403, description = "Not allowed", body = ErrorBody),
        (status = 404, description = "There is no such association", body = ErrorBody),
        (status = 503, description = "No worker speaks with peers", body = ErrorBody),
    ))]
pub(super) async fn update(
    State(app): State<App>,
    _: Allowed<rule::PeerGroupAssociationsModify>,
    Path(association): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let (_, state) = reference::living(&app, &association, Place::Last).await?;
    check_enabled(&state)?;
    let JsonObject(body) = JsonObject::from_request(request, &()).await?;
    let fields = Fields::of(&body)?;
    if fields.truthy("peer_group_priority").is_none() {
        return Err(Rejection::NothingToUpdate.into());
    }
    // That it is not disabled says that this site owns the group.
    check_priority(0, fields.integer("peer_group_priority")?)?;
    Err(no_worker("peer-sync"))
}
