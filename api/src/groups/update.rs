//! F5: update a group.

use axum::Json;
use axum::extract::{FromRequest, Path, Request, State};
use axum::response::{IntoResponse, Response};
use dcm_domain::group::GroupChanges;
use dcm_domain::group::command::UpdateSubcloudGroup;
use serde_json::{Map, Value};

use super::reference;
use super::render::{self, GroupBody, GroupPatch};
use crate::app::App;
use crate::fields::Fields;
use crate::openapi::ErrorBody;
use crate::policy::{Allowed, rule};
use crate::transport::{ApiError, JsonObject};
use crate::written;

const KEYS: [&str; 4] = ["name", "description", "update_apply_type", "max_parallel_subclouds"];

/// Updates a subcloud group.
#[utoipa::path(
    patch, path = "/v1.0/subcloud-groups/{group}", tag = "groups", operation_id = "update_subcloud_group",
    params(("group" = String, Path, description = "Id or name")),
    request_body = GroupPatch,
    responses(
        (status = 200, description = "The group after the update", body = GroupBody, headers(
            ("DCM-Position" = String, description = "Where the journal was after the command"),
        )),
        (status = 400, description = "A member is wrong, none is given, or the name is taken", body = ErrorBody),
        (status = 403, description = "Not allowed", body = ErrorBody),
        (status = 404, description = "There is no such group", body = ErrorBody),
        (status = 503, description = "It could not be stored now", body = ErrorBody),
    ))]
pub(super) async fn update(
    State(app): State<App>,
    Allowed { meta, .. }: Allowed<rule::SubcloudGroupsModify>,
    Path(group): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let JsonObject(body) = JsonObject::from_request(request, &()).await?;
    // An empty body is refused before the group is looked for.
    Fields::of(&body)?;
    let entity = reference::entity(&app, &group).await?;
    let changes = changes(&body)?;
    written::to_the_end(async move {
        let groups = &app.fleet().collections().groups;
        let done = groups.run_changing_keys(entity, &UpdateSubcloudGroup { changes }, &meta).await?;
        let response = Json(render::left(&done)).into_response();
        Ok(written::once_shown(&app, &done, response).await)
    })
    .await
}

/// What is to change; nothing if every member is falsy, which the command refuses.
fn changes(body: &Map<String, Value>) -> Result<GroupChanges, ApiError> {
    let fields = Fields::of(body)?;
    if !fields.changes_any(&KEYS, &[])? {
        return Ok(GroupChanges::default());
    }
    let text = |key| Ok::<_, ApiError>(fields.text(key)?.map(str::to_owned));
    Ok(GroupChanges {
        name: text("name")?,
        description: text("description")?,
        update_apply_type: text("update_apply_type")?,
        max_parallel_subclouds: fields.integer("max_parallel_subclouds")?,
    })
}
