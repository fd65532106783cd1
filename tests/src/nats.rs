//! A private NATS server with JetStream.

mod cluster;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::{self, stream};
use bytes::Bytes;
use nix::sys::signal::Signal;

use crate::guard::Ending;
use crate::process::{Launch, Process};
use crate::tools::{free_port, tool};
use crate::wait::eventually;
use crate::workdir::{WorkDir, log_file, tail};
pub use cluster::NatsCluster;

const START: Duration = Duration::from_secs(20);
const STOP: Duration = Duration::from_secs(20);
/// Name and subject of the stream that takes the room which others would need.
const BALLAST: &str = "BALLAST";
/// Bytes of one message of it.
const PIECE: usize = 512 * 1024;

/// A server of its own on a free loopback port, with JetStream's files in a temporary directory.
#[derive(Debug)]
pub struct Nats {
    dir: WorkDir,
    program: PathBuf,
    port: u16,
    /// Further arguments, such as those of a cluster.
    arguments: Vec<OsString>,
    /// How much JetStream stores in files, as its configuration says it.
    room: String,
    log: PathBuf,
    server: Option<Process>,
}

impl Nats {
    /// Starts a server. Panics with its log if it does not come up, or if there is no server program
    /// (`DCM_TEST_NATS`, else the one in `.tools/`).
    pub async fn start() -> Self {
        Self::prepared(vec![]).started().await
    }

    /// As [`Self::start`], with room for so many mebibytes in all its streams together, which [`Self::fill`] can take.
    /// Streams that promise to hold more in sum are refused.
    pub async fn with_room(mebibytes: usize) -> Self {
        let nats = Self::prepared(vec![]);
        Self { room: format!("{mebibytes}MiB"), ..nats }.started().await
    }

    async fn started(mut self) -> Self {
        for _ in 0..5 {
            if self.launch().await {
                return self;
            }
            self.port = free_port();
        }
        panic!("nats-server does not start:\n{}", tail(&self.log, 40));
    }

    /// A server that is not started yet.
    fn prepared(arguments: Vec<OsString>) -> Self {
        let dir = WorkDir::new("nats");
        let (log, _) = log_file(dir.path(), "nats");
        let program = tool("DCM_TEST_NATS", "nats/bin/nats-server");
        Self { dir, program, port: free_port(), arguments, room: "1TB".to_owned(), log, server: None }
    }

    /// `nats://127.0.0.1:PORT`; a restart keeps it.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Process id. Panics when stopped.
    pub fn pid(&self) -> u32 {
        self.server.as_ref().expect("nats-server is stopped").pid()
    }

    /// Directory that holds everything of this server.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Where JetStream keeps its messages.
    pub fn storage(&self) -> PathBuf {
        self.dir.path().join("storage")
    }

    /// Writes what no flag says. Left to itself, JetStream promises to streams no more than a share of the space that is
    /// free on this machine, and refuses those whose bounds are above it, however little they will hold.
    fn configuration(&self) -> PathBuf {
        let file = self.dir.path().join("nats.conf");
        let text = format!(
            "jetstream {{ store_dir: {:?}, max_file_store: {}, max_memory_store: 1GB }}\n",
            self.storage(),
            self.room
        );
        std::fs::write(&file, text).expect("write the configuration of nats-server");
        file
    }

    /// Stops in good order: what was acknowledged is on disk.
    pub async fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.signal(Signal::SIGINT);
            assert!(server.wait(STOP).await.is_some(), "nats-server does not stop:\n{}", tail(&self.log, 40));
        }
    }

    /// Ends it with SIGKILL.
    pub fn kill(&mut self) {
        self.server = None;
    }

    /// Starts again on the same port and storage after [`Self::stop`], [`Self::kill`] or [`Self::wipe`].
    pub async fn start_again(&mut self) {
        assert!(self.server.is_none(), "nats-server is already running");
        assert!(self.launch().await, "nats-server does not start again:\n{}", tail(&self.log, 40));
    }

    /// [`Self::stop`], then start again with everything it stored.
    pub async fn restart(&mut self) {
        self.stop().await;
        self.start_again().await;
    }

    /// Stops it and removes all it stored: streams, consumers, messages. [`Self::start_again`] starts it empty.
    pub async fn wipe(&mut self) {
        self.stop().await;
        std::fs::remove_dir_all(self.storage()).expect("remove JetStream's storage");
    }

    /// Takes all the room that is left: from now on JetStream refuses what it would have to store.
    pub async fn fill(&self) {
        let context = self.context().await;
        let config =
            stream::Config { name: BALLAST.into(), subjects: vec![BALLAST.into()], ..Default::default() };
        context.get_or_create_stream(config).await.expect("a stream for ballast");
        let piece = Bytes::from(vec![0_u8; PIECE]);
        loop {
            let sent = context.publish(BALLAST, piece.clone()).await.expect("send ballast");
            if let Err(refused) = sent.await {
                assert_eq!(refused.kind(), PublishErrorKind::Other, "{refused}");
                return;
            }
        }
    }

    /// Gives back the room that [`Self::fill`] took.
    pub async fn empty(&self) {
        self.context().await.delete_stream(BALLAST).await.expect("remove the ballast");
    }

    async fn context(&self) -> jetstream::Context {
        jetstream::new(async_nats::connect(self.url()).await.expect("connect to NATS"))
    }

    /// Freezes it (SIGSTOP): connections stay open and nobody answers.
    pub fn pause(&mut self) {
        self.server.as_mut().expect("nats-server is stopped").pause();
    }

    /// Undoes [`Self::pause`].
    pub fn resume(&mut self) {
        self.server.as_mut().expect("nats-server is stopped").signal(Signal::SIGCONT);
    }

    /// Starts the server and waits until it listens; `false` if it ended instead (its port was taken).
    async fn launch(&mut self) -> bool {
        let log = std::fs::File::options().append(true).open(&self.log).expect("the log was created");
        let dir = self.dir.path();
        let mut server = Process::launch(Launch {
            program: self.program.clone(),
            args: [
                "--addr".into(),
                "127.0.0.1".into(),
                "--port".into(),
                self.port.to_string().into(),
                "--config".into(),
                self.configuration().into_os_string(),
                "--ports_file_dir".into(),
                dir.as_os_str().to_owned(),
            ]
            .into_iter()
            .chain(self.arguments.iter().cloned())
            .collect(),
            env: vec![],
            without_prefix: Some("NATS_"),
            directory: dir.to_owned(),
            user: None,
            stdout: log.try_clone().expect("a second handle of the log"),
            stderr: log,
            ending: Ending::Kill,
        });
        // Written once it listens; the name holds the process id, so a predecessor's file is not mistaken for it.
        let ports = dir.join(format!("nats-server_{}.ports", server.pid()));
        let deadline = Instant::now() + START;
        let started = eventually("nats-server listens or ends", START * 2, async || {
            assert!(Instant::now() < deadline, "nats-server is not ready:\n{}", tail(&self.log, 40));
            match server.exited() {
                Some(_) => Ok(false),
                None if ports.is_file() => Ok(true),
                None => Err("starting"),
            }
        })
        .await;
        self.server = started.then_some(server);
        started
    }
}
