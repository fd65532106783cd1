//! What worker and supervisor say to each other: one JSON object a line, orders on the supervisor's standard input,
//! notices on its standard output. The playbook's own output goes through the supervisor's standard error.

use serde::{Deserialize, Serialize};

use super::ProcessIdentity;

/// Worker to supervisor. The end of the input is an order too: the worker is gone, end everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Order {
    /// Start the program; end it after `deadline_ms`; leave it `grace_ms` between SIGTERM and SIGKILL.
    Start { deadline_ms: u64, grace_ms: u64 },
    /// End the program now.
    Stop,
}

/// Supervisor to worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Notice {
    /// The supervisor is up and waits for [`Order::Start`].
    Ready(ProcessIdentity),
    /// The program could not be started; `missing` if there is no such program, or none that may be executed.
    NotStarted { missing: bool, reason: String },
    /// The program and everything it started are gone. `exit` is its code, 128 + the signal if one killed it.
    Ended { exit: i32, cause: Cause },
}

/// What made the program end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Cause {
    /// It ended before anyone asked it to.
    Itself,
    /// The worker ordered it.
    Stopped,
    /// Its deadline passed.
    Deadline,
    /// The worker is gone.
    WorkerGone,
}

/// The line that carries `message`, with its line end.
pub(super) fn encode<T: Serialize>(message: &T) -> serde_json::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    Ok(line)
}
