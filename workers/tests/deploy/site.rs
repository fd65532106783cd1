//! A whole site in a directory: journal, vault, leases, bus, read models, and deploy workers with the playbooks of
//! `examples/site` under the real `ansible-playbook`.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dcm_domain::aggregate::Command;
use dcm_domain::subcloud::command::{
    AbortDeployment, AddSubcloud, DeploySubcloud, DeployVerb, Details, NewAddresses, PrestageSubcloud,
    ReconfigureNetwork, RedeploySubcloud, RequestBackup,
};
use dcm_domain::subcloud::{
    BackupTask, DeployArtifacts, DeployRunRequested, Document, ManagementNetwork, NetworkTask, PrestageTask,
    Rejection, RunInputs, Subcloud, SubcloudAdded,
};
use dcm_domain::validate::{HIDDEN, INSTALL_VALUES, PAYLOAD, masked};
use dcm_domain::value::{Actor, DeployStatus, Name, Phase, Region, Secret, SecretRef, Subnet};
use dcm_journal::bus::{Bus, LocalBus};
use dcm_journal::fleet::{Claim, Fleet};
use dcm_journal::lease::Leases;
use dcm_journal::repository::Meta;
use dcm_journal::store::{self, Journal};
use dcm_journal::vault::{self, Vault};
use dcm_projections::{Projector, ReadModels};
use dcm_workers::deploy::{Context, ControllerFacts, DeployWorker, Dirs, RunTimeouts, Settings};
use dcm_workers::playbook::Supervisor;
use dcm_workers::relay::Relay;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub const PASSWORD: &str = "Li69nux*\"é/ and more";
pub const BMC_PASSWORD: &str = "bmc-Secret1";
pub const REGISTRY_PASSWORD: &str = "registry-Secret2";
pub const CONFIG_PASSWORD: &str = "config-Secret3";
pub const RELEASE: &str = "24.09";
const SOON: Duration = Duration::from_secs(90);

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

fn ansible() -> PathBuf {
    let program = std::env::var_os("DCM_TEST_ANSIBLE")
        .map_or_else(|| root().join(".tools/ansible/bin/ansible-playbook"), PathBuf::from);
    assert!(
        program.exists(),
        "install ansible-core into .tools/ansible (as tests/run does), or set DCM_TEST_ANSIBLE"
    );
    program
}

fn example(file: &str) -> Value {
    let text = std::fs::read_to_string(root().join("examples/site").join(file)).unwrap();
    serde_yaml_ng::from_str(&text).unwrap()
}

/// A supervisor that is this test program; see `supervisor_entry`.
fn supervisor() -> Supervisor {
    Supervisor {
        program: std::env::current_exe().unwrap(),
        leading_args: ["--exact", "supervisor_entry", "--quiet", "--nocapture"].map(Into::into).into(),
    }
}

/// What a subcloud is added with.
pub struct Order {
    pub name: String,
    pub number: u8,
    pub phases: Vec<Phase>,
    pub install: Value,
    pub bootstrap: Value,
    pub config: Value,
    pub release: String,
}

impl Order {
    pub fn new(phases: &[Phase]) -> Self {
        let mut install = example("install-values.yml");
        install["bmc_password"] = STANDARD.encode(BMC_PASSWORD).into();
        let mut bootstrap = example("bootstrap-values.yml");
        bootstrap["docker_registries"] =
            json!({"defaults": {"username": "u", "password": REGISTRY_PASSWORD}});
        let mut config = example("deploy-config.yml");
        config["manager_password"] = CONFIG_PASSWORD.into();
        Self {
            name: "edge1".into(),
            number: 1,
            phases: phases.to_vec(),
            install,
            bootstrap,
            config,
            release: RELEASE.into(),
        }
    }
}

/// A worker that runs in a task of its own.
pub struct Running {
    stop: CancellationToken,
    task: Option<JoinHandle<()>>,
    /// A runtime of its own, so that everything in it can vanish at once.
    runtime: Option<Runtime>,
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Running {
    pub async fn stop(mut self) {
        self.stop.cancel();
        self.task.take().unwrap().await.unwrap();
    }

    /// Without any farewell, as far as a part of a process can be killed.
    pub fn kill(self) {
        drop(self);
    }
}

pub struct Site {
    pub dir: TempDir,
    pub journal: Arc<dyn Journal>,
    pub fleet: Arc<Fleet>,
    pub vault: Arc<dyn Vault>,
    pub leases: Leases,
    pub bus: Arc<dyn Bus>,
    pub models: Arc<ReadModels>,
    pub settings: Settings,
    stop: CancellationToken,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Site {
    pub async fn open() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let journal = store::open("embedded:", &data).await.unwrap();
        let fleet = Arc::new(Fleet::new(&journal).unwrap());
        fleet.ensure_default_group(&meta()).await.unwrap();
        let models = ReadModels::open("embedded:", &data, journal.id()).await.unwrap();
        let site = Self {
            vault: vault::open("embedded:", &data, None).await.unwrap(),
            leases: Leases::open("embedded:", &data).await.unwrap(),
            bus: Arc::new(LocalBus::default()),
            settings: settings(dir.path()),
            stop: CancellationToken::new(),
            journal,
            fleet,
            models,
            dir,
        };
        let (stop, journal) = (site.stop.clone(), Arc::clone(&site.journal));
        let projector = Projector::new(Arc::clone(&site.models), Arc::clone(&journal), 1, Arc::default());
        tokio::spawn(async move { projector.run(&stop, |_| {}).await.unwrap() });
        let stop = site.stop.clone();
        let relay = Relay::new(journal, Arc::clone(&site.bus), Arc::new(Notify::new()));
        tokio::spawn(async move { relay.run(&stop).await.unwrap() });
        site
    }

    pub fn worker(&self) -> Running {
        let worker = DeployWorker::new(Context {
            fleet: Arc::clone(&self.fleet),
            vault: Arc::clone(&self.vault),
            leases: self.leases.clone(),
            bus: Arc::clone(&self.bus),
            models: Arc::clone(&self.models),
            settings: self.settings.clone(),
        })
        .unwrap();
        let stop = self.stop.child_token();
        let token = stop.clone();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let task = runtime.spawn(async move { worker.run(token).await });
        Running { stop, task: Some(task), runtime: Some(runtime) }
    }

    pub fn timeouts(&self) -> Running {
        let timeouts = RunTimeouts::new(
            Arc::clone(&self.fleet),
            self.leases.clone(),
            Arc::clone(&self.models),
            Some(Arc::clone(&self.vault)),
            self.settings.timeouts(),
        );
        let stop = self.stop.child_token();
        let running = timeouts.unwrap().run(stop.clone());
        Running { stop, task: Some(tokio::spawn(running)), runtime: None }
    }

    pub async fn add(&self, order: Order) -> Uuid {
        let Order { name, number, phases, install, bootstrap, config, release } = order;
        let entity = Uuid::now_v7();
        let document = async |purpose: &str, text: String, shown: Value| Document {
            digest: self.vault.digest(entity, text.as_bytes()),
            secret: self.vault.put(entity, purpose, Secret::new(text)).await.unwrap(),
            shown,
        };
        let install_document =
            document("install_values", install.to_string(), masked(&install, &INSTALL_VALUES)).await;
        let bootstrap_document =
            document("bootstrap_values", bootstrap.to_string(), masked(&bootstrap, &PAYLOAD)).await;
        let config_document =
            document("deploy_config", serde_yaml_ng::to_string(&config).unwrap(), HIDDEN.into()).await;
        let inputs = self.inputs(entity).await;
        let name = Name::parse(&name).unwrap();
        let region = Region::parse(&format!("region{number}")).unwrap();
        let subnet = Subnet::parse(&format!("10.0.{number}.0/24")).unwrap();
        let claim =
            Claim { entity, name: name.clone(), region: region.clone(), subnet: subnet.clone(), group_id: 1 };
        let build = |id| AddSubcloud {
            subcloud: SubcloudAdded {
                id,
                name,
                region,
                description: None,
                location: None,
                software_version: release,
                network: ManagementNetwork {
                    subnet: subnet.as_str().to_owned(),
                    start_ip: format!("10.0.{number}.2"),
                    end_ip: format!("10.0.{number}.50"),
                    gateway_ip: format!("10.0.{number}.1"),
                },
                systemcontroller_gateway_ip: "192.168.204.101".to_owned(),
                group_id: 1,
                install: Some(install_document),
                bootstrap: Some(bootstrap_document),
                bootstrap_address: Some("192.168.111.12".into()),
                deploy_config: Some(config_document),
                initial_deployment: true,
            },
            run: DeployRunRequested { run_id: Uuid::now_v7(), phases, inputs },
            claimed_by: None,
        };
        self.fleet.add(claim, &meta(), build).await.unwrap();
        entity
    }

    /// A password and the deployment manager's files, as every run gets them.
    async fn inputs(&self, entity: Uuid) -> RunInputs {
        let password = Secret::new(PASSWORD.into());
        let deploy = root().join("examples/site/deploy/24.09");
        let path = |file: &str| deploy.join(file).display().to_string();
        RunInputs {
            sysadmin_password: Some(self.vault.put(entity, "sysadmin_password", password).await.unwrap()),
            artifacts: Some(DeployArtifacts {
                deploy_playbook: path("deploy_playbook_example.yaml"),
                deploy_overrides: path("deploy_overrides_example.yaml"),
                deploy_chart: path("deploy_chart_example.tgz"),
                user_uploaded_artifacts: true,
            }),
            rehome: None,
        }
    }

    pub async fn deploy(&self, entity: Uuid, verb: DeployVerb) {
        let command = DeploySubcloud {
            verb,
            run_id: Uuid::now_v7(),
            inputs: self.inputs(entity).await,
            release: None,
            details: Details::default(),
            bootstrap: None,
            bootstrap_address: None,
            deploy_config: None,
            addresses: None,
        };
        self.run(entity, &command).await;
    }

    /// The whole deployment again, with what is stored.
    pub async fn redeploy(&self, entity: Uuid) -> RedeploySubcloud {
        RedeploySubcloud {
            run_id: Uuid::now_v7(),
            inputs: self.inputs(entity).await,
            release: RELEASE.to_owned(),
            details: Details::default(),
            bootstrap: None,
            bootstrap_address: None,
            deploy_config: None,
            addresses: None,
        }
    }

    async fn password(&self, entity: Uuid) -> SecretRef {
        let password = Secret::new(PASSWORD.into());
        self.vault.put(entity, "sysadmin_password", password).await.unwrap()
    }

    pub async fn prestage(&self, entity: Uuid) -> PrestageSubcloud {
        let task = PrestageTask { release: RELEASE.to_owned(), force: false };
        PrestageSubcloud { run_id: Uuid::now_v7(), sysadmin_password: self.password(entity).await, task }
    }

    /// A backup with further values.
    pub async fn backup(&self, entity: Uuid) -> RequestBackup {
        let secret = Secret::new("{}".to_owned());
        let secret = self.vault.put(entity, "backup_values", secret).await.unwrap();
        let values = Document { secret, digest: "x".to_owned(), shown: HIDDEN.into() };
        let task = BackupTask {
            local_only: false,
            registry_images: false,
            backup_values: Some(values),
            sysadmin_password: self.password(entity).await,
        };
        RequestBackup { run_id: Uuid::now_v7(), task }
    }

    /// A move to a network of its own, and its subnet; install values come along.
    pub async fn reconfiguration(&self, entity: Uuid) -> (ReconfigureNetwork, Subnet) {
        let secret = self.vault.put(entity, "install_values", Secret::new("{}".to_owned())).await.unwrap();
        let network = ManagementNetwork {
            subnet: "10.9.0.0/24".to_owned(),
            start_ip: "10.9.0.2".to_owned(),
            end_ip: "10.9.0.50".to_owned(),
            gateway_ip: "10.9.0.1".to_owned(),
        };
        let subnet = Subnet::parse(&network.subnet).unwrap();
        let systemcontroller_gateway_ip = "192.168.204.101".to_owned();
        let task = NetworkTask {
            addresses: NewAddresses { network, systemcontroller_gateway_ip },
            bootstrap_address: "192.168.111.12".to_owned(),
            description: None,
            location: None,
            group_id: None,
            install: Some(Document { secret, digest: "new".to_owned(), shown: json!({}) }),
        };
        let sysadmin_password = Some(self.password(entity).await);
        let inputs = RunInputs { sysadmin_password, ..RunInputs::default() };
        (ReconfigureNetwork { run_id: Uuid::now_v7(), inputs, task }, subnet)
    }

    /// Waits until the backup is over and gives what became of the subcloud.
    pub async fn backed_up(&self, entity: Uuid) -> Subcloud {
        self.until(entity, "the end of the backup", |subcloud| subcloud.backup_run.is_none()).await
    }

    pub async fn run<C: Command<Subcloud, Rejection = Rejection>>(&self, entity: Uuid, command: &C) {
        self.fleet.run(entity, command, &meta()).await.unwrap();
    }

    pub async fn abort(&self, entity: Uuid) {
        self.run(entity, &AbortDeployment).await;
    }

    pub async fn state(&self, entity: Uuid) -> Subcloud {
        self.fleet.subcloud(entity).await.unwrap().state.unwrap().as_ref().clone()
    }

    /// Waits until the run is over and gives what became of the subcloud.
    pub async fn ended(&self, entity: Uuid) -> Subcloud {
        self.until(entity, "the end of the run", |subcloud| subcloud.run.is_none()).await
    }

    pub async fn status(&self, entity: Uuid, status: DeployStatus) -> Subcloud {
        self.until(entity, status.as_str(), |subcloud| subcloud.deploy == status).await
    }

    async fn until(&self, entity: Uuid, what: &str, is_so: impl Fn(&Subcloud) -> bool) -> Subcloud {
        let begun = Instant::now();
        loop {
            let state = self.state(entity).await;
            if is_so(&state) {
                return state;
            }
            assert!(begun.elapsed() < SOON, "waited in vain for {what}; is {}: {}", state.deploy, self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until no password of a run is left: it is deleted after the run's end is recorded.
    pub async fn without_passwords(&self, entity: Uuid) {
        let begun = Instant::now();
        loop {
            let entries = self.vault.list(entity).await.unwrap();
            if entries.iter().all(|entry| entry.purpose != "sysadmin_password") {
                return;
            }
            assert!(begun.elapsed() < SOON, "a password is left");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The event names and data of a subcloud.
    pub async fn events(&self, entity: Uuid) -> Vec<(String, Value)> {
        let all = self.journal.read_all(0, 10_000).await.unwrap();
        all.into_iter()
            .filter(|event| event.envelope.stream.uuid() == Some(entity))
            .map(|event| (event.envelope.r#type, event.envelope.data))
            .collect()
    }

    /// `<phase> <step> <result>` of every step.
    pub async fn steps(&self, entity: Uuid) -> Vec<String> {
        let events = self.events(entity).await;
        let steps = events.iter().filter(|(name, _)| name == "DeployStepRecorded").map(|(_, data)| {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            format!("{} {} {}", text(&data["phase"]), text(&data["step"]), text(&data["outcome"]["result"]))
        });
        steps.collect()
    }

    /// The `DeployRunFinished` events.
    pub async fn outcomes(&self, entity: Uuid) -> Vec<String> {
        let events = self.events(entity).await;
        let finished = events.iter().filter(|(name, _)| name == "DeployRunFinished");
        finished.map(|(_, data)| data["outcome"].as_str().unwrap().to_owned()).collect()
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("logs/edge1_playbook_output.log")).unwrap_or_default()
    }

    /// Nothing private is left, and no secret anywhere but encrypted in the vault.
    pub async fn assert_clean(&self) {
        let begun = Instant::now();
        while std::fs::read_dir(self.path("runs")).is_ok_and(|mut runs| runs.next().is_some()) {
            assert!(begun.elapsed() < SOON, "a private directory is left");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let mut wanted: Vec<Vec<u8>> = Vec::new();
        for secret in [PASSWORD, BMC_PASSWORD, REGISTRY_PASSWORD, CONFIG_PASSWORD] {
            let json = Value::from(secret).to_string();
            wanted.push(secret.into());
            wanted.push(json[1..json.len() - 1].into());
            wanted.push(STANDARD.encode(secret).into());
            wanted.push(hex::encode(secret).into());
        }
        wanted.push(b"Li69nux".into());
        for file in files(self.dir.path()) {
            let bytes = std::fs::read(&file).unwrap_or_default();
            for secret in &wanted {
                let found = bytes.windows(secret.len()).any(|window| window == secret.as_slice());
                assert!(!found, "{} holds {}", file.display(), String::from_utf8_lossy(secret));
            }
        }
    }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

fn settings(dir: &Path) -> Settings {
    let dirs = Dirs {
        ansible: dir.join("ansible"),
        playbooks: root().join("examples/site/playbooks"),
        previous_playbooks: dir.join("previous"),
        runs: dir.join("runs"),
        logs: dir.join("logs"),
    };
    let controller = ControllerFacts {
        management_subnet: "192.168.204.0/24".into(),
        floating_address: "192.168.204.2".into(),
        oam_subnet: "10.10.10.0/24".into(),
        oam_floating_address: "10.10.10.2".into(),
    };
    let mut settings = Settings::new(dirs, RELEASE, controller);
    settings.supervisor = supervisor();
    settings.ansible_playbook = ansible();
    settings.poll = Duration::from_millis(100);
    settings
}

/// An `ansible-playbook` that keeps its command lines, and the run's files as they were, and then is the real one.
pub fn recording(site: &Site) -> PathBuf {
    let wrapper = site.path("ansible-playbook");
    let script = format!(
        "#!/bin/sh\nfor word in \"$@\"; do printf '%s\\n' \"$word\"; done >> {argv}\necho >> {argv}\n\
         (cd {runs} && find . -type f -printf '%m %p\\n'; find {runs} -mindepth 1 -maxdepth 1 -printf '%m dir\\n') >> {tree}\n\
         exec {ansible} \"$@\"\n",
        argv = site.path("argv").display(),
        tree = site.path("tree").display(),
        runs = site.path("runs").display(),
        ansible = ansible().display(),
    );
    std::fs::write(&wrapper, script).unwrap();
    std::fs::set_permissions(&wrapper, std::fs::Permissions::from_mode(0o755)).unwrap();
    wrapper
}

pub fn meta() -> Meta {
    Meta::new(Actor::system("test"))
}
