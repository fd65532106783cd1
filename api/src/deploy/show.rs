//! E26, E27: the deploy files of a release (subclouds.md §8.2).
//!
//! The answer is what lies in the directory, not what events tell: files of an installation that was taken over have no
//! events, and workers use what lies there.

use axum::Json;
use axum::extract::{Path, Query, State};
use dcm_domain::deploy_files::DeployOption;
use dcm_domain::validate;
use serde::Serialize;
use utoipa::ToSchema;

use super::query::ReleaseQuery;
use crate::app::App;
use crate::deploy_files::DeployFiles;
use crate::openapi::ErrorBody;
use crate::policy::{Allowed, rule};
use crate::transport::{ApiError, alternatives};

/// The names of a release's deploy files.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeployFilesBody {
    /// The files.
    pub subcloud_deploy: DeployFileNames,
}

/// A name for each option; null where there is no file.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeployFileNames {
    /// The release.
    #[schema(example = "22.12")]
    pub software_version: String,
    /// The deployment manager's playbook.
    #[schema(required)]
    pub deploy_playbook: Option<String>,
    /// Its overrides.
    #[schema(required)]
    pub deploy_overrides: Option<String>,
    /// Its chart.
    #[schema(required)]
    pub deploy_chart: Option<String>,
    /// The list of images to prestage.
    #[schema(required)]
    pub prestage_images: Option<String>,
}

/// Show the deploy files of the active release.
#[utoipa::path(
    get, path = "/v1.0/subcloud-deploy", tag = "deployment", operation_id = "show_active_deploy_files",
    params(ReleaseQuery),
    responses(
        (status = 200, description = "The names of the files", body = DeployFilesBody),
        (status = 400, description = "The release is not supported", body = ErrorBody),
        (status = 403, description = "The policy does not allow it", body = ErrorBody),
        (status = 503, description = "The supported releases are not known", body = ErrorBody),
    ))]
pub async fn show_active(
    State(app): State<App>,
    _: Allowed<rule::SubcloudDeployGet>,
    Query(ReleaseQuery { release }): Query<ReleaseQuery>,
) -> Result<Json<DeployFilesBody>, ApiError> {
    let release = validate::release(release.as_deref(), &app.settings().releases)?;
    files_of(&app, release).await
}

/// Show the deploy files of a release.
#[utoipa::path(
    get, path = "/v1.0/subcloud-deploy/{release}", tag = "deployment", operation_id = "show_deploy_files",
    params(("release" = String, Path, description = "A release", example = "22.12")),
    responses(
        (status = 200, description = "The names of the files", body = DeployFilesBody),
        (status = 400, description = "The release is not supported", body = ErrorBody),
        (status = 403, description = "The policy does not allow it", body = ErrorBody),
        (status = 503, description = "The supported releases are not known", body = ErrorBody),
    ))]
pub async fn show(
    State(app): State<App>,
    _: Allowed<rule::SubcloudDeployGet>,
    Path(given): Path<String>,
) -> Result<Json<DeployFilesBody>, ApiError> {
    let releases = &app.settings().releases;
    let known = alternatives(&given).find_map(|text| validate::release(Some(text), releases).ok());
    let release = match known {
        Some(release) => release,
        None => validate::release(Some(&given), releases)?,
    };
    files_of(&app, release).await
}

async fn files_of(app: &App, release: String) -> Result<Json<DeployFilesBody>, ApiError> {
    let mut names = DeployFiles::from(app.settings()).uploaded(&release).await?;
    let mut name = |option| names.remove(&option);
    Ok(Json(DeployFilesBody {
        subcloud_deploy: DeployFileNames {
            deploy_playbook: name(DeployOption::Playbook),
            deploy_overrides: name(DeployOption::Overrides),
            deploy_chart: name(DeployOption::Chart),
            prestage_images: name(DeployOption::PrestageImages),
            software_version: release,
        },
    }))
}
