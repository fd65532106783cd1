//! One child process, leader of a group of its own, ended on drop.

use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use crate::guard::{self, Ending};

/// How long a process is given to end before it is killed on drop.
const GRACE: Duration = Duration::from_secs(6);
/// Pause between two looks at a process.
const LOOK: Duration = Duration::from_millis(5);

/// Waits for one line on standard input, then becomes the program. If the test dies in between, the line never
/// comes and the program is never started: there is no moment in which it runs unguarded.
const LAUNCHER: &str = r#"read -r go || exit 125; exec "$@" </dev/null"#;

/// What to start.
pub(crate) struct Launch {
    pub program: PathBuf,
    pub args: Vec<OsString>,
    /// Variables set for the program.
    pub env: Vec<(OsString, OsString)>,
    /// Variables with this prefix are not handed on from the test's own environment.
    pub without_prefix: Option<&'static str>,
    pub directory: PathBuf,
    /// User and group to run as; the caller's when absent.
    pub user: Option<(u32, u32)>,
    pub stdout: File,
    pub stderr: File,
    pub ending: Ending,
}

/// A running (or ended) child and its process group.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    ending: Ending,
    status: Option<ExitStatus>,
}

impl Process {
    /// Starts the program under the guard. Panics if it cannot be executed at all.
    pub(crate) fn launch(launch: Launch) -> Self {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", LAUNCHER, "dcm-test-launcher"]).arg(&launch.program).args(&launch.args);
        if let Some(prefix) = launch.without_prefix {
            for (name, _) in
                std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with(prefix))
            {
                command.env_remove(name);
            }
        }
        command.envs(launch.env).current_dir(&launch.directory).process_group(0);
        command.stdin(Stdio::piped()).stdout(launch.stdout).stderr(launch.stderr);
        if let Some((user, group)) = launch.user {
            command.uid(user).gid(group);
        }
        let mut child = command.spawn().expect("start /bin/sh");
        guard::watch_process(child.id(), launch.ending);
        let mut go = child.stdin.take().expect("the launcher was started with a pipe");
        go.write_all(b"go\n").expect("the launcher waits for this line");
        Self { child, ending: launch.ending, status: None }
    }

    /// Process id, which is the id of its group too.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn nix_pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("a process id is a positive i32"))
    }

    /// Signals the process alone. An ended process is left in peace.
    pub(crate) fn signal(&mut self, signal: Signal) {
        if self.exited().is_none() {
            kill(self.nix_pid(), signal).expect("signal a process of our own");
        }
    }

    /// Signals the whole group; a group that is gone is no error.
    pub(crate) fn signal_group(&self, signal: Signal) {
        // The only expected failure is that nobody is left in the group.
        let _ = killpg(self.nix_pid(), signal);
    }

    /// Freezes the process and returns when every thread of it stands still, so that nothing is answered after.
    pub(crate) fn pause(&mut self) {
        self.signal(Signal::SIGSTOP);
        await_standstill(self.pid());
    }

    /// The exit status if the process has ended.
    pub(crate) fn exited(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.child.try_wait().expect("ask after a child of our own");
        }
        self.status
    }

    /// Waits for the end; `None` if it did not come in time.
    pub(crate) async fn wait(&mut self, within: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + within;
        loop {
            if let Some(status) = self.exited() {
                return Some(status);
            }
            if Instant::now() >= deadline {
                return None;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Ends the process and what is left of its group, and waits for it. Blocks for at most a few seconds.
    pub(crate) fn end(&mut self) {
        if self.exited().is_none() && self.ending == Ending::Quit {
            self.signal_group(Signal::SIGCONT);
            self.signal_group(Signal::SIGQUIT);
            let deadline = Instant::now() + GRACE;
            while self.exited().is_none() && Instant::now() < deadline {
                std::thread::sleep(LOOK);
            }
        }
        self.signal_group(Signal::SIGKILL);
        if self.status.is_none() {
            self.status = self.child.wait().ok();
        }
        guard::forget_process(self.pid());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// Whether a process with this id exists and is more than a zombie.
pub fn is_running(pid: u32) -> bool {
    !matches!(stat_field(Path::new(&format!("/proc/{pid}/stat")), 0).as_deref(), None | Some("Z" | "X"))
}

/// Waits until every thread of a process that got SIGSTOP is stopped, or the process is gone.
///
/// The signal is sent to the process, but a thread that runs at that moment goes on until the kernel next looks.
pub(crate) fn await_standstill(pid: u32) {
    let deadline = Instant::now() + GRACE;
    let threads = format!("/proc/{pid}/task");
    let stopped = |thread: std::fs::DirEntry| {
        !matches!(stat_field(&thread.path().join("stat"), 0).as_deref(), Some("R" | "S" | "D"))
    };
    while !std::fs::read_dir(&threads).into_iter().flatten().flatten().all(stopped) {
        assert!(Instant::now() < deadline, "process {pid} does not stand still");
        std::thread::sleep(LOOK);
    }
}

/// A field of a `/proc/…/stat` file, counted from the state (0), which the parent's id follows; `None` if the
/// process is gone. Before them stands the command's name, in parentheses, and may hold anything.
fn stat_field(file: &Path, index: usize) -> Option<String> {
    let stat = std::fs::read_to_string(file).ok()?;
    let (_, fields) = stat.rsplit_once(") ")?;
    fields.split(' ').nth(index).map(str::to_owned)
}

/// Ids of the direct children of `parent`.
pub(crate) fn children_of(parent: u32) -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| stat_field(Path::new(&format!("/proc/{pid}/stat")), 1) == Some(parent.to_string()))
        .collect()
}
