//! A NATS server of the test's own: random port, JetStream in a temporary directory, ended on drop.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dcm_journal::bus::{NatsBus, NatsSettings, NatsUrl};

/// The server; [`NatsServer::stop`] and [`NatsServer::start`] keep its port and storage.
pub struct NatsServer {
    directory: tempfile::TempDir,
    arguments: Vec<String>,
    configuration: &'static str,
    port: u16,
    child: Option<Child>,
}

impl NatsServer {
    /// Starts a server and waits until it listens.
    pub async fn new() -> Self {
        Self::begun(&[], "").await
    }

    /// The same with further command-line arguments.
    pub async fn with_arguments(arguments: &[&str]) -> Self {
        Self::begun(arguments, "").await
    }

    /// The same with a further line of its configuration.
    pub async fn with_configuration(configuration: &'static str) -> Self {
        Self::begun(&[], configuration).await
    }

    async fn begun(arguments: &[&str], configuration: &'static str) -> Self {
        let directory = tempfile::tempdir().expect("temporary directory");
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let mut server = Self { directory, arguments, configuration, port: 0, child: None };
        server.start().await;
        server
    }

    /// Starts the server again, on the port it had.
    pub async fn start(&mut self) {
        let ports = self.directory.path().join("ports");
        let _ = std::fs::remove_dir_all(&ports);
        std::fs::create_dir(&ports).expect("ports directory");
        let port = if self.port == 0 { "-1".to_owned() } else { self.port.to_string() };
        let child = Command::new(binary())
            .args(["--addr", "127.0.0.1", "--port", &port, "--config"])
            .arg(self.configuration())
            .arg("--ports_file_dir")
            .arg(&ports)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nats-server starts: set DCM_TEST_NATS or install it under .tools/nats");
        self.child = Some(child);
        self.port = eventually("the server listens", async || listening_port(&ports)).await;
    }

    /// Ends the server at once.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Stops the server's threads without closing its connections, as a hung machine does.
    pub fn freeze(&mut self) {
        let pid = self.child.as_ref().expect("the server runs").id();
        let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).expect("a process id"));
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGSTOP).expect("the server is ours");
        // The signal only takes effect some moments later; this waits for it.
        let stopped = nix::sys::wait::waitpid(pid, Some(nix::sys::wait::WaitPidFlag::WUNTRACED));
        assert!(matches!(stopped, Ok(nix::sys::wait::WaitStatus::Stopped(..))), "{stopped:?}");
    }

    /// Lets a frozen server go on.
    pub fn thaw(&mut self) {
        let pid = self.child.as_ref().expect("the server runs").id();
        let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).expect("a process id"));
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGCONT).expect("the server is ours");
    }

    /// Deletes everything JetStream stored. The server must be stopped.
    pub fn wipe(&self) {
        std::fs::remove_dir_all(self.storage()).expect("storage can be deleted");
    }

    /// Where the server listens.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// A bus on this server, connected or connecting.
    pub async fn bus(&self) -> NatsBus {
        let url: NatsUrl = self.url().parse().expect("a URL");
        let settings = NatsSettings { idle_heartbeat: Duration::from_millis(500), ..NatsSettings::default() };
        NatsBus::connect(&url, settings).await.expect("connecting needs no server")
    }

    fn storage(&self) -> PathBuf {
        self.directory.path().join("storage")
    }

    /// What no flag says: how much is stored does not depend on how much space this machine has left.
    fn configuration(&self) -> PathBuf {
        let file = self.directory.path().join("nats.conf");
        let (storage, further) = (self.storage(), self.configuration);
        let text = format!("jetstream {{ store_dir: {storage:?}, max_file_store: 1TB }}\n{further}\n");
        std::fs::write(&file, text).expect("the configuration can be written");
        file
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.stop();
    }
}

fn binary() -> PathBuf {
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/nats/bin/nats-server");
    std::env::var_os("DCM_TEST_NATS").map_or(installed, PathBuf::from)
}

/// The port in the file the server writes once it listens.
fn listening_port(directory: &Path) -> Option<u16> {
    let file = std::fs::read_dir(directory).ok()?.next()?.ok()?.path();
    let ports: serde_json::Value = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
    ports["nats"][0].as_str()?.rsplit_once(':')?.1.parse().ok()
}

/// Asks again and again until there is an answer, for at most 20 seconds.
pub async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "not within 20 s: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
