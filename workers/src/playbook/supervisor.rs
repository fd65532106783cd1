//! The hidden command `dcm exec-playbook -- PROGRAM ARGUMENTS…`: runs one playbook and sees to it that neither the
//! playbook nor anything it started outlives the worker (jobs.md §0.4, R-3).
//!
//! It leads a session of its own and ignores SIGHUP, SIGINT and SIGTERM, so that what ends the worker leaves it to do
//! its work. Its standard input is a pipe from the worker. When that pipe closes, whatever the worker died of, it ends
//! everything: SIGTERM, a grace, SIGKILL. Only then does it exit itself, with the program's code.

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::prctl;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{Pid, setsid};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::ProcessIdentity;
use super::processes::zombies_of;
use super::protocol::{Cause, Notice, Order, encode};

/// Between SIGTERM and SIGKILL once the worker is gone. Two seconds below the ten within which everything must have
/// ended, so that the killing fits in.
const ORPHAN_GRACE: Duration = Duration::from_secs(8);

/// Exit code when the supervisor itself fails, or is left before it was told to start.
const FAILED: u8 = 125;
/// Exit code when the program cannot be started, as shells have it.
const NOT_STARTED: u8 = 127;

/// The command line of `dcm exec-playbook`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SupervisorArgs {
    /// What follows `--`: the program and its arguments. Never holds a secret.
    pub argv: Vec<OsString>,
}

/// Runs the command to its end. Call it first thing in the process: before any runtime or thread is started, with
/// standard input a pipe from the worker. Returns the program's exit code (128 + the signal if one killed it), 127 if
/// it cannot be started, 125 if the supervisor itself fails (said on standard error).
pub fn main(args: SupervisorArgs) -> ExitCode {
    match run(&args.argv) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let _ = writeln!(io::stderr(), "dcm exec-playbook: {error}");
            ExitCode::from(FAILED)
        }
    }
}

fn run(argv: &[OsString]) -> io::Result<u8> {
    setsid()?;
    // Orphans below this process become its children, so that they are still found.
    prctl::set_child_subreaper(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(supervise(argv))
}

async fn supervise(argv: &[OsString]) -> io::Result<u8> {
    let _ignored = ignore_signals()?;
    let mut orders = Orders::on_standard_input()?;
    let identity = ProcessIdentity::of_this_process()?;
    notify(&Notice::Ready(identity.clone()));

    let Some(Order::Start { deadline_ms, grace_ms }) = orders.next().await else { return Ok(FAILED) };
    let mut child = match start(argv) {
        Ok(child) => child,
        Err(error) => {
            let missing = matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied);
            notify(&Notice::NotStarted { missing, reason: error.to_string() });
            return Ok(NOT_STARTED);
        }
    };

    let cause = watch(&mut child, &mut orders, Duration::from_millis(deadline_ms)).await?;
    let grace = if cause == Cause::WorkerGone { ORPHAN_GRACE } else { Duration::from_millis(grace_ms) };
    // After an end of its own accord there may still be daemons and background tasks of the playbook.
    end_everything(&identity, grace, &mut orders).await;
    let exit = exit_code(child.wait().await?);
    reap_orphans(None);
    notify(&Notice::Ended { exit, cause });
    Ok(u8::try_from(exit).unwrap_or(FAILED))
}

/// Handlers that do nothing. Unlike ignored signals they are not inherited: the playbook starts with the defaults.
fn ignore_signals() -> io::Result<[Signal; 3]> {
    Ok([signal(SignalKind::hangup())?, signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?])
}

/// Starts the program in a new process group, with both outputs on this process's standard error: one pipe keeps
/// their order, and standard output stays free for notices.
fn start(argv: &[OsString]) -> io::Result<Child> {
    let (program, arguments) =
        argv.split_first().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no program given"))?;
    let output = io::stderr();
    let mut command = std::process::Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(output.as_fd().try_clone_to_owned()?)
        .stderr(output.as_fd().try_clone_to_owned()?)
        .process_group(0);
    Command::from(command).spawn()
}

/// Waits for what comes first: the program's end, an order to stop, the deadline, the worker's end.
async fn watch(child: &mut Child, orders: &mut Orders, deadline: Duration) -> io::Result<Cause> {
    let program = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
    let mut children = signal(SignalKind::child())?;
    let deadline = tokio::time::sleep(deadline);
    tokio::pin!(deadline);
    loop {
        tokio::select! {
            // What ended by itself first has its own result, whatever was asked at the same moment.
            biased;
            ended = child.wait() => {
                ended?;
                return Ok(Cause::Itself);
            }
            order = orders.next() => match order {
                Some(Order::Stop) => return Ok(Cause::Stopped),
                Some(Order::Start { .. }) => {}
                None => return Ok(Cause::WorkerGone),
            },
            () = &mut deadline => return Ok(Cause::Deadline),
            _ = children.recv() => reap_orphans(program),
        }
    }
}

/// Ends what the run has left; if the worker goes meanwhile, not more patiently than its absence allows.
async fn end_everything(identity: &ProcessIdentity, grace: Duration, orders: &mut Orders) {
    tokio::select! {
        _ = identity.end_members(grace) => {}
        () = orders.ended() => {
            identity.end_members(grace.min(ORPHAN_GRACE)).await;
        }
    }
}

/// Takes the exit codes of adopted processes. The program's own is left for the one who waits for it.
fn reap_orphans(program: Option<Pid>) {
    for zombie in zombies_of(Pid::this()) {
        if Some(zombie) != program {
            let _ = waitpid(zombie, Some(WaitPidFlag::WNOHANG));
        }
    }
}

fn exit_code(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(i32::from(FAILED))
}

/// Tells the worker. A worker that is gone cannot hear it, which is no error here: the closed input says so.
fn notify(notice: &Notice) {
    if let Ok(line) = encode(notice) {
        let mut output = io::stdout();
        let _ = output.write_all(&line).and_then(|()| output.flush());
    }
}

/// The worker's orders, read from the pipe on standard input.
struct Orders {
    lines: Lines<BufReader<pipe::Receiver>>,
}

impl Orders {
    fn on_standard_input() -> io::Result<Self> {
        let input: OwnedFd = io::stdin().as_fd().try_clone_to_owned()?;
        let input = pipe::Receiver::from_owned_fd(input).map_err(|error| {
            io::Error::new(error.kind(), format!("standard input must be a pipe from the worker: {error}"))
        })?;
        Ok(Self { lines: BufReader::new(input).lines() })
    }

    /// The next order; `None` once the worker is gone, or says what no worker says.
    async fn next(&mut self) -> Option<Order> {
        let line = self.lines.next_line().await.ok().flatten()?;
        serde_json::from_str(&line).ok()
    }

    /// Returns when the worker is gone.
    async fn ended(&mut self) {
        while self.next().await.is_some() {}
    }
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::ffi::OsString;
    use std::process::{Command, Stdio};

    use super::run;
    use crate::playbook::Supervisor;

    /// A supervisor that is this test program, told to run nothing but [`entry`].
    pub(in crate::playbook) fn this_test_program() -> Supervisor {
        let (_, module) = module_path!().split_once("::").unwrap();
        Supervisor {
            program: std::env::current_exe().unwrap(),
            leading_args: ["--exact", &format!("{module}::entry"), "--quiet", "--nocapture"]
                .map(Into::into)
                .into(),
        }
    }

    /// No test in an ordinary run. Re-executed as [`this_test_program`] says, it is the supervisor.
    #[test]
    fn entry() {
        let mut args = std::env::args_os();
        if !args.any(|argument| argument == "--exact") || !args.any(|argument| argument == "--") {
            return;
        }
        let argv: Vec<OsString> = args.collect();
        std::process::exit(run(&argv).map_or(125, i32::from));
    }

    #[test]
    fn it_wants_a_pipe_from_its_worker() {
        let supervisor = this_test_program();
        let output = Command::new(supervisor.program)
            .args(supervisor.leading_args)
            .args(["--", "true"])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(125));
        assert!(!String::from_utf8_lossy(&output.stdout).contains("ready"));
    }
}
