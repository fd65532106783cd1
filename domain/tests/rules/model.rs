//! A subcloud as a plain table of its axes, written from the contract and not from the aggregate, and what a request
//! makes of it. Random histories are held against it.

use std::collections::BTreeMap;

use dcm_domain::subcloud::command::DeployVerb;
use dcm_domain::value::{DeployStatus as S, Endpoint, Phase, SyncStatus};
use uuid::Uuid;

use crate::act::Act;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Life {
    Unborn,
    Alive,
    Gone,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ModelRun {
    pub id: Uuid,
    pub todo: Vec<Phase>,
    pub claimed: bool,
    pub aborting: bool,
    /// The network it moves the subcloud to.
    pub net: Option<u8>,
}

impl ModelRun {
    fn new(id: Uuid, todo: Vec<Phase>) -> Self {
        Self { id, todo, claimed: false, aborting: false, net: None }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    pub life: Life,
    pub managed: bool,
    pub online: bool,
    pub deploy: S,
    pub endpoints: BTreeMap<Endpoint, SyncStatus>,
    pub run: Option<ModelRun>,
    pub name: u8,
    pub group: i64,
    pub net: u8,
    pub rehome: bool,
    pub initial: bool,
    pub install: bool,
    pub config: bool,
    /// Revision after the last command that changed management or deploy status; the history keeps it.
    pub axes_since: u64,
}

impl Model {
    pub fn new() -> Self {
        Self {
            life: Life::Unborn,
            managed: false,
            online: false,
            deploy: S::NotDeployed,
            endpoints: Endpoint::DEFAULT.into_iter().map(|one| (one, SyncStatus::Unknown)).collect(),
            run: None,
            name: 0,
            group: 1,
            net: 0,
            rehome: false,
            initial: true,
            install: false,
            config: false,
            axes_since: 0,
        }
    }

    /// The subcloud after the request, or `None` if it is refused.
    pub fn after(&self, act: &Act) -> Option<Self> {
        let mut next = self.clone();
        let accepted = match self.life {
            Life::Unborn => next.be_born(act),
            Life::Alive => next.live(act),
            Life::Gone => false,
        };
        accepted.then_some(next)
    }

    fn be_born(&mut self, act: &Act) -> bool {
        match *act {
            Act::Add { run, secondary, install, config, initial } => {
                let mut todo = vec![if secondary { Phase::Secondary } else { Phase::Create }];
                if !secondary {
                    todo.extend(install.then_some(Phase::Install));
                    todo.extend([Phase::Bootstrap, if config { Phase::Configure } else { Phase::Complete }]);
                }
                let initial = initial || todo.contains(&Phase::Install);
                let run = ModelRun::new(run, todo);
                *self = Self { life: Life::Alive, install, config, initial, run: Some(run), ..Self::new() };
                true
            }
            Act::Abandon => {
                (self.life, self.group) = (Life::Gone, 0);
                true
            }
            _ => false,
        }
    }

    fn live(&mut self, act: &Act) -> bool {
        match *act {
            Act::Add { .. } | Act::Abandon => false,
            Act::Manage { force, migrate } => self.manage(force, migrate),
            Act::Unmanage { migrate } => self.unmanage(migrate),
            Act::Migrate => self.migrate(),
            Act::Change { to, managed, force } => self.change(to, managed, force),
            Act::Update { group } => {
                self.group = group;
                if matches!(self.deploy, S::Secondary | S::RehomePending) {
                    self.forget(None);
                }
                true
            }
            Act::Rename { to } => {
                let state = matches!(self.deploy, S::Complete | S::PrestageComplete);
                let renamed = !self.managed && state && self.name != to;
                self.name = if renamed { to } else { self.name };
                renamed
            }
            Act::Delete => {
                let deletable = !self.managed && !self.online && self.run.is_none();
                self.life = if deletable { Life::Gone } else { self.life };
                deletable
            }
            Act::Deploy { verb, run, install, config } => self.start_run(verb, run, install, config),
            Act::Redeploy { run, install, config } => self.redeploy(run, install, config),
            Act::Prestage { run } => {
                let fit = matches!(self.deploy, S::Complete | S::PrestageFailed | S::PrestageComplete);
                fit && self.online && self.managed && self.start(run, Phase::Prestage, None)
            }
            Act::Reconfigure { run, net } => {
                let fit = !self.managed && !copied(self.deploy) && net != self.net;
                fit && self.start(run, Phase::ReconfigureNetwork, Some(net))
            }
            Act::TakeOver { run } => {
                let fit = matches!(self.deploy, S::Secondary | S::RehomeFailed | S::RehomePrepFailed);
                if !fit || !self.rehome || self.run.is_some() {
                    return false;
                }
                self.run = Some(ModelRun::new(run, vec![Phase::Rehome]));
                true
            }
            Act::CompleteDeployment => {
                let completable = self.deploy == S::BootstrapComplete && self.run.is_none();
                self.deploy = if completable { S::Complete } else { self.deploy };
                completable
            }
            Act::Abort => self.abort(),
            Act::Availability { online } => {
                if !(online && self.deploy == S::Secondary) && online != self.online {
                    self.online = online;
                    if !online {
                        self.forget(None);
                    }
                }
                true
            }
            Act::Report { endpoint, status, seen } => {
                self.report(endpoint, status, seen);
                true
            }
            Act::Claim { run } => match &mut self.run {
                Some(active) if active.id == run && !active.claimed => {
                    active.claimed = true;
                    true
                }
                _ => false,
            },
            Act::Lose { run, worker_lost } => self.lose(run, worker_lost),
            Act::Step { run, .. } => {
                self.run.as_ref().is_some_and(|active| active.id == run && active.claimed)
            }
            Act::Start { run, phase }
            | Act::Play { run, phase }
            | Act::Complete { run, phase }
            | Act::Fail { run, phase, .. }
            | Act::AbortPhase { run, phase } => {
                let Some(active) = self.run.clone() else { return false };
                let due = active.id == run && active.claimed && active.todo.first() == Some(&phase);
                due && self.progress(act, phase, &active)
            }
        }
    }

    fn forget(&mut self, kept: Option<Endpoint>) {
        for (endpoint, status) in &mut self.endpoints {
            if Some(*endpoint) != kept {
                *status = SyncStatus::Unknown;
            }
        }
    }

    fn become_secondary(&mut self) {
        self.deploy = S::Secondary;
        self.online = false;
        self.forget(None);
    }

    fn manage(&mut self, force: bool, migrate: bool) -> bool {
        let pending = self.deploy == S::RehomePending;
        let fit = self.online && (pending || self.deploy == S::Complete || prestaged(self.deploy));
        if (migrate && !pending) || self.managed || !(force || fit) {
            return false;
        }
        self.managed = true;
        self.deploy = if pending { S::Complete } else { self.deploy };
        true
    }

    fn unmanage(&mut self, migrate: bool) -> bool {
        let migrates = migrate && self.deploy != S::RehomePending;
        if !self.managed || (migrates && self.deploy != S::Complete) {
            return false;
        }
        self.managed = false;
        self.deploy = if migrates { S::RehomePending } else { self.deploy };
        let all = matches!(self.deploy, S::Secondary | S::RehomePending);
        self.forget((!all).then_some(Endpoint::DcCert));
        true
    }

    fn migrate(&mut self) -> bool {
        let pending = self.deploy == S::RehomePending;
        if !pending && (self.managed || self.deploy != S::Complete) {
            return false;
        }
        self.deploy = S::RehomePending;
        self.forget(None);
        true
    }

    fn change(&mut self, to: S, managed: Option<bool>, force: bool) -> bool {
        let back = self.deploy == S::RehomePending && to == S::Complete;
        let fit = self.online && (self.deploy == S::Complete || prestaged(self.deploy) || back);
        let managing = managed == Some(true);
        let refused = managed == Some(self.managed)
            || (managing && !(force || fit))
            || (managing && to != S::Complete)
            || (managed.is_none() && self.managed)
            || (to != self.deploy && self.run.is_some());
        let known = match to {
            S::Secondary => true,
            S::RehomePending => matches!(self.deploy, S::Complete | S::RehomePending),
            S::Complete => managing && matches!(self.deploy, S::Complete | S::RehomePending),
            _ => false,
        };
        if refused || !known {
            return false;
        }
        self.managed = managed.unwrap_or(self.managed);
        match to {
            S::Secondary if self.deploy != S::Secondary => self.become_secondary(),
            S::Secondary | S::RehomePending => {
                self.deploy = to;
                self.forget(None);
            }
            _ => self.deploy = to,
        }
        true
    }

    fn start_run(&mut self, verb: DeployVerb, run: Uuid, install: bool, config: bool) -> bool {
        use Phase::{Bootstrap, Complete, Configure, Install};
        let (install, config) = (self.install || install, self.config || config);
        let word = self.deploy.as_str();
        let stage = match word {
            "create-complete" | "pre-install-failed" | "install-failed" | "install-aborted" => 1,
            "install-complete" | "pre-bootstrap-failed" | "bootstrap-failed" | "bootstrap-aborted" => 2,
            "bootstrap-complete" | "pre-config-failed" | "config-failed" | "config-aborted" => 3,
            _ => 0,
        };
        let todo = match verb {
            DeployVerb::Install if self.initial && (stage == 1 || word == "install-complete") => {
                vec![Install]
            }
            DeployVerb::Bootstrap
                if stage == 2 || word == "bootstrap-complete" || word == "create-complete" =>
            {
                vec![Bootstrap]
            }
            DeployVerb::Configure if stage == 3 || word == "complete" || prestaged(self.deploy) => {
                vec![Configure]
            }
            DeployVerb::Resume if self.initial && stage == 3 && config => vec![Configure],
            DeployVerb::Resume if self.initial && (stage == 1 || stage == 2) => {
                let mut todo = if stage == 1 && install { vec![Install] } else { Vec::new() };
                todo.extend([Bootstrap, if config { Configure } else { Complete }]);
                todo
            }
            _ => return false,
        };
        if self.run.is_some() {
            return false;
        }
        self.deploy = status(todo[0], "preparing");
        self.run = Some(ModelRun::new(run, todo));
        (self.install, self.config) = (install, config);
        true
    }

    fn redeploy(&mut self, run: Uuid, install: bool, config: bool) -> bool {
        let (install, config) = (self.install || install, self.config || config);
        if self.managed || self.online || copied(self.deploy) || !install || self.run.is_some() {
            return false;
        }
        let last = if config { Phase::Configure } else { Phase::Complete };
        self.run = Some(ModelRun::new(run, vec![Phase::Install, Phase::Bootstrap, last]));
        (self.deploy, self.initial, self.install, self.config) = (S::PreInstall, true, install, config);
        true
    }

    fn start(&mut self, run: Uuid, phase: Phase, net: Option<u8>) -> bool {
        if self.run.is_some() {
            return false;
        }
        self.deploy = status(phase, "preparing");
        self.run = Some(ModelRun { net, ..ModelRun::new(run, vec![phase]) });
        true
    }

    fn abort(&mut self) -> bool {
        let to = match self.deploy {
            S::Installing => S::AbortingInstall,
            S::Bootstrapping => S::AbortingBootstrap,
            S::Configuring => S::AbortingConfig,
            _ => return false,
        };
        let Some(run) = self.run.as_mut().filter(|_| self.initial) else { return false };
        run.aborting = true;
        self.deploy = to;
        true
    }

    fn report(&mut self, endpoint: Endpoint, status: SyncStatus, seen: Option<u64>) {
        let late = seen.is_some_and(|seen| seen < self.axes_since);
        let silent = matches!(self.deploy, S::Secondary | S::RehomePending);
        let trusted = self.online && (self.managed || endpoint == Endpoint::DcCert);
        let applies = match status {
            SyncStatus::Unknown => true,
            SyncStatus::OutOfSync => !silent,
            SyncStatus::InSync => !silent && trusted,
        };
        if let Some(held) = self.endpoints.get_mut(&endpoint).filter(|_| !late && applies) {
            *held = status;
        }
    }

    fn progress(&mut self, act: &Act, phase: Phase, run: &ModelRun) -> bool {
        let played = status(phase, "preparing") != status(phase, "running");
        match act {
            Act::Start { .. } => {
                if run.aborting || (played && self.deploy == status(phase, "running")) {
                    return false;
                }
                self.deploy = status(phase, "preparing");
            }
            Act::Play { .. } if run.aborting => return false,
            Act::Play { .. } => self.deploy = status(phase, "running"),
            Act::AbortPhase { .. } if !run.aborting => return false,
            Act::AbortPhase { .. } => self.end(status(phase, "aborted")),
            Act::Fail { started, .. } => {
                let failed = *started || run.aborting;
                self.end(status(phase, if failed { "failed" } else { "prep-failed" }));
            }
            Act::Complete { .. } if phase == Phase::Secondary && self.managed => self.end(S::SecondaryFailed),
            Act::Complete { .. } => {
                self.deploy = status(phase, "done");
                if phase == Phase::Secondary {
                    self.become_secondary();
                    self.rehome = true;
                }
                self.initial &= phase != Phase::Rehome;
                self.net = run.net.unwrap_or(self.net);
                let rest = run.todo[1..].to_vec();
                let over = rest.is_empty() || run.aborting;
                self.run = (!over).then(|| ModelRun { todo: rest, ..run.clone() });
            }
            _ => return false,
        }
        true
    }

    fn end(&mut self, deploy: S) {
        self.deploy = deploy;
        self.run = None;
    }

    fn lose(&mut self, run: Uuid, worker_lost: bool) -> bool {
        let Some(active) =
            self.run.as_ref().filter(|active| active.id == run && active.claimed == worker_lost)
        else {
            return false;
        };
        let secondary = active.todo == [Phase::Secondary];
        let taking_over = active.todo == [Phase::Rehome];
        let deploy = match self.deploy.as_str() {
            "not-deployed" | "creating" if secondary => "secondary-failed",
            "not-deployed" | "creating" => "create-failed",
            "pre-install" => "pre-install-failed",
            "installing" | "aborting-install" => "install-failed",
            "pre-bootstrap" => "pre-bootstrap-failed",
            "bootstrapping" | "aborting-bootstrap" => "bootstrap-failed",
            "pre-config" => "pre-config-failed",
            "configuring" | "aborting-config" => "config-failed",
            "rehoming" => "rehome-failed",
            "prestaging-packages" | "prestaging-images" => "prestage-failed",
            "reconfiguring-network" => "network-reconfiguration-failed",
            _ if taking_over => "rehome-prep-failed",
            other => other,
        };
        self.end(S::parse(deploy).unwrap());
        true
    }
}

fn prestaged(status: S) -> bool {
    status.as_str().starts_with("prestag")
}

/// A copy that another controller manages.
fn copied(status: S) -> bool {
    matches!(status, S::Secondary | S::SecondaryFailed)
}

/// What a phase is called in a status (jobs.md §1.3, §6.1).
fn status(phase: Phase, point: &str) -> S {
    let word = match (phase, point) {
        (Phase::Create, "preparing" | "running") | (Phase::Secondary, "preparing" | "running") => "creating",
        (Phase::Create, "done") => "create-complete",
        (Phase::Create, _) => "create-failed",
        (Phase::Secondary, "done") => "secondary",
        (Phase::Secondary, _) => "secondary-failed",
        (Phase::Complete, "done") => "complete",
        (Phase::Complete, _) => "bootstrap-complete",
        (Phase::Configure, "done") => "complete",
        (Phase::Rehome, "preparing") => "pre-rehome",
        (Phase::Rehome, "prep-failed") => "rehome-prep-failed",
        (Phase::Rehome, "running") => "rehoming",
        (Phase::Rehome, "done") => "complete",
        (Phase::Rehome, _) => "rehome-failed",
        (Phase::Prestage, "preparing") => "prestaging-packages",
        (Phase::Prestage, "running") => "prestaging-images",
        (Phase::Prestage, "done") => "prestage-complete",
        (Phase::Prestage, _) => "prestage-failed",
        (Phase::ReconfigureNetwork, "preparing" | "running") => "reconfiguring-network",
        (Phase::ReconfigureNetwork, "done") => "complete",
        (Phase::ReconfigureNetwork, _) => "network-reconfiguration-failed",
        (Phase::Install, "running") => "installing",
        (Phase::Bootstrap, "running") => "bootstrapping",
        (Phase::Configure, "running") => "configuring",
        (phase, point) => {
            let stem = if phase == Phase::Configure { "config" } else { phase.as_str() };
            let word = match point {
                "preparing" => format!("pre-{stem}"),
                "prep-failed" => format!("pre-{stem}-failed"),
                "failed" => format!("{stem}-failed"),
                "done" => format!("{stem}-complete"),
                _ => format!("{stem}-aborted"),
            };
            return S::parse(&word).unwrap();
        }
    };
    S::parse(word).unwrap()
}
