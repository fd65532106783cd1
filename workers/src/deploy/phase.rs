//! One phase of a run: its preparation, its steps, its playbook, its one result.

use std::convert::Infallible;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use dcm_domain::subcloud::command::{
    AbortPhase, CompletePhase, FailPhase, RecordStep, StartPhase, StartPlaybook,
};
use dcm_domain::subcloud::{PhaseStatuses, Run, StepOutcome, Subcloud};
use dcm_domain::value::Phase;
use tokio_util::sync::CancellationToken;

use super::files::{Paths, Private, write, write_yaml};
use super::kept::without_secrets;
use super::materials::{Materials, Unprepared, documents};
use super::reporter::Refused;
use super::work::Work;
use super::{command_line, contents, yaml};
use crate::playbook::error_text::Failed;
use crate::playbook::{Outcome, Playbook, Redactor, Report, RunError, Runner, log_path};

/// Why a phase did not get to its playbook, or through its steps.
#[derive(Debug, thiserror::Error)]
enum Stopped {
    #[error(transparent)]
    Unprepared(#[from] Unprepared),
    #[error(transparent)]
    Refused(#[from] Refused),
}

/// A step that was done.
const DONE: StepOutcome = StepOutcome::Done;

/// A step whose outside system is not configured.
fn skipped(system: &str) -> StepOutcome {
    StepOutcome::Skipped { reason: format!("no {system} is configured") }
}

/// One phase of the run that `work` is at.
pub(super) struct PhaseWork<'a> {
    pub work: &'a Work,
    pub subcloud: &'a Subcloud,
    pub run: &'a Run,
    pub phase: Phase,
}

impl PhaseWork<'_> {
    /// Carries the phase out and reports its result.
    pub(super) async fn carry_out(&self) -> Result<(), Refused> {
        if self.phase == Phase::Complete {
            return self.complete().await;
        }
        let start = StartPhase { run_id: self.run.id, phase: self.phase };
        self.work.reporter.report(&self.named("start"), &start).await?;
        let materials =
            Materials::read(self.work.shared.vault.as_ref(), self.work.entity, self.subcloud, self.run).await;
        let materials = match materials {
            Ok(materials) => materials,
            Err(error) => return self.fail(false, error.to_string()).await,
        };
        let redactor = materials.redactor();
        let outcome = match self.phase {
            Phase::Create | Phase::Secondary => self.create(&materials, &redactor).await,
            _ => self.play(&materials, &redactor).await,
        };
        match outcome {
            Ok(()) => Ok(()),
            Err(Stopped::Refused(refused)) => Err(refused),
            Err(Stopped::Unprepared(error)) => {
                self.remove_private().await;
                self.fail(false, redactor.redact(&error.to_string())).await
            }
        }
    }

    // ---- create (jobs.md §1.2) ----

    async fn create(&self, materials: &Materials, redactor: &Redactor) -> Result<(), Stopped> {
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
        if let Some(artifacts) = &self.run.inputs.artifacts {
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
        self.step("overrides", DONE).await?;
        self.complete().await?;
        Ok(())
    }

    // ---- install, bootstrap, configure (jobs.md §1.3) ----

    async fn play(&self, materials: &Materials, redactor: &Redactor) -> Result<(), Stopped> {
        let private = self.private();
        private.create().await.map_err(Unprepared::writing("the run's directory"))?;
        let address = self.address(materials).ok_or(Unprepared::Missing("no bootstrap address was given"))?;
        for paths in [self.kept(), self.full()] {
            self.write_inventory(&paths, &address).await?;
        }
        let args = match self.phase {
            Phase::Install => self.prepare_install(materials).await?,
            Phase::Bootstrap => self.prepare_bootstrap(materials).await?,
            _ => self.prepare_configure(materials, redactor).await?,
        };
        let playbook = self.playbook(args);
        let log = playbook.log.clone();
        let settings = &self.work.shared.settings;
        let prepared = match Runner::new(settings.supervisor.clone(), settings.limits).prepare(playbook).await
        {
            Ok(prepared) => prepared,
            Err(error) => {
                self.remove_private().await;
                return Ok(self.fail(false, redactor.redact(&error.to_string())).await?);
            }
        };
        if !self.work.note(prepared.identity()).await {
            // Not ours any more: the caller sees that the lease is lost.
            std::future::pending::<Infallible>().await;
        }
        let start = StartPlaybook { run_id: self.run.id, phase: self.phase };
        self.work.reporter.report(&self.named("playbook"), &start).await?;
        let abort = CancellationToken::new();
        let report = tokio::select! {
            report = prepared.run(redactor, abort.clone()) => report,
            never = self.work.watch_abort(&abort) => match never {},
        };
        self.remove_private().await;
        Ok(self.conclude(report, redactor, &log).await?)
    }

    async fn prepare_install(&self, materials: &Materials) -> Result<Vec<OsString>, Stopped> {
        let release = plain("the release", &self.subcloud.software_version)?;
        let playbook = existing(self.work.shared.settings.dirs.playbooks.join("install.yml"))?;
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
        write_yaml(&kept.rvmc_config(), &contents::kept_rvmc_config(self.subcloud)).await.map_err(rvmc)?;
        self.step("rvmc-config", DONE).await?;
        let values = contents::install_values(&full, materials)?;
        let writing = Unprepared::writing("install values");
        write_yaml(&full.install_values(), &values).await.map_err(writing)?;
        let writing = Unprepared::writing("install values");
        let values = contents::kept_install_values(&kept, self.subcloud);
        write_yaml(&kept.install_values(), &values).await.map_err(writing)?;
        self.step("install-values", DONE).await?;
        Ok(command_line::install(&playbook, &full, release))
    }

    async fn prepare_bootstrap(&self, materials: &Materials) -> Result<Vec<OsString>, Stopped> {
        let settings = &self.work.shared.settings;
        let release = plain("the release", &self.subcloud.software_version)?;
        let region = plain("the region", self.subcloud.region.as_ref())?;
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
    ) -> Result<Vec<OsString>, Stopped> {
        let artifacts = self
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

    fn playbook(&self, args: Vec<OsString>) -> Playbook {
        let settings = &self.work.shared.settings;
        let private = self.private();
        Playbook {
            program: settings.ansible_playbook.clone(),
            args,
            log: log_path(&settings.dirs.logs, self.subcloud.name.as_ref()),
            sentinels: vec![self.kept().sentinel(), self.full().sentinel()],
            private_dir: private.directory().to_owned(),
            deadline: settings.phase_deadline,
            environment: settings.environment.clone(),
        }
    }

    // ---- results ----

    /// The phase's one result (jobs.md §0.4, §6.1).
    async fn conclude(
        &self,
        report: Result<Report, RunError>,
        redactor: &Redactor,
        log: &Path,
    ) -> Result<(), Refused> {
        let failed = Failed {
            stage: PhaseStatuses::of(self.phase).running.as_str(),
            subcloud: self.subcloud.name.as_ref(),
        };
        let deadline = self.work.shared.settings.phase_deadline;
        let error = match report {
            Ok(Report { outcome: Outcome::Succeeded, .. }) => return self.complete().await,
            Ok(Report { outcome: Outcome::Aborted, .. }) => match self.abort().await {
                Err(refused) if refused.is_out_of_turn() => "the playbook was ended".to_owned(),
                outcome => return outcome,
            },
            Ok(Report { outcome: Outcome::Failed { .. }, tail }) => failed.playbook(&tail, log),
            Ok(Report { outcome: Outcome::TimedOut, .. }) => failed.timed_out(deadline.as_secs()),
            Ok(Report { outcome: Outcome::ProgramMissing { program }, .. }) => {
                failed.program_missing(&program)
            }
            Err(error) => redactor.redact(&error.to_string()),
        };
        self.fail(true, error).await
    }

    async fn complete(&self) -> Result<(), Refused> {
        let command = CompletePhase { run_id: self.run.id, phase: self.phase };
        self.work.reporter.report(&self.named("complete"), &command).await.map(drop)
    }

    async fn fail(&self, started: bool, error: String) -> Result<(), Refused> {
        tracing::warn!(
            run_id = %self.run.id, region = %self.subcloud.region, phase = self.phase.as_str(), error, "phase failed"
        );
        let command = FailPhase { run_id: self.run.id, phase: self.phase, started, error };
        self.work.reporter.report(&self.named("fail"), &command).await.map(drop)
    }

    async fn abort(&self) -> Result<(), Refused> {
        if self.phase == Phase::Install {
            // jobs.md §1.4, step 3.
            self.step("rvmc-pod", skipped("Kubernetes client")).await?;
            self.step("power-off", skipped("Redfish client")).await?;
        }
        let command = AbortPhase { run_id: self.run.id, phase: self.phase };
        self.work.reporter.report(&self.named("abort"), &command).await.map(drop)
    }

    async fn step(&self, step: &str, outcome: StepOutcome) -> Result<(), Refused> {
        let command = RecordStep { run_id: self.run.id, phase: self.phase, step: step.to_owned(), outcome };
        self.work.reporter.report(&self.named(&format!("step {step}")), &command).await.map(drop)
    }

    /// Names a report of this phase.
    fn named(&self, report: &str) -> String {
        format!("{} {report}", self.phase)
    }

    // ---- files ----

    /// Where the contract keeps files, without secrets.
    fn kept(&self) -> Paths {
        Paths::new(&self.work.shared.settings.dirs.ansible, self.subcloud.name.as_ref())
    }

    fn private(&self) -> Private {
        Private::of(&self.work.shared.settings.dirs.runs, self.run.id)
    }

    /// Where the playbook finds them, with secrets.
    fn full(&self) -> Paths {
        Paths::new(self.private().directory(), self.subcloud.name.as_ref())
    }

    async fn remove_private(&self) {
        self.work.remove_private().await;
    }

    /// Installing goes to the address the server gets then; everything else to its bootstrap address.
    fn address(&self, materials: &Materials) -> Option<String> {
        let installed = || {
            let values = materials.install.as_ref()?;
            values.get("bootstrap_address")?.as_str().map(str::to_owned)
        };
        match self.phase {
            Phase::Install => installed().or_else(|| self.subcloud.bootstrap_address.clone()),
            _ => self.subcloud.bootstrap_address.clone().or_else(installed),
        }
    }

    async fn write_inventory(&self, paths: &Paths, address: &str) -> Result<(), Unprepared> {
        let inventory = contents::inventory(paths.name(), address, self.subcloud.initial_deployment);
        write_yaml(&paths.inventory(), &inventory).await.map_err(Unprepared::writing("the inventory"))
    }

    async fn keep_overrides(&self) -> Result<(), Unprepared> {
        let kept = contents::kept_overrides(&self.work.shared.settings.controller, self.subcloud);
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
