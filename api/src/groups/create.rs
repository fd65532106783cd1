//! F4: add a group.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use dcm_domain::group::command::AddSubcloudGroup;
use dcm_domain::group::{GroupValues, name_key};
use dcm_journal::collection::NewEntity;
use serde_json::{Map, Value};

use super::render::{self, GroupBody, NewGroup};
use crate::app::App;
use crate::fields::Fields;
use crate::openapi::ErrorBody;
use crate::policy::{Allowed, rule};
use crate::transport::{ApiError, JsonObject};
use crate::written;

/// Adds a subcloud group.
#[utoipa::path(
    post, path = "/v1.0/subcloud-groups", tag = "groups", operation_id = "create_subcloud_group",
    request_body = NewGroup,
    responses(
        (status = 200, description = "The group", body = GroupBody, headers(
            ("DCM-Position" = String, description = "Where the journal was after the command"),
        )),
        (status = 400, description = "A member is missing or wrong, or the name is taken", body = ErrorBody),
        (status = 403, description = "Not allowed", body = ErrorBody),
        (status = 503, description = "It could not be stored now", body = ErrorBody),
    ))]
pub(super) async fn create(
    State(app): State<App>,
    Allowed { meta, .. }: Allowed<rule::SubcloudGroupsCreate>,
    JsonObject(body): JsonObject,
) -> Result<Response, ApiError> {
    let values = values(&body)?;
    values.check()?;
    written::to_the_end(async move {
        let new = NewEntity::new([name_key(&values.name)].into());
        let groups = &app.fleet().collections().groups;
        let done = groups.add(new, &meta, |id| AddSubcloudGroup { id, values }).await?;
        let response = Json(render::left(&done)).into_response();
        Ok(written::once_shown(&app, &done, response).await)
    })
    .await
}

/// What is sent; what is missing is empty, and so refused.
fn values(body: &Map<String, Value>) -> Result<GroupValues, ApiError> {
    let fields = Fields::of(body)?;
    let text = |key| fields.text(key).map(|text| text.unwrap_or_default().to_owned());
    Ok(GroupValues {
        name: text("name")?,
        description: text("description")?,
        update_apply_type: text("update_apply_type")?,
        max_parallel_subclouds: fields.integer("max_parallel_subclouds")?.unwrap_or_default(),
    })
}
