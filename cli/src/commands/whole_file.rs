//! A file that takes another's place once it is whole: what is there already, such as the last good backup, is replaced then
//! or stays.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

/// What a new file may be at most; the process's umask takes from it.
const NEW: u32 = 0o666;

/// A file that is being written beside the one that it is to be. Dropped before that, it is removed.
pub struct WholeFile {
    part: NamedTempFile,
    target: PathBuf,
}

impl WholeFile {
    /// Whether `target` is a file, or nothing yet: a pipe or a terminal has no place to take.
    pub fn can_be(target: &Path) -> bool {
        fs::metadata(target).map_or(true, |there| there.is_file())
    }

    /// Begins the file that is to be `target`: what a link there leads to, with the permissions of what is there.
    ///
    /// # Errors
    /// If none can be made in its folder.
    pub fn beside(target: &Path) -> io::Result<Self> {
        let target = fs::canonicalize(target).unwrap_or_else(|_| target.to_owned());
        let there = fs::metadata(&target).ok().map(|there| there.permissions());
        let mut builder = Builder::new();
        // From the start no more than what is there, so that nobody else opens it in between.
        builder.prefix(".part-").permissions(there.clone().unwrap_or_else(|| Permissions::from_mode(NEW)));
        let part = builder.tempfile_in(folder_of(&target))?;
        if let Some(there) = there {
            part.as_file().set_permissions(there)?;
        }
        Ok(Self { part, target })
    }

    /// Where to write.
    ///
    /// # Errors
    /// If somebody else has removed it.
    pub fn writer(&self) -> io::Result<tokio::fs::File> {
        Ok(tokio::fs::File::from_std(self.part.reopen()?))
    }

    /// Puts it in its place. Then it is on disk, also by its name.
    ///
    /// # Errors
    /// If it cannot be moved there; what was there stays.
    pub fn take_its_place(self) -> io::Result<()> {
        self.part.as_file().sync_all()?;
        self.part.persist(&self.target)?;
        File::open(folder_of(&self.target))?.sync_all()
    }
}

fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::os::unix::fs::symlink;

    use tokio::io::AsyncWriteExt;

    use super::*;

    async fn written(target: &Path, text: &str) -> WholeFile {
        let file = WholeFile::beside(target).unwrap();
        let mut writer = file.writer().unwrap();
        writer.write_all(text.as_bytes()).await.unwrap();
        writer.flush().await.unwrap();
        file
    }

    #[tokio::test]
    async fn what_is_there_is_replaced_by_what_is_whole_and_stays_as_private() {
        let dir = tempfile::tempdir().unwrap();
        let (target, link) = (dir.path().join("backup"), dir.path().join("latest"));
        written(&target, "first").await.take_its_place().unwrap();
        fs::set_permissions(&target, Permissions::from_mode(0o600)).unwrap();
        symlink(&target, &link).unwrap();

        drop(written(&link, "half").await);
        assert_eq!(fs::read_to_string(&target).unwrap(), "first");
        written(&link, "second").await.take_its_place().unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "second");
        assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "nothing else is left");
    }

    #[test]
    fn what_is_no_file_has_no_place_to_take() {
        assert!(!WholeFile::can_be(Path::new("/dev/null")));
        assert!(WholeFile::can_be(Path::new("new")));
    }
}
