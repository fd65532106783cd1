//! Reads an upload straight into temporary files: charts are larger than what a request may take of the memory.

use std::io;
use std::path::{Path, PathBuf};

use dcm_domain::deploy_files::DeployOption;
use sha2::{Digest, Sha256};
use tokio::fs::{File, OpenOptions};
use tokio::io::AsyncWriteExt;
use uuid::Uuid;

use super::store::TEMPORARY;
use crate::transport::{ApiError, Parts, StreamedPart};

/// Longest text of a plain field.
const LONGEST_TEXT: usize = 1024;

/// What was sent, with its files in temporary ones. Those that are still there when it is dropped are removed.
#[derive(Debug, Default)]
pub struct Received {
    /// Text of the field `release`.
    pub release: Option<String>,
    /// The files in the order of their options.
    pub files: Vec<ReceivedFile>,
}

/// A file that was received.
#[derive(Debug)]
pub struct ReceivedFile {
    /// What it is for.
    pub option: DeployOption,
    /// Its name as sent; empty if it has none.
    pub sent_name: String,
    /// Where its content is; `None` if it could not be written.
    pub content: Option<Content>,
}

/// Content in a temporary file.
#[derive(Debug)]
pub struct Content {
    /// The temporary file.
    pub file: Temporary,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
    /// Size.
    pub bytes: u64,
}

/// A file that is removed when it is dropped, unless it was moved away.
#[derive(Debug)]
pub struct Temporary(PathBuf);

impl Temporary {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        match std::fs::remove_file(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%error, "a temporary file of an upload is left behind");
            }
            _ => {}
        }
    }
}

/// Reads every part; the last one of a name counts, and fields that are not known are skipped.
///
/// # Errors
/// 400 for a malformed body or text, 413 for what is over a limit. That a file cannot be written is told later, in its
/// turn (subclouds.md §8.1).
pub async fn receive(directory: &Path, parts: &mut Parts) -> Result<Received, ApiError> {
    let mut received = Received::default();
    while let Some(mut part) = parts.next().await? {
        if let Some(option) = DeployOption::parse(&part.name) {
            let sent_name = part.filename.clone().unwrap_or_default();
            let content = match sent_name.is_empty() {
                true => None,
                false => written(directory, &mut part).await?,
            };
            received.files.retain(|file| file.option != option);
            received.files.push(ReceivedFile { option, sent_name, content });
        } else if part.name == "release" {
            received.release = Some(text(&mut part).await?);
        }
    }
    received.files.sort_by_key(|file| file.option);
    Ok(received)
}

async fn text(part: &mut StreamedPart) -> Result<String, ApiError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = part.chunk().await? {
        if bytes.len() + chunk.len() > LONGEST_TEXT {
            return Err(ApiError::too_large(format!(
                "field {} is over the limit of {LONGEST_TEXT} bytes",
                part.name
            )));
        }
        bytes.extend_from_slice(&chunk);
    }
    String::from_utf8(bytes)
        .ok()
        .filter(|text| !text.contains('\0'))
        .ok_or_else(|| ApiError::bad_request(format!("field {} must be UTF-8 without NUL", part.name)))
}

/// The part's content on disk; `None` if it cannot be written.
async fn written(directory: &Path, part: &mut StreamedPart) -> Result<Option<Content>, ApiError> {
    let opened = create(directory).await.inspect_err(log).ok();
    let Some((temporary, mut file)) = opened else { return Ok(None) };
    let (mut digest, mut bytes) = (Sha256::new(), 0);
    while let Some(chunk) = part.chunk().await? {
        digest.update(&chunk);
        bytes += chunk.len() as u64;
        if let Err(error) = file.write_all(&chunk).await {
            log(&error);
            return Ok(None);
        }
    }
    if let Err(error) = synced(&mut file).await {
        log(&error);
        return Ok(None);
    }
    Ok(Some(Content { file: temporary, sha256: hex::encode(digest.finalize()), bytes }))
}

async fn create(directory: &Path) -> io::Result<(Temporary, File)> {
    tokio::fs::create_dir_all(directory).await?;
    let temporary = Temporary(directory.join(format!("{TEMPORARY}{}", Uuid::now_v7())));
    let file = OpenOptions::new().write(true).create_new(true).open(temporary.path()).await?;
    Ok((temporary, file))
}

async fn synced(file: &mut File) -> io::Result<()> {
    file.flush().await?;
    file.sync_all().await
}

fn log(error: &io::Error) {
    tracing::warn!(%error, "an uploaded file cannot be written");
}
