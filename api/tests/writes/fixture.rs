//! The fixtures of subclouds.md §14: ACT, META, POOL, BV, FORM, IV, and forms exactly as the CLI sends them.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dcm_api::Settings;
use dcm_domain::subcloud::command::{
    AbortDeployment, AbortPhase, ClaimRun, CompletePhase, DeploySubcloud, DeployVerb, Details, FailPhase,
    ManageSubcloud, ReportEndpoint, StartPhase, StartPlaybook,
};
use dcm_domain::subcloud::{RunInputs, Subcloud};
use dcm_domain::value::{DeployStatus, Endpoint, Phase, SyncStatus};
use serde_json::{Map, Value, json};
use tokio_util::sync::{CancellationToken, DropGuard};
use uuid::Uuid;

use crate::site::platform::FakePlatform;
use crate::site::{Answer, Site, meta};

/// `testpass` in base64.
pub const PASSWORD: &str = "dGVzdHBhc3M=";

/// A controller with META, and with load images and deploy files of the active release.
pub async fn controller() -> Site {
    controller_on(&FakePlatform::default()).await
}

/// The same on a platform that can be asked.
pub async fn controller_on(platform: &FakePlatform) -> Site {
    let site = Site::start_on(Arc::new(platform.clone()), configure).await;
    stock(&site, "loads/22.12", &["boot.iso", "boot.sig"]);
    stock(
        &site,
        "deploy/22.12",
        &["deploy_playbook_a.yaml", "deploy_overrides_a.yaml", "deploy_chart_a.tgz"],
    );
    site
}

/// META, and directories of the controller's own.
pub fn configure(settings: &mut Settings, dir: &Path) {
    settings.releases.supported = Some(["18.03", "21.12", "22.12"].map(str::to_owned).to_vec());
    settings.dirs.ansible = dir.join("ansible");
    settings.dirs.loads = dir.join("loads");
    settings.dirs.deploy = dir.join("deploy");
    settings.dirs.applications = dir.join("applications");
    settings.dirs.previous_playbooks = dir.join("playbooks");
}

/// Puts files into a folder of the controller.
pub fn stock(site: &Site, folder: &str, files: &[&str]) {
    for file in files {
        put(site, &format!("{folder}/{file}"), "x");
    }
}

/// Puts one file.
pub fn put(site: &Site, file: &str, content: &str) {
    let path = site.dir.path().join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn map(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// BV, named `subcloud2` in 192.168.101.0/24.
pub fn bv() -> Map<String, Value> {
    map(json!({
        "system_mode": "simplex",
        "name": "subcloud2",
        "description": "an edge",
        "location": "Vienna",
        "management_subnet": "192.168.101.0/24",
        "management_start_address": "192.168.101.2",
        "management_end_address": "192.168.101.50",
        "management_gateway_address": "192.168.101.1",
        "external_oam_subnet": "10.10.10.0/24",
        "external_oam_gateway_address": "10.10.10.1",
        "external_oam_floating_address": "10.10.10.12",
        "systemcontroller_gateway_address": "192.168.204.101",
    }))
}

/// BV with a complete admin network and no management gateway.
pub fn admin() -> Map<String, Value> {
    let mut values = without(bv(), "management_gateway_address");
    values.extend(map(json!({
        "admin_subnet": "192.168.102.0/24",
        "admin_start_address": "192.168.102.5",
        "admin_end_address": "192.168.102.49",
        "admin_gateway_address": "192.168.102.1",
    })));
    values
}

/// IV, without the password, which is a field.
pub fn iv() -> Map<String, Value> {
    map(json!({
        "bootstrap_interface": "eno1",
        "bootstrap_address": "10.10.10.12",
        "bootstrap_address_prefix": 23,
        "bmc_address": "128.224.64.1",
        "bmc_username": "root",
        "install_type": 2,
    }))
}

pub fn with(mut values: Map<String, Value>, key: &str, value: impl Into<Value>) -> Map<String, Value> {
    values.insert(key.to_owned(), value.into());
    values
}

pub fn without(mut values: Map<String, Value>, key: &str) -> Map<String, Value> {
    values.retain(|one, _| one != key);
    values
}

/// A form as the CLI sends it: no part has a content type, files have the path as typed.
#[derive(Clone, Default)]
pub struct Form(String);

const BOUNDARY: &str = "c1f2e3d4c5b6a7988796a5b4c3d2e1f0";

impl Form {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn field(self, name: &str, value: &str) -> Self {
        self.part(&format!("name=\"{name}\""), value)
    }

    pub fn file(self, name: &str, content: &str) -> Self {
        self.part(&format!("name=\"{name}\"; filename=\"/home/user/{name}.yml\""), content)
    }

    /// A YAML file; JSON is YAML.
    pub fn yaml(self, name: &str, values: Map<String, Value>) -> Self {
        self.file(name, &Value::Object(values).to_string())
    }

    fn part(mut self, disposition: &str, content: &str) -> Self {
        let head = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n");
        self.0 += &format!("{head}{content}\r\n");
        self
    }

    pub fn body(&self) -> String {
        format!("{}--{BOUNDARY}--\r\n", self.0)
    }
}

/// FORM.
pub fn form() -> Form {
    Form::new().field("bootstrap-address", "10.10.10.12").field("sysadmin_password", PASSWORD)
}

/// Sends a form and takes errors as JSON.
pub async fn send(site: &Site, method: &str, path: &str, form: &Form) -> Answer {
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    site.ask(method, path, &[("accept", "application/json"), ("content-type", &kind)], &form.body()).await
}

/// Sends a JSON body.
pub async fn send_json(site: &Site, method: &str, path: &str, body: &Value) -> Answer {
    let headers = [("accept", "application/json"), ("content-type", "application/json")];
    site.ask(method, path, &headers, &body.to_string()).await
}

/// ADD with other bootstrap values and more fields.
pub async fn add(site: &Site, values: Map<String, Value>, more: Form) -> Answer {
    let form = Form(form().yaml("bootstrap_values", values).0 + &more.0);
    send(site, "POST", "/v1.0/subclouds", &form).await
}

#[track_caller]
pub fn expect(answer: &Answer, status: u16, phrase: &str, case: &str) {
    let text = match status {
        200 => answer.text.clone(),
        _ => answer.json()["description"].as_str().unwrap_or_default().to_owned(),
    };
    assert_eq!(answer.status, status, "{case}: {text}");
    assert!(text.contains(phrase), "{case}: {text}");
}

/// The deploy status in the row.
pub async fn deploy_status(site: &Site, id: i64) -> String {
    site.get(&format!("/v1.0/subclouds/{id}")).await.json()["deploy-status"].as_str().unwrap().to_owned()
}

/// Every endpoint's status in the row, by type.
pub async fn endpoints(site: &Site, id: i64) -> Vec<(String, String)> {
    let row = site.get(&format!("/v1.0/subclouds/{id}")).await.json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let all = row["endpoint_sync_status"].as_array().unwrap();
    all.iter().map(|one| (text(&one["endpoint_type"]), text(&one["sync_status"]))).collect()
}

/// Brings a complete subcloud online and under management, with every endpoint in sync.
pub async fn manage(site: &Site, entity: Uuid) {
    site.online(entity).await;
    site.run(entity, &ManageSubcloud { force: true, ..ManageSubcloud::default() }).await;
    for endpoint in Endpoint::DEFAULT {
        site.run(entity, &ReportEndpoint { endpoint, status: SyncStatus::InSync, seen: None }).await;
    }
}

/// A worker that ends the creation of every subcloud, with `fails` as a failure; it stops with the guard.
pub fn creator(site: &Arc<Site>, fails: bool) -> DropGuard {
    let (stop, site) = (CancellationToken::new(), Arc::clone(site));
    let until = stop.clone();
    tokio::spawn(async move {
        while !until.is_cancelled() {
            for run in site.models.subclouds().open_runs(100).await.unwrap() {
                create_phase(&site, run.uuid, run.run_id, fails).await;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    stop.drop_guard()
}

async fn create_phase(site: &Site, entity: Uuid, run_id: Uuid, fails: bool) {
    let state = site.fleet.subcloud(entity).await.unwrap().state.unwrap();
    let waiting = state.run.as_ref().is_some_and(|run| run.worker.is_none() && run.phases == [Phase::Create]);
    if !waiting {
        return;
    }
    let (phase, error) = (Phase::Create, "no route".to_owned());
    site.run(entity, &ClaimRun { run_id, worker: "w".to_owned() }).await;
    site.run(entity, &StartPhase { run_id, phase }).await;
    if fails {
        site.run(entity, &FailPhase { run_id, phase, started: true, error }).await;
    } else {
        site.run(entity, &CompletePhase { run_id, phase }).await;
    }
}

/// A phase that was asked for behind the API's back, and claimed.
pub async fn begin(site: &Site, entity: Uuid, verb: DeployVerb) -> Uuid {
    let run_id = Uuid::now_v7();
    let command = DeploySubcloud {
        verb,
        run_id,
        inputs: RunInputs::default(),
        release: None,
        details: Details::default(),
        bootstrap: None,
        bootstrap_address: None,
        deploy_config: None,
        addresses: None,
    };
    site.run(entity, &command).await;
    site.run(entity, &ClaimRun { run_id, worker: "w".to_owned() }).await;
    run_id
}

/// Brings a subcloud from `create-complete` to `status`, the way a worker would.
pub async fn bring(site: &Site, entity: Uuid, status: DeployStatus) {
    use DeployStatus as S;
    let (verb, phase) = match status {
        S::CreateComplete => return,
        S::PreInstallFailed | S::Installing | S::InstallFailed | S::InstallAborted | S::InstallComplete => {
            (DeployVerb::Install, Phase::Install)
        }
        S::PreConfigFailed | S::Configuring | S::ConfigFailed | S::ConfigAborted | S::Complete => {
            let run_id = begin(site, entity, DeployVerb::Bootstrap).await;
            let phase = Phase::Bootstrap;
            site.run(entity, &StartPlaybook { run_id, phase }).await;
            site.run(entity, &CompletePhase { run_id, phase }).await;
            (DeployVerb::Configure, Phase::Configure)
        }
        _ => (DeployVerb::Bootstrap, Phase::Bootstrap),
    };
    let run_id = begin(site, entity, verb).await;
    let failed = |started| FailPhase { run_id, phase, started, error: "boom".to_owned() };
    if matches!(status, S::PreInstallFailed | S::PreBootstrapFailed | S::PreConfigFailed) {
        site.run(entity, &failed(false)).await;
        return assert_is(site, entity, status).await;
    }
    site.run(entity, &StartPlaybook { run_id, phase }).await;
    match status {
        S::InstallFailed | S::BootstrapFailed | S::ConfigFailed => {
            drop(site.run(entity, &failed(true)).await)
        }
        S::InstallAborted | S::BootstrapAborted | S::ConfigAborted => {
            site.run(entity, &AbortDeployment).await;
            site.run(entity, &AbortPhase { run_id, phase }).await;
        }
        S::InstallComplete | S::BootstrapComplete | S::Complete => {
            site.run(entity, &CompletePhase { run_id, phase }).await;
        }
        _ => {}
    }
    assert_is(site, entity, status).await;
}

async fn assert_is(site: &Site, entity: Uuid, status: DeployStatus) {
    assert_eq!(state(site, entity).await.deploy, status);
}

/// The subcloud as the journal has it.
pub async fn state(site: &Site, entity: Uuid) -> Arc<Subcloud> {
    site.fleet.subcloud(entity).await.unwrap().state.unwrap()
}

/// The uuid of the subcloud with this id.
pub async fn entity(site: &Site, id: i64) -> Uuid {
    site.models.subclouds().by_id(id).await.unwrap().unwrap().uuid
}

/// Marks the subcloud as secondary.
pub async fn make_secondary(site: &Site, entity: Uuid) {
    let command = dcm_domain::subcloud::command::ChangeDeployStatus::mark_secondary();
    site.fleet.run(entity, &command, &meta()).await.unwrap();
}
