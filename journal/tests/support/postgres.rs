//! A private PostgreSQL cluster: in a directory of its own, on a socket of its own, gone with its last user.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;

/// Where Debian puts the servers' programs.
const PROGRAMS: &str = "/usr/lib/postgresql/15/bin";
/// Ends the server when its own input ends: also when the test was killed.
const UNTIL_INPUT_ENDS: &str =
    r#""$0" "$@" & server=$!; cat >/dev/null; kill -QUIT "$server"; wait "$server""#;

static SHARED: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());

/// A running server and its data.
pub struct Cluster {
    directory: tempfile::TempDir,
    server: Mutex<Child>,
}

impl Cluster {
    /// The cluster that all tests of this program share while one of them runs.
    pub fn shared() -> Arc<Self> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let cluster = Arc::new(Self::start());
            *shared = Arc::downgrade(&cluster);
            cluster
        })
    }

    /// A cluster of the caller's own.
    pub fn start() -> Self {
        let directory = tempfile::Builder::new().prefix("dcm-pg").tempdir().unwrap();
        let owner = server_user();
        if let Some((user, group)) = owner {
            chown(directory.path(), Some(user), Some(group)).unwrap();
        }
        fs::set_permissions(directory.path(), Permissions::from_mode(0o700)).unwrap();
        let data = directory.path().join("data");
        let made = as_user(Command::new(format!("{PROGRAMS}/initdb")), owner, directory.path())
            .args(["-A", "trust", "--no-sync", "-U", "postgres", "-E", "UTF8", "--locale=C", "-D"])
            .arg(&data)
            .output()
            .unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let server = as_user(Command::new("/bin/sh"), owner, directory.path())
            .args(["-c", UNTIL_INPUT_ENDS, &format!("{PROGRAMS}/postgres"), "-D"])
            .arg(&data)
            .arg("-k")
            .arg(directory.path())
            .args(["-c", "listen_addresses=", "-c", "max_connections=300", "-c", "fsync=off"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(fs::File::create(directory.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        Self { directory, server: Mutex::new(server) }
    }

    /// URL of an existing database.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@localhost/{database}?host={}", self.directory.path().display())
    }

    /// Creates an empty database and returns its URL. Waits for the server to be up.
    pub async fn new_database(&self) -> String {
        let name = format!("t{}", Uuid::new_v4().simple());
        let mut connection = self.connect("postgres").await;
        sqlx::query(AssertSqlSafe(format!("create database {name}"))).execute(&mut connection).await.unwrap();
        self.url(&name)
    }

    /// Where the server keeps everything.
    pub fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// Ends the server at once.
    pub fn stop(&self) {
        let mut server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        drop(server.stdin.take());
        let _ended = server.wait();
    }

    async fn connect(&self, database: &str) -> PgConnection {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            match PgConnection::connect(&self.url(database)).await {
                Ok(connection) => return connection,
                Err(error) if Instant::now() > deadline => {
                    let log = fs::read_to_string(self.directory.path().join("log")).unwrap_or_default();
                    panic!("PostgreSQL did not come up: {error}\n{log}");
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The server refuses to run as root: user and group `postgres` then, else nobody but ourselves.
fn server_user() -> Option<(u32, u32)> {
    use std::os::unix::fs::MetadataExt;
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        return None;
    }
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    let fields: Vec<&str> = passwd
        .lines()
        .find(|line| line.starts_with("postgres:"))
        .expect("a user postgres")
        .split(':')
        .collect();
    Some((fields[2].parse().unwrap(), fields[3].parse().unwrap()))
}

fn as_user(mut command: Command, owner: Option<(u32, u32)>, directory: &Path) -> Command {
    if let Some((user, group)) = owner {
        command.uid(user).gid(group);
    }
    command.current_dir(directory).env_clear().env("PATH", "/usr/bin:/bin");
    command
}
