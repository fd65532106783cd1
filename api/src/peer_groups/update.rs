//! F12: update a peer group.

use axum::Json;
use axum::extract::{FromRequest, Path, Request, State};
use axum::response::{IntoResponse, Response};
use dcm_domain::peer_group::command::UpdatePeerGroup;
use dcm_domain::peer_group::{PeerGroupChanges, StatusChange};
use serde_json::{Map, Value};

use super::reference;
use super::render::{self, PeerGroupBody, PeerGroupPatch};
use crate::app::App;
use crate::fields::Fields;
use crate::openapi::ErrorBody;
use crate::policy::{Allowed, rule};
use crate::subclouds::reference::Place;
use crate::transport::{ApiError, JsonObject};
use crate::written;

const PRIORITY: &str = "group-priority";
/// With an underscore, unlike its siblings (fleet.md, Q6).
const MIGRATION_STATUS: &str = "migration_status";
const KEYS: [&str; 7] = [
    "peer-group-name",
    PRIORITY,
    "group-state",
    "max-subcloud-rehoming",
    "system-leader-id",
    "system-leader-name",
    MIGRATION_STATUS,
];

/// Updates a subcloud peer group.
///
/// Its members are not touched.
#[utoipa::path(
    patch, path = "/v1.0/subcloud-peer-groups/{group}", tag = "peers", operation_id = "update_subcloud_peer_group",
    params(("group" = String, Path, description = "Id or name")),
    request_body = PeerGroupPatch,
    responses(
        (status = 200, description = "The peer group after the update", body = PeerGroupBody, headers(
            ("DCM-Position" = String, description = "Where the journal was after the command"),
        )),
        (status = 400, description = "A member is wrong, or none is given", body = ErrorBody),
        (status = 403, description = "Not allowed", body = ErrorBody),
        (status = 404, description = "There is no such peer group", body = ErrorBody),
        (status = 409, description = "The name is taken", body = ErrorBody),
        (status = 503, description = "It could not be stored now", body = ErrorBody),
    ))]
pub(super) async fn update(
    State(app): State<App>,
    Allowed { meta, .. }: Allowed<rule::SubcloudPeerGroupsModify>,
    Path(group): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let (entity, _) = reference::living(&app, &group, Place::Last).await?;
    let JsonObject(body) = JsonObject::from_request(request, &()).await?;
    let changes = changes(&body)?;
    written::to_the_end(async move {
        let groups = &app.fleet().collections().peer_groups;
        let done = groups.run_changing_keys(entity, &UpdatePeerGroup { changes }, &meta).await?;
        let response = Json(render::left(&done)).into_response();
        Ok(written::once_shown(&app, &done, response).await)
    })
    .await
}

/// What is to change; nothing if every member is falsy, which the command refuses. A migration status of null is no
/// falsy one: it resets.
fn changes(body: &Map<String, Value>) -> Result<PeerGroupChanges, ApiError> {
    let fields = Fields::of(body)?;
    let status = match body.get(MIGRATION_STATUS) {
        Some(Value::Null) => Some(StatusChange::Reset),
        _ => fields.text(MIGRATION_STATUS)?.map(|word| StatusChange::To(word.to_owned())),
    };
    // A reset counts as a change, beside which nothing may be falsy either.
    let counted = match status {
        Some(StatusChange::Reset) => {
            let mut body = body.clone();
            body.insert(MIGRATION_STATUS.to_owned(), Value::Bool(true));
            Fields::any(&body).changes_any(&KEYS, &[PRIORITY])?
        }
        _ => fields.changes_any(&KEYS, &[PRIORITY])?,
    };
    if !counted {
        return Ok(PeerGroupChanges::default());
    }
    let text = |key| Ok::<_, ApiError>(fields.text(key)?.map(str::to_owned));
    Ok(PeerGroupChanges {
        peer_group_name: text("peer-group-name")?,
        group_priority: fields.integer(PRIORITY)?,
        group_state: text("group-state")?,
        max_subcloud_rehoming: fields.integer("max-subcloud-rehoming")?,
        system_leader_id: text("system-leader-id")?,
        system_leader_name: text("system-leader-name")?,
        migration_status: status,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::*;

    fn read(body: &Value) -> Result<PeerGroupChanges, u16> {
        changes(body.as_object().unwrap()).map_err(|error| error.status().as_u16())
    }

    #[test]
    fn fl_41_42_priority_zero_and_status_null() {
        assert_eq!(read(&json!({"group-priority": 0})), Ok(PeerGroupChanges::default()));
        assert_eq!(read(&json!({"group-priority": "0"})).unwrap().group_priority, Some(0));
        let both = read(&json!({"group-priority": 0, "group-state": "enabled"})).unwrap();
        assert_eq!((both.group_priority, both.group_state.as_deref()), (Some(0), Some("enabled")));
        let reset = read(&json!({"migration_status": null})).unwrap();
        assert_eq!(reset.migration_status, Some(StatusChange::Reset));
    }

    #[test]
    fn falsy_values_beside_others_are_refused() {
        for body in [
            json!({"group-state": "enabled", "peer-group-name": ""}),
            json!({"group-state": "enabled", "max-subcloud-rehoming": 0}),
            json!({"group-state": "enabled", "migration_status": ""}),
            json!({"migration_status": null, "group-state": ""}),
            json!({"group-state": "enabled", "group-priority": ""}),
            json!({"group-state": 5}),
        ] {
            assert_eq!(read(&body), Err(400), "{body}");
        }
        let left = read(&json!({"group-state": "enabled", "peer-group-name": null})).unwrap();
        assert_eq!(left.peer_group_name, None);
        assert_eq!(read(&json!({"fake": 1})), Ok(PeerGroupChanges::default()));
    }
}
