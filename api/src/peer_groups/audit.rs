//! F14: the audit a peer asks for after it migrated a group.

use axum::extract::{FromRequest, Path, Request, State};
use axum::response::Response;

use super::reference;
use super::render::AuditBody;
use crate::app::App;
use crate::error_map::no_worker;
use crate::openapi::ErrorBody;
use crate::policy::{Allowed, rule};
use crate::subclouds::reference::Place;
use crate::transport::{ApiError, JsonObject};

/// What a peer must say about its group (fleet.md §3.5).
const REQUIRED: [&str; 7] = [
    "peer_uuid",
    "peer_group_name",
    "group_priority",
    "group_state",
    "system_leader_id",
    "system_leader_name",
    "migration_status",
];

/// Audits a peer group against what a peer says about it.
///
/// Answers 503 while no worker does such audits.
#[utoipa::path(
    patch, path = "/v1.0/subcloud-peer-groups/{group}/audit", tag = "peers", operation_id = "audit_subcloud_peer_group",
    params(("group" = String, Path, description = "Id or name")),
    request_body = AuditBody,
    responses(
        (status = 400, description = "A member is missing", body = ErrorBody),
        (status = 403, description = "Not allowed", body = ErrorBody),
        (status = 404, description = "There is no such peer group", body = ErrorBody),
        (status = 503, description = "No worker does such audits", body = ErrorBody),
    ))]
pub(super) async fn audit(
    State(app): State<App>,
    _: Allowed<rule::SubcloudPeerGroupsModify>,
    Path(group): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    reference::living(&app, &group, Place::BeforeVerb).await?;
    let JsonObject(body) = JsonObject::from_request(request, &()).await?;
    match REQUIRED.iter().find(|key| !body.contains_key(**key)) {
        Some(missing) => Err(ApiError::bad_request(format!("Missing required value for {missing}"))),
        None => Err(no_worker("peer-group-audit")),
    }
}
