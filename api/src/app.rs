//! What every handler works with.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dcm_domain::deploy_files::DeployFiles;
use dcm_domain::validate::{Controller, Releases};
use dcm_domain::value::Subnet;
use dcm_journal::fleet::Fleet;
use dcm_journal::repository::Repository;
use dcm_journal::store::Journal;
use dcm_journal::vault::Vault;
use dcm_projections::{Fragments, ReadModels, Shown};
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::events;
use crate::freshness::Head;
use crate::ops::Readiness;
use crate::platform::Platform;
use crate::policy::Policy;
use crate::subclouds::render;

/// What the program hands to the API.
pub struct Parts {
    /// Commands on subclouds.
    pub fleet: Arc<Fleet>,
    /// Queries.
    pub models: Arc<ReadModels>,
    /// Secrets and secret documents.
    pub vault: Arc<dyn Vault>,
    /// The journal, for event streams and moments of the past.
    pub journal: Arc<dyn Journal>,
    /// Facts about the controller, and bounds.
    pub settings: Settings,
    /// What `/readyz` says beside the API's own checks.
    pub readiness: Arc<Readiness>,
    /// What `/metrics` shows.
    pub metrics: PrometheusHandle,
    /// What `/asyncapi.json` shows.
    pub asyncapi: Value,
    /// What the platform around the controller can be asked.
    pub platform: Arc<dyn Platform>,
    /// Who may do what.
    pub policy: Arc<Policy>,
    /// Ends event streams when the program stops.
    pub stop: CancellationToken,
}

/// Facts that the old system read from its platform, and bounds of the API.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Active and supported releases (subclouds.md V2).
    pub releases: Releases,
    /// The controller's management network (subclouds.md V4).
    pub controller: Controller,
    /// Where files are.
    pub dirs: Dirs,
    /// Path of a release's bootstrap validation variables below its folder of playbooks (subclouds.md V6).
    pub release_variables: PathBuf,
    /// How long an answer waits for the read models at most (design §7).
    pub wait: Duration,
    /// How long a phased creation is waited for (subclouds.md §7.1); below the time limit of a request.
    pub creation_wait: Duration,
    /// Events a second that a rebuild of a read model folds at most; 0 for as many as it can.
    pub rebuild_events_per_second: u64,
}

/// Directories of the controller (subclouds.md §2.4).
#[derive(Clone, Debug, Default)]
pub struct Dirs {
    /// `OVERRIDES_DIR`: overrides, inventories, deploy configs.
    pub ansible: PathBuf,
    /// Playbooks of the active release.
    pub playbooks: PathBuf,
    /// `PREV_PLAYBOOKS`: playbooks of other releases, one folder each.
    pub previous_playbooks: PathBuf,
    /// `LOADS_DIR`: load images, one folder per release.
    pub loads: PathBuf,
    /// `DEPLOY_DIR`: uploaded deploy files, one folder per release.
    pub deploy: PathBuf,
    /// `ALT_DIR`: fall-back deploy artifacts.
    pub applications: PathBuf,
    /// `BACKUP_DIR`: central backups.
    pub backups: PathBuf,
    /// Logs of playbooks.
    pub logs: PathBuf,
    /// Certificate files of root CA renewals (fleet.md §8.4 step 8).
    pub certs: PathBuf,
}

impl Settings {
    /// Settings of a controller with active release `release`, management `subnet`, and `pool` of its own addresses;
    /// no further releases, no directories, waits of 1 s and 55 s.
    pub fn new(release: impl Into<String>, subnet: Subnet, pool: (IpAddr, IpAddr)) -> Self {
        Self {
            releases: Releases { active: release.into(), supported: None },
            controller: Controller { management_subnet: subnet, pool_start: pool.0, pool_end: pool.1 },
            dirs: Dirs::default(),
            release_variables: PathBuf::from("roles/bootstrap/validate-config/vars/main.yml"),
            wait: Duration::from_secs(1),
            creation_wait: Duration::from_secs(55),
            rebuild_events_per_second: 0,
        }
    }
}

/// What every handler works with. Clones share everything.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    parts: Parts,
    list: Fragments,
    list_by_region: Fragments,
    shown: Shown,
    head: Head,
    deploy_files: Repository<DeployFiles>,
    streams: Arc<Semaphore>,
}

impl App {
    /// An application over `parts`.
    pub fn new(parts: Parts) -> Self {
        let list =
            |piece| Fragments::new(parts.models.subclouds(), render::LIST_HEAD, render::LIST_TAIL, piece);
        let (list, list_by_region) = (list(render::listed), list(render::listed_by_region));
        let shown = Shown::new(parts.models.subclouds(), render::shown_row);
        let head = Head::new(&parts.journal);
        let deploy_files = Repository::new(Arc::clone(&parts.journal));
        Self(Arc::new(Inner {
            parts,
            list,
            list_by_region,
            shown,
            head,
            deploy_files,
            streams: events::places(),
        }))
    }

    /// Commands on subclouds.
    pub fn fleet(&self) -> &Arc<Fleet> {
        &self.0.parts.fleet
    }

    /// Queries.
    pub fn models(&self) -> &Arc<ReadModels> {
        &self.0.parts.models
    }

    /// Secrets and secret documents.
    pub fn vault(&self) -> &Arc<dyn Vault> {
        &self.0.parts.vault
    }

    /// The journal.
    pub fn journal(&self) -> &Arc<dyn Journal> {
        &self.0.parts.journal
    }

    /// Facts about the controller, and bounds.
    pub fn settings(&self) -> &Settings {
        &self.0.parts.settings
    }

    /// What is ready and what is not.
    pub fn readiness(&self) -> &Readiness {
        &self.0.parts.readiness
    }

    /// What is measured.
    pub fn metrics(&self) -> &PrometheusHandle {
        &self.0.parts.metrics
    }

    /// The description of the messages.
    pub fn asyncapi(&self) -> &Value {
        &self.0.parts.asyncapi
    }

    /// What the platform around the controller can be asked.
    pub fn platform(&self) -> &dyn Platform {
        self.0.parts.platform.as_ref()
    }

    /// Who may do what.
    pub fn policy(&self) -> &Arc<Policy> {
        &self.0.parts.policy
    }

    /// Cancelled when the program stops.
    pub fn stop(&self) -> &CancellationToken {
        &self.0.parts.stop
    }

    /// The list of subclouds, kept rendered.
    pub(crate) fn list(&self) -> &Fragments {
        &self.0.list
    }

    /// The list with region names as names, kept rendered (subclouds.md §6.1).
    pub(crate) fn list_by_region(&self) -> &Fragments {
        &self.0.list_by_region
    }

    /// Single subclouds, kept rendered.
    pub(crate) fn shown(&self) -> &Shown {
        &self.0.shown
    }

    /// The journal's head, as this process knows it.
    pub(crate) fn head(&self) -> &Head {
        &self.0.head
    }

    /// What was uploaded for each release.
    pub(crate) fn deploy_files(&self) -> &Repository<DeployFiles> {
        &self.0.deploy_files
    }

    /// Places for event streams.
    pub(crate) fn streams(&self) -> &Arc<Semaphore> {
        &self.0.streams
    }
}
