//! Ends servers and removes directories when the test process goes away, however it goes.
//!
//! Rust drops no statics, and a test process killed with SIGKILL drops nothing at all. So each test process has one
//! guard: a small shell in a process group of its own that is told over a pipe what exists. The kernel closes the
//! pipe when the test process ends; the guard then kills the groups and removes the directories.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

/// How a group is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// SIGKILL to the group.
    Kill,
    /// SIGQUIT first, for PostgreSQL: its backends are not in its group, and the postmaster ends them and gives
    /// its shared memory back. SIGKILL follows.
    Quit,
}

impl Ending {
    fn signal_name(self) -> &'static str {
        match self {
            Self::Kill => "KILL",
            Self::Quit => "QUIT",
        }
    }
}

/// Reads `process PID SIGNAL`, `gone PID` and `directory PATH` lines; acts at the end of its input.
const SCRIPT: &str = r#"
processes=
directories=
while read -r verb subject; do
  case $verb in
    process) processes="$processes ${subject% *}:${subject#* }" ;;
    gone)
      kept=
      for p in $processes; do [ "${p%%:*}" = "$subject" ] || kept="$kept $p"; done
      processes=$kept ;;
    directory) directories="$directories$subject
" ;;
  esac
done
for p in $processes; do
  kill -s CONT -- "-${p%%:*}"
  kill -s "${p#*:}" -- "-${p%%:*}"
done
tries=0
while [ "$tries" -lt 60 ]; do
  alive=
  for p in $processes; do kill -s 0 -- "-${p%%:*}" && alive=yes; done
  [ -n "$alive" ] || break
  sleep 0.1
  tries=$((tries + 1))
done
for p in $processes; do kill -s KILL -- "-${p%%:*}"; done
printf '%s' "$directories" | while IFS= read -r d; do rm -rf -- "$d"; done
"#;

struct Guard {
    orders: Mutex<ChildStdin>,
    _shell: Child,
}

static GUARD: OnceLock<Guard> = OnceLock::new();

fn start() -> Guard {
    // Its output goes nowhere: a guard that held the test's standard output would keep a reader of it waiting.
    // Its own group keeps the terminal's interrupt from ending it together with what it guards.
    let mut shell = Command::new("/bin/sh")
        .args(["-c", SCRIPT, "dcm-test-guard"])
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("start /bin/sh as the guard of the test's servers");
    let orders = shell.stdin.take().expect("the guard was started with a pipe");
    Guard { orders: Mutex::new(orders), _shell: shell }
}

fn tell(order: &str) {
    let guard = GUARD.get_or_init(start);
    let mut pipe = guard.orders.lock().unwrap_or_else(PoisonError::into_inner);
    pipe.write_all(order.as_bytes()).expect("the guard of the test's servers has ended");
}

/// From now on the guard ends the group led by `pid`.
pub(crate) fn watch_process(pid: u32, ending: Ending) {
    tell(&format!("process {pid} {}\n", ending.signal_name()));
}

/// The group led by `pid` is gone; its number may be given to somebody else.
pub(crate) fn forget_process(pid: u32) {
    tell(&format!("gone {pid}\n"));
}

/// From now on the guard removes `directory` at the end; one that is gone by then does no harm.
pub(crate) fn watch_directory(directory: &Path) {
    tell(&format!("directory {}\n", directory.display()));
}
