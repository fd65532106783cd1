//! F15: delete a peer group.

use axum::extract::{Path, State};
use axum::response::Response;
use dcm_domain::subcloud::Subcloud;
use dcm_domain::subcloud::command::LeavePeerGroup;
use dcm_journal::repository::{Done, Meta};
use futures::StreamExt;
use serde_json::Value;

use super::reference;
use crate::app::App;
use crate::openapi::ErrorBody;
use crate::policy::{Allowed, rule};
use crate::subclouds::reference::Place;
use crate::transport::ApiError;
use crate::written;

/// Members that leave at once.
const AT_ONCE: usize = 16;

/// Deletes a subcloud peer group.
///
/// No system peer may be associated with it. Its members stay, without a peer group.
#[utoipa::path(
    delete, path = "/v1.0/subcloud-peer-groups/{group}", tag = "peers", operation_id = "delete_subcloud_peer_group",
    params(("group" = String, Path, description = "Id or name")),
    responses(
        (status = 200, description = "It is deleted", body = Value, headers(
            ("DCM-Position" = String, description = "Where the journal was after the command"),
        ), example = json!(null)),
        (status = 400, description = "A system peer is associated with it", body = ErrorBody),
        (status = 403, description = "Not allowed", body = ErrorBody),
        (status = 404, description = "There is no such peer group", body = ErrorBody),
        (status = 503, description = "It could not be stored now", body = ErrorBody),
    ))]
pub(super) async fn delete(
    State(app): State<App>,
    Allowed { meta, .. }: Allowed<rule::SubcloudPeerGroupsDelete>,
    Path(group): Path<String>,
) -> Result<Response, ApiError> {
    let (entity, state) = reference::living(&app, &group, Place::Last).await?;
    written::to_the_end(async move {
        let done = app.fleet().collections().delete_peer_group(entity, &meta).await?;
        // Everything that joined before is shown then; whoever still joins later is found by the workers.
        written::wait(&app, &done).await;
        if let Err(error) = clear_members(&app, state.id, &meta).await {
            tracing::warn!(
                ?error,
                group = state.id,
                "members of a deleted peer group are left to the workers"
            );
        }
        Ok(written::body(&app, &done, Value::Null).await)
    })
    .await
}

/// Lets every member leave the group.
async fn clear_members(app: &App, peer_group_id: i64, meta: &Meta) -> Result<(), ApiError> {
    let rows = app.models().subclouds().in_peer_group(peer_group_id).await?;
    let command = LeavePeerGroup { peer_group_id };
    let mut leaving = futures::stream::iter(rows)
        .map(|row| async move {
            let step = meta.step(&format!("leave {}", row.uuid));
            app.fleet().run(row.uuid, &command, &step).await
        })
        .buffer_unordered(AT_ONCE);
    let mut last = None;
    let mut failed = None;
    while let Some(left) = leaving.next().await {
        match left {
            Ok(done) if last.as_ref().is_none_or(|last| order(last) < order(&done)) => last = Some(done),
            Ok(_) => {}
            Err(error) => failed = Some(error),
        }
    }
    if let Some(done) = last {
        written::wait(app, &done).await;
    }
    failed.map_or(Ok(()), |error| Err(error.into()))
}

fn order(done: &Done<Subcloud>) -> Option<u64> {
    done.position.map(|position| position.order)
}
