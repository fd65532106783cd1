//! `dcm serve`: opens the stores, starts the roles, and ends them in order.

pub mod bus;
mod demo;
pub mod lock;
mod log;
mod releases;
mod roles;
mod stores;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use dcm_api::ops::Readiness;
use dcm_domain::value::Actor;
use dcm_journal::repository::Meta;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::commands::{Failure, line};
use crate::config::{Config, Flags, Role, load};
use stores::Stores;

/// How long roles may take to end what they have in flight.
const DRAIN: Duration = Duration::from_secs(30);

/// Runs the configured roles until SIGTERM or SIGINT.
///
/// # Errors
/// [`Failure`] if the program cannot start, or a role that must not end has ended.
pub async fn run(flags: &Flags) -> Result<ExitCode, Failure> {
    let config = load(flags, std::env::vars())?;
    let findings = config.check();
    if !findings.is_empty() {
        let said = findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        return Err(Failure::Refused(said));
    }
    log::start(&config)?;
    let metrics = metrics_exporter_prometheus::PrometheusBuilder::new()
        .install_recorder()
        .map_err(|error| Failure::start("metrics", error))?;
    let _lock = match config.is_embedded() || config.demo.is_some() || config.has(Role::Worker) {
        true => Some(lock::take(&config.data_dir)?),
        false => None,
    };
    let stores = Stores::open(&config).await?;
    bus::prepare(&stores.bus).await;
    let meta = Meta::new(Actor::system("serve"));
    let default_group = stores.fleet.ensure_default_group(&meta).await;
    default_group.map_err(|error| Failure::start("journal", error))?;

    let process = Process {
        config: Arc::new(config),
        stores,
        readiness: Arc::new(Readiness::default()),
        metrics,
        stop: CancellationToken::new(),
    };
    let mut tasks = JoinSet::new();
    let ended = process.start(&mut tasks).await;
    let ended = match ended {
        Ok(()) => stop_requested(&mut tasks).await,
        Err(error) => Err(error),
    };
    process.stop.cancel();
    let drained = tokio::time::timeout(DRAIN, async { while tasks.join_next().await.is_some() {} }).await;
    if drained.is_err() {
        tracing::warn!("not everything ended in time");
    }
    ended.map(|()| ExitCode::SUCCESS)
}

/// What the roles of this process share.
#[derive(Clone)]
struct Process {
    config: Arc<Config>,
    stores: Stores,
    readiness: Arc<Readiness>,
    metrics: PrometheusHandle,
    stop: CancellationToken,
}

impl Process {
    /// Starts every role, the API last: what it says first is true then.
    async fn start(&self, tasks: &mut JoinSet<Result<(), Failure>>) -> Result<(), Failure> {
        if self.config.auth == crate::config::Auth::None && self.config.has(Role::Api) {
            tracing::warn!("no authentication: every caller is an administrator named `anonymous`");
        }
        self.signals(tasks);
        tasks.spawn(upkeep(self.metrics.clone(), self.stop.clone()));
        if self.config.has(Role::Projector) {
            tasks.spawn(roles::projector(self.clone()));
        }
        if self.config.has(Role::Relay) {
            tasks.spawn(roles::relay(self.clone(), self.stores.journal.head().await.unwrap_or(0)));
        }
        let demo = demo::Demo::start(self, tasks).await?;
        if self.config.has(Role::Worker) {
            tasks.spawn(roles::worker(self.clone()));
        }
        if self.config.has(Role::CertMon) {
            tasks.spawn(roles::cert_mon(self.clone(), demo));
        }
        match self.config.has(Role::Api) {
            true => self.serve(tasks).await,
            false => Ok(line("ready")?),
        }
    }

    /// Tells and hears what other processes have to know at once; in one process they know it anyway.
    fn signals(&self, tasks: &mut JoinSet<Result<(), Failure>>) {
        if self.config.bus.starts_with("local:") {
            return;
        }
        let Stores { bus, journal, models, .. } = self.stores.clone();
        let stop = || self.stop.clone();
        let appends = bus::announce_appends(Arc::clone(&bus), Arc::clone(&journal), stop());
        tasks.spawn(async move {
            appends.await;
            Ok(())
        });
        let progress = models.progress().clone();
        let id = journal.id();
        if self.config.has(Role::Projector) {
            let telling = bus::announce_progress(bus, id, progress, stop());
            tasks.spawn(async move {
                telling.await;
                Ok(())
            });
        } else {
            let hearing = bus::hear_progress(bus, id, progress, stop());
            tasks.spawn(async move {
                hearing.await;
                Ok(())
            });
        }
    }

    async fn serve(&self, tasks: &mut JoinSet<Result<(), Failure>>) -> Result<(), Failure> {
        let listen = self.config.listen;
        let listener = tokio::net::TcpListener::bind(listen).await;
        let listener = listener.map_err(|error| Failure::start(format!("listen on {listen}"), error))?;
        let address = listener.local_addr().map_err(|error| Failure::start("listen", error))?;
        let router = roles::router(self)?;
        let stop = self.stop.clone();
        tasks.spawn(async move {
            axum::serve(listener, router)
                .with_graceful_shutdown(async move { stop.cancelled().await })
                .await
                .map_err(|error| Failure::start("api", error))
        });
        line(format_args!("listening on http://{address}"))?;
        hint(address)?;
        Ok(())
    }
}

/// Lets the metrics forget what histograms no longer need.
async fn upkeep(metrics: PrometheusHandle, stop: CancellationToken) -> Result<(), Failure> {
    let mut every = tokio::time::interval(Duration::from_secs(5));
    while !stop.is_cancelled() {
        tokio::select! {
            () = stop.cancelled() => {}
            _ = every.tick() => metrics.run_upkeep(),
        }
    }
    Ok(())
}

fn hint(address: std::net::SocketAddr) -> Result<(), Failure> {
    let subclouds = format!("http://{address}/v1.0/subclouds");
    line(format_args!(
        "try:  curl {subclouds}\n      curl -X PATCH {subclouds}/subcloud1 -F migrate=true -F management-state=unmanaged\n      \
         dcm history subcloud1 --url http://{address}        documentation: http://{address}/docs"
    ))?;
    Ok(())
}

/// Waits for a signal to stop, or for a role to fail.
async fn stop_requested(tasks: &mut JoinSet<Result<(), Failure>>) -> Result<(), Failure> {
    let listen = |kind| signal(kind).map_err(|error| Failure::start("signals", error));
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            Some(ended) = tasks.join_next() => match ended {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Err(error),
                Err(error) => return Err(Failure::start("a role", error)),
            },
        }
    }
}
