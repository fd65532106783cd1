//! F26: copy a peer group to its peer again.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use dcm_domain::association::command::{RequestAssociationSync, check_enabled};
use dcm_journal::collection::Lookup;

use super::reference;
use super::render::{self, AssociationBody};
use crate::app::App;
use crate::checks::no_answer;
use crate::openapi::ErrorBody;
use crate::platform::PlatformError;
use crate::policy::{Allowed, rule};
use crate::subclouds::reference::Place;
use crate::transport::ApiError;
use crate::written;

/// Copies a peer group to its peer again.
///
/// Only from the system that leads the group. The association is `syncing` until that has ended.
#[utoipa::path(
    patch, path = "/v1.0/peer-group-associations/{association}/sync", tag = "peers",
    operation_id = "sync_peer_group_association",
    params(("association" = String, Path, description = "Id")),
    responses(
        (status = 200, description = "The association", body = AssociationBody, headers(
            ("DCM-Position" = String, description = "Where the journal was after the command"),
        )),
        (status = 400, description = "No id, this site holds the copy, or another system leads the group", body = ErrorBody),
        (status = 403, description = "Not allowed", body = ErrorBody),
        (status = 404, description = "There is no such association", body = ErrorBody),
        (status = 503, description = "It is not known which system this is, or it could not be stored now", body = ErrorBody),
    ))]
pub(super) async fn sync(
    State(app): State<App>,
    Allowed { meta, .. }: Allowed<rule::PeerGroupAssociationsModify>,
    Path(association): Path<String>,
) -> Result<Response, ApiError> {
    let (entity, state) = reference::living(&app, &association, Place::BeforeVerb).await?;
    check_enabled(&state)?;
    let local = app.platform().local_system().await.map_err(|error| unknown_leader(&error))?;
    let groups = &app.fleet().collections().peer_groups;
    let leader_id = match groups.resolve(Lookup::Id(state.peer_group_id)).await? {
        Some(group) => groups.load(group).await?.state.and_then(|group| group.system_leader_id.clone()),
        None => None,
    };
    let run_id = meta.step("sync").command_id;
    let command = RequestAssociationSync { run_id, leader_id, local_id: local.uuid };
    written::to_the_end(async move {
        let done = app.fleet().collections().associations.run(entity, &command, &meta).await?;
        let response = Json(render::left(&done)).into_response();
        Ok(written::once_shown(&app, &done, response).await)
    })
    .await
}

/// 503: only the group's leader may synchronise it, and which system this is cannot be told. The check is not one to be
/// left out, for then two systems would overwrite each other's copies.
fn unknown_leader(error: &PlatformError) -> ApiError {
    match error {
        PlatformError::NotConfigured(_) => no_answer(
            "controller.system_uuid and controller.system_name are not configured: it is not known whether this \
             system leads the subcloud peer group",
            error,
        ),
        PlatformError::Failed(_) => no_answer("Unable to retrieve the local system information", error),
    }
}
