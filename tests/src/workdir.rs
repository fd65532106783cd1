//! Temporary directories that are gone after the test process, and log files that a failed run can show.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

use crate::guard;

/// A temporary directory with mode 0700: removed on drop, and by the guard if the test process is killed.
#[derive(Debug)]
pub struct WorkDir(TempDir);

impl WorkDir {
    /// Makes an empty directory whose name begins with `dcm-test-<purpose>-`.
    pub fn new(purpose: &str) -> Self {
        let dir = tempfile::Builder::new().prefix(&format!("dcm-test-{purpose}-")).tempdir();
        let dir = dir.expect("make a temporary directory");
        guard::watch_directory(dir.path());
        Self(dir)
    }

    /// Absolute path.
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

static LOGS: AtomicU32 = AtomicU32::new(0);

/// Opens a new file for the output of a process: in `DCM_TEST_LOGS` if that is set (`tests/run` sets it), where it
/// outlives the run, else in `fallback`. The name tells test program, process and `what`.
pub(crate) fn log_file(fallback: &Path, what: &str) -> (PathBuf, File) {
    let folder = std::env::var_os("DCM_TEST_LOGS").map_or_else(|| fallback.to_owned(), PathBuf::from);
    std::fs::create_dir_all(&folder).expect("make the folder for logs");
    let exe = std::env::current_exe().expect("a process knows its program");
    let program = exe.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let number = LOGS.fetch_add(1, Ordering::Relaxed);
    let path = folder.join(format!("{program}-{}-{number:03}-{what}.log", std::process::id()));
    let file = File::create(&path).unwrap_or_else(|e| panic!("create {}: {e}", path.display()));
    (path, file)
}

/// The last `lines` lines of a file, for a failure's report; says so if it cannot be read.
pub(crate) fn tail(path: &Path, lines: usize) -> String {
    match std::fs::read(path) {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            let all: Vec<&str> = text.lines().collect();
            all[all.len().saturating_sub(lines)..].join("\n")
        }
        Err(e) => format!("({}: {e})", path.display()),
    }
}
