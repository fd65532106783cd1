//! A private PostgreSQL cluster.

use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User, geteuid};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, postgres::PgConnectOptions};
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::guard::Ending;
use crate::limit::limit_files_of;
use crate::process::{Launch, Process, await_standstill, children_of};
use crate::tools::free_port;
use crate::wait::eventually;
use crate::workdir::{WorkDir, log_file, tail};

const START: Duration = Duration::from_secs(30);
const STOP: Duration = Duration::from_secs(30);
/// Mebibytes of one file of the write-ahead log, as PostgreSQL has it by itself.
const SEGMENT: u32 = 16;
/// Long values of every table are kept out of line instead of compressed.
const KEEP_PLAIN: &str = "
do $$
declare stored record;
begin
    for stored in
        select attrelid::regclass as relation, attname as name
        from pg_attribute join pg_class on pg_class.oid = attrelid
        where relkind = 'r' and relnamespace = 'public'::regnamespace and attstorage in ('x', 'm')
            and attnum > 0 and not attisdropped
    loop
        execute format('alter table %s alter column %I set storage external', stored.relation, stored.name);
    end loop;
end $$";

static SHARED: OnceCell<Postgres> = OnceCell::const_new();

/// A cluster of its own: a temporary data directory, a free port on loopback, a socket in the same directory, the
/// superuser `postgres` without a password. PostgreSQL refuses to run as root, so root's tests run it as the system
/// user `postgres`.
///
/// Commits wait for the operating system but not for the disk (`fsync=off`): a killed server loses nothing, only
/// a power cut would.
#[derive(Debug)]
pub struct Postgres {
    dir: WorkDir,
    bin: PathBuf,
    user: Option<(u32, u32)>,
    port: u16,
    log: PathBuf,
    durable: bool,
    server: Option<Process>,
}

/// A database of one test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    /// Its name, unique in the cluster.
    pub name: String,
    /// `postgres://…/<name>`.
    pub url: String,
}

impl Postgres {
    /// The cluster that the tests of this process share. It can be neither stopped nor paused: a test that does
    /// so starts its own.
    pub async fn shared() -> &'static Self {
        SHARED.get_or_init(Self::start).await
    }

    /// Makes and starts a cluster (about a second). Panics with the server's log if it does not come up.
    pub async fn start() -> Self {
        Self::start_as(false, SEGMENT).await
    }

    /// As [`Self::start`], but commits wait for the disk, as in production: for measurements.
    pub async fn start_durable() -> Self {
        Self::start_as(true, SEGMENT).await
    }

    /// As [`Self::start`], in the smallest files: those of the write-ahead log have one mebibyte, so that
    /// [`Self::limit_files`] can be told little more.
    pub async fn start_in_small_files() -> Self {
        Self::start_as(false, 1).await
    }

    async fn start_as(durable: bool, segment: u32) -> Self {
        let dir = WorkDir::new("postgres");
        let user = server_user();
        if let Some((uid, gid)) = user {
            chown(dir.path(), Some(uid), Some(gid)).expect("give the cluster's directory to its user");
        }
        let bin = binaries();
        init(&bin, dir.path(), user, segment);
        let (log, _) = log_file(dir.path(), "postgres");
        let mut cluster = Self { dir, bin, user, port: free_port(), log, durable, server: None };
        for _ in 0..5 {
            if cluster.launch().await {
                return cluster;
            }
            cluster.port = free_port();
        }
        panic!("PostgreSQL does not start:\n{}", tail(&cluster.log, 40));
    }

    /// Port on 127.0.0.1; a restart keeps it.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Process id of the postmaster. Panics when stopped.
    pub fn pid(&self) -> u32 {
        self.server.as_ref().expect("PostgreSQL is stopped").pid()
    }

    /// Directory that holds everything of this cluster.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// `postgres://` URL of a database of this cluster.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Makes an empty database with a name of its own.
    pub async fn create_database(&self) -> Database {
        let name = format!("test_{}", Uuid::new_v4().simple());
        let options: PgConnectOptions = self.url("postgres").parse().expect("a URL of our own making");
        let mut connection = options.connect().await.expect("connect to the cluster");
        sqlx::raw_sql(AssertSqlSafe(format!("create database {name}")))
            .execute(&mut connection)
            .await
            .expect("create a database");
        connection.close().await.expect("close the connection");
        let url = self.url(&name);
        Database { name, url }
    }

    /// From now on everything that is written to the tables which `url` has by now stands in the files as it is: a
    /// search of the files cannot see what PostgreSQL has compressed, as it does with rows of more than 2 kB.
    pub async fn keep_plain(url: &str) {
        let options: PgConnectOptions = url.parse().expect("a URL of this cluster");
        let mut connection = options.connect().await.expect("connect to the database");
        sqlx::raw_sql(KEEP_PLAIN).execute(&mut connection).await.expect("change the storage of every column");
        connection.close().await.expect("close the connection");
    }

    /// Stops in good order: clients are disconnected, their open transactions rolled back. Data stays.
    pub async fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.signal(Signal::SIGINT);
            assert!(server.wait(STOP).await.is_some(), "PostgreSQL does not stop:\n{}", tail(&self.log, 40));
        }
    }

    /// Ends all its processes at once, as a crash would; the next start recovers from the log.
    pub fn crash(&mut self) {
        self.server = None;
    }

    /// Starts again on the same data and port after [`Self::stop`] or [`Self::crash`].
    pub async fn start_again(&mut self) {
        assert!(self.server.is_none(), "PostgreSQL is already running");
        assert!(self.launch().await, "PostgreSQL does not start again:\n{}", tail(&self.log, 40));
    }

    /// [`Self::stop`], then start again on the same data and port.
    pub async fn restart(&mut self) {
        self.stop().await;
        self.start_again().await;
    }

    /// Freezes the server and its backends (SIGSTOP): connections stay open and nobody answers.
    pub fn pause(&mut self) {
        let server = self.server.as_mut().expect("PostgreSQL is stopped");
        // The postmaster first, so that it starts no new backend meanwhile.
        server.pause();
        for backend in children_of(server.pid()) {
            signal_backend(backend, Signal::SIGSTOP);
            await_standstill(backend);
        }
    }

    /// Undoes [`Self::pause`].
    pub fn resume(&mut self) {
        let server = self.server.as_mut().expect("PostgreSQL is stopped");
        for backend in children_of(server.pid()) {
            signal_backend(backend, Signal::SIGCONT);
        }
        server.signal(Signal::SIGCONT);
    }

    /// Lets it write no file beyond its first `bytes` from now on, as if the disk were full, or, with `None`, gives it all
    /// room back. Less than one file of the write-ahead log is its end.
    pub fn limit_files(&self, bytes: Option<u64>) {
        // The postmaster first: what it starts meanwhile has its limit. It ignores the signal, and so do they.
        limit_files_of(self.user, self.pid(), bytes);
        for backend in children_of(self.pid()) {
            limit_files_of(self.user, backend, bytes);
        }
    }

    /// Starts the server and waits until it takes connections; `false` if it ended instead (its port was taken).
    async fn launch(&mut self) -> bool {
        let log = std::fs::File::options().append(true).open(&self.log).expect("the log was created");
        let data = self.dir.path().join("data");
        let settings = [
            "listen_addresses=127.0.0.1".to_owned(),
            format!("port={}", self.port),
            format!("unix_socket_directories={}", self.dir.path().display()),
            "max_connections=300".to_owned(),
            format!("fsync={}", if self.durable { "on" } else { "off" }),
            // Memory segments in the data directory are removed with it.
            "dynamic_shared_memory_type=mmap".to_owned(),
        ];
        let mut args = vec!["-D".into(), data.clone().into_os_string()];
        args.extend(settings.into_iter().flat_map(|setting| ["-c".into(), setting.into()]));
        let mut server = Process::launch(Launch {
            program: self.bin.join("postgres"),
            args,
            env: vec![],
            without_prefix: Some("PG"),
            directory: self.dir.path().to_owned(),
            user: self.user,
            stdout: log.try_clone().expect("a second handle of the log"),
            stderr: log,
            ending: Ending::Quit,
        });
        let deadline = Instant::now() + START;
        let started = eventually("PostgreSQL accepts connections or ends", START * 2, async || {
            assert!(Instant::now() < deadline, "PostgreSQL is not ready:\n{}", tail(&self.log, 40));
            match server.exited() {
                Some(_) => Ok(false),
                None if is_ready(&data, server.pid()) => Ok(true),
                None => Err("starting"),
            }
        })
        .await;
        self.server = started.then_some(server);
        started
    }
}

/// Backends lead groups of their own, so each is signalled by itself; one that ended meanwhile is no error.
fn signal_backend(pid: u32, signal: Signal) {
    let _ = kill(Pid::from_raw(i32::try_from(pid).expect("a process id is a positive i32")), signal);
}

/// Whether the lock file is this postmaster's and says `ready`: its first line is the process id, its eighth the state.
fn is_ready(data: &Path, pid: u32) -> bool {
    let Ok(text) = std::fs::read_to_string(data.join("postmaster.pid")) else { return false };
    let mut lines = text.lines();
    lines.next() == Some(pid.to_string().as_str())
        && lines.nth(6).is_some_and(|state| state.trim() == "ready")
}

/// The user to run the server as: none for an ordinary caller, the system user `postgres` for root.
fn server_user() -> Option<(u32, u32)> {
    if !geteuid().is_root() {
        return None;
    }
    let user = User::from_name("postgres").expect("look up the user postgres");
    let user = user.expect("root needs a user `postgres` to run PostgreSQL as: run `tests/run --install`");
    Some((user.uid.as_raw(), user.gid.as_raw()))
}

/// Folder of the newest installed server.
fn binaries() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    versions
        .filter_map(|entry| {
            Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path().join("bin")))
        })
        .filter(|(_, bin)| bin.join("postgres").is_file() && bin.join("initdb").is_file())
        .max_by_key(|(version, _)| *version)
        .map(|(_, bin)| bin)
        .expect("no PostgreSQL server under /usr/lib/postgresql: run `tests/run --install`")
}

fn init(bin: &Path, dir: &Path, user: Option<(u32, u32)>, segment: u32) {
    use std::os::unix::process::CommandExt;
    let mut initdb = Command::new(bin.join("initdb"));
    initdb.args(["-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync", "-D"]);
    initdb
        .arg(dir.join("data"))
        .arg(format!("--wal-segsize={segment}"))
        .current_dir(dir)
        .stdin(Stdio::null());
    if let Some((uid, gid)) = user {
        initdb.uid(uid).gid(gid);
    }
    let done = initdb.output().expect("run initdb");
    assert!(done.status.success(), "initdb failed:\n{}", String::from_utf8_lossy(&done.stderr));
}
