//! Who can hold a lease: a role in one process on one boot of one host.

use std::fs;
use std::io;

use thiserror::Error;

/// A role in a process, so named that no other process ever has the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// What the process does with the lease, such as `relay`.
    pub role: String,
    /// Host name.
    pub host: String,
    /// The kernel's id of this boot of the host.
    pub boot_id: String,
    /// Process id.
    pub pid: i64,
    /// When the process began, in clock ticks after boot (`/proc/<pid>/stat`): tells it from a later one of the same pid.
    pub start_time: i64,
}

/// Why a process could not name itself.
#[derive(Debug, Error)]
pub enum HolderError {
    /// A file of the kernel's could not be read.
    #[error("cannot read {path}: {cause}")]
    Unreadable {
        /// The file.
        path: &'static str,
        /// What the system said.
        cause: io::Error,
    },
    /// `/proc/self/stat` is not of the known form.
    #[error("cannot tell when this process began from /proc/self/stat")]
    NoStartTime,
}

impl Holder {
    /// This process, acting in `role`.
    pub fn this_process(role: &str) -> Result<Self, HolderError> {
        let stat = read("/proc/self/stat")?;
        let process = Stat::parse(&stat).ok_or(HolderError::NoStartTime)?;
        Ok(Self {
            role: role.to_owned(),
            host: read("/proc/sys/kernel/hostname")?,
            boot_id: read("/proc/sys/kernel/random/boot_id")?,
            pid: i64::from(std::process::id()),
            start_time: process.start_time,
        })
    }

    /// The holder in one text: `<role>@<host>/<boot id>/<pid>/<start time>`.
    pub fn id(&self) -> String {
        format!("{}@{}/{}/{}/{}", self.role, self.host, self.boot_id, self.pid, self.start_time)
    }

    /// Whether both live on the same boot of the same host, where [`process_alive`] can tell about either.
    pub fn shares_boot_with(&self, other: &Self) -> bool {
        self.host == other.host && self.boot_id == other.boot_id
    }

    /// The holder of a stored row; `None` for a released one.
    pub(super) fn from_row(
        id: &str,
        host: String,
        boot_id: String,
        pid: i64,
        start_time: i64,
    ) -> Option<Self> {
        let (role, _) = id.split_once('@')?;
        Some(Self { role: role.to_owned(), host, boot_id, pid, start_time })
    }
}

/// Whether the process `pid` that began at `start_time` still runs on this host. A process that ended but was not
/// yet waited for does not run.
pub fn process_alive(pid: i64, start_time: i64) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .ok()
        .and_then(|stat| Stat::parse(&stat))
        .is_some_and(|process| process.start_time == start_time && !process.ended)
}

/// What of `/proc/<pid>/stat` matters here.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    ended: bool,
    start_time: i64,
}

impl Stat {
    /// The command name may hold blanks and parentheses, so fields count from its last `)`.
    fn parse(stat: &str) -> Option<Self> {
        let (_, fields) = stat.rsplit_once(')')?;
        let mut fields = fields.split_ascii_whitespace();
        let state = fields.next()?;
        // The state is field 3 of proc(5), the start time field 22.
        let start_time = fields.nth(18)?.parse().ok()?;
        Some(Self { ended: matches!(state, "Z" | "X" | "x"), start_time })
    }
}

fn read(path: &'static str) -> Result<String, HolderError> {
    let text = fs::read_to_string(path).map_err(|cause| HolderError::Unreadable { path, cause })?;
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::{Holder, Stat, process_alive};
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    #[test]
    fn a_process_knows_itself() {
        let holder = Holder::this_process("relay").unwrap();
        assert!(process_alive(holder.pid, holder.start_time));
        assert!(!process_alive(holder.pid, holder.start_time + 1), "the pid alone is not enough");
        assert!(!process_alive(i64::MAX, 1));
        assert!(!process_alive(-1, 1));
        assert!(holder.id().starts_with("relay@"));
        assert!(holder.shares_boot_with(&Holder::this_process("worker").unwrap()));
    }

    #[test]
    fn a_dead_process_is_seen_before_it_is_waited_for() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let pid = i64::from(child.id());
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let start_time = Stat::parse(&stat).unwrap().start_time;
        assert!(process_alive(pid, start_time));
        child.kill().unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while process_alive(pid, start_time) {
            assert!(Instant::now() < deadline, "a killed process still counts as alive");
            std::thread::yield_now();
        }
        child.wait().unwrap();
        assert!(!process_alive(pid, start_time));
    }

    #[test]
    fn names_with_parentheses_do_not_confuse() {
        let stat = "7 (a) Z (b) S 1 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 204264 3 4";
        assert_eq!(Stat::parse(stat), Some(Stat { ended: false, start_time: 204_264 }));
        assert_eq!(Stat::parse("7 (a) Z 1"), None);
        assert_eq!(Stat::parse(""), None);
    }
}
