//! The whole program as a user runs it: in one process, or split over several with PostgreSQL and NATS between them.

use std::collections::BTreeMap;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rand::Rng;
use serde_json::Value;

use crate::dcm::{Dcm, Serve};
use crate::endpoint::HeldEndpoint;
use crate::http::Http;
use crate::nats::Nats;
use crate::postgres::Postgres;
use crate::wait::eventually;
use crate::workdir::WorkDir;

/// How long the read models may take to show a fleet that was just filled.
const SHOWN: Duration = Duration::from_secs(60);
/// How long something that cert-mon does every few seconds may take.
const AUDITED: Duration = Duration::from_secs(45);
/// Roles of the process that has no HTTP (design §10).
const BACKGROUND: &str = "relay,projector,worker,cert-mon";

/// How the parts of the program are spread over processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Every role in one process, embedded stores, local bus.
    Embedded,
    /// API processes and one with all other roles; PostgreSQL and NATS.
    Split,
}

/// What to start; see [`Deployment::new`].
#[derive(Debug)]
pub struct Setup {
    way: Way,
    demo: u32,
    apis: usize,
    flags: Vec<(String, String)>,
    start_within: Duration,
}

impl Setup {
    /// Size of the demo fleet; default 3.
    #[must_use]
    pub fn demo(self, demo: u32) -> Self {
        Self { demo, ..self }
    }

    /// How many API processes a split deployment has; default 1.
    #[must_use]
    pub fn apis(self, apis: usize) -> Self {
        Self { apis, ..self }
    }

    /// A flag with its value, for every process.
    #[must_use]
    pub fn flag(mut self, name: &str, value: impl Into<String>) -> Self {
        self.flags.push((name.to_owned(), value.into()));
        self
    }

    /// Gives each process more than a minute to become ready.
    #[must_use]
    pub fn start_within(self, start_within: Duration) -> Self {
        Self { start_within, ..self }
    }

    /// Starts everything and waits until the list shows the fleet, every endpoint in-sync.
    pub async fn start(self) -> Deployment {
        let demo = self.demo.to_string();
        let stores = self.stores().await;
        let (api, background) = match &stores {
            None => (self.serve().flag("--demo", &demo), None),
            Some(stores) => {
                let all = stores.flags(self.serve());
                let background = all.clone().own_dir().roles(BACKGROUND).flag("--demo", &demo);
                (all.roles("api").flag("--demo", &demo), Some(background))
            }
        };
        let deployment = self.launch(stores, api, background).await;
        deployment.shows_fleet(self.demo).await;
        deployment
    }

    /// As [`Self::start`], but cert-mon audits `endpoint` instead of the demo's endpoints, every 2 s.
    ///
    /// Only the process with the role `api` fills the fleet, so embedded it is filled by a first process.
    pub async fn start_with_endpoint(self, endpoint: &HeldEndpoint) -> Deployment {
        let demo = self.demo.to_string();
        let stores = self.stores().await;
        let (api, background) = match &stores {
            None => {
                let serve = self.serve();
                let mut first = serve.clone().flag("--demo", &demo).start().await;
                assert!(first.terminate().await.success());
                (endpoint.audited_by(serve), None)
            }
            Some(stores) => {
                let all = stores.flags(self.serve());
                let background = endpoint.audited_by(all.clone().own_dir()).roles(BACKGROUND);
                (all.roles("api").flag("--demo", &demo), Some(background))
            }
        };
        let deployment = self.launch(stores, api, background).await;
        deployment.shows_fleet_of(self.demo).await;
        deployment
    }

    async fn stores(&self) -> Option<Stores> {
        match self.way {
            Way::Embedded => None,
            Way::Split => Some(Stores::new().await),
        }
    }

    fn serve(&self) -> Serve {
        let serve = Dcm::serve().flag("--log-format", "json").start_within(self.start_within);
        self.flags.iter().fold(serve, |serve, (name, value)| serve.flag(name, value))
    }

    async fn launch(&self, stores: Option<Stores>, api: Serve, background: Option<Serve>) -> Deployment {
        let background = match background {
            Some(serve) => Some(serve.start().await),
            None => None,
        };
        let mut apis = vec![api.start().await];
        if stores.is_some() {
            for _ in 1..self.apis {
                apis.push(api.clone().own_dir().start().await);
            }
        }
        Deployment { apis, background, stores }
    }
}

/// The servers of a split deployment, and the vault's key.
#[derive(Debug)]
pub struct Stores {
    /// The bus.
    pub nats: Nats,
    journal: String,
    read_model: String,
    vault: String,
    key: PathBuf,
    _dir: WorkDir,
}

impl Stores {
    /// A NATS server of their own and three empty databases of the shared cluster.
    pub async fn new() -> Self {
        Self::on(Postgres::shared().await).await
    }

    /// As [`Self::new`], in a cluster of the caller's.
    pub async fn on(cluster: &Postgres) -> Self {
        let dir = WorkDir::new("key");
        let key = dir.path().join("vault.key");
        write_vault_key(&key);
        Self {
            nats: Nats::start().await,
            journal: cluster.create_database().await.url,
            read_model: cluster.create_database().await.url,
            vault: cluster.create_database().await.url,
            key,
            _dir: dir,
        }
    }

    /// The same with the journal elsewhere.
    #[must_use]
    pub fn with_journal(self, journal: String) -> Self {
        Self { journal, ..self }
    }

    /// The flags that name them, for `serve`, `doctor` and `config check`.
    pub fn arguments(&self) -> Vec<String> {
        let pairs = [
            ("--journal", self.journal.clone()),
            ("--read-model", self.read_model.clone()),
            ("--vault", self.vault.clone()),
            ("--vault-key-file", self.key.display().to_string()),
            ("--bus", self.nats.url()),
        ];
        pairs.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect()
    }

    fn flags(&self, serve: Serve) -> Serve {
        self.arguments().into_iter().fold(serve, Serve::arg)
    }
}

/// Writes a vault key file with one new key, for its owner alone.
fn write_vault_key(path: &std::path::Path) {
    use std::io::Write;
    let key: [u8; 32] = rand::rng().random();
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(path).expect("create the key file");
    writeln!(file, "1 {}", STANDARD.encode(key)).expect("write the key file");
}

/// One certificate audit, as cert-mon's log tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// The region.
    pub region: String,
    /// How it ended: `in-sync`, `skipped: rehome-pending`, ...
    pub outcome: String,
}

/// The running program.
#[derive(Debug)]
pub struct Deployment {
    apis: Vec<Dcm>,
    background: Option<Dcm>,
    stores: Option<Stores>,
}

impl Deployment {
    /// A demo fleet of 3, every role, JSON logs; to be changed and started.
    #[expect(clippy::new_ret_no_self, reason = "what it gives is started to become one")]
    pub fn new(way: Way) -> Setup {
        Setup { way, demo: 3, apis: 1, flags: vec![], start_within: Duration::from_secs(60) }
    }

    /// A client of the first API process.
    pub fn http(&self) -> Http {
        self.api(0).http()
    }

    /// An API process.
    pub fn api(&self, number: usize) -> &Dcm {
        &self.apis[number]
    }

    /// The process that runs relay, projector, worker and cert-mon.
    pub fn background(&self) -> &Dcm {
        self.background.as_ref().unwrap_or_else(|| &self.apis[0])
    }

    /// The servers. Panics if it is embedded.
    pub fn stores(&self) -> &Stores {
        self.stores.as_ref().expect("an embedded deployment has no servers")
    }

    /// NATS. Panics if it is embedded.
    pub fn nats(&mut self) -> &mut Nats {
        &mut self.stores.as_mut().expect("an embedded deployment has no NATS").nats
    }

    /// Every certificate audit so far, oldest first.
    pub fn audits(&self) -> Vec<Audit> {
        let logs = self.background().logs();
        let lines = logs.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let audits = lines.filter(|line| line["message"] == "certificate audit");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        audits.map(|line| Audit { region: text(&line["region"]), outcome: text(&line["outcome"]) }).collect()
    }

    /// Waits for an audit of `region` after the first `seen` ones that ended in `outcome`; gives how many there were
    /// by then.
    pub async fn audited(&self, region: &str, outcome: &str, seen: usize) -> usize {
        eventually(format!("an audit of {region} ends in {outcome}"), AUDITED, async || {
            let audits = self.audits();
            let new = audits.get(seen..).unwrap_or_default();
            match new.iter().position(|audit| audit.region == region && audit.outcome == outcome) {
                Some(at) => Ok(seen + at + 1),
                None => Err(new.to_vec()),
            }
        })
        .await
    }

    /// Waits until the list shows `count` subclouds, every endpoint in-sync.
    pub async fn shows_fleet(&self, count: u32) {
        self.shows_fleet_of(count).await;
        eventually("every endpoint is in-sync", SHOWN, async || {
            let list = list_of(&self.http()).await;
            match list.iter().all(|entry| entry["sync_status"] == "in-sync") {
                true => Ok(()),
                false => Err(list),
            }
        })
        .await;
    }

    /// Waits until the list shows `count` subclouds, all managed, online and complete.
    pub async fn shows_fleet_of(&self, count: u32) {
        eventually(format!("{count} subclouds are listed"), SHOWN, async || {
            let list = list_of(&self.http()).await;
            let deployed = |entry: &&Value| {
                entry["management-state"] == "managed"
                    && entry["availability-status"] == "online"
                    && entry["deploy-status"] == "complete"
            };
            let there = list.iter().filter(deployed).count();
            if list.len() == there && there == count as usize { Ok(()) } else { Err((list.len(), there)) }
        })
        .await;
    }

    /// SIGKILL to every process.
    pub fn kill(&mut self) {
        self.apis.iter_mut().chain(self.background.as_mut()).for_each(Dcm::kill);
    }

    /// Starts every process again with the same flags and data, those that still run after SIGKILL.
    pub async fn restart(&mut self) {
        self.kill();
        if let Some(background) = &mut self.background {
            background.restart().await;
        }
        for api in &mut self.apis {
            api.restart().await;
        }
    }

    /// SIGTERM to every process, the API first; each must drain and exit with 0, and none may have panicked.
    pub async fn end(mut self) {
        for process in self.apis.iter_mut().chain(self.background.as_mut()) {
            let status = process.terminate().await;
            let logs = process.logs();
            assert!(!logs.contains("panicked at"), "a task panicked:\n{logs}");
            assert!(status.success(), "SIGTERM ended in {status}");
        }
    }
}

/// `GET /v1.0/subclouds`: the entries.
pub async fn list_of(http: &Http) -> Vec<Value> {
    let body = http.get_json("/v1.0/subclouds").await;
    body["subclouds"].as_array().unwrap_or_else(|| panic!("no list: {body}")).clone()
}

/// `GET /v1.0/subclouds/NAME`.
pub async fn show(http: &Http, name: &str) -> Value {
    http.get_json(&format!("/v1.0/subclouds/{name}")).await
}

/// The entry of a list with that name. Panics when there is none.
#[track_caller]
pub fn entry<'a>(list: &'a [Value], name: &str) -> &'a Value {
    let found = list.iter().find(|entry| entry["name"] == name);
    found.unwrap_or_else(|| panic!("{name} is not listed"))
}

/// What a shown or listed subcloud says of its endpoints.
#[track_caller]
pub fn endpoints(shown: &Value) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let all = shown["endpoint_sync_status"].as_array().unwrap_or_else(|| panic!("no endpoints: {shown}"));
    all.iter().map(|one| (text(&one["endpoint_type"]), text(&one["sync_status"]))).collect()
}

/// The default endpoints (subclouds.md §2.2), `dc-cert` with one status and all others with another.
pub fn expected_endpoints(dc_cert: &str, others: &str) -> BTreeMap<String, String> {
    let types =
        ["dc-cert", "firmware", "identity", "kube-rootca", "kubernetes", "load", "patching", "platform"];
    let status = |kind: &str| if kind == "dc-cert" { dc_cert } else { others };
    types.map(|kind| (kind.to_owned(), status(kind).to_owned())).into()
}

/// Makes two tests of each scenario, `async fn(Way)`: one per [`Way`](crate::Way).
#[macro_export]
macro_rules! both_ways {
    ($($scenario:ident),+ $(,)?) => {
        mod embedded {
            $(#[tokio::test]
            async fn $scenario() {
                super::$scenario($crate::Way::Embedded).await;
            })+
        }
        mod split {
            $(#[tokio::test]
            async fn $scenario() {
                super::$scenario($crate::Way::Split).await;
            })+
        }
    };
}
