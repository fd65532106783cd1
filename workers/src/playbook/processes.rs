//! The processes of one playbook run, found through `/proc`.
//!
//! A process group is not enough to find them: since 2.19 ansible puts every worker process into a session of its
//! own. They are found as members of the supervisor's session, as its descendants (it adopts the orphans among them),
//! and by a variable of their environment, which no fork loses.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// Environment variable that marks every process of a run with [`ProcessIdentity::marker`].
pub(super) const MARKER_VARIABLE: &str = "DCM_PLAYBOOK_RUN";

const POLL: Duration = Duration::from_millis(50);
/// How long killed processes may take to vanish before they are given up: only the kernel can hold them then.
const KILLED_WITHIN: Duration = Duration::from_secs(5);

/// Names the processes of one run on this machine, also for a later process that must know whether they are gone.
/// Holds no secret; made to be stored beside the lease of the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// Process id of the supervisor, which is also the id of its session.
    pub session: i32,
    /// Start time of the supervisor in clock ticks since boot (field 22 of `/proc/<pid>/stat`), so that a re-used
    /// process id is not taken for it.
    pub start_time: u64,
    /// `/proc/sys/kernel/random/boot_id` of the boot it runs in.
    pub boot_id: String,
    /// Unique value of `DCM_PLAYBOOK_RUN` in the environment of the supervisor and of all it starts.
    pub marker: String,
}

/// True while the supervisor of `identity`, the playbook, or anything the playbook started is alive. Only meaningful
/// on the host the run was started on, as the user that started it; after a reboot the answer is false.
pub fn group_alive(identity: &ProcessIdentity) -> bool {
    boot_id().is_ok_and(|boot| boot == identity.boot_id)
        && (identity.supervisor_alive() || !identity.members().is_empty())
}

impl ProcessIdentity {
    /// The identity of the calling process as supervisor, after it became the leader of its session.
    pub(super) fn of_this_process() -> io::Result<Self> {
        let session = Pid::this().as_raw();
        let stat = Stat::read(session).ok_or_else(|| io::Error::other("cannot read /proc/<pid>/stat"))?;
        Ok(Self {
            session,
            start_time: stat.start_time,
            boot_id: boot_id()?,
            marker: std::env::var(MARKER_VARIABLE).unwrap_or_default(),
        })
    }

    fn supervisor_alive(&self) -> bool {
        Stat::read(self.session).is_some_and(|stat| stat.start_time == self.start_time && stat.alive())
    }

    /// The live processes of the run, without the supervisor.
    pub(super) fn members(&self) -> Vec<Pid> {
        let processes = all_processes();
        // Once the supervisor is gone its id may be another session's: only the marker counts then.
        let kin = if self.supervisor_alive() { self.kin(&processes) } else { HashSet::new() };
        processes
            .values()
            .filter(|stat| stat.pid != self.session && stat.alive())
            .filter(|stat| kin.contains(&stat.pid) || self.marks(stat.pid))
            .map(|stat| Pid::from_raw(stat.pid))
            .collect()
    }

    /// Processes of the supervisor's session, and its descendants in any session.
    fn kin(&self, processes: &HashMap<i32, Stat>) -> HashSet<i32> {
        processes
            .values()
            .filter(|stat| stat.session == self.session || descends(stat, self.session, processes))
            .map(|stat| stat.pid)
            .collect()
    }

    fn marks(&self, pid: i32) -> bool {
        if self.marker.is_empty() {
            return false;
        }
        let wanted = format!("{MARKER_VARIABLE}={}", self.marker);
        fs::read(format!("/proc/{pid}/environ"))
            .is_ok_and(|environ| environ.split(|byte| *byte == 0).any(|entry| entry == wanted.as_bytes()))
    }

    /// Ends the run's processes but the supervisor: SIGTERM, up to `grace`, then SIGKILL until none is left. Returns
    /// true if none is left; false if some cannot be killed (they hang in the kernel, or belong to another user).
    pub(super) async fn end_members(&self, grace: Duration) -> bool {
        self.signal_members(Signal::SIGTERM);
        let patience = Instant::now() + grace;
        while Instant::now() < patience {
            if self.members().is_empty() {
                return true;
            }
            tokio::time::sleep(POLL).await;
        }
        let give_up = Instant::now() + KILLED_WITHIN;
        while Instant::now() < give_up {
            if self.signal_members(Signal::SIGKILL) == 0 {
                return true;
            }
            tokio::time::sleep(POLL).await;
        }
        self.members().is_empty()
    }

    /// Signals every member and returns how many there were.
    fn signal_members(&self, signal: Signal) -> usize {
        let members = self.members();
        for member in &members {
            // A member that ended in between, or is another user's, cannot be signalled; the caller looks again.
            let _ = kill(*member, signal);
        }
        members.len()
    }
}

fn descends(stat: &Stat, ancestor: i32, processes: &HashMap<i32, Stat>) -> bool {
    let mut parent = stat.parent;
    // The table is read while processes come and go, so a chain of parents may be broken or even circular.
    for _ in 0..processes.len() {
        if parent == ancestor {
            return true;
        }
        match processes.get(&parent) {
            Some(next) => parent = next.parent,
            None => return false,
        }
    }
    false
}

/// The children of `parent` that ended and wait to be reaped.
pub(super) fn zombies_of(parent: Pid) -> Vec<Pid> {
    all_processes()
        .values()
        .filter(|stat| stat.parent == parent.as_raw() && stat.state == 'Z')
        .map(|stat| Pid::from_raw(stat.pid))
        .collect()
}

fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

fn all_processes() -> HashMap<i32, Stat> {
    let Ok(entries) = fs::read_dir("/proc") else { return HashMap::new() };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, Stat::read(pid)?)))
        .collect()
}

/// The fields of `/proc/<pid>/stat` that are needed here.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    pid: i32,
    state: char,
    parent: i32,
    session: i32,
    start_time: u64,
}

impl Stat {
    fn read(pid: i32) -> Option<Self> {
        Self::parse(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    fn parse(pid: i32, line: &str) -> Option<Self> {
        // The second field is the program's name in parentheses and may itself hold blanks and parentheses.
        let fields: Vec<&str> = line.get(line.rfind(')')? + 1..)?.split_whitespace().collect();
        Some(Self {
            pid,
            state: fields.first()?.chars().next()?,
            parent: fields.get(1)?.parse().ok()?,
            session: fields.get(3)?.parse().ok()?,
            start_time: fields.get(19)?.parse().ok()?,
        })
    }

    fn alive(&self) -> bool {
        !matches!(self.state, 'Z' | 'X' | 'x')
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::{ProcessIdentity, Stat, boot_id, group_alive};

    #[test]
    fn reads_a_stat_line_whose_program_name_is_hostile() {
        let line = "42 (a) R 1 (b) S 7 42 40 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 123456 1 2";
        let stat = Stat::parse(42, line).unwrap();
        assert_eq!(stat, Stat { pid: 42, state: 'S', parent: 7, session: 40, start_time: 123_456 });
        assert!(stat.alive());
        assert_eq!(Stat::parse(42, "42 (cut"), None);
        assert_eq!(Stat::parse(42, ""), None);
    }

    #[test]
    fn a_reused_process_id_or_another_boot_is_not_the_run() {
        let own = Stat::read(std::process::id().try_into().unwrap()).unwrap();
        let identity = ProcessIdentity {
            session: own.pid,
            start_time: own.start_time,
            boot_id: boot_id().unwrap(),
            marker: "no-such-run".into(),
        };
        assert!(group_alive(&identity));
        assert!(!group_alive(&ProcessIdentity { start_time: own.start_time + 1, ..identity.clone() }));
        assert!(!group_alive(&ProcessIdentity { boot_id: "another".into(), ..identity }));
    }
}
