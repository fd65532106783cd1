//! Disks that are full, without a disk of their own: files that cannot be written beyond a size (`RLIMIT_FSIZE`).

use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::process::is_running;

/// Lets a process write no file beyond its first `bytes` from now on, or, with `None`, gives it all room back.
///
/// When it tries, the system answers with a signal that ends whoever does not ignore it, and with an error where it is
/// ignored. Processes that it starts from now on have the same limit.
pub fn limit_files(pid: u32, bytes: Option<u64>) {
    limit_files_of(None, pid, bytes);
}

/// The same for a process of another user and group: also root may do so only as that user, where it has not all of its
/// rights.
pub(crate) fn limit_files_of(user: Option<(u32, u32)>, pid: u32, bytes: Option<u64>) {
    let limit = bytes.map_or_else(|| "unlimited".to_owned(), |bytes| bytes.to_string());
    let mut prlimit = Command::new("prlimit");
    // With a colon at the end it is the soft limit, which can be raised again.
    prlimit.arg("--pid").arg(pid.to_string()).arg(format!("--fsize={limit}:")).current_dir("/");
    if let Some((user, group)) = user {
        prlimit.uid(user).gid(group);
    }
    let set = prlimit.output().expect("run prlimit");
    assert!(
        set.status.success() || !is_running(pid),
        "prlimit of {pid}: {}",
        String::from_utf8_lossy(&set.stderr)
    );
}
