//! One configuration: defaults < file < environment (`DCM_*`) < flags. Unknown keys are refused.

mod check;
mod http;
mod jetstream;
mod keystone;
mod layers;
mod policy;
mod telemetry;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use dcm_workers::certmon;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use http::{Http, Tls};
pub use jetstream::JetStream;
pub use layers::{ConfigError, Flags, environment, load};
pub use telemetry::Telemetry;

/// A part of the program; a process runs some or all of them.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Serves HTTP.
    Api,
    /// Copies committed events to the bus.
    Relay,
    /// Keeps the read models up to date.
    Projector,
    /// Carries out deployments.
    Worker,
    /// Audits certificates.
    CertMon,
}

impl Role {
    /// Every role there is.
    pub const ALL: [Self; 5] = [Self::Api, Self::Relay, Self::Projector, Self::Worker, Self::CertMon];
}

/// How callers are identified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Auth {
    /// Not at all: everyone is an administrator named `anonymous`.
    None,
    /// By the headers of a trusted proxy in front.
    Headers,
    /// By tokens that Keystone knows; see the section `keystone`.
    Keystone,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Where the defaults of paths and facts come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// Everything under the data directory.
    Local,
    /// The paths of a StarlingX controller.
    Starlingx,
}

/// The whole configuration.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Address to serve HTTP on; port 0 picks one.
    pub listen: SocketAddr,
    /// Directory of embedded stores and of everything that has no path of its own.
    pub data_dir: PathBuf,
    /// Where events are kept: `embedded:`, `postgres://…`, `esdb://…` or `esdb+discover://…`.
    pub journal: String,
    /// How messages travel: `local:` or `nats://…`.
    pub bus: String,
    /// Where read models are kept: `embedded:` or `postgres://…`.
    pub read_model: String,
    /// Where secrets are kept: `embedded:` or `postgres://…`; beside the journal if not given, and required if that is
    /// `esdb:`.
    pub vault: Option<String>,
    /// The vault's key file; made by itself only with an embedded vault.
    pub vault_key_file: Option<PathBuf>,
    /// How callers are identified.
    pub auth: Auth,
    /// Allows a mode that believes whoever asks to listen beyond loopback.
    pub allow_open_listen: bool,
    /// Certificate to serve HTTPS with, in PEM, and those that it is signed with.
    pub tls_cert: Option<PathBuf>,
    /// Key of the certificate, in PEM.
    pub tls_key: Option<PathBuf>,
    /// The parts that run in this process.
    pub roles: Vec<Role>,
    /// Fills an empty journal with so many demo subclouds, and serves their endpoints.
    pub demo: Option<u32>,
    /// How log lines look.
    pub log_format: LogFormat,
    /// What is logged, as `tracing` filter directives.
    pub log_filter: String,
    /// Where the defaults of paths come from.
    pub profile: Profile,
    /// How long the answer to a write waits for the read model, in milliseconds.
    pub write_wait_ms: u64,
    /// How the streams of the bus are kept on NATS JetStream.
    pub jetstream: JetStream,
    /// Bounds on connections.
    pub http: Http,
    /// What a process tells about itself beside its log.
    pub telemetry: Telemetry,
    /// How Keystone is reached.
    pub keystone: keystone::Keystone,
    /// Facts about the system controller.
    pub controller: Controller,
    /// Where files are.
    pub dirs: Dirs,
    /// Who may do what.
    pub policy: policy::Policy,
    /// How deployments are run.
    pub deploy: Deploy,
    /// How certificates are audited.
    pub cert_mon: CertMon,
    /// How read models are rebuilt.
    pub projections: Projections,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8119)),
            data_dir: PathBuf::from(".dcm"),
            journal: "embedded:".to_owned(),
            bus: "local:".to_owned(),
            read_model: "embedded:".to_owned(),
            vault: None,
            vault_key_file: None,
            auth: Auth::None,
            allow_open_listen: false,
            tls_cert: None,
            tls_key: None,
            roles: Role::ALL.to_vec(),
            demo: None,
            log_format: LogFormat::Text,
            log_filter: "info,async_nats=warn,sqlx=warn".to_owned(),
            profile: Profile::Local,
            write_wait_ms: 1000,
            jetstream: JetStream::default(),
            http: Http::default(),
            telemetry: Telemetry::default(),
            keystone: keystone::Keystone::default(),
            controller: Controller::default(),
            dirs: Dirs::default(),
            policy: policy::Policy::default(),
            deploy: Deploy::default(),
            cert_mon: CertMon::default(),
            projections: Projections::default(),
        }
    }
}

impl Config {
    /// Whether the process runs `role`.
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// Where secrets are kept.
    pub fn vault_url(&self) -> &str {
        self.vault.as_deref().unwrap_or(&self.journal)
    }

    /// Files to serve HTTPS with; `None` for plain HTTP.
    pub fn tls(&self) -> Option<Tls> {
        let (cert, key) = self.tls_cert.clone().zip(self.tls_key.clone())?;
        Some(Tls { cert, key })
    }

    /// Whether anything this process opens lives in its data directory.
    pub fn is_embedded(&self) -> bool {
        [self.journal.as_str(), self.read_model.as_str(), self.vault_url()]
            .iter()
            .any(|url| url.starts_with("embedded:"))
            || self.bus.starts_with("local:")
    }

    /// Where files are, every directory with its default.
    pub fn paths(&self) -> Paths {
        self.dirs.resolve(self.profile, &self.data_dir)
    }
}

/// Facts the old system read from its platform (design §10).
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Controller {
    /// UUID of the system in its platform inventory; with `system_name`, what peers know it by.
    pub system_uuid: Option<String>,
    /// Name of the system in its platform inventory.
    pub system_name: Option<String>,
    /// Release of the system controller itself.
    pub software_version: String,
    /// Releases that may be asked for; without the key, `upgrades_metadata` is read.
    pub supported_releases: Option<Vec<String>>,
    /// The upgrades metadata file (XML), where supported releases are listed.
    pub upgrades_metadata: Option<PathBuf>,
    /// The management network of the system controller.
    pub management_subnet: String,
    /// First address of its allocation range.
    pub management_start_ip: String,
    /// Last address of its allocation range.
    pub management_end_ip: String,
    /// Its floating management address.
    pub management_floating_ip: String,
    /// Its OAM network.
    pub oam_subnet: String,
    /// Its floating OAM address.
    pub oam_floating_ip: String,
}

impl Default for Controller {
    fn default() -> Self {
        Self {
            system_uuid: None,
            system_name: None,
            software_version: "24.09".to_owned(),
            supported_releases: Some(vec!["22.12".to_owned(), "24.09".to_owned()]),
            upgrades_metadata: None,
            management_subnet: "192.168.204.0/24".to_owned(),
            management_start_ip: "192.168.204.2".to_owned(),
            management_end_ip: "192.168.204.100".to_owned(),
            management_floating_ip: "192.168.204.2".to_owned(),
            oam_subnet: "10.10.10.0/24".to_owned(),
            oam_floating_ip: "10.10.10.2".to_owned(),
        }
    }
}

/// Directories; each has a default that depends on the profile.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Dirs {
    /// Inventories, overrides and other files kept per subcloud (jobs.md §0.5, directory A).
    pub ansible: Option<PathBuf>,
    /// Playbooks of the active release.
    pub playbooks: Option<PathBuf>,
    /// Playbooks of other releases, one directory per release.
    pub previous_playbooks: Option<PathBuf>,
    /// Load images, one directory per release.
    pub loads: Option<PathBuf>,
    /// Uploaded deployment manager files, one directory per release.
    pub deploy: Option<PathBuf>,
    /// Deployment manager files of the product.
    pub alternative_deploy: Option<PathBuf>,
    /// Central backups.
    pub backups: Option<PathBuf>,
    /// Playbook logs.
    pub logs: Option<PathBuf>,
    /// Private directories of active runs.
    pub runs: Option<PathBuf>,
    /// Certificate files of root CA renewals.
    pub certs: Option<PathBuf>,
}

/// [`Dirs`] with every default filled in; each field is the directory of the same name there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Paths {
    pub ansible: PathBuf,
    pub playbooks: PathBuf,
    pub previous_playbooks: PathBuf,
    pub loads: PathBuf,
    pub deploy: PathBuf,
    pub alternative_deploy: PathBuf,
    pub backups: PathBuf,
    pub logs: PathBuf,
    pub runs: PathBuf,
    pub certs: PathBuf,
}

impl Dirs {
    fn resolve(&self, profile: Profile, data_dir: &Path) -> Paths {
        // Playbooks run in directories of their own: what they are told must not depend on this process's one.
        let absolute = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
        let pick = |given: &Option<PathBuf>, local: &str, starlingx: &str| {
            absolute(match (given, profile) {
                (Some(given), _) => given.clone(),
                (None, Profile::Local) => data_dir.join(local),
                (None, Profile::Starlingx) => PathBuf::from(starlingx),
            })
        };
        Paths {
            ansible: pick(&self.ansible, "ansible", "/opt/dc-vault/ansible"),
            playbooks: pick(&self.playbooks, "playbooks", "/usr/share/ansible/stx-ansible/playbooks"),
            previous_playbooks: pick(
                &self.previous_playbooks,
                "previous-playbooks",
                "/opt/dc-vault/playbooks",
            ),
            loads: pick(&self.loads, "loads", "/opt/dc-vault/loads"),
            deploy: pick(&self.deploy, "deploy", "/opt/platform/deploy"),
            alternative_deploy: pick(
                &self.alternative_deploy,
                "applications",
                "/usr/local/share/applications",
            ),
            backups: pick(&self.backups, "backups", "/opt/dc-vault/backups"),
            logs: pick(&self.logs, "log/ansible", "/var/log/dcmanager/ansible"),
            certs: pick(&self.certs, "certs", "/opt/dc-vault/certs"),
            runs: absolute(self.runs.clone().unwrap_or_else(|| data_dir.join("runs"))),
        }
    }
}

/// How deployments are run.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Deploy {
    /// The program; a bare name is looked up in `PATH`.
    pub ansible_playbook: PathBuf,
    /// Runs at once in one process.
    pub parallel_runs: usize,
    /// How long one phase may take, in seconds.
    pub phase_deadline_secs: u64,
    /// How long a run may wait for a worker, in seconds.
    pub claim_within_secs: u64,
    /// How long a worker may be silent before its run counts as lost, in seconds.
    pub lease_secs: u64,
}

impl Default for Deploy {
    fn default() -> Self {
        Self {
            ansible_playbook: PathBuf::from("ansible-playbook"),
            parallel_runs: 16,
            phase_deadline_secs: 3600,
            claim_within_secs: 60,
            lease_secs: 15,
        }
    }
}

/// How certificates are audited.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CertMon {
    /// Address of a subcloud's endpoint; may use `{management_start_ip}` and `{region}`.
    pub endpoint: Option<String>,
    /// Directory with `<region>.pem`, the expected CA of each subcloud.
    pub ca_dir: Option<PathBuf>,
    /// Timing and parallelism (access.md §13.3).
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub schedule: certmon::Settings,
}

/// How read models are rebuilt.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Projections {
    /// Events a second that a rebuild folds at most; 0 for as many as it can. Whatever it says, a rebuild rests while the
    /// read models that are served are more than 1,000 events behind the journal.
    pub rebuild_events_per_second: u64,
}
