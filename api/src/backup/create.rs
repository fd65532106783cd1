//! E22: back up one subcloud or a group (subclouds.md §7.10).

use axum::extract::State;
use axum::response::Response;
use dcm_domain::subcloud::command::{RequestBackup, WithSkippedChecks, check_backup};
use dcm_domain::subcloud::{BackupTask, SkippedCheck, Subcloud};
use dcm_domain::validate::{Map, is_healthy};
use dcm_domain::value::Secret;
use dcm_journal::repository::{Done, Meta};
use serde_json::{Value, json};
use uuid::Uuid;

use super::body::{Body, Fields};
use super::forms::{BackupCreateBody, BackupCreateForm, SubcloudsBody};
use super::target::{Target, each, target};
use crate::app::App;
use crate::documents::Documents;
use crate::error_map::missing;
use crate::openapi::ErrorBody;
use crate::platform::PlatformError;
use crate::policy::{Allowed, rule};
use crate::transport::ApiError;
use crate::written;

const ALLOWED: [&str; 6] =
    ["subcloud", "group", "local_only", "registry_images", "backup_values", "sysadmin_password"];

/// Back up subclouds.
///
/// The answer comes at once and shows them as they were; `backup-status` then tells how it goes. Of a group, the
/// members that cannot be backed up now are shown and left out.
#[utoipa::path(
    post, path = "/v1.0/subcloud-backup", tag = "backup", operation_id = "create_subcloud_backups",
    request_body(content(
        (BackupCreateBody = "application/json"),
        (BackupCreateForm = "multipart/form-data"),
    )),
    responses(
        (status = 200, description = "The subclouds that were asked for, as they were before", body = SubcloudsBody, headers(
            ("DCM-Position" = String, description = "Where the journal was after the command"),
        )),
        (status = 400, description = "A field is missing or wrong, or no subcloud can be backed up now", body = ErrorBody),
        (status = 403, description = "The policy does not allow it", body = ErrorBody),
        (status = 404, description = "Group not found", body = ErrorBody),
        (status = 503, description = "It could not be stored now", body = ErrorBody),
    ))]
pub async fn create(
    State(app): State<App>,
    asker: Allowed<rule::SubcloudBackupCreate>,
    body: Body,
) -> Result<Response, ApiError> {
    let request = Request::checked(&app, &body.fields(&ALLOWED)?).await?;
    written::to_the_end(async move { request.carry_out(&app, &asker.meta).await }).await
}

/// A request that passed every check.
struct Request {
    target: Target,
    /// The subclouds to back up.
    valid: Vec<Uuid>,
    password: Secret,
    values: Option<Map>,
    local_only: bool,
    registry_images: bool,
    skipped: Vec<SkippedCheck>,
}

impl Request {
    async fn checked(app: &App, fields: &Fields) -> Result<Self, ApiError> {
        let without_local =
            || ApiError::bad_request("registry_images can not be used without local_only option");
        let password = fields.password()?;
        let values = fields.document("backup_values")?;
        if fields.text("registry_images")?.is_some() && fields.text("local_only")?.is_none() {
            return Err(without_local());
        }
        let target = target(app, fields).await?;
        let (valid, skipped) = valid(app, &target).await?;
        let local_only = fields.flag("local_only")?;
        let registry_images = fields.flag("registry_images")?;
        // S-Q29: what the first check compares is only text.
        if registry_images && !local_only {
            return Err(without_local());
        }
        Ok(Self { target, valid, password, values, local_only, registry_images, skipped })
    }

    async fn carry_out(self, app: &App, meta: &Meta) -> Result<Response, ApiError> {
        let shown: Vec<_> =
            self.target.members().iter().map(|member| Value::Object(member.shown())).collect();
        let this = &self;
        let outcome = each(self.valid.clone(), |entity| this.back_up(app, entity, meta)).await?;
        match (outcome.newest(), &outcome.refused, &self.target) {
            (Some(newest), _, _) => Ok(written::body(app, newest, json!({"subclouds": shown})).await),
            (None, Some(refused), Target::One(_)) => Err(refused.clone()),
            (None, _, group) => Err(group.none_valid("create")),
        }
    }

    async fn back_up(&self, app: &App, entity: Uuid, meta: &Meta) -> Result<Done<Subcloud>, ApiError> {
        let mut documents = Documents::new(app.vault().as_ref(), entity);
        let task = match self.task(&mut documents).await {
            Ok(task) => task,
            Err(error) => {
                documents.discard().await;
                return Err(error);
            }
        };
        let command = RequestBackup { run_id: Uuid::now_v7(), task };
        let command = WithSkippedChecks { command, skipped: self.skipped.clone() };
        let outcome = app.fleet().run(entity, &command, &meta.step(&entity.to_string())).await;
        documents.settle(outcome).await
    }

    async fn task(&self, documents: &mut Documents<'_>) -> Result<BackupTask, ApiError> {
        let password = Secret::new(self.password.expose().to_owned());
        let sysadmin_password = documents.password(password).await?;
        let backup_values = match &self.values {
            Some(values) => Some(documents.playbook_values("backup_values", values.clone()).await?),
            None => None,
        };
        let Self { local_only, registry_images, .. } = *self;
        Ok(BackupTask { local_only, registry_images, backup_values, sysadmin_password })
    }
}

/// The subclouds that can be backed up, and the checks that nothing could answer.
async fn valid(app: &App, target: &Target) -> Result<(Vec<Uuid>, Vec<SkippedCheck>), ApiError> {
    if let Target::One(member) = target {
        check_backup(&member.state)?;
        let skipped = check_health(app, &member.state).await?;
        return Ok((vec![member.entity], skipped.into_iter().collect()));
    }
    let members = target.members().iter();
    let valid: Vec<_> =
        members.filter(|member| check_backup(&member.state).is_ok()).map(|member| member.entity).collect();
    if valid.is_empty() { Err(target.none_valid("create")) } else { Ok((valid, Vec::new())) }
}

/// Whether the subcloud says it is healthy; the check that was skipped if nobody can ask it.
async fn check_health(app: &App, state: &Subcloud) -> Result<Option<SkippedCheck>, ApiError> {
    match app.platform().health(&state.region).await {
        Ok(report) if is_healthy(&report) => Ok(None),
        Ok(_) => Err(ApiError::bad_request(format!(
            "Subcloud {} must be in good health for the subcloud-backup create operation",
            state.name
        ))),
        Err(error @ PlatformError::NotConfigured(_)) => {
            Ok(Some(SkippedCheck { check: "health".to_owned(), reason: error.to_string() }))
        }
        Err(error) => Err(missing("the health of the subcloud cannot be asked for", &error)),
    }
}
