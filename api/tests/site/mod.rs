//! A controller of a test's own: the API over embedded stores in a temporary directory, with a projector at work.
#![allow(dead_code, reason = "each test program uses its part of it")]

pub mod imported;
pub mod platform;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use dcm_api::ops::Readiness;
use dcm_api::platform::{ConfiguredPlatform, Platform};
use dcm_api::policy::{Policy, Sources};
use dcm_api::transport::TransportSettings;
use dcm_api::{App, Parts, Settings, router};
use dcm_domain::aggregate::Command;
use dcm_domain::subcloud::command::{
    AddSubcloud, ClaimRun, CompletePhase, FailPhase, ReportAvailability, StartPlaybook,
};
use dcm_domain::subcloud::{
    DeployRunRequested, ManagementNetwork, Rejection, RunInputs, Subcloud, SubcloudAdded,
};
use dcm_domain::value::{Actor, Availability, Name, Phase, Region, Subnet};
use dcm_journal::fleet::{Claim, Fleet};
use dcm_journal::repository::{Done, Meta};
use dcm_journal::store::Journal;
use dcm_projections::{Projector, ReadModels};
use http::{HeaderMap, Request};
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::{Value, json};
use tokio::sync::{Mutex, Notify};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::ServiceExt;
use uuid::Uuid;

/// How long a test waits for anything.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A controller. Its projector ends with it.
pub struct Site {
    pub app: App,
    pub router: Router,
    pub fleet: Arc<Fleet>,
    pub journal: Arc<dyn Journal>,
    pub models: Arc<ReadModels>,
    pub readiness: Arc<Readiness>,
    pub stop: CancellationToken,
    projector: CancellationToken,
    following: Mutex<Option<JoinHandle<()>>>,
    _ends: [DropGuard; 2],
    pub dir: tempfile::TempDir,
}

/// What a request was answered.
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// A header's text; empty without it.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }
}

impl Site {
    /// A new controller without subclouds.
    pub async fn start() -> Self {
        Self::start_waiting(PATIENCE).await
    }

    /// A new controller whose answers wait for the read models for at most `wait`.
    pub async fn start_waiting(wait: Duration) -> Self {
        Self::start_with(|settings, _| settings.wait = wait).await
    }

    /// A new controller with the settings that `edit` leaves; it is given the controller's directory too.
    pub async fn start_with(edit: impl FnOnce(&mut Settings, &Path)) -> Self {
        Self::start_on(Arc::new(ConfiguredPlatform::default()), edit).await
    }

    /// The same, on a platform that can be asked.
    pub async fn start_on(platform: Arc<dyn Platform>, edit: impl FnOnce(&mut Settings, &Path)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let journal = dcm_journal::store::open("embedded:", dir.path()).await.unwrap();
        let vault = dcm_journal::vault::open("embedded:", dir.path(), None).await.unwrap();
        let models = ReadModels::open("embedded:", dir.path(), journal.id()).await.unwrap();
        let fleet = Arc::new(Fleet::new(&journal).unwrap());
        fleet.ensure_default_group(&Meta::new(Actor::system("test"))).await.unwrap();
        let (stop, projector) = (CancellationToken::new(), CancellationToken::new());
        let follow = Projector::new(Arc::clone(&models), Arc::clone(&journal), 1, Arc::new(Notify::new()));
        let until = projector.clone();
        let following = tokio::spawn(async move { follow.run(&until, |_| {}).await.unwrap() });
        let subnet = Subnet::parse("192.168.204.0/24").unwrap();
        let pool = ("192.168.204.2".parse().unwrap(), "192.168.204.100".parse().unwrap());
        let mut settings = Settings { wait: PATIENCE, ..Settings::new("22.12", subnet, pool) };
        edit(&mut settings, dir.path());
        let readiness = Arc::new(Readiness::default());
        let policies = Sources { files: vec![dir.path().join("policy.yaml")], dirs: vec!["policy.d".into()] };
        let app = App::new(Parts {
            fleet: Arc::clone(&fleet),
            models: Arc::clone(&models),
            vault,
            journal: Arc::clone(&journal),
            settings,
            readiness: Arc::clone(&readiness),
            metrics: PrometheusBuilder::new().build_recorder().handle(),
            asyncapi: json!({"asyncapi": "3.0.0"}),
            platform,
            policy: Arc::new(Policy::open(policies).unwrap()),
            stop: stop.clone(),
        });
        let router = router(app.clone(), TransportSettings::default());
        let ends = [stop.clone().drop_guard(), projector.clone().drop_guard()];
        Self {
            app,
            router,
            fleet,
            journal,
            models,
            readiness,
            stop,
            projector,
            following: Mutex::new(Some(following)),
            _ends: ends,
            dir,
        }
    }

    /// Stops the projector: rows no longer move.
    pub async fn stop_projector(&self) {
        self.projector.cancel();
        if let Some(following) = self.following.lock().await.take() {
            following.await.unwrap();
        }
    }

    /// SC of subclouds.md §14: `subcloud<number>`, offline, unmanaged, `complete`.
    pub async fn add(&self, number: u8) -> Uuid {
        let (entity, run) = self.add_with_run(number, Phase::Complete).await;
        self.run(entity, &ClaimRun { run_id: run, worker: "w".to_owned() }).await;
        self.run(entity, &CompletePhase { run_id: run, phase: Phase::Complete }).await;
        entity
    }

    /// SC whose only phase failed with `error`.
    pub async fn add_failed(&self, number: u8, phase: Phase, error: &str) -> Uuid {
        let (entity, run) = self.add_with_run(number, phase).await;
        self.run(entity, &ClaimRun { run_id: run, worker: "w".to_owned() }).await;
        self.run(entity, &StartPlaybook { run_id: run, phase }).await;
        let failed = FailPhase { run_id: run, phase, started: true, error: error.to_owned() };
        self.run(entity, &failed).await;
        entity
    }

    /// SC whose one phase waits for a worker; its uuid and its run.
    pub async fn add_with_run(&self, number: u8, phase: Phase) -> (Uuid, Uuid) {
        let (entity, run_id) = (Uuid::now_v7(), Uuid::now_v7());
        let name = Name::parse(&format!("subcloud{number}")).unwrap();
        let region = Region::parse(&region(number)).unwrap();
        let network = ManagementNetwork {
            subnet: format!("192.168.{}.0/24", 100 + number),
            start_ip: format!("192.168.{}.2", 100 + number),
            end_ip: format!("192.168.{}.50", 100 + number),
            gateway_ip: format!("192.168.{}.1", 100 + number),
        };
        let subnet = Subnet::parse(&network.subnet).unwrap();
        let claim = Claim { entity, name: name.clone(), region: region.clone(), subnet, group_id: 1 };
        let meta = meta();
        let done = self.fleet.add(claim, &meta, |id| AddSubcloud {
            subcloud: SubcloudAdded {
                id,
                name,
                region,
                description: Some("an edge".to_owned()),
                location: None,
                software_version: "18.03".to_owned(),
                network,
                systemcontroller_gateway_ip: "192.168.204.101".to_owned(),
                group_id: 1,
                install: None,
                bootstrap: None,
                bootstrap_address: None,
                deploy_config: None,
                initial_deployment: true,
            },
            run: DeployRunRequested { run_id, phases: vec![phase], inputs: RunInputs::default() },
            claimed_by: None,
        });
        self.shown(&done.await.unwrap()).await;
        (entity, run_id)
    }

    /// Carries out a command and waits until the read models show it, unless their projector was stopped.
    pub async fn run<C: Command<Subcloud, Rejection = Rejection>>(
        &self,
        entity: Uuid,
        command: &C,
    ) -> Done<Subcloud> {
        let done = self.fleet.run(entity, command, &meta()).await.unwrap();
        self.shown(&done).await;
        done
    }

    /// Deletes a subcloud.
    pub async fn delete(&self, entity: Uuid) {
        self.shown(&self.fleet.delete(entity, &meta()).await.unwrap()).await;
    }

    /// Brings a subcloud online.
    pub async fn online(&self, entity: Uuid) {
        self.run(entity, &ReportAvailability { to: Availability::Online }).await;
    }

    async fn shown(&self, done: &Done<Subcloud>) {
        if let Some(position) = done.position.filter(|_| !self.projector.is_cancelled()) {
            assert!(self.models.progress().wait(position.order, PATIENCE).await, "the projector is stuck");
        }
    }

    /// `GET path` as `curl` and the CLI ask, with more `headers`.
    pub async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.ask("GET", path, headers, "").await
    }

    /// `GET path` of a client that takes JSON.
    pub async fn get(&self, path: &str) -> Answer {
        self.get_with(path, &[("accept", "application/json")]).await
    }

    /// Any request.
    pub async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let body = tokio::time::timeout(PATIENCE, to_bytes(body, usize::MAX)).await.unwrap().unwrap();
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            text: String::from_utf8(body.to_vec()).unwrap(),
        }
    }
}

/// The region of `subcloud<number>`.
pub fn region(number: u8) -> String {
    format!("2ec93dfb654846909efe61d1b39dd2{number:02x}")
}

/// Who the fixture acts as.
pub fn meta() -> Meta {
    Meta::new(Actor { user_id: "anna".to_owned(), project_id: None, roles: Vec::new() })
}
