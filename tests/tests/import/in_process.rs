//! The API over embedded stores without any worker: what `dcm serve` never is, since embedded stores want every role.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dcm_api::ops::Readiness;
use dcm_api::platform::ConfiguredPlatform;
use dcm_api::policy::{Policy, Sources};
use dcm_api::transport::TransportSettings;
use dcm_api::{App, Parts, Settings};
use dcm_domain::value::{Actor, Subnet};
use dcm_journal::fleet::Fleet;
use dcm_journal::repository::Meta;
use dcm_journal::vault::Vault;
use dcm_projections::{Projector, ReadModels};
use dcm_tests::{Http, eventually};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};

/// The API at work; it ends when this is dropped.
pub struct Api {
    pub http: Http,
    pub fleet: Arc<Fleet>,
    pub vault: Arc<dyn Vault>,
    _ends: DropGuard,
}

/// Opens the stores in `data_dir` and answers from them once the read models show everything.
pub async fn open(data_dir: &Path) -> Api {
    let journal = dcm_journal::store::open("embedded:", data_dir).await.unwrap();
    let vault = dcm_journal::vault::open("embedded:", data_dir, None).await.unwrap();
    let models = ReadModels::open("embedded:", data_dir, journal.id()).await.unwrap();
    let fleet = Arc::new(Fleet::new(&journal).unwrap());
    fleet.ensure_default_group(&Meta::new(Actor::system("test"))).await.unwrap();
    let stop = CancellationToken::new();
    let projector = Projector::new(Arc::clone(&models), Arc::clone(&journal), 1, Arc::new(Notify::new()));
    let until = stop.clone();
    tokio::spawn(async move { projector.run(&until, |_| {}).await.unwrap() });
    let head = journal.head().await.unwrap();
    eventually("the read models show the import", Duration::from_secs(60), async || {
        let at = models.subclouds().position().await.unwrap().0;
        if at >= head { Ok(()) } else { Err(at) }
    })
    .await;
    let subnet = Subnet::parse("192.168.204.0/24").unwrap();
    let pool = ("192.168.204.2".parse().unwrap(), "192.168.204.100".parse().unwrap());
    let app = App::new(Parts {
        fleet: Arc::clone(&fleet),
        models,
        vault: Arc::clone(&vault),
        journal,
        settings: Settings::new("22.12", subnet, pool),
        readiness: Arc::new(Readiness::default()),
        metrics: metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder().handle(),
        asyncapi: serde_json::Value::Null,
        platform: Arc::new(ConfiguredPlatform::default()),
        policy: Arc::new(Policy::open(Sources { files: vec![], dirs: vec![] }).unwrap()),
        stop: stop.clone(),
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let http = Http::new(format!("http://{}", listener.local_addr().unwrap()));
    let service = dcm_api::router(app, TransportSettings::default()).into_make_service();
    let until = stop.clone();
    tokio::spawn(async move {
        axum::serve(listener, service).with_graceful_shutdown(until.cancelled_owned()).await.unwrap();
    });
    Api { http, fleet, vault, _ends: stop.drop_guard() }
}
