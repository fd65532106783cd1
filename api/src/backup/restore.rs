//! E24: restore one subcloud or a group from backups (subclouds.md §7.12).

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use dcm_domain::subcloud::command::{RequestRestore, check_restore};
use dcm_domain::subcloud::{RestoreTask, RunInputs, Subcloud};
use dcm_domain::validate::{self, Map};
use dcm_domain::value::{DeployStatus, Secret};
use dcm_journal::repository::{Done, Meta};
use serde_json::{Value, json};
use uuid::Uuid;

use super::address::Addresses;
use super::body::{Body, Fields};
use super::forms::{BackupRestoreBody, BackupRestoreForm, SubcloudsBody};
use super::target::{Member, Target, each, target};
use crate::app::App;
use crate::deploy_files::DeployFiles;
use crate::documents::Documents;
use crate::openapi::ErrorBody;
use crate::phased::parts;
use crate::policy::{Allowed, rule};
use crate::transport::ApiError;
use crate::written;

const ALLOWED: [&str; 8] = [
    "with_install",
    "release",
    "local_only",
    "registry_images",
    "sysadmin_password",
    "restore_values",
    "subcloud",
    "group",
];

/// Restore subclouds from their backups.
///
/// The answer comes at once and lists the subclouds that will be restored, as `pre-restore`; their stored
/// `deploy-status` follows once a worker begins.
#[utoipa::path(
    patch, path = "/v1.0/subcloud-backup/restore", tag = "backup", operation_id = "restore_subcloud_backups",
    request_body(content(
        (BackupRestoreBody = "application/json"),
        (BackupRestoreForm = "multipart/form-data"),
    )),
    responses(
        (status = 200, description = "The subclouds that will be restored", body = SubcloudsBody, headers(
            ("DCM-Position" = String, description = "Where the journal was after the command"),
        )),
        (status = 400, description = "A field is missing or wrong, or no subcloud can be restored now", body = ErrorBody),
        (status = 403, description = "The policy does not allow it", body = ErrorBody),
        (status = 404, description = "Group not found", body = ErrorBody),
        (status = 422, description = "Another run is active", body = ErrorBody),
        (status = 503, description = "It could not be stored now", body = ErrorBody),
    ))]
pub async fn restore(
    State(app): State<App>,
    asker: Allowed<rule::SubcloudBackupRestore>,
    body: Body,
) -> Result<Response, ApiError> {
    let request = Request::checked(&app, &body.fields(&ALLOWED)?).await?;
    written::to_the_end(async move { request.carry_out(&app, &asker.meta).await }).await
}

/// A request that passed every check.
struct Request {
    target: Target,
    /// The subclouds to restore, and where each is reached.
    valid: BTreeMap<Uuid, String>,
    password: Secret,
    values: Option<Map>,
    /// The release to install before, if one is installed.
    install: Option<String>,
    local_only: bool,
    registry_images: bool,
}

impl Request {
    async fn checked(app: &App, fields: &Fields) -> Result<Self, ApiError> {
        if fields.is_empty() {
            return Err(ApiError::bad_request("Body required"));
        }
        let password = fields.password()?;
        let with_install = fields.flag("with_install")?;
        let local_only = fields.flag("local_only")?;
        let registry_images = fields.flag("registry_images")?;
        if registry_images && !local_only {
            return Err(ApiError::bad_request(
                "Option registry_images cannot be used without local_only option",
            ));
        }
        let release = fields.text("release")?;
        if release.is_some() && !with_install {
            return Err(ApiError::bad_request("Option release cannot be used without with_install option"));
        }
        let target = target(app, fields).await?;
        let values = fields.document("restore_values")?;
        let addresses = Addresses::of(values.as_ref(), &app.settings().dirs.ansible)?;
        let valid = valid(&target, &addresses).await?;
        let install = match with_install {
            true => Some(installable(app, &target, release.as_deref()).await?),
            false => None,
        };
        Ok(Self { target, valid, password, values, install, local_only, registry_images })
    }

    async fn carry_out(self, app: &App, meta: &Meta) -> Result<Response, ApiError> {
        let this = &self;
        let entities = self.target.members().iter().map(|member| member.entity);
        let entities = entities.filter(|entity| self.valid.contains_key(entity)).collect();
        let outcome = each(entities, |entity| this.restore(app, entity, meta)).await?;
        match (outcome.newest(), &outcome.refused, &self.target) {
            (Some(newest), _, _) => {
                let done: Vec<_> = outcome.done.iter().map(|(entity, _)| *entity).collect();
                Ok(written::body(app, newest, self.answer(&done)).await)
            }
            (None, Some(refused), Target::One(_)) => Err(refused.clone()),
            (None, _, group) => Err(group.none_valid("restore")),
        }
    }

    /// The subclouds that will be restored; the status is the answer's alone.
    fn answer(&self, done: &[Uuid]) -> Value {
        let members = self.target.members().iter().filter(|member| done.contains(&member.entity));
        let shown = members.map(|member| {
            let mut body = member.shown();
            body.insert("deploy-status".to_owned(), json!(DeployStatus::PreRestore));
            body
        });
        json!({"subclouds": shown.collect::<Vec<_>>()})
    }

    async fn restore(&self, app: &App, entity: Uuid, meta: &Meta) -> Result<Done<Subcloud>, ApiError> {
        let mut documents = Documents::new(app.vault().as_ref(), entity);
        let command = match self.command(&mut documents, entity).await {
            Ok(command) => command,
            Err(error) => {
                documents.discard().await;
                return Err(error);
            }
        };
        let outcome = app.fleet().run(entity, &command, &meta.step(&entity.to_string())).await;
        documents.settle(outcome).await
    }

    async fn command(&self, documents: &mut Documents<'_>, entity: Uuid) -> Result<RequestRestore, ApiError> {
        let password = Secret::new(self.password.expose().to_owned());
        let sysadmin_password = Some(documents.password(password).await?);
        let restore_values = match &self.values {
            Some(values) => Some(documents.playbook_values("restore_values", values.clone()).await?),
            None => None,
        };
        let task = RestoreTask {
            with_install: self.install.is_some(),
            release: self.install.clone(),
            local_only: self.local_only,
            registry_images: self.registry_images,
            restore_values,
            bootstrap_address: self.valid.get(&entity).cloned().unwrap_or_default(),
        };
        let inputs = RunInputs { sysadmin_password, ..RunInputs::default() };
        Ok(RequestRestore { run_id: Uuid::now_v7(), inputs, task })
    }
}

/// The subclouds that can be restored, each with its address.
async fn valid(target: &Target, addresses: &Addresses) -> Result<BTreeMap<Uuid, String>, ApiError> {
    let mut valid = BTreeMap::new();
    for member in target.members() {
        let address = match check_restore(&member.state) {
            Ok(()) => addresses.find(&member.state).await,
            Err(rejection) if matches!(target, Target::One(_)) => return Err(rejection.into()),
            Err(_) => None,
        };
        valid.extend(address.map(|address| (member.entity, address)));
    }
    match target {
        _ if !valid.is_empty() => Ok(valid),
        Target::One(member) => Err(ApiError::bad_request(format!(
            "Unable to obtain the subcloud {} bootstrap address from restore values, install values or inventory",
            member.state.name
        ))),
        Target::Group { .. } => Err(target.none_valid("restore")),
    }
}

/// The release that can be installed on every subcloud that is meant.
async fn installable(app: &App, target: &Target, release: Option<&str>) -> Result<String, ApiError> {
    let mut lacking = Vec::new();
    for member in target.members() {
        if !has_install_values(app, member).await? {
            lacking.push(member.state.name.to_string());
        }
    }
    if !lacking.is_empty() {
        return Err(ApiError::bad_request(format!(
            "The restore operation was requested with_install, but the following subcloud(s) does not contain install values: {}",
            lacking.join(", ")
        )));
    }
    let release = validate::release(release, &app.settings().releases)?;
    DeployFiles::from(app.settings()).load_image(&release).await?;
    Ok(release)
}

/// Whether there are install values to install with. Only a text of an old row has to be looked at: it may be anything.
async fn has_install_values(app: &App, member: &Member) -> Result<bool, ApiError> {
    let is_text = member.state.install.as_ref().is_some_and(|install| install.shown.is_string());
    match is_text {
        true => Ok(parts::stored_install(app, member.entity, &member.state).await?.is_some()),
        false => Ok(member.state.has_install_values()),
    }
}
