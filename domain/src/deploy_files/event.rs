//! What can happen to the deploy files of a release.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::DeployOption;

/// An event of the stream of a release's deploy files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum DeployFilesEvent {
    /// Files were uploaded.
    DeployFilesUploaded(DeployFilesUploaded),
}

/// Files were uploaded. Each replaces the one of the same option.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeployFilesUploaded {
    /// The release they are for.
    pub release: String,
    /// Each file.
    pub files: Vec<UploadedFile>,
}

/// An uploaded file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UploadedFile {
    /// What it is for.
    pub option: DeployOption,
    /// Its name, without directories.
    pub filename: String,
    /// SHA-256 of its content, in hexadecimal.
    pub sha256: String,
    /// Its size in bytes.
    pub bytes: u64,
}
