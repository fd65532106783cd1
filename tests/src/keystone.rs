//! A private Keystone: the real one, with its own database, keys and port.
//!
//! The database with its users is made once, below `.tools/`; each server starts from a copy.

mod prepared;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

use crate::dcm::Serve;
use crate::guard::Ending;
use crate::http::Http;
use crate::process::{Launch, Process};
use crate::tools::{free_port, tool};
use crate::wait::eventually;
use crate::workdir::{WorkDir, log_file, tail};

const START: Duration = Duration::from_secs(60);
const TOKENS: &str = "/v3/auth/tokens";

/// Serves Keystone on the address in its only argument. Keystone reads the command line itself, so it must not see one.
const SERVER: &str = "
import sys
address = sys.argv[1]
sys.argv = ['keystone']
import waitress
from keystone.wsgi.api import application
waitress.serve(application, listen=address, threads=4)
";

/// Users of every [`Keystone`], with their roles and projects; [`Keystone::password`] is their password. Keystone
/// derives roles: admin implies manager, that member, that reader.
pub(crate) const USERS: [(&str, &str, Option<&str>); 6] = [
    ("admin", "admin", Some("admin")),
    ("member", "member", Some("admin")),
    ("reader", "reader", Some("admin")),
    ("services-admin", "admin", Some("services")),
    ("demo", "member", Some("demo")),
    // The service user: it may validate tokens, and nothing else.
    ("dcmanager", "service", Some("services")),
];

/// A server of its own on a free loopback port. It keeps no answers in memory: a revoked token is invalid at once.
#[derive(Debug)]
pub struct Keystone {
    dir: WorkDir,
    python: PathBuf,
    port: u16,
    token_life: Duration,
    log: PathBuf,
    server: Option<Process>,
}

impl Keystone {
    /// A server whose tokens last an hour. Panics with its log if it does not come up, or if there is no Keystone
    /// (`DCM_TEST_KEYSTONE` names a Python that has it, else the one in `.tools/`).
    pub async fn start() -> Self {
        Self::start_with_tokens_of(Duration::from_secs(3600)).await
    }

    /// A server whose tokens last for `token_life`, in whole seconds.
    pub async fn start_with_tokens_of(token_life: Duration) -> Self {
        let python = tool("DCM_TEST_KEYSTONE", "keystone/bin/python3");
        let template = prepared::site(&python).await;
        let dir = WorkDir::new("keystone");
        prepared::copy(&template, dir.path());
        Self::launch_on_a_free_port(dir, python, token_life).await
    }

    async fn launch_on_a_free_port(dir: WorkDir, python: PathBuf, token_life: Duration) -> Self {
        let (log, _) = log_file(dir.path(), "keystone");
        let mut keystone = Self { dir, python, port: 0, token_life, log, server: None };
        for _ in 0..5 {
            keystone.port = free_port();
            if keystone.launch().await {
                return keystone;
            }
        }
        panic!("Keystone does not start:\n{}", tail(&keystone.log, 40));
    }

    /// `http://127.0.0.1:PORT`; a restart keeps it.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Process id. Panics when stopped.
    pub fn pid(&self) -> u32 {
        self.server.as_ref().expect("Keystone is stopped").pid()
    }

    /// The password of one of [`USERS`].
    pub fn password(user: &str) -> String {
        format!("s3cret-of-{user}")
    }

    /// A client of it.
    pub fn http(&self) -> Http {
        Http::new(self.url())
    }

    /// `dcm serve` that asks this Keystone, as the service user; more flags may be added.
    pub fn serve(&self) -> Serve {
        let file = self.dir.path().join("dcmanager.conf");
        std::fs::write(&file, self.section()).expect("write the service's configuration");
        let mut setting = OsString::from("keystone.config_file=");
        setting.push(&file);
        Serve::new().flag("--auth", "keystone").flag("--set", setting)
    }

    /// The section of an INI file that the old service was configured with.
    fn section(&self) -> String {
        let url = self.url();
        format!(
            "[DEFAULT]\nauth_strategy = keystone\n[keystone_authtoken]\nauth_url = {url}\nwww_authenticate_uri = {url}\n\
             username = dcmanager\npassword = {}\nproject_name = services\nuser_domain_name = Default\n\
             project_domain_name = Default\ninterface = internal\nregion_name = RegionOne\n",
            Self::password("dcmanager")
        )
    }

    /// A new token of one of [`USERS`], for its own project. Panics if Keystone gives none.
    pub async fn token(&self, user: &str) -> String {
        let project = USERS.iter().find_map(|(known, _, project)| (*known == user).then_some(*project));
        self.token_for(user, project.expect("a user of every Keystone")).await
    }

    /// A new token of `user` for `project`; without one it is for none, and has no roles.
    pub async fn token_for(&self, user: &str, project: Option<&str>) -> String {
        let domain = json!({"id": "default"});
        let user = json!({"name": user, "domain": domain, "password": Self::password(user)});
        let identity = json!({"methods": ["password"], "password": {"user": user}});
        let scope = project.map_or_else(
            || json!("unscoped"),
            |project| json!({"project": {"name": project, "domain": domain}}),
        );
        let asked = json!({"auth": {"identity": identity, "scope": scope}});
        let answer = self.http().post(TOKENS).json(&asked).send().await.expect(201);
        answer.header("x-subject-token").expect("the token").to_owned()
    }

    /// From now on `token` is worth nothing to Keystone.
    pub async fn revoke(&self, token: &str) {
        let request =
            self.http().delete(TOKENS).header("x-auth-token", token).header("x-subject-token", token);
        let _ = request.send().await.expect(204);
    }

    /// Whether Keystone still takes `token`.
    pub async fn knows(&self, token: &str) -> bool {
        let request = self.http().get(TOKENS).header("x-auth-token", token).header("x-subject-token", token);
        request.send().await.status == 200
    }

    /// Ends it.
    pub fn kill(&mut self) {
        self.server = None;
    }

    /// Starts again on the same port, with the same users and keys.
    pub async fn start_again(&mut self) {
        assert!(self.server.is_none(), "Keystone is already running");
        assert!(self.launch().await, "Keystone does not start again:\n{}", tail(&self.log, 40));
    }

    /// Freezes it (SIGSTOP): connections stay open and nobody answers.
    pub fn pause(&mut self) {
        self.server.as_mut().expect("Keystone is stopped").pause();
    }

    /// Undoes [`Self::pause`].
    pub fn resume(&mut self) {
        self.server.as_mut().expect("Keystone is stopped").signal(Signal::SIGCONT);
    }

    /// Starts the server and waits until it answers; `false` if it ended instead (its port was taken).
    async fn launch(&mut self) -> bool {
        prepared::configure(self.dir.path(), self.token_life);
        self.announce().await;
        let log = std::fs::File::options().append(true).open(&self.log).expect("the log was created");
        let mut server = Process::launch(Launch {
            program: self.python.clone(),
            args: ["-c", SERVER, &format!("127.0.0.1:{}", self.port)].map(OsString::from).to_vec(),
            env: prepared::environment(self.dir.path()),
            without_prefix: Some("OS_"),
            directory: self.dir.path().to_owned(),
            user: None,
            stdout: log.try_clone().expect("a second handle of the log"),
            stderr: log,
            ending: Ending::Kill,
        });
        let http = self.http();
        let deadline = Instant::now() + START;
        let started = eventually("Keystone answers or ends", START * 2, async || {
            assert!(Instant::now() < deadline, "Keystone is not ready:\n{}", tail(&self.log, 40));
            match server.exited() {
                Some(_) => Ok(false),
                None => match http.get("/v3").try_send().await {
                    Ok(answer) if answer.status == 200 => Ok(true),
                    other => Err(format!("{other:?}")),
                },
            }
        })
        .await;
        self.server = started.then_some(server);
        started
    }

    /// Writes its address into its own catalog.
    async fn announce(&self) {
        let database = SqliteConnectOptions::new().filename(database(self.dir.path()));
        let mut connection = database.connect().await.expect("open Keystone's database");
        let changed = sqlx::query("update endpoint set url = $1").bind(format!("{}/v3", self.url()));
        changed.execute(&mut connection).await.expect("write Keystone's endpoints");
        sqlx::Connection::close(connection).await.expect("close Keystone's database");
    }

    /// Asks Keystone as the administrator whose token is given. Panics unless it does what it is asked to.
    async fn order(&self, token: &str, method: &str, path: &str, body: Option<Value>) -> Value {
        let request =
            self.http().request(method.parse().expect("a method"), path).header("x-auth-token", token);
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        let answer = request.send().await;
        assert!((200..300).contains(&answer.status), "{}: {} {}", answer.request, answer.status, answer.body);
        serde_json::from_str(&answer.body).unwrap_or_default()
    }
}

fn database(dir: &Path) -> PathBuf {
    dir.join("keystone.db")
}
