//! A PostgreSQL server of the tests' own.

use std::{
    fs,
    net::TcpListener,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, Weak},
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// Shared by the tests that run at the same time; stopped with the last of them.
static SHARED: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());

/// A running server that ends with this value.
pub struct Cluster {
    dir: TempDir,
    server: Child,
    pub port: u16,
}

impl Cluster {
    /// The running server, or a new one.
    pub fn shared() -> Arc<Self> {
        let mut shared = SHARED.lock().unwrap();
        shared.upgrade().unwrap_or_else(|| {
            let cluster = Arc::new(Self::start());
            *shared = Arc::downgrade(&cluster);
            cluster
        })
    }

    fn start() -> Self {
        let dir = tempfile::Builder::new().prefix("dcm-pg-").tempdir().unwrap();
        let data = dir.path().join("data");
        fs::create_dir(&data).unwrap();
        if let Some((user, group)) = unprivileged() {
            for path in [dir.path(), &data] {
                chown(path, Some(user), Some(group)).unwrap();
            }
        }
        let initialised = command("initdb", dir.path())
            .args(["-A", "trust", "--no-sync", "-U", "dcm", "-E", "UTF8", "--locale=C", "-D"])
            .arg(&data)
            .stdout(Stdio::null())
            .status();
        assert!(initialised.unwrap().success(), "initdb failed");
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = command("postgres", dir.path())
            .arg("-D")
            .arg(&data)
            .args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1"])
            .args(["-c", "unix_socket_directories=", "-c", "max_connections=200"])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let cluster = Self { dir, server, port };
        cluster.wait_until_ready();
        cluster
    }

    fn wait_until_ready(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        let ready = || {
            command("pg_isready", self.dir.path())
                .args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()])
                .status()
                .unwrap()
                .success()
        };
        while !ready() {
            assert!(Instant::now() < deadline, "the server does not start");
            std::thread::yield_now();
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = command("pg_ctl", self.dir.path())
            .args(["stop", "-s", "-m", "immediate", "-D"])
            .arg(self.dir.path().join("data"))
            .status();
        let _ = self.server.wait();
    }
}

/// A program of the server's, as a user it accepts: it refuses to run as root.
fn command(program: &str, dir: &Path) -> Command {
    let mut command = Command::new(programs().join(program));
    command.current_dir(dir).env("LC_ALL", "C");
    if let Some((user, group)) = unprivileged() {
        command.uid(user).gid(group);
    }
    command
}

/// The newest installed version's directory.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").expect("PostgreSQL is installed");
    let mut found: Vec<PathBuf> = versions.map(|entry| entry.unwrap().path().join("bin")).collect();
    found.retain(|bin| bin.join("postgres").exists());
    found.sort();
    found.pop().expect("PostgreSQL's server is installed")
}

/// User and group of `postgres`, if this is root.
fn unprivileged() -> Option<(u32, u32)> {
    use std::os::unix::fs::MetadataExt;
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return None;
    }
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    let line = passwd.lines().find(|line| line.starts_with("postgres:")).expect("a user postgres");
    let mut ids = line.split(':').skip(2).take(2).map(|id| id.parse().unwrap());
    Some((ids.next().unwrap(), ids.next().unwrap()))
}
