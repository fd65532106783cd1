//! The roles: each is a task that ends when the process is asked to stop.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dcm_api::app::{Dirs, Parts, Settings};
use dcm_api::ops::Readiness;
use dcm_api::platform::{ConfiguredPlatform, LocalSystem};
use dcm_api::transport::TransportSettings;
use dcm_domain::value::Subnet;
use dcm_journal::lease::Holder;
use dcm_projections::{Projector, RebuildOptions};
use dcm_workers::housekeeping::Housekeeping;
use dcm_workers::peering::{self, PeeringKeeper};
use dcm_workers::recovery::Recovery;
use dcm_workers::relay::RelayState;
use dcm_workers::singleton::Held;
use dcm_workers::strategy::StrategyKeeper;
use dcm_workers::{certmon, dead_letters, deploy, relay, singleton};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::stores::Stores;
use super::{Process, authentication, bus, demo::Demo, releases};
use crate::commands::Failure;
use crate::config::{Config, Controller, Role};

/// Pause before a singleton that failed is tried again.
const PAUSE: Duration = Duration::from_secs(2);
/// How long an edit of the policy files may go unnoticed.
const POLICY_LOOK: Duration = Duration::from_millis(20);

/// The whole HTTP service.
///
/// # Errors
/// [`Failure::Start`] if a fact of the configuration cannot be used.
pub fn router(process: &Process) -> Result<axum::Router, Failure> {
    let stores = &process.stores;
    let bus = Arc::clone(&stores.bus);
    process.readiness.add_check("bus", move || {
        let bus = Arc::clone(&bus);
        async move { bus.health().await.map_err(|error| error.to_string()) }
    });
    let policy = process.config.open_policy().map_err(|error| Failure::start("policy", error))?;
    let app = dcm_api::App::new(Parts {
        fleet: Arc::clone(&stores.fleet),
        models: Arc::clone(&stores.models),
        vault: Arc::clone(&stores.vault),
        journal: Arc::clone(&stores.journal),
        settings: settings(&process.config)?,
        readiness: Arc::clone(&process.readiness),
        metrics: process.metrics.clone(),
        asyncapi: dcm_schemas::asyncapi::asyncapi(),
        platform: Arc::new(ConfiguredPlatform { local_system: local_system(&process.config) }),
        policy: Arc::new(policy.looking_every(POLICY_LOOK)),
        stop: process.requests.stop.clone(),
    });
    let authentication = authentication::of(&process.config)?;
    Ok(dcm_api::router(app, TransportSettings { authentication, ..TransportSettings::default() }))
}

fn local_system(config: &Config) -> Option<LocalSystem> {
    let Controller { system_uuid, system_name, .. } = &config.controller;
    system_uuid.clone().zip(system_name.clone()).map(|(uuid, name)| LocalSystem { uuid, name })
}

fn settings(config: &Config) -> Result<Settings, Failure> {
    let controller = &config.controller;
    let address = |key: &str, text: &str| text.parse().map_err(|error| Failure::start(key.to_owned(), error));
    let subnet = Subnet::parse(&controller.management_subnet)
        .map_err(|error| Failure::start("controller.management_subnet", error))?;
    let pool = (
        address("controller.management_start_ip", &controller.management_start_ip)?,
        address("controller.management_end_ip", &controller.management_end_ip)?,
    );
    let paths = config.paths();
    Ok(Settings {
        releases: releases::releases(controller),
        dirs: Dirs {
            ansible: paths.ansible,
            playbooks: paths.playbooks,
            previous_playbooks: paths.previous_playbooks,
            loads: paths.loads,
            deploy: paths.deploy,
            applications: paths.alternative_deploy,
            backups: paths.backups,
            logs: paths.logs,
            certs: paths.certs,
        },
        wait: Duration::from_millis(config.write_wait_ms),
        rebuild_events_per_second: config.projections.rebuild_events_per_second,
        ..Settings::new(controller.software_version.clone(), subnet, pool)
    })
}

/// Keeps the read models up to date, while this process holds the projector's lease.
pub async fn projector(process: Process) -> Result<(), Failure> {
    let bell = Arc::new(Notify::new());
    let ringing = bus::hear_appends(
        Arc::clone(&process.stores.bus),
        process.stores.journal.id(),
        Arc::clone(&bell),
        process.stop.clone(),
    );
    let standby = || process.readiness.stand_by("projector");
    let working = only_one(&process, "projector", standby, |epoch, held| {
        let stores = process.stores.clone();
        let readiness = Arc::clone(&process.readiness);
        let bell = Arc::clone(&bell);
        async move {
            let projector = Projector::new(stores.models, stores.journal, epoch, bell).under(held.until());
            watched(&readiness, "projector", projector.run(&held, |_| ()), &held).await;
        }
    });
    let Stores { models, journal, .. } = &process.stores;
    let events_per_second = process.config.projections.rebuild_events_per_second;
    let options = RebuildOptions { events_per_second, ..RebuildOptions::default() };
    let renewing = models.renew(journal, options, &process.stop);
    tokio::join!(ringing, working, renewing).1
}

/// Copies committed events to the bus, while this process holds the relay's lease; and keeps what nobody could handle.
pub async fn relay(process: Process, head: u64) -> Result<(), Failure> {
    let bell = Arc::new(Notify::new());
    let ringing = bus::hear_appends(
        Arc::clone(&process.stores.bus),
        process.stores.journal.id(),
        Arc::clone(&bell),
        process.stop.clone(),
    );
    // A bus of this process begins empty: what was committed before is nobody's news.
    let start = match process.config.bus.starts_with("local:") {
        true => relay::StartAt::Head(head),
        false => relay::StartAt::Origin,
    };
    let standby = || {
        process.readiness.stand_by("relay");
        relay::forget_figures();
    };
    let working = only_one(&process, "relay", standby, |_, held| {
        let stores = process.stores.clone();
        let readiness = Arc::clone(&process.readiness);
        let relay = relay::Relay::new(stores.journal, stores.bus, Arc::clone(&bell))
            .start_at(start)
            .with_streams(process.config.jetstream.streams());
        async move { relayed(&readiness, &relay, &held).await }
    });
    let timeouts = run_timeouts(&process);
    let dead_letters = dead_letters::run(&*process.stores.bus_upkeep, process.stop.clone());
    let ((), relayed, ended, ()) = tokio::join!(ringing, working, timeouts, dead_letters);
    relayed.and(ended)
}

/// Ends runs that nobody works on, where no deploy worker does it: a fleet without workers must not wait for ever.
async fn run_timeouts(process: &Process) -> Result<(), Failure> {
    if process.config.has(Role::Worker) {
        return Ok(());
    }
    let Stores { fleet, leases, models, vault, .. } = process.stores.clone();
    let times = deploy_settings(&process.config).timeouts();
    let timeouts = deploy::RunTimeouts::new(fleet, leases, models, Some(vault), times);
    let timeouts = timeouts.map_err(|error| Failure::start("run timeouts", error))?;
    let peering = peering_keeper(process).without_workers();
    let stop = || process.stop.clone();
    // A lease of its own: it must not keep a worker's from what it leaves alone itself.
    let keeper = strategy_keeper(process).without_workers();
    let strategy =
        only_one(process, "update-strategy-without-workers", || (), |_, held| keeper.run(held.token()));
    let ((), (), kept) = tokio::join!(timeouts.run(stop()), peering.run(stop()), strategy);
    kept
}

/// Sees to what waits for other controllers.
fn peering_keeper(process: &Process) -> PeeringKeeper {
    let Stores { fleet, models, .. } = process.stores.clone();
    let claim_within = Duration::from_secs(process.config.deploy.claim_within_secs);
    PeeringKeeper::new(fleet, models, peering::Times { claim_within, ..peering::Times::default() })
}

/// Sees to the update strategy.
fn strategy_keeper(process: &Process) -> StrategyKeeper {
    let Stores { fleet, vault, .. } = process.stores.clone();
    let claim_within = Duration::from_secs(process.config.deploy.claim_within_secs);
    StrategyKeeper::new(fleet, vault, claim_within)
}

/// Does `work` while this process holds the lease `name`; calls `standby` whenever it finds that another does.
async fn only_one<W, F>(process: &Process, name: &str, standby: impl Fn(), work: W) -> Result<(), Failure>
where
    W: FnMut(i64, Held) -> F,
    F: Future<Output = ()>,
{
    let holder = Holder::this_process(name).map_err(|error| Failure::start(name, error))?;
    singleton::run(&process.stores.leases, name, &holder, &process.stop, standby, work).await;
    Ok(())
}

/// Does a role's work and keeps its readiness: ready once it has worked for a moment, not ready when it fails.
async fn watched<E: std::fmt::Display>(
    readiness: &Readiness,
    role: &str,
    work: impl Future<Output = Result<(), E>>,
    held: &CancellationToken,
) {
    tokio::pin!(work);
    let ended = match tokio::time::timeout(PAUSE / 2, &mut work).await {
        Ok(ended) => ended,
        Err(_) => {
            readiness.set(role, Ok(()));
            work.await
        }
    };
    concluded(readiness, role, ended, held).await;
}

/// Relays, and lets the role be what the relay says of itself: one that waits for the bus is not ready.
async fn relayed(readiness: &Readiness, relay: &relay::Relay, held: &CancellationToken) {
    let mut health = relay.health();
    let telling = async {
        while let Some(state) = health.changed().await {
            let said = match state {
                RelayState::Working => Ok(()),
                // What exactly is away is for the log: anyone may read this.
                RelayState::Waiting { .. } => Err("waits for the bus or the journal".to_owned()),
                // How it ended is told below.
                _ => continue,
            };
            readiness.set("relay", said);
        }
    };
    let ended = tokio::select! {
        ended = relay.run(held) => ended,
        () = telling => Ok(()),
    };
    concluded(readiness, "relay", ended, held).await;
}

/// Notes how a role's work ended. A failure is logged when it is news, and tried again after a pause.
async fn concluded<E: std::fmt::Display>(
    readiness: &Readiness,
    role: &str,
    ended: Result<(), E>,
    held: &CancellationToken,
) {
    let Err(error) = ended else { return };
    if readiness.set(role, Err(error.to_string())) {
        tracing::error!(role, %error, "stopped; it is tried again");
    }
    tokio::select! {
        () = held.cancelled() => {}
        () = tokio::time::sleep(PAUSE) => {}
    }
}

/// Carries out deployments, and settles what crashes left half-way.
pub async fn worker(process: Process) -> Result<(), Failure> {
    let stores = &process.stores;
    let worker = deploy::DeployWorker::new(deploy::Context {
        fleet: Arc::clone(&stores.fleet),
        vault: Arc::clone(&stores.vault),
        leases: stores.leases.clone(),
        bus: Arc::clone(&stores.bus),
        models: Arc::clone(&stores.models),
        settings: deploy_settings(&process.config),
    });
    let worker = worker.map_err(|error| Failure::start("worker", error))?;
    let housekeeping = Housekeeping::new(Arc::clone(&stores.fleet), Arc::clone(&stores.models));
    let recovery = Recovery {
        fleet: Arc::clone(&stores.fleet),
        models: Arc::clone(&stores.models),
        journal: Arc::clone(&stores.journal),
    };
    let stop = || process.stop.clone();
    let keeper = strategy_keeper(&process);
    let ((), (), (), (), kept) = tokio::join!(
        worker.run(stop()),
        housekeeping.run(stop()),
        recovery.run(stop()),
        peering_keeper(&process).run(stop()),
        only_one(&process, "update-strategy", || (), |_, held| keeper.run(held.token()))
    );
    kept
}

fn deploy_settings(config: &Config) -> deploy::Settings {
    let paths = config.paths();
    let facts = &config.controller;
    let dirs = deploy::Dirs {
        ansible: paths.ansible,
        playbooks: paths.playbooks,
        previous_playbooks: paths.previous_playbooks,
        runs: paths.runs,
        logs: paths.logs,
    };
    let controller = deploy::ControllerFacts {
        management_subnet: facts.management_subnet.clone(),
        floating_address: facts.management_floating_ip.clone(),
        oam_subnet: facts.oam_subnet.clone(),
        oam_floating_address: facts.oam_floating_ip.clone(),
    };
    deploy::Settings {
        ansible_playbook: config.deploy.ansible_playbook.clone(),
        max_runs: config.deploy.parallel_runs,
        phase_deadline: Duration::from_secs(config.deploy.phase_deadline_secs),
        claim_within: Duration::from_secs(config.deploy.claim_within_secs),
        lease_ttl: Duration::from_secs(config.deploy.lease_secs),
        ..deploy::Settings::new(dirs, &facts.software_version, controller)
    }
}

/// Audits certificates: of the configured endpoints, or of the demo's.
pub async fn cert_mon(process: Process, demo: Option<Demo>) -> Result<(), Failure> {
    let config = &process.config.cert_mon;
    let (template, ca_dir, schedule) = match demo {
        Some(demo) => (demo.template, demo.ca_dir, demo.schedule),
        None => {
            let template = config.endpoint.as_deref().map_or_else(|| Ok(Default::default()), str::parse);
            let ca_dir: PathBuf =
                config.ca_dir.clone().unwrap_or_else(|| process.config.data_dir.join("certificates"));
            let template = template.map_err(|error| Failure::start("cert_mon.endpoint", error))?;
            (template, ca_dir, config.schedule.clone())
        }
    };
    let worker = certmon::worker::CertMon::new(certmon::worker::Context {
        fleet: Arc::clone(&process.stores.fleet),
        journal: Arc::clone(&process.stores.journal),
        models: Arc::clone(&process.stores.models),
        bus: Arc::clone(&process.stores.bus),
        settings: schedule,
        template,
        ca_dir,
    })
    .map_err(|error| Failure::start("cert-mon", error))?;
    // Two of them would audit everything twice.
    only_one(&process, "cert-mon", || (), |_, held| worker.run(held.token())).await
}
