//! E23: delete backups (subclouds.md §7.11). Its job answers the request; until there is one, every check is made and
//! the answer says what is missing.

use axum::extract::{Path, State};
use dcm_domain::subcloud::Subcloud;
use dcm_domain::value::{Availability, ManagementState};

use super::body::{Body, Fields};
use super::forms::{BackupDeleteBody, BackupDeleteForm};
use super::target::{Target, target};
use crate::app::App;
use crate::error_map::RETRY_AFTER;
use crate::openapi::ErrorBody;
use crate::policy::{Allowed, rule};
use crate::transport::ApiError;

const ALLOWED: [&str; 5] = ["release", "subcloud", "group", "local_only", "sysadmin_password"];

/// Delete the backups of subclouds.
///
/// The request is checked; the job that would delete does not exist yet.
#[utoipa::path(
    patch, path = "/v1.0/subcloud-backup/delete/{release}", tag = "backup", operation_id = "delete_subcloud_backups",
    params(("release" = String, Path, description = "Release of the backups", example = "22.12")),
    request_body(content(
        (BackupDeleteBody = "application/json"),
        (BackupDeleteForm = "multipart/form-data"),
    )),
    responses(
        (status = 400, description = "A field is missing or wrong, or a subcloud cannot be reached now", body = ErrorBody),
        (status = 403, description = "The policy does not allow it", body = ErrorBody),
        (status = 404, description = "Group not found", body = ErrorBody),
        (status = 503, description = "There is no worker for it", body = ErrorBody),
    ))]
pub async fn delete(
    State(app): State<App>,
    _: Allowed<rule::SubcloudBackupDelete>,
    Path(_release): Path<String>,
    body: Body,
) -> Result<(), ApiError> {
    check(&app, &body.fields(&ALLOWED)?).await?;
    Err(ApiError::unavailable("no worker for backup-delete", RETRY_AFTER))
}

/// The same path without a release: what is wrong with the body is said first.
pub async fn without_release(_: Allowed<rule::SubcloudBackupDelete>, body: Body) -> Result<(), ApiError> {
    body.fields(&ALLOWED)?;
    Err(ApiError::bad_request("Release version required"))
}

async fn check(app: &App, fields: &Fields) -> Result<(), ApiError> {
    let local_only = fields.flag("local_only")?;
    if local_only {
        fields.password()?;
    }
    let target = target(app, fields).await?;
    // A central backup lies on this controller; a local one on the subcloud, which must be there.
    if local_only && !target.members().iter().any(|member| is_reachable(&member.state)) {
        return Err(match &target {
            Target::One(member) => ApiError::bad_request(format!(
                "Subcloud {} must be online and managed for the subcloud-backup delete operation with --local-only",
                member.state.name
            )),
            Target::Group { .. } => target.none_valid("delete"),
        });
    }
    Ok(())
}

fn is_reachable(state: &Subcloud) -> bool {
    state.availability == Availability::Online && state.management == ManagementState::Managed
}
