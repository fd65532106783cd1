//! The lock on a data directory: embedded stores serve one process.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use crate::commands::Failure;

const NAME: &str = "lock";

/// Takes the lock until the value is dropped, or the process ends in any way.
///
/// # Errors
/// [`Failure::Start`] if another process has it.
pub fn take(data_dir: &Path) -> Result<File, Failure> {
    let what = || format!("data directory {}", data_dir.display());
    std::fs::create_dir_all(data_dir).map_err(|error| Failure::start(what(), error))?;
    let file = open(data_dir).map_err(|error| Failure::start(what(), error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(Failure::start(what(), "in use by another dcm; stop it, or give this one its own --data-dir"))
        }
        Err(TryLockError::Error(error)) => Err(Failure::start(what(), error)),
    }
}

/// Whether another process has it.
pub fn is_held(data_dir: &Path) -> bool {
    open(data_dir).is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}

fn open(data_dir: &Path) -> std::io::Result<File> {
    OpenOptions::new().create(true).truncate(false).write(true).open(data_dir.join(NAME))
}
