//! A running site: journal, relay, bus, projector, read models, and the demo fleet with its endpoint.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dcm_domain::aggregate::Command;
use dcm_domain::subcloud::command::ReportEndpoint;
use dcm_domain::subcloud::{Rejection, Subcloud};
use dcm_domain::value::{Actor, Endpoint, Name, SyncStatus};
use dcm_journal::bus::{Bus, LocalBus};
use dcm_journal::fleet::{Fleet, Reference};
use dcm_journal::repository::Meta;
use dcm_journal::store::{self, Journal};
use dcm_projections::{Projector, ReadModels};
use dcm_schemas::{Envelope, StreamId};
use dcm_workers::certmon::Settings;
use dcm_workers::certmon::worker::{CertMon, Context};
use dcm_workers::demo::authority::Authority;
use dcm_workers::demo::endpoints::Endpoints;
use dcm_workers::demo::fill::{FillSettings, fill};
use dcm_workers::relay::Relay;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::subscriber::DefaultGuard;
use uuid::Uuid;

use super::faulty::Faulty;
use super::logs::Logs;

const PATIENCE: Duration = Duration::from_secs(40);

/// Waits until `condition` holds.
pub async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !condition().await {
        assert!(begun.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub fn meta() -> Meta {
    Meta::new(Actor::system("test"))
}

pub fn demo(count: u32) -> FillSettings {
    FillSettings {
        count,
        software_version: "24.09".to_owned(),
        systemcontroller_gateway_ip: [192, 168, 204, 101].into(),
    }
}

/// Rounds every second; without `rounds`, only the start and events cause audits.
pub fn settings(rounds: bool) -> Settings {
    let audit_interval = if rounds { 1 } else { 3_600 };
    Settings { audit_interval, poll_interval: 1, ..Settings::default() }
}

pub struct Site {
    pub fleet: Arc<Fleet>,
    pub models: Arc<ReadModels>,
    pub journal: Arc<dyn Journal>,
    pub faults: Arc<Faulty>,
    pub logs: Logs,
    pub endpoints: Endpoints,
    bus: Arc<dyn Bus>,
    dir: TempDir,
    stop: CancellationToken,
    _stop_at_end: DropGuard,
    _capture: DefaultGuard,
}

impl Site {
    /// A site with `count` demo subclouds, all of whose events are on the bus and in the read models.
    pub async fn with(count: u32) -> Self {
        let (logs, capture) = Logs::capture();
        let dir = tempfile::tempdir().unwrap();
        let stop = CancellationToken::new();
        let journal = store::open("embedded:", dir.path()).await.unwrap();
        let models = ReadModels::open("embedded:", dir.path(), journal.id()).await.unwrap();
        let faults = Faulty::over(Arc::clone(&journal));
        let faulty: Arc<dyn Journal> = faults.clone();
        let fleet = Arc::new(Fleet::new(&faulty).unwrap());
        fill(&fleet, &journal, &demo(count), &stop).await.unwrap();
        let regions: Vec<String> =
            dcm_workers::demo::fleet(count).unwrap().into_iter().map(|subcloud| subcloud.region).collect();
        let authority = Authority::open(&dir.path().join("authority")).unwrap();
        authority.write_expected(&dir.path().join("ca"), regions.iter().map(String::as_str)).unwrap();
        let endpoints = Endpoints::start(authority, regions, stop.clone()).await.unwrap();
        let bus: Arc<dyn Bus> = Arc::new(LocalBus::default());
        let site = Self {
            fleet,
            models,
            journal,
            faults,
            logs,
            endpoints,
            bus,
            dir,
            stop: stop.clone(),
            _stop_at_end: stop.drop_guard(),
            _capture: capture,
        };
        site.start_relay_and_projector();
        site.settled().await;
        site
    }

    fn start_relay_and_projector(&self) {
        let (journal, bell) = (Arc::clone(&self.journal), Arc::new(Notify::new()));
        let relay = Relay::new(Arc::clone(&journal), Arc::clone(&self.bus), Arc::clone(&bell));
        let projector = Projector::new(Arc::clone(&self.models), journal, 1, bell);
        let stop = self.stop.clone();
        tokio::spawn(async move {
            let (relayed, projected) = tokio::join!(relay.run(&stop), projector.run(&stop, |_| {}));
            relayed.unwrap();
            projected.unwrap();
        });
    }

    /// Waits until bus and read models hold what the journal holds.
    pub async fn settled(&self) {
        let head = self.journal.head().await.unwrap();
        assert!(self.models.progress().wait(head, PATIENCE).await);
        let last = self.journal.read_all(head - 1, 1).await.unwrap().remove(0).envelope.id;
        until("the relay", async || {
            let tail = self.bus.last(dcm_journal::bus::Stream::Events).await.unwrap();
            tail.is_some_and(|tail| tail.message.id == last)
        })
        .await;
    }

    /// Payload of the latest notification, once that has this subject: it follows the event that it is made of.
    pub async fn notice(&self, subject: &str) -> Value {
        let last = async || self.bus.last(dcm_journal::bus::Stream::Notify).await.unwrap();
        until(subject, async || last().await.is_some_and(|last| last.message.subject == subject)).await;
        serde_json::from_slice(&last().await.unwrap().message.payload).unwrap()
    }

    pub fn ca_dir(&self) -> PathBuf {
        self.dir.path().join("ca")
    }

    /// Starts cert-mon against the demo endpoint.
    pub fn watch(&self, settings: Settings) {
        self.watch_at(settings, &self.endpoints.template());
    }

    /// Starts cert-mon against endpoints elsewhere.
    pub fn watch_at(&self, settings: Settings, template: &str) {
        let context = Context {
            fleet: Arc::clone(&self.fleet),
            journal: Arc::clone(&self.journal),
            models: Arc::clone(&self.models),
            bus: Arc::clone(&self.bus),
            settings,
            template: template.parse().unwrap(),
            ca_dir: self.ca_dir(),
        };
        let monitor = CertMon::new(context).unwrap();
        let stop = self.stop.clone();
        tokio::spawn(async move { monitor.run(stop).await });
    }

    pub async fn uuid(&self, number: u32) -> Uuid {
        let name = Name::parse(&format!("subcloud{number}")).unwrap();
        self.fleet.resolve(&Reference::Name(name)).await.unwrap().unwrap()
    }

    pub async fn subcloud(&self, number: u32) -> Arc<Subcloud> {
        self.fleet.subcloud(self.uuid(number).await).await.unwrap().state.unwrap()
    }

    pub async fn region(&self, number: u32) -> String {
        self.subcloud(number).await.region.to_string()
    }

    pub async fn run<C: Command<Subcloud, Rejection = Rejection>>(&self, number: u32, command: C) {
        self.fleet.run(self.uuid(number).await, &command, &meta()).await.unwrap();
    }

    pub async fn dc_cert(&self, number: u32) -> SyncStatus {
        self.subcloud(number).await.endpoints[&Endpoint::DcCert]
    }

    /// Reports dc-cert as if an audit had found it so.
    pub async fn set_dc_cert(&self, number: u32, status: SyncStatus) {
        self.run(number, ReportEndpoint { endpoint: Endpoint::DcCert, status, seen: None }).await;
    }

    /// Waits until dc-cert of the subcloud is `status`.
    pub async fn until_dc_cert(&self, number: u32, status: SyncStatus) {
        until("dc-cert", async || self.dc_cert(number).await == status).await;
    }

    /// Waits until so many audits of the subcloud ended with `outcome`.
    pub async fn until_audited(&self, number: u32, outcome: &str, times: usize) {
        let region = self.region(number).await;
        until(outcome, async || self.logs.audits(&region, outcome) >= times).await;
    }

    /// Everything that happened to the subcloud.
    pub async fn history(&self, number: u32) -> Vec<Envelope> {
        let stream = StreamId::aggregate("subcloud", self.uuid(number).await);
        let events = self.journal.read_stream(&stream, 0, 1_000).await.unwrap();
        events.into_iter().map(|event| event.envelope).collect()
    }

    /// How often dc-cert of the subcloud became in-sync.
    pub async fn times_in_sync(&self, number: u32) -> usize {
        let became = |data: &Value| data["endpoint"] == "dc-cert" && data["to"] == "in-sync";
        self.history(number).await.iter().filter(|event| became(&event.data)).count()
    }
}
