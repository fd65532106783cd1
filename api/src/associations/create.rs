//! F24: associate a peer group with a system peer.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use dcm_domain::association::command::{AddAssociation, check_priority};
use dcm_domain::association::{Rejection, pair_key, peer_group_reference, system_peer_reference};
use dcm_domain::key_directory::Listed;
use dcm_journal::collection::{Collection, Lookup, NewEntity};

use super::render::{self, AssociationBody, NewAssociation};
use crate::app::App;
use crate::fields::Fields;
use crate::openapi::ErrorBody;
use crate::policy::{Allowed, rule};
use crate::transport::{ApiError, JsonObject};
use crate::written;

/// Associates a peer group with a system peer.
///
/// A group that this site owns is copied to the peer; the association is `syncing` until that has ended.
#[utoipa::path(
    post, path = "/v1.0/peer-group-associations", tag = "peers", operation_id = "create_peer_group_association",
    request_body = NewAssociation,
    responses(
        (status = 200, description = "The association", body = AssociationBody, headers(
            ("DCM-Position" = String, description = "Where the journal was after the command"),
        )),
        (status = 400, description = "A member is missing or wrong, or the pair is associated already", body = ErrorBody),
        (status = 403, description = "Not allowed", body = ErrorBody),
        (status = 503, description = "It could not be stored now", body = ErrorBody),
    ))]
pub(super) async fn create(
    State(app): State<App>,
    Allowed { meta, .. }: Allowed<rule::PeerGroupAssociationsCreate>,
    JsonObject(body): JsonObject,
) -> Result<Response, ApiError> {
    let fields = Fields::of(&body)?;
    let collections = app.fleet().collections();
    let group =
        referred(&collections.peer_groups, fields.integer("peer_group_id"), Rejection::InvalidPeerGroup);
    let group = group.await?;
    let peer =
        referred(&collections.system_peers, fields.integer("system_peer_id"), Rejection::InvalidSystemPeer);
    let (peer_group_id, system_peer_id) = (group.id, peer.await?.id);
    let group_priority = group.group_priority;
    let peer_group_priority = fields.integer_or_default("peer_group_priority")?;
    check_priority(group_priority, peer_group_priority)?;
    written::to_the_end(async move {
        let refs = [peer_group_reference(peer_group_id), system_peer_reference(system_peer_id)].into();
        let new = NewEntity::new([pair_key(peer_group_id, system_peer_id)].into()).referring_to(refs);
        let run_id = meta.step("sync").command_id;
        let done = app.fleet().collections().associations.add(new, &meta, |id| AddAssociation {
            id,
            peer_group_id,
            system_peer_id,
            group_priority,
            peer_group_priority,
            run_id,
        });
        let done = done.await?;
        let response = Json(render::left(&done)).into_response();
        Ok(written::once_shown(&app, &done, response).await)
    })
    .await
}

/// What an id of the body refers to. What is no id, or is falsy, refers to nothing.
async fn referred<A: Listed>(
    kind: &Collection<A>,
    id: Result<Option<i64>, ApiError>,
    missing: Rejection,
) -> Result<Arc<A>, ApiError> {
    let found = match id {
        Ok(Some(id)) => kind.resolve(Lookup::Id(id)).await?,
        Ok(None) | Err(_) => None,
    };
    let Some(entity) = found else { return Err(missing.into()) };
    let state = kind.load(entity).await?.state.filter(|state| !state.is_deleted());
    state.ok_or_else(|| missing.into())
}
