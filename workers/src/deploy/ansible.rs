//! The hands of a worker: preparations, files and playbooks of each phase, under the real `ansible-playbook`
//! (jobs.md §1.2, §1.3).

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use dcm_domain::subcloud::{PhaseStatuses, StepOutcome};
use dcm_domain::value::Phase;
use dcm_journal::vault::Vault;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::files::{Paths, Private, write, write_yaml};
use super::kept::without_secrets;
use super::materials::{Materials, Unprepared, documents};
use super::phase::{PhaseWork, Stopped, skipped};
use super::ports::{Ending, Hands, Play};
use super::reporter::Refused;
use super::settings::Settings;
use super::{command_line, contents, yaml};
use crate::playbook::error_text::Failed;
use crate::playbook::{Outcome, Playbook, Prepared, ProcessIdentity, Redactor, Report, Runner, log_path};

/// A step that was done.
const DONE: StepOutcome = StepOutcome::Done;

/// Carries out phases with `ansible-playbook`.
pub(super) struct Ansible {
    pub vault: Arc<dyn Vault>,
    pub settings: Settings,
}

#[async_trait]
impl Hands for Ansible {
    async fn prepare(&self, phase: &PhaseWork<'_>) -> Result<Option<Box<dyn Play>>, Stopped> {
        let materials =
            Materials::read(self.vault.as_ref(), phase.work.entity, phase.subcloud, phase.run).await;
        let materials = materials.map_err(|error| Stopped::Unprepared(error.to_string()))?;
        let redactor = materials.redactor();
        let preparation = Preparation { phase, settings: &self.settings };
        let prepared = match phase.phase {
            Phase::Create | Phase::Secondary => {
                preparation.create(&materials, &redactor).await.map(|()| None)
            }
            _ => preparation.playbook(&materials, &redactor).await.map(Some),
        };
        match prepared {
            Ok(prepared) => Ok(prepared.map(|playbook| preparation.play(playbook, redactor))),
            Err(Interrupted::Refused(refused)) => Err(Stopped::Refused(refused)),
            Err(Interrupted::Unprepared(error)) => {
                Err(Stopped::Unprepared(redactor.redact(&error.to_string())))
            }
        }
    }

    async fn clear(&self, run_id: Uuid) {
        if let Err(error) = Private::of(&self.settings.dirs.runs, run_id).remove().await {
            tracing::warn!(%run_id, %error, "the run's directory cannot be removed now");
        }
    }
}

/// Why a preparation got no further.
#[derive(Debug, thiserror::Error)]
enum Interrupted {
    #[error(transparent)]
    Unprepared(#[from] Unprepared),
    #[error(transparent)]
    Refused(#[from] Refused),
}

/// The preparation of one phase.
struct Preparation<'a> {
    phase: &'a PhaseWork<'a>,
    settings: &'a Settings,
}

impl Preparation<'_> {
    // ---- create (jobs.md §1.2) ----

    async fn create(&self, materials: &Materials, redactor: &Redactor) -> Result<(), Interrupted> {
        for (step, system) in [
            ("regionone-clients", "keystone or platform client"),
            ("routes", "platform client"),
            ("service-endpoints", "keystone client"),
            ("sync-engine", "dcorch client"),
            ("alarm-summary", "fault management"),
            ("hosts-file", "dnsmasq"),
            ("keystone-ids", "keystone client"),
        ] {
            self.step(step, skipped(system)).await?;
        }
        let kept = self.kept();
        if let Some(artifacts) = &self.phase.run.inputs.artifacts {
            let values = contents::deploy_values(&kept, artifacts).into();
            write_yaml(&kept.deploy_values(), &values).await.map_err(Unprepared::writing("deploy values"))?;
            self.step("deploy-values", DONE).await?;
        }
        match self.address(materials) {
            Some(address) => {
                self.write_inventory(&kept, &address).await?;
                self.step("inventory", DONE).await?;
            }
            None => {
                let reason = "no bootstrap address was given".to_owned();
                self.step("inventory", StepOutcome::Skipped { reason }).await?;
            }
        }
        self.step("ca-certificate", skipped("cert-manager")).await?;
        self.keep_overrides().await?;
        self.keep_deploy_config(materials, redactor).await?;
        self.step("overrides", DONE).await
    }

    // ---- install, bootstrap, configure (jobs.md §1.3) ----

    async fn playbook(&self, materials: &Materials, redactor: &Redactor) -> Result<Prepared, Interrupted> {
        let private = self.private();
        private.create().await.map_err(Unprepared::writing("the run's directory"))?;
        let address = self.address(materials).ok_or(Unprepared::Missing("no bootstrap address was given"))?;
        for paths in [self.kept(), self.full()] {
            self.write_inventory(&paths, &address).await?;
        }
        let args = match self.phase.phase {
            Phase::Install => self.prepare_install(materials).await?,
            Phase::Bootstrap => self.prepare_bootstrap(materials).await?,
            _ => self.prepare_configure(materials, redactor).await?,
        };
        let runner = Runner::new(self.settings.supervisor.clone(), self.settings.limits);
        Ok(runner.prepare(self.order(args)).await.map_err(Unprepared::Supervisor)?)
    }

    async fn prepare_install(&self, materials: &Materials) -> Result<Vec<OsString>, Interrupted> {
        let release = plain("the release", &self.phase.subcloud.software_version)?;
        let playbook = existing(self.settings.dirs.playbooks.join("install.yml"))?;
        let (kept, full) = (self.kept(), self.full());
        self.keep_overrides().await?;
        for (step, system) in [
            ("ostree-mount", "platform"),
            ("boot-image", "ISO tool"),
            ("registry-secret", "Kubernetes client"),
            ("rvmc-image", "local registry"),
        ] {
            self.step(step, skipped(system)).await?;
        }
        let install = materials.install.as_ref().ok_or(Unprepared::Missing("there are no install values"))?;
        let rvmc = Unprepared::writing("the BMC's configuration");
        write_yaml(&full.rvmc_config(), &contents::rvmc_config(install)).await.map_err(rvmc)?;
        let rvmc = Unprepared::writing("the BMC's configuration");
        write_yaml(&kept.rvmc_config(), &contents::kept_rvmc_config(self.phase.subcloud))
            .await
            .map_err(rvmc)?;
        self.step("rvmc-config", DONE).await?;
        let values = contents::install_values(&full, materials)?;
        let writing = Unprepared::writing("install values");
        write_yaml(&full.install_values(), &values).await.map_err(writing)?;
        let writing = Unprepared::writing("install values");
        let values = contents::kept_install_values(&kept, self.phase.subcloud);
        write_yaml(&kept.install_values(), &values).await.map_err(writing)?;
        self.step("install-values", DONE).await?;
        Ok(command_line::install(&playbook, &full, release))
    }

    async fn prepare_bootstrap(&self, materials: &Materials) -> Result<Vec<OsString>, Interrupted> {
        let settings = self.settings;
        let release = plain("the release", &self.phase.subcloud.software_version)?;
        let region = plain("the region", self.phase.subcloud.region.as_ref())?;
        let playbooks = if release == settings.active_release {
            settings.dirs.playbooks.clone()
        } else {
            settings.dirs.previous_playbooks.join(release)
        };
        let playbook = existing(playbooks.join("bootstrap.yml"))?;
        let full = self.full();
        plain_path(full.directory())?;
        self.step("admin-password", skipped("key ring of the system controller")).await?;
        let overrides = contents::bootstrap_overrides(&settings.controller, materials)?;
        write_yaml(&full.overrides(), &overrides).await.map_err(Unprepared::writing("overrides"))?;
        self.keep_overrides().await?;
        self.step("overrides", DONE).await?;
        Ok(command_line::bootstrap(&playbook, &full, region, release))
    }

    async fn prepare_configure(
        &self,
        materials: &Materials,
        redactor: &Redactor,
    ) -> Result<Vec<OsString>, Interrupted> {
        let artifacts = self
            .phase
            .run
            .inputs
            .artifacts
            .as_ref()
            .ok_or(Unprepared::Missing("no deployment manager files were found for the release"))?;
        let playbook = existing(PathBuf::from(&artifacts.deploy_playbook))?;
        let config =
            materials.deploy_config.as_ref().ok_or(Unprepared::Missing("there is no deploy config"))?;
        let (kept, full) = (self.kept(), self.full());
        let writing = Unprepared::writing("the deploy config");
        write(&full.deploy_config(), config.expose().as_bytes()).await.map_err(writing)?;
        self.keep_deploy_config(materials, redactor).await?;
        self.step("deploy-config", DONE).await?;
        let values = contents::deploy_values(&kept, artifacts).into();
        write_yaml(&kept.deploy_values(), &values).await.map_err(Unprepared::writing("deploy values"))?;
        let mut values = contents::deploy_values(&full, artifacts);
        contents::passwords(&mut values, materials.password()?);
        let writing = Unprepared::writing("deploy values");
        write_yaml(&full.deploy_values(), &values.into()).await.map_err(writing)?;
        self.step("deploy-values", DONE).await?;
        Ok(command_line::configure(&playbook, &full))
    }

    fn order(&self, args: Vec<OsString>) -> Playbook {
        let settings = self.settings;
        let private = self.private();
        Playbook {
            program: settings.ansible_playbook.clone(),
            args,
            log: log_path(&settings.dirs.logs, self.phase.subcloud.name.as_ref()),
            sentinels: vec![self.kept().sentinel(), self.full().sentinel()],
            private_dir: private.directory().to_owned(),
            deadline: settings.phase_deadline,
            environment: settings.environment.clone(),
        }
    }

    async fn step(&self, step: &str, outcome: StepOutcome) -> Result<(), Interrupted> {
        Ok(self.phase.step(step, outcome).await?)
    }

    fn play(&self, playbook: Prepared, redactor: Redactor) -> Box<dyn Play> {
        let subcloud = self.phase.subcloud.name.to_string();
        let stage = PhaseStatuses::of(self.phase.phase).running.as_str();
        let log = log_path(&self.settings.dirs.logs, &subcloud);
        let deadline = self.settings.phase_deadline.as_secs();
        Box::new(Performance { playbook, redactor, subcloud, stage, log, deadline })
    }

    // ---- files ----

    /// Where the contract keeps files, without secrets.
    fn kept(&self) -> Paths {
        Paths::new(&self.settings.dirs.ansible, self.phase.subcloud.name.as_ref())
    }

    fn private(&self) -> Private {
        Private::of(&self.settings.dirs.runs, self.phase.run.id)
    }

    /// Where the playbook finds them, with secrets.
    fn full(&self) -> Paths {
        Paths::new(self.private().directory(), self.phase.subcloud.name.as_ref())
    }

    /// Installing goes to the address the server gets then; everything else to its bootstrap address.
    fn address(&self, materials: &Materials) -> Option<String> {
        let installed = || {
            let values = materials.install.as_ref()?;
            values.get("bootstrap_address")?.as_str().map(str::to_owned)
        };
        match self.phase.phase {
            Phase::Install => installed().or_else(|| self.phase.subcloud.bootstrap_address.clone()),
            _ => self.phase.subcloud.bootstrap_address.clone().or_else(installed),
        }
    }

    async fn write_inventory(&self, paths: &Paths, address: &str) -> Result<(), Unprepared> {
        let inventory = contents::inventory(paths.name(), address, self.phase.subcloud.initial_deployment);
        write_yaml(&paths.inventory(), &inventory).await.map_err(Unprepared::writing("the inventory"))
    }

    async fn keep_overrides(&self) -> Result<(), Unprepared> {
        let kept = contents::kept_overrides(&self.settings.controller, self.phase.subcloud);
        write_yaml(&self.kept().overrides(), &kept).await.map_err(Unprepared::writing("overrides"))
    }

    /// Keeps the deploy config as far as it can be read, without its secrets.
    async fn keep_deploy_config(&self, materials: &Materials, redactor: &Redactor) -> Result<(), Unprepared> {
        let Some(config) = &materials.deploy_config else { return Ok(()) };
        let kept: String = documents(config.expose())
            .iter()
            .filter_map(|document| without_secrets(document, redactor))
            .map(|document| yaml::document(&document).to_string())
            .collect();
        write(&self.kept().deploy_config(), kept.as_bytes())
            .await
            .map_err(Unprepared::writing("the deploy config"))
    }
}

/// A playbook with what its result is told with.
struct Performance {
    playbook: Prepared,
    redactor: Redactor,
    subcloud: String,
    stage: &'static str,
    log: PathBuf,
    deadline: u64,
}

#[async_trait]
impl Play for Performance {
    fn identity(&self) -> &ProcessIdentity {
        self.playbook.identity()
    }

    async fn run(self: Box<Self>, abort: CancellationToken) -> Ending {
        let Self { playbook, redactor, subcloud, stage, log, deadline } = *self;
        let report = playbook.run(&redactor, abort).await;
        let failed = Failed { stage, subcloud: &subcloud };
        Ending::Failed(match report {
            Ok(Report { outcome: Outcome::Succeeded, .. }) => return Ending::Succeeded,
            Ok(Report { outcome: Outcome::Aborted, .. }) => return Ending::Aborted,
            Ok(Report { outcome: Outcome::Failed { .. }, tail }) => failed.playbook(&tail, &log),
            Ok(Report { outcome: Outcome::TimedOut, .. }) => failed.timed_out(deadline),
            Ok(Report { outcome: Outcome::ProgramMissing { program }, .. }) => {
                failed.program_missing(&program)
            }
            Err(error) => redactor.redact(&error.to_string()),
        })
    }
}

/// `text`, if it can stand in a playbook's command line and means nothing there but itself.
fn plain<'a>(field: &'static str, text: &'a str) -> Result<&'a str, Unprepared> {
    let harmless =
        |character: char| character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-');
    match !text.is_empty() && text.chars().all(harmless) {
        true => Ok(text),
        false => Err(Unprepared::Unusable { field }),
    }
}

/// As [`plain`], for a directory between quotes.
fn plain_path(path: &Path) -> Result<(), Unprepared> {
    let harmless = path.to_str().is_some_and(|text| !text.contains(['\'', '"', '\\', '{', '}', '\n']));
    if harmless { Ok(()) } else { Err(Unprepared::Unusable { field: "the directory of runs" }) }
}

fn existing(playbook: PathBuf) -> Result<PathBuf, Unprepared> {
    match playbook.is_file() {
        true => Ok(playbook),
        false => Err(Unprepared::NoPlaybook(playbook.display().to_string())),
    }
}
