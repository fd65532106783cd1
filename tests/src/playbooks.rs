//! The processes of playbook runs, seen from outside through `/proc`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::process::is_running;

/// Marks every process of a playbook run; the value is the run's own.
const MARKER: &[u8] = b"DCM_PLAYBOOK_RUN=";
/// Pause between two looks at every process.
const LOOK: Duration = Duration::from_millis(5);

/// A process that belongs to a playbook run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PlaybookProcess {
    /// Process id.
    pub pid: u32,
    /// The same for all processes of one run, and for no other.
    pub run: String,
    /// Its command line, for messages.
    pub command: String,
}

/// The live processes of playbook runs that work below `directory`.
pub fn playbook_processes(directory: &Path) -> Vec<PlaybookProcess> {
    processes_below(directory)
        .into_iter()
        .filter_map(|(pid, command, environment)| {
            let marker = environment.split(|byte| *byte == 0).find_map(|entry| entry.strip_prefix(MARKER))?;
            let command = command.split(|byte| *byte == 0).map(String::from_utf8_lossy);
            is_running(pid).then(|| PlaybookProcess {
                pid,
                run: String::from_utf8_lossy(marker).into_owned(),
                command: command.collect::<Vec<_>>().join(" "),
            })
        })
        .collect()
}

/// Id, command line and environment of every process that names `directory` in one of them.
fn processes_below(directory: &Path) -> Vec<(u32, Vec<u8>, Vec<u8>)> {
    let wanted = directory.as_os_str().as_encoded_bytes();
    let names = |bytes: &[u8]| bytes.windows(wanted.len()).any(|window| window == wanted);
    std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .filter_map(|pid| {
            // Either is gone with its process.
            let command = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
            let environment = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
            (names(&command) || names(&environment)).then_some((pid, command, environment))
        })
        .collect()
}

/// Looks again and again at the command lines and environments of all processes that work below a directory, and
/// keeps what it saw.
#[derive(Debug)]
pub struct ProcessWatch {
    seen: Arc<Mutex<BTreeSet<Vec<u8>>>>,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl ProcessWatch {
    /// Begins to look.
    pub fn start(directory: &Path) -> Self {
        let directory: PathBuf = directory.to_owned();
        let seen = Arc::new(Mutex::new(BTreeSet::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (kept, stopping) = (Arc::clone(&seen), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            while !stopping.load(Ordering::Relaxed) {
                let now = processes_below(&directory);
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.extend(now.into_iter().flat_map(|(_, command, environment)| [command, environment]));
                drop(kept);
                std::thread::sleep(LOOK);
            }
        });
        Self { seen, stop, thread: Some(thread) }
    }

    /// Stops, and gives every different command line and environment that was seen.
    pub fn finish(mut self) -> BTreeSet<Vec<u8>> {
        self.end();
        std::mem::take(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A watch that panicked has seen what it has seen; the test fails on its own conditions.
            let _ = thread.join();
        }
    }
}

impl Drop for ProcessWatch {
    fn drop(&mut self) {
        self.end();
    }
}
