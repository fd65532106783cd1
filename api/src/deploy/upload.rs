//! E25: upload deploy files (subclouds.md §8.1).

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use dcm_domain::aggregate::Aggregate;
use dcm_domain::deploy_files::{self, DeployFiles, DeployOption, RecordUpload, UploadedFile, file_name};
use dcm_domain::validate;
use dcm_journal::repository::{CommandError, Done, Meta, derived_id};
use dcm_schemas::StreamId;
use serde::Serialize;
use utoipa::ToSchema;

use super::forms::UploadForm;
use super::receive::{Received, ReceivedFile, receive};
use super::store::{Placed, place};
use crate::app::App;
use crate::deploy_files::folder;
use crate::error_map::{RETRY_AFTER, defect};
use crate::freshness::{POSITION, set};
use crate::openapi::ErrorBody;
use crate::policy::{Allowed, rule};
use crate::transport::{ApiError, Parts};
use crate::written;

/// What was uploaded: the names as sent, of the files that were sent.
#[derive(Serialize, ToSchema)]
pub struct UploadedBody {
    /// The release.
    #[schema(example = "22.12")]
    software_version: String,
    /// The deployment manager's playbook.
    #[schema(value_type = String, required = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    deploy_playbook: Option<String>,
    /// Its overrides.
    #[schema(value_type = String, required = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    deploy_overrides: Option<String>,
    /// Its chart.
    #[schema(value_type = String, required = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    deploy_chart: Option<String>,
    /// The list of images to prestage.
    #[schema(value_type = String, required = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    prestage_images: Option<String>,
}

/// Upload deploy files.
///
/// A file replaces the one of the same kind that was uploaded before for the release.
#[utoipa::path(
    post, path = "/v1.0/subcloud-deploy", tag = "deployment", operation_id = "upload_deploy_files",
    request_body(content = UploadForm, content_type = "multipart/form-data"),
    responses(
        (status = 200, description = "The files are in place", body = UploadedBody, headers(
            ("DCM-Position" = String, description = "Where the journal was after the command"),
        )),
        (status = 400, description = "A file is missing or has no name, or the release is not supported", body = ErrorBody),
        (status = 403, description = "The policy does not allow it", body = ErrorBody),
        (status = 413, description = "The upload is too large", body = ErrorBody),
        (status = 503, description = "The files could not be stored now", body = ErrorBody),
    ))]
pub async fn upload(
    State(app): State<App>,
    asker: Allowed<rule::SubcloudDeployUpload>,
    mut parts: Parts,
) -> Result<Response, ApiError> {
    let received = receive(&app.settings().dirs.deploy, &mut parts).await?;
    let (release, files) = checked(&app, received)?;
    let answer = answer(&release, &files);
    written::to_the_end(async move {
        let done = keep(&app, release, files, &asker.meta).await?;
        let mut response = Json(answer).into_response();
        if let Some(position) = done.position {
            set(&mut response, POSITION, &position.to_string());
        }
        Ok(response)
    })
    .await
}

/// The release and its files, once everything about them is right.
fn checked(app: &App, received: Received) -> Result<(String, Vec<(ReceivedFile, String)>), ApiError> {
    let sent: Vec<_> = received.files.iter().map(|file| file.option).collect();
    let missing = deploy_files::missing_options(&sent);
    if !missing.is_empty() {
        let missing: Vec<_> = missing.iter().map(|option| format!("--{}", option.as_str())).collect();
        return Err(ApiError::bad_request(format!("error: argument {} is required", missing.join(" "))));
    }
    let release = validate::release(received.release.as_deref(), &app.settings().releases)?;
    let named = received.files.into_iter().map(named).collect::<Result<_, _>>()?;
    Ok((release, named))
}

fn named(file: ReceivedFile) -> Result<(ReceivedFile, String), ApiError> {
    let option = file.option.as_str();
    if file.sent_name.is_empty() {
        return Err(ApiError::bad_request(format!("No {option} file uploaded")));
    }
    let name = file_name(&file.sent_name)
        .map_err(|error| ApiError::bad_request(format!("Failed to upload {option} file: {error}")))?
        .to_owned();
    if file.content.is_none() {
        return Err(not_written(file.option, &std::io::Error::other("see above")));
    }
    Ok((file, name))
}

fn answer(release: &str, files: &[(ReceivedFile, String)]) -> UploadedBody {
    let sent =
        |option| files.iter().find(|(file, _)| file.option == option).map(|(file, _)| file.sent_name.clone());
    UploadedBody {
        software_version: release.to_owned(),
        deploy_playbook: sent(DeployOption::Playbook),
        deploy_overrides: sent(DeployOption::Overrides),
        deploy_chart: sent(DeployOption::Chart),
        prestage_images: sent(DeployOption::PrestageImages),
    }
}

/// Records the upload, then puts the files in their place: none is in use that no event tells of.
async fn keep(
    app: &App,
    release: String,
    files: Vec<(ReceivedFile, String)>,
    meta: &Meta,
) -> Result<Done<DeployFiles>, ApiError> {
    let placed: Vec<_> = files
        .into_iter()
        .filter_map(|(file, name)| Some(Placed { option: file.option, name, content: file.content? }))
        .collect();
    let directory = app.settings().dirs.deploy.clone();
    let folder = folder(&directory, &release)
        .ok_or_else(|| ApiError::bad_request("invalid release version parameter: it names no directory"))?;
    let done = record(app, &release, &placed, meta).await?;
    let outcome = tokio::task::spawn_blocking(move || place(&directory, &folder, placed)).await;
    match outcome {
        Ok(Ok(())) => Ok(done),
        Ok(Err((option, error))) => Err(not_written(option, &error)),
        Err(error) => Err(defect("uploaded files were not put in their place", &error)),
    }
}

async fn record(
    app: &App,
    release: &str,
    placed: &[Placed],
    meta: &Meta,
) -> Result<Done<DeployFiles>, ApiError> {
    let files = placed.iter().map(|file| UploadedFile {
        option: file.option,
        filename: file.name.clone(),
        sha256: file.content.sha256.clone(),
        bytes: file.content.bytes,
    });
    let command = RecordUpload { release: release.to_owned(), files: files.collect() };
    let entity = derived_id(&[DeployFiles::KIND.as_bytes(), release.as_bytes()]);
    let stream = StreamId::aggregate(DeployFiles::KIND, entity);
    app.deploy_files().run(&stream, &command, meta).await.map_err(|error| match error {
        CommandError::Unavailable(cause) => cause.into(),
        CommandError::IdReused => ApiError::unprocessable(error.to_string()),
        CommandError::Rejected(never) => match never {},
    })
}

/// 503: the disk, not the request, is at fault (decisions.md, "Any bare 500").
fn not_written(option: DeployOption, cause: &std::io::Error) -> ApiError {
    let option = option.as_str();
    tracing::warn!(%cause, option, "an uploaded file cannot be stored");
    ApiError::unavailable(format!("Failed to upload {option} file"), RETRY_AFTER)
}
