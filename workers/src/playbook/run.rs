//! What a playbook run takes, and how it can end.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

/// The kept log of a subcloud's playbooks in the log directory (jobs.md §0.4).
pub fn log_path(directory: &Path, subcloud: &str) -> PathBuf {
    directory.join(format!("{subcloud}_playbook_output.log"))
}

/// The file by which a playbook says that it must not be aborted now, in the ansible directory (jobs.md §0.4).
pub fn sentinel_path(directory: &Path, subcloud: &str) -> PathBuf {
    directory.join(format!(".{subcloud}_deploy_not_abortable"))
}

/// One playbook to run. Nothing in it may hold a secret: arguments and environment can be read by others.
#[derive(Clone, Debug)]
pub struct Playbook {
    /// `ansible-playbook`, as a path or to be found on `PATH`.
    pub program: PathBuf,
    /// What follows the program (jobs.md §0.6).
    pub args: Vec<OsString>,
    /// The kept log, appended to; see [`log_path`].
    pub log: PathBuf,
    /// The abort sentinels, see [`sentinel_path`]: removed before the start, waited for by an abort. More than one,
    /// because the playbook may see the ansible directory as the run's private one.
    pub sentinels: Vec<PathBuf>,
    /// Existing directory of this run alone (0700), removed after it: home and temporary files of the playbook. Its
    /// path holds no blank, which ansible's temporary directories cannot bear.
    pub private_dir: PathBuf,
    /// After this time the playbook is ended.
    pub deadline: Duration,
    /// Configured variables; each name begins with `ANSIBLE_`.
    pub environment: Vec<(String, String)>,
}

/// How to start a supervisor.
#[derive(Clone, Debug)]
pub struct Supervisor {
    /// The program that has the command `exec-playbook`.
    pub program: PathBuf,
    /// What precedes `--` and the playbook's command line.
    pub leading_args: Vec<OsString>,
}

impl Supervisor {
    /// The running program itself, as `exec-playbook`; also when its file was replaced since it was started.
    pub fn of_this_program() -> Self {
        Self { program: "/proc/self/exe".into(), leading_args: vec!["exec-playbook".into()] }
    }
}

/// The times of jobs.md §0.4.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long an abort waits for the sentinel to go. Default 600 s.
    pub abort_wait: Duration,
    /// How often it looks. Default 1 s.
    pub abort_poll: Duration,
    /// Between SIGTERM and SIGKILL. Default 10 s.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            abort_wait: Duration::from_secs(600),
            abort_poll: Duration::from_secs(1),
            grace: Duration::from_secs(10),
        }
    }
}

/// How a playbook run ended. Everything it started is gone by then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Exit code 0, also when an abort or the deadline came too late to change that.
    Succeeded,
    /// It failed of its own accord, or had to be ended while it refused to be aborted. `exit` is the exit code,
    /// 128 + the signal if one ended it.
    Failed {
        /// Exit code.
        exit: i32,
    },
    /// It was ended by the abort, or was never started because the abort came first.
    Aborted,
    /// It was ended because its deadline passed.
    TimedOut,
    /// There is no such program, or it may not be executed. Nothing ran.
    ProgramMissing {
        /// The program that is missing.
        program: PathBuf,
    },
}

/// Result of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// How it ended.
    pub outcome: Outcome,
    /// The last 256 KiB of its output, redacted; what [`error_text`](super::error_text) reads.
    pub tail: String,
}

/// Why a playbook could not be run or followed.
#[derive(Debug, Error)]
pub enum RunError {
    /// A configured variable is not ansible's.
    #[error("environment variable `{0}` is not allowed: only names that begin with ANSIBLE_ are")]
    Variable(String),
    /// The supervisor could not be started.
    #[error("cannot start the playbook supervisor {program}: {source}")]
    Supervisor {
        /// The supervisor's program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The supervisor ended without a result, and what it had started was ended.
    #[error("the playbook supervisor ended without a result")]
    SupervisorLost,
    /// The log could not be opened.
    #[error("cannot open the playbook log {path}: {source}")]
    Log {
        /// The log.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A sentinel of an earlier run could not be removed.
    #[error("cannot remove the abort sentinel {path}: {source}")]
    Sentinel {
        /// The sentinel.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The playbook exists but could not be started.
    #[error("cannot start {program}: {reason}")]
    Start {
        /// The program.
        program: PathBuf,
        /// What the system says.
        reason: String,
    },
}
