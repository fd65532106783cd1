//! On a real NATS server of the test's own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use dcm_journal::bus::{DATA_OMITTED_HEADER, NatsBus, NatsSettings};

use super::site::Site;
use super::*;

/// A server on a random loopback port, with JetStream in a temporary folder, ended on drop.
pub(super) struct Server {
    directory: tempfile::TempDir,
    configuration: &'static str,
    port: String,
    child: Option<Child>,
}

impl Server {
    pub(super) async fn new() -> Self {
        Self::with_configuration("").await
    }

    /// With a further line of its configuration.
    async fn with_configuration(configuration: &'static str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut server = Self { directory, configuration, port: "-1".to_owned(), child: None };
        server.start().await;
        server
    }

    async fn start(&mut self) {
        let ports = self.directory.path().join("ports");
        let _ = std::fs::remove_dir_all(&ports);
        std::fs::create_dir(&ports).unwrap();
        let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/nats/bin/nats-server");
        let binary = std::env::var_os("DCM_TEST_NATS").map_or(installed, PathBuf::from);
        let child = Command::new(binary)
            .args(["--addr", "127.0.0.1", "--port", &self.port, "--config"])
            .arg(self.configuration())
            .arg("--ports_file_dir")
            .arg(&ports)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nats-server starts: set DCM_TEST_NATS or install it under .tools/nats");
        self.child = Some(child);
        let deadline = Instant::now() + LONG;
        self.port = loop {
            if let Some(port) = listening(&ports) {
                break port;
            }
            assert!(Instant::now() < deadline, "the server listens");
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
    }

    fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Loses everything it stored.
    fn wipe(&self) {
        std::fs::remove_dir_all(self.storage()).unwrap();
    }

    fn storage(&self) -> PathBuf {
        self.directory.path().join("storage")
    }

    /// What no flag says: how much is stored does not depend on how much space this machine has left.
    fn configuration(&self) -> PathBuf {
        let file = self.directory.path().join("nats.conf");
        let (storage, further) = (self.storage(), self.configuration);
        let text = format!("jetstream {{ store_dir: {storage:?}, max_file_store: 1TB }}\n{further}\n");
        std::fs::write(&file, text).unwrap();
        file
    }

    async fn bus(&self) -> Arc<dyn Bus> {
        Arc::new(self.nats_bus().await)
    }

    pub(super) async fn nats_bus(&self) -> NatsBus {
        let url = format!("nats://127.0.0.1:{}", self.port).parse().unwrap();
        NatsBus::connect(&url, NatsSettings::default()).await.unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The port in the file that the server writes once it listens.
fn listening(ports: &Path) -> Option<String> {
    let file = std::fs::read_dir(ports).ok()?.next()?.ok()?.path();
    let ports: Value = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
    Some(ports["nats"][0].as_str()?.rsplit_once(':')?.1.to_owned())
}

/// As the lease loop does: starts over when it was fenced.
async fn keep_relaying(journal: Arc<dyn Journal>, bus: Arc<dyn Bus>, stop: CancellationToken) {
    let relay = relay(&journal, &bus);
    while !stop.is_cancelled() {
        match relay.run(&stop).await {
            Ok(()) => {}
            Err(RelayError::Fenced) => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn relays_that_die_or_overlap_leave_no_gap_and_no_double() {
    let (site, server) = (Site::new().await, Server::new().await);
    let bus = server.bus().await;
    site.default_group().await;
    let refilled = site.journal.head().await.unwrap();
    let running = start(relay(&site.journal, &bus));
    copied(&site.journal, &bus).await;
    running.stop().await;
    let stop = CancellationToken::new();
    let rival = tokio::spawn(keep_relaying(Arc::clone(&site.journal), server.bus().await, stop.clone()));
    let mut managed = 0;
    for (n, region) in (1..).zip(HOSTILE) {
        let running =
            tokio::spawn(keep_relaying(Arc::clone(&site.journal), Arc::clone(&bus), stop.child_token()));
        let entity = site.add(n, region).await;
        for _ in 0..5 {
            site.manage(entity).await;
            site.unmanage(entity).await;
            managed += 1;
        }
        tokio::time::sleep(Duration::from_micros((n * 7919) % 9000)).await;
        running.abort();
        assert!(running.await.unwrap_err().is_cancelled());
    }
    copied(&site.journal, &bus).await;
    stop.cancel();
    rival.await.unwrap();
    // A last one sends what those that died could not.
    let running = start(relay(&site.journal, &bus));
    hints(&bus, Stream::Jobs, HOSTILE.len() as u64).await;
    hints(&bus, Stream::Notify, managed).await;
    running.stop().await;
    check_copy(&site.journal, &bus, 0, refilled).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_is_waited_for_and_wiped_storage_is_refilled() {
    let (site, mut server) = (Site::new().await, Server::new().await);
    let bus = server.bus().await;
    let mut running = started(relay(&site.journal, &bus)).await;
    let entity = site.add(1, "a.b.>").await;
    copied(&site.journal, &bus).await;

    server.stop();
    for _ in 0..60 {
        site.manage(entity).await;
        site.unmanage(entity).await;
    }
    running.health.wait_for(|state| matches!(state, RelayState::Waiting { .. })).await.unwrap();
    server.start().await;
    copied(&site.journal, &bus).await;
    hints(&bus, Stream::Notify, 60).await;
    check_copy(&site.journal, &bus, 0, 0).await;

    server.stop();
    server.wipe();
    let lost = site.head().await;
    server.start().await;
    // Not known to the relay yet, and news all the same.
    site.add(2, "r2").await;
    copied(&site.journal, &bus).await;
    check_copy(&site.journal, &bus, 0, lost).await;
    hints(&bus, Stream::Jobs, 1).await;
    assert_eq!(bus.tail(Stream::Notify).await.unwrap().sequence, 0, "what is replayed is told to nobody");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_the_bus_cannot_carry_goes_out_without_its_data() {
    let (site, server) = (Site::new().await, Server::with_configuration("max_payload: 64KB").await);
    let bus = server.nats_bus().await;
    let shared: Arc<dyn Bus> = Arc::new(bus.clone());
    let running = started(relay(&site.journal, &shared)).await;
    let stream = dcm_journal::conformance::events::new_stream();
    let data = [1, 70_000, 2, 1_500_000, 3].map(|size| serde_json::json!({"text": "x".repeat(size)}));
    let (expected, events) =
        dcm_journal::conformance::events::with_data(&stream, None, data.clone().to_vec());
    site.journal.append(&stream, expected, events).await.unwrap();
    copied(&site.journal, &shared).await;
    running.stop().await;
    let found = messages(&shared, Stream::Events).await;
    for (delivery, sent) in found.iter().zip(&data) {
        let received = Received::parse(&delivery.message.headers, &delivery.message.payload).unwrap();
        let whole = sent.to_string().len() < 64 * 1024;
        let omitted = delivery.message.header(DATA_OMITTED_HEADER).map(str::to_owned);
        assert_eq!(omitted, (!whole).then(|| sent.to_string().len().to_string()));
        // Whoever needs it reads it where the message says.
        let event = site.journal.read_back(received.position.order, 1).await.unwrap().remove(0);
        assert_eq!((event.envelope.id, &event.envelope.data), (received.id, sent));
        assert_eq!(received.data, if whole { sent.clone() } else { Value::Null });
    }
    let all = crate::relay::Window::ALL;
    let compared = crate::relay::verify(&*site.journal, &bus, all, Duration::ZERO).await.unwrap();
    assert!(compared.agrees && compared.messages == 5, "{compared:?}");
}
