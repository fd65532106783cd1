//! Puts received files in their place: `DEPLOY_DIR/<release>/<option>_<name>` (subclouds.md §8.1).

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use dcm_domain::deploy_files::DeployOption;

use super::receive::Content;

/// What names of temporary files begin with; no file of a release does.
pub const TEMPORARY: &str = ".upload-";

/// A temporary file so old belongs to a process that is gone: an upload takes minutes at most.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(24 * 3600);

/// A file and where it goes.
pub struct Placed {
    /// What it is for.
    pub option: DeployOption,
    /// Its name without the option.
    pub name: String,
    /// Its content.
    pub content: Content,
}

/// Moves `files` into `folder`, in place of the older ones of their options, and makes that last. Uploads of the same
/// release wait for one another, those of other processes too.
///
/// # Errors
/// The option whose file could not be put in its place, and why.
pub fn place(directory: &Path, folder: &Path, files: Vec<Placed>) -> Result<(), (DeployOption, io::Error)> {
    let Some(first) = files.first().map(|file| file.option) else { return Ok(()) };
    let of_first = |error| (first, error);
    fs::create_dir_all(folder).map_err(of_first)?;
    // The lock ends with the file.
    let locked = File::open(folder).map_err(of_first)?;
    locked.lock().map_err(of_first)?;
    for Placed { option, name, content } in files {
        let name = format!("{}_{name}", option.as_str());
        fs::rename(content.file.path(), folder.join(&name))
            .and_then(|()| remove_older(folder, option, &name))
            .map_err(|error| (option, error))?;
    }
    locked.sync_all().map_err(of_first)?;
    if let Err(error) = remove_forgotten(directory) {
        tracing::warn!(%error, "cannot look for temporary files of uploads that never ended");
    }
    Ok(())
}

fn remove_older(folder: &Path, option: DeployOption, newest: &str) -> io::Result<()> {
    let prefix = format!("{}_", option.as_str());
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let older = name.to_str().is_some_and(|name| name.starts_with(&prefix) && name != newest);
        if older && entry.file_type()?.is_file() {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn remove_forgotten(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let temporary = entry.file_name().to_str().is_some_and(|name| name.starts_with(TEMPORARY));
        let age = SystemTime::now().duration_since(entry.metadata()?.modified()?).unwrap_or_default();
        if temporary && age >= FORGOTTEN_AFTER {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
