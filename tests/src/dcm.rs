//! The built `dcm` binary: servers and one-shot commands.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::guard::Ending;
use crate::http::Http;
use crate::process::{Launch, Process};
use crate::wait::eventually;
use crate::workdir::{WorkDir, log_file, tail};

/// How long a server may take to its first line, a demo fleet included.
const START: Duration = Duration::from_secs(60);
/// How long a server may take to drain after SIGTERM.
const DRAIN: Duration = Duration::from_secs(30);
/// How long a one-shot command may take.
const COMMAND: Duration = Duration::from_secs(60);

/// Path of the binary: `DCM_TEST_BINARY`, else `dcm` of the build profile the tests were built with.
/// Panics, saying what to run, when it is not there.
pub fn dcm_binary() -> PathBuf {
    let path = std::env::var_os("DCM_TEST_BINARY").map_or_else(
        || {
            let exe = std::env::current_exe().expect("a process knows its program");
            let deps = exe.parent().expect("a program lies in a folder");
            // Tests lie in target/<profile>/deps, binaries in target/<profile>.
            let profile =
                if deps.ends_with("deps") { deps.parent().expect("deps has a parent") } else { deps };
            profile.join("dcm")
        },
        PathBuf::from,
    );
    assert!(path.is_file(), "no binary at {}: run `cargo build -p dcm` first", path.display());
    path
}

/// The command `dcm` with nothing of the caller's `DCM_*` variables, which are the tests' and no configuration of the
/// program: for tests that start and end it themselves.
pub fn dcm_command() -> std::process::Command {
    let mut command = std::process::Command::new(dcm_binary());
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("DCM_")) {
        command.env_remove(name);
    }
    command
}

/// How a one-shot command ended.
#[derive(Debug)]
pub struct Finished {
    /// Exit status.
    pub status: ExitStatus,
    /// All of standard output.
    pub stdout: String,
    /// All of standard error.
    pub stderr: String,
}

impl Finished {
    /// Checks for exit status 0 and gives standard output. Panics with both outputs otherwise.
    #[track_caller]
    pub fn ok(self) -> String {
        assert!(
            self.status.success(),
            "{}\nstandard output:\n{}\nstandard error:\n{}",
            self.status,
            self.stdout,
            self.stderr
        );
        self.stdout
    }
}

/// Runs `dcm ARGS` to its end, in an empty directory and without `DCM_*` variables of the caller.
/// Panics if it takes more than a minute.
pub async fn run_dcm<I, A>(args: I) -> Finished
where
    I: IntoIterator<Item = A>,
    A: Into<OsString>,
{
    run_dcm_within(args, COMMAND).await
}

/// As [`run_dcm`], with a time limit of the caller's.
pub async fn run_dcm_within<I, A>(args: I, limit: Duration) -> Finished
where
    I: IntoIterator<Item = A>,
    A: Into<OsString>,
{
    let dir = WorkDir::new("command");
    let args: Vec<OsString> = args.into_iter().map(Into::into).collect();
    let mut running = Running::start(dcm_binary(), dir.path(), args.clone(), vec![]);
    let Some(status) = running.process.wait(limit).await else {
        panic!("dcm {args:?} does not end:\n{}", running.report());
    };
    Finished { status, stdout: running.stdout(), stderr: running.stderr() }
}

/// A process of the binary and where its output goes.
#[derive(Debug)]
struct Running {
    process: Process,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Running {
    fn start(
        program: PathBuf,
        directory: &Path,
        args: Vec<OsString>,
        env: Vec<(OsString, OsString)>,
    ) -> Self {
        let (stdout, out) = log_file(directory, "dcm-stdout");
        let (stderr, err) = log_file(directory, "dcm-stderr");
        let process = Process::launch(Launch {
            program,
            args,
            env,
            without_prefix: Some("DCM_"),
            directory: directory.to_owned(),
            user: None,
            stdout: out,
            stderr: err,
            ending: Ending::Kill,
        });
        Self { process, stdout, stderr }
    }

    fn stdout(&self) -> String {
        read(&self.stdout)
    }

    fn stderr(&self) -> String {
        read(&self.stderr)
    }

    fn report(&self) -> String {
        format!(
            "standard output ({}):\n{}\nstandard error ({}):\n{}",
            self.stdout.display(),
            tail(&self.stdout, 20),
            self.stderr.display(),
            tail(&self.stderr, 60)
        )
    }
}

fn read(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("read {}: {e}", path.display()));
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Becomes the program with SIGXFSZ ignored: a file that may not grow any more is an error to it, not its end. Its log,
/// which the test keeps in a file, goes through a pipe, so that it does not count among those files.
const LIMITED: &str = r#"trap '' XFSZ; mkfifo "log.$$" && { cat "log.$$" >&2 & exec "$@" 2>"log.$$"; }"#;

/// How to start `dcm serve`: embedded stores, every role, a free port and a data directory of its own, unless said
/// otherwise. A clone starts another process on the same data directory.
#[derive(Clone, Debug)]
pub struct Serve {
    dir: Arc<WorkDir>,
    binary: Option<PathBuf>,
    data: Option<PathBuf>,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    roles: Option<String>,
    listen: Option<String>,
    start_within: Duration,
    limited: bool,
}

impl Default for Serve {
    fn default() -> Self {
        Self::new()
    }
}

impl Serve {
    /// The defaults.
    pub fn new() -> Self {
        Self {
            dir: Arc::new(WorkDir::new("dcm")),
            binary: None,
            data: None,
            args: vec![],
            // Nothing before it needs the time to turn to other processes.
            env: vec![("DCM_HTTP__DRAIN_SECS".into(), "0".into())],
            roles: None,
            listen: None,
            start_within: START,
            limited: false,
        }
    }

    /// `--roles`, comma-separated. Without the role `api` the process is ready when it prints `ready`.
    #[must_use]
    pub fn roles(self, roles: &str) -> Self {
        Self { roles: Some(roles.to_owned()), ..self }
    }

    /// `--listen`; default `127.0.0.1:0` for processes with the role `api`, not given for others.
    #[must_use]
    pub fn listen(self, address: &str) -> Self {
        Self { listen: Some(address.to_owned()), ..self }
    }

    /// Gives a clone a data directory of its own, for another process of the same deployment.
    #[must_use]
    pub fn own_dir(self) -> Self {
        Self { dir: Arc::new(WorkDir::new("dcm")), data: None, ..self }
    }

    /// Uses a data directory of the caller's instead of an own one.
    #[must_use]
    pub fn data_dir(self, path: &Path) -> Self {
        Self { data: Some(path.to_owned()), ..self }
    }

    /// Starts another binary than [`dcm_binary`], such as one of an earlier release.
    #[must_use]
    pub fn binary(self, path: &Path) -> Self {
        Self { binary: Some(path.to_owned()), ..self }
    }

    /// Adds a flag with its value, such as `("--journal", "postgres://…")`.
    #[must_use]
    pub fn flag(self, name: &str, value: impl Into<OsString>) -> Self {
        self.arg(name).arg(value)
    }

    /// Gives another value to a flag that it has.
    #[must_use]
    pub fn instead(mut self, name: &str, value: impl Into<OsString>) -> Self {
        let place = self.args.iter().position(|arg| arg == name).expect("the flag is there");
        self.args[place + 1] = value.into();
        self
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Sets an environment variable; the caller's `DCM_*` variables are never handed on.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Gives it more (or less) than a minute to become ready.
    #[must_use]
    pub fn start_within(self, limit: Duration) -> Self {
        Self { start_within: limit, ..self }
    }

    /// Lets it go on when [`limit_files`](crate::limit_files) keeps its files from growing, as on a disk that is full.
    #[must_use]
    pub fn limited(self) -> Self {
        Self { limited: true, ..self }
    }

    /// Starts it and waits for its first line. Panics with its output if it ends or stays silent.
    pub async fn start(&self) -> Dcm {
        match self.try_start().await {
            Ok(dcm) => dcm,
            Err(refused) => {
                panic!("dcm serve {:?} ended: {}\n{}", self.arguments(), refused.status, refused.stderr)
            }
        }
    }

    /// As [`Self::start`], but a process that ends before it is ready is an error: how it refused to start.
    pub async fn try_start(&self) -> Result<Dcm, Finished> {
        let arguments = self.arguments();
        let (program, all) = self.command(&arguments);
        let mut running = Running::start(program, self.dir.path(), all, self.env.clone());
        let deadline = Instant::now() + self.start_within;
        let first = eventually("dcm serve prints its first line", self.start_within * 2, async || {
            let status = running.process.exited();
            let output = running.stdout();
            match (output.split_once('\n'), status) {
                (_, Some(status)) => Ok(Err(status)),
                (Some((line, _)), None) => Ok(Ok(line.to_owned())),
                (None, None) => {
                    assert!(
                        Instant::now() < deadline,
                        "dcm serve {arguments:?} is silent:\n{}",
                        running.report()
                    );
                    Err("no line")
                }
            }
        })
        .await;
        match first {
            Ok(line) => {
                let url = self.ready_line(&line, &running);
                Ok(Dcm { serve: self.clone(), running, url })
            }
            Err(status) => Err(Finished { status, stdout: running.stdout(), stderr: running.stderr() }),
        }
    }

    /// The URL in the first line, `None` for a process without the role `api`. Panics on any other line (design §10).
    fn ready_line(&self, line: &str, running: &Running) -> Option<String> {
        if !self.has_api() {
            assert_eq!(line, "ready", "first line of a process without the role api\n{}", running.report());
            return None;
        }
        let Some(url) = line.strip_prefix("listening on ").filter(|url| url.starts_with("http")) else {
            panic!("first line is `{line}`, not `listening on http…`\n{}", running.report());
        };
        Some(url.to_owned())
    }

    fn has_api(&self) -> bool {
        self.roles.as_deref().is_none_or(|roles| roles.split(',').any(|role| role == "api"))
    }

    /// Where the process keeps its embedded stores.
    pub fn data_path(&self) -> PathBuf {
        self.data.clone().unwrap_or_else(|| self.dir.path().join("data"))
    }

    /// What to start with which arguments, so that `dcm` runs with `arguments`.
    fn command(&self, arguments: &[OsString]) -> (PathBuf, Vec<OsString>) {
        let program = self.binary.clone().unwrap_or_else(dcm_binary);
        if !self.limited {
            return (program, arguments.to_vec());
        }
        let shell = ["-c".into(), LIMITED.into(), "dcm-test-limited".into(), program.into_os_string()];
        ("/bin/sh".into(), shell.into_iter().chain(arguments.iter().cloned()).collect())
    }

    fn arguments(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> =
            vec!["serve".into(), "--data-dir".into(), self.data_path().into_os_string()];
        let listen = self.listen.as_deref().or(self.has_api().then_some("127.0.0.1:0"));
        for (name, value) in [("--listen", listen), ("--roles", self.roles.as_deref())] {
            if let Some(value) = value {
                arguments.extend([name.into(), value.into()]);
            }
        }
        arguments.extend(self.args.iter().cloned());
        arguments
    }
}

/// A running server. Dropped, it is killed with its process group; if the test is failing, its output is shown.
#[derive(Debug)]
pub struct Dcm {
    serve: Serve,
    running: Running,
    url: Option<String>,
}

impl Dcm {
    /// The defaults of `dcm serve` in a test, to be changed and started.
    pub fn serve() -> Serve {
        Serve::new()
    }

    /// `http://127.0.0.1:PORT`. Panics for a process without the role `api`.
    pub fn url(&self) -> &str {
        self.url.as_deref().expect("a process without the role api has no URL")
    }

    /// A client of [`Self::url`].
    pub fn http(&self) -> Http {
        Http::new(self.url())
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.running.process.pid()
    }

    /// Its data directory.
    pub fn data_dir(&self) -> PathBuf {
        self.serve.data_path()
    }

    /// Everything it wrote to standard output so far.
    pub fn stdout(&self) -> String {
        self.running.stdout()
    }

    /// Everything it wrote to standard error so far: its log.
    pub fn logs(&self) -> String {
        self.running.stderr()
    }

    /// The exit status if it has ended by itself.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.running.process.exited()
    }

    /// SIGKILL to it and its process group. What it started in other groups is its own supervisor's business.
    pub fn kill(&mut self) {
        self.running.process.end();
    }

    /// SIGTERM: asks it to drain.
    pub fn drain(&mut self) {
        self.running.process.signal(Signal::SIGTERM);
    }

    /// SIGTERM, then waits for the end. Panics if it does not drain in time.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.drain();
        let Some(status) = self.running.process.wait(DRAIN).await else {
            panic!("dcm does not end on SIGTERM:\n{}", self.running.report());
        };
        status
    }

    /// Freezes it (SIGSTOP).
    pub fn pause(&mut self) {
        self.running.process.pause();
    }

    /// Undoes [`Self::pause`].
    pub fn resume(&mut self) {
        self.running.process.signal(Signal::SIGCONT);
    }

    /// Kills it if it still runs, and starts it again with the same flags and data; the port is a new one.
    pub async fn restart(&mut self) {
        self.kill();
        *self = self.serve.clone().start().await;
    }
}

impl Drop for Dcm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- dcm {:?}\n{}", self.serve.arguments(), self.running.report());
        }
    }
}
