//! Where policies lie on disk, and whether they changed (access.md §7).

use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::file::{FileRule, parse_file};

/// A policy larger than this is a mistake.
const MAX_BYTES: u64 = 1 << 20;
/// Some file systems do not tell two moments apart that are closer than this.
const TICK: Duration = Duration::from_secs(2);

/// Where to look for policies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// The policy file: the first of these that is there.
    pub files: Vec<PathBuf>,
    /// Directories of more files, whose rules go before those of the policy file, each directory before the ones
    /// before it. One that is not absolute is looked for beside each of `files`; the first that is there counts.
    pub dirs: Vec<PathBuf>,
}

/// Why policies cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {cause}")]
pub struct SourceError {
    /// The file or directory.
    pub path: String,
    /// What is wrong with it.
    pub cause: String,
}

impl SourceError {
    fn new(path: &Path, cause: impl std::fmt::Display) -> Self {
        Self { path: path.display().to_string(), cause: cause.to_string() }
    }
}

/// A file as it was when it was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    path: PathBuf,
    modified: SystemTime,
    /// Size, inode and device: an editor may put another file in its place.
    identity: (u64, u64, u64),
}

/// A policy file that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

impl Source {
    /// Its rules.
    ///
    /// # Errors
    /// [`SourceError`] if it is no policy.
    pub(super) fn rules(&self) -> Result<Vec<FileRule>, SourceError> {
        parse_file(&self.text).map_err(|error| SourceError::new(&self.path, error))
    }
}

impl Sources {
    /// Whether there is nowhere to look.
    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty() && self.dirs.is_empty()
    }

    /// The files that count, in the order in which their rules replace one another.
    ///
    /// # Errors
    /// [`SourceError`] for one that cannot be looked at; one that is not there is none.
    pub(super) fn stamps(&self) -> Result<Vec<Stamp>, SourceError> {
        let mut stamps = Vec::new();
        for file in &self.files {
            if let Some(stamp) = stamp(file)? {
                stamps.push(stamp);
                break;
            }
        }
        for dir in &self.dirs {
            // An absolute one replaces what it is joined to.
            let beside = self.files.iter().filter_map(|file| file.parent()).map(|parent| parent.join(dir));
            let alone = dir.is_absolute().then(|| dir.clone());
            for place in alone.into_iter().chain(beside) {
                if let Some(files) = files_in(&place)? {
                    stamps.extend(files);
                    break;
                }
            }
        }
        Ok(stamps)
    }
}

/// What a regular file is like now; `None` if there is none.
fn stamp(path: &Path) -> Result<Option<Stamp>, SourceError> {
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => metadata,
        Ok(_) => return Ok(None),
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(SourceError::new(path, error)),
    };
    let modified = metadata.modified().map_err(|error| SourceError::new(path, error))?;
    let identity = (metadata.len(), metadata.ino(), metadata.dev());
    Ok(Some(Stamp { path: path.to_owned(), modified, identity }))
}

/// The files of a directory that do not begin with a dot, sorted by name; `None` if there is no directory.
fn files_in(dir: &Path) -> Result<Option<Vec<Stamp>>, SourceError> {
    let failed = |error| SourceError::new(dir, error);
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            paths.push(entry.path());
        }
    }
    paths.sort();
    let mut stamps = Vec::new();
    for path in paths {
        stamps.extend(stamp(&path)?);
    }
    Ok(Some(stamps))
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// Reads the files; `None` if one of them went away meanwhile.
///
/// # Errors
/// [`SourceError`] for one that cannot be read, is too large, or is not text.
pub(super) fn read(stamps: &[Stamp]) -> Result<Option<Vec<Source>>, SourceError> {
    let mut sources = Vec::new();
    for Stamp { path, .. } in stamps {
        let mut text = String::new();
        let read = std::fs::File::open(path)
            .and_then(|file| file.take(MAX_BYTES + 1).read_to_string(&mut text).map(|read| read as u64));
        match read {
            Ok(0..=MAX_BYTES) => sources.push(Source { path: path.clone(), text }),
            Ok(_) => return Err(SourceError::new(path, format!("it is larger than {MAX_BYTES} bytes"))),
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(SourceError::new(path, error)),
        }
    }
    Ok(Some(sources))
}

/// Whether another change would show in the stamps: not while the last one is too recent to be told from it.
pub(super) fn is_settled(stamps: &[Stamp], now: SystemTime) -> bool {
    stamps.iter().all(|stamp| now.duration_since(stamp.modified).is_ok_and(|age| age > TICK))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn the_first_file_and_the_plain_files_of_directories_count() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let sources = Sources {
            files: vec![path("one/policy.yaml"), path("two/policy.yaml")],
            dirs: vec![PathBuf::from("policy.d"), path("more")],
        };
        let found = || {
            let stamps = sources.stamps().unwrap();
            let relative = |stamp: Stamp| stamp.path.strip_prefix(dir.path()).unwrap().to_owned();
            stamps.into_iter().map(relative).collect::<Vec<_>>()
        };
        assert!(found().is_empty());
        for (folder, names) in [
            ("two", ["policy.yaml", "other.yaml"]),
            ("two/policy.d", ["b.yaml", ".hidden"]),
            ("two/policy.d/a.yaml", ["not", "read"]),
            ("more", ["z", "c"]),
        ] {
            std::fs::create_dir_all(path(folder)).unwrap();
            for name in names {
                std::fs::write(path(folder).join(name), "").unwrap();
            }
        }
        assert_eq!(
            found(),
            ["two/policy.yaml", "two/policy.d/b.yaml", "more/c", "more/z"].map(PathBuf::from)
        );
        std::fs::create_dir_all(path("one")).unwrap();
        std::fs::write(path("one/policy.yaml"), "").unwrap();
        assert_eq!(found()[0], PathBuf::from("one/policy.yaml"));
    }

    #[test]
    fn a_file_that_is_too_large_or_no_text_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("policy.yaml");
        let sources = Sources { files: vec![file.clone()], dirs: Vec::new() };
        let read = || read(&sources.stamps().unwrap());
        std::fs::write(&file, vec![b'\n'; 1 << 20]).unwrap();
        assert_eq!(read().unwrap().unwrap()[0].rules(), Ok(Vec::new()));
        std::fs::write(&file, vec![b'\n'; (1 << 20) + 1]).unwrap();
        assert!(read().unwrap_err().cause.contains("larger"));
        std::fs::write(&file, [0xff, 0xfe]).unwrap();
        read().unwrap_err();
    }

    #[test]
    fn a_change_may_hide_behind_a_recent_one() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("policy.yaml");
        std::fs::write(&file, "").unwrap();
        let stamps = Sources { files: vec![file], dirs: Vec::new() }.stamps().unwrap();
        let now = SystemTime::now();
        assert!(!is_settled(&stamps, now));
        assert!(is_settled(&stamps, now + TICK + Duration::from_millis(1)));
        assert!(!is_settled(&stamps, now - Duration::from_secs(3600)));
        assert!(is_settled(&[], now));
    }
}
