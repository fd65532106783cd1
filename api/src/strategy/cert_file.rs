//! The certificate of a root CA renewal: a file on the controller, copied to where the renewal finds it
//! (fleet.md §8.4 step 8).

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::error_map::missing;
use crate::transport::ApiError;

/// The largest certificate file that is taken; with its key it has some kilobytes.
const MOST_BYTES: u64 = 1024 * 1024;

/// A certificate file that was named, and where its copy belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CertFile {
    source: PathBuf,
    target: PathBuf,
}

/// Why there is no copy.
#[derive(Debug)]
enum NotCopied {
    Unreadable,
    NotAFile,
    TooLarge,
    Unwritable(io::Error),
}

impl CertFile {
    /// The file at `path`, an absolute one, whose copy belongs into `dir` under the same name. Nothing is read yet.
    ///
    /// # Errors
    /// 400 naming the field if the path names no file.
    pub(super) fn new(path: &str, dir: &Path) -> Result<Self, ApiError> {
        let source = PathBuf::from(path);
        match source.file_name() {
            Some(name) if source.is_absolute() => Ok(Self { target: dir.join(name), source }),
            _ => Err(ApiError::bad_request("cert-file must be the absolute path of a file")),
        }
    }

    /// The path of the copy.
    pub(super) fn target(&self) -> String {
        self.target.to_string_lossy().into_owned()
    }

    /// Makes the copy, readable by nobody else.
    ///
    /// # Errors
    /// 400 naming the field if the file is missing, no regular file, or too large; 503 if the copy cannot be written.
    pub(super) async fn copy(&self) -> Result<(), ApiError> {
        let Self { source, target } = self.clone();
        let copied = tokio::task::spawn_blocking(move || copy(&source, &target)).await;
        let copied = copied.unwrap_or_else(|error| Err(NotCopied::Unwritable(io::Error::other(error))));
        let refused = |why: &str| ApiError::bad_request(format!("cert-file {why}"));
        copied.map_err(|error| match error {
            NotCopied::Unreadable => refused("is missing or cannot be read"),
            NotCopied::NotAFile => refused("is not a regular file"),
            NotCopied::TooLarge => refused("is larger than a certificate can be"),
            NotCopied::Unwritable(cause) => missing("the certificate file cannot be stored", &cause),
        })
    }
}

fn copy(source: &Path, target: &Path) -> Result<(), NotCopied> {
    let content = read(source)?;
    write(&content, target).map_err(NotCopied::Unwritable)
}

fn read(source: &Path) -> Result<Zeroizing<Vec<u8>>, NotCopied> {
    // Opening a pipe would wait for its writer, and what was asked about before may be another file by then.
    let mut options = OpenOptions::new();
    let options = options.read(true).custom_flags(OFlag::O_NONBLOCK.bits());
    let file = options.open(source).map_err(|_| NotCopied::Unreadable)?;
    if !file.metadata().is_ok_and(|opened| opened.is_file()) {
        return Err(NotCopied::NotAFile);
    }
    let mut content = Zeroizing::new(Vec::new());
    file.take(MOST_BYTES + 1).read_to_end(&mut content).map_err(|_| NotCopied::Unreadable)?;
    match u64::try_from(content.len()) {
        Ok(size) if size <= MOST_BYTES => Ok(content),
        _ => Err(NotCopied::TooLarge),
    }
}

/// Writes a file beside the target and moves it there, so that nobody finds half of it.
fn write(content: &[u8], target: &Path) -> io::Result<()> {
    let dir = target.parent().ok_or_else(|| io::Error::other("no folder"))?;
    fs::create_dir_all(dir)?;
    let part = dir.join(format!(".{}", Uuid::now_v7()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
    let written = file.write_all(content).and_then(|()| file.sync_all());
    let moved = written.and_then(|()| fs::rename(&part, target));
    if moved.is_err() {
        // What cannot be written is not needed; the first failure is the one to tell.
        let _ = fs::remove_file(&part);
    }
    moved
}

/// Removes the copy at `path`, if it is one of those in `dir`.
pub(super) async fn remove(dir: &Path, path: &str) {
    let path = Path::new(path);
    if path.parent() != Some(dir) {
        tracing::warn!(path = %path.display(), "a certificate file outside its folder is left alone");
        return;
    }
    match tokio::fs::remove_file(path).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "a certificate file cannot be removed");
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use std::os::unix::fs::PermissionsExt;

    use super::*;

    async fn copied(source: &Path, dir: &Path) -> Result<PathBuf, ApiError> {
        let file = CertFile::new(source.to_str().unwrap(), dir)?;
        file.copy().await.map(|()| PathBuf::from(file.target()))
    }

    #[tokio::test]
    async fn a_copy_is_for_nobody_else_and_can_be_replaced_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let (source, certs) = (dir.path().join("ca.pem"), dir.path().join("certs"));
        for content in ["first", "second"] {
            fs::write(&source, content).unwrap();
            let copy = copied(&source, &certs).await.unwrap();
            assert_eq!(fs::read_to_string(&copy).unwrap(), content);
            assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(fs::read_dir(&certs).unwrap().count(), 1);
        remove(&certs, source.to_str().unwrap()).await;
        assert!(source.exists(), "what is elsewhere is not ours");
        remove(&certs, certs.join("ca.pem").to_str().unwrap()).await;
        assert_eq!(fs::read_dir(&certs).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn only_a_regular_file_of_a_sensible_size_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let certs = dir.path().join("certs");
        let large = dir.path().join("large");
        fs::write(&large, vec![b'x'; usize::try_from(MOST_BYTES).unwrap() + 1]).unwrap();
        for (source, why) in [
            (dir.path().join("nosuch"), "missing"),
            (dir.path().to_owned(), "regular"),
            (PathBuf::from("/dev/zero"), "regular"),
            (large, "larger"),
            (PathBuf::from("ca.pem"), "absolute"),
            (PathBuf::from("/"), "absolute"),
            (PathBuf::from("/tmp/.."), "absolute"),
            (PathBuf::new(), "absolute"),
        ] {
            let refused = copied(&source, &certs).await.unwrap_err();
            assert_eq!(refused.status().as_u16(), 400, "{source:?}");
            let text = refused.detail().unwrap();
            assert!(text.starts_with("cert-file ") && text.contains(why), "{source:?}: {text}");
        }
        assert!(!certs.exists());
    }
}
