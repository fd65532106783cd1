//! `dcm serve`: opens the stores, starts the roles, and ends them in order.

pub mod authentication;
pub mod bus;
mod demo;
mod http;
pub mod lock;
mod releases;
mod roles;
mod stores;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use dcm_api::ops::Readiness;
use dcm_domain::value::{Actor, Timestamp};
use dcm_journal::repository::Meta;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::commands::{Failure, line};
use crate::config::{Config, Flags, Role, environment, load};
use crate::signals::{Asked, Signals};
use crate::telemetry::{self, Parts, Telemetry};
use stores::Stores;

/// How long roles may take to end what they have in flight.
const DRAIN: Duration = Duration::from_secs(30);
/// How long of that requests may take; what they wait for goes on working meanwhile.
const DRAIN_REQUESTS: Duration = Duration::from_secs(15);

/// Runs the configured roles until SIGTERM or SIGINT.
///
/// # Errors
/// [`Failure`] if the program cannot start, or a role that must not end has ended.
pub async fn run(flags: &Flags) -> Result<ExitCode, Failure> {
    let config = load(flags, environment())?;
    let findings = config.check();
    if !findings.is_empty() {
        let said = findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        return Err(Failure::Refused(said));
    }
    let telemetry = Telemetry::start(&config)?;
    let _lock = match config.is_embedded() || config.demo.is_some() || config.has(Role::Worker) {
        true => Some(lock::take(&config.data_dir)?),
        false => None,
    };
    let stores = Stores::open(&config).await?;
    let whole = crate::import::refuse_unfinished(&stores.journal).await;
    whole.map_err(|error| Failure::start("journal", error))?;
    bus::prepare(&*stores.bus, &config).await?;
    let meta = Meta::new(Actor::system("serve"));
    let default_group = stores.fleet.ensure_default_group(&meta).await;
    default_group.map_err(|error| Failure::start("journal", error))?;

    let process = Process {
        config: Arc::new(config),
        stores,
        readiness: Arc::new(Readiness::default()),
        metrics: telemetry.metrics.clone(),
        stop: CancellationToken::new(),
        requests: http::Ending::default(),
    };
    let mut signals = Signals::listen()?;
    let mut tasks = Tasks::default();
    let ended = tokio::select! {
        asked = signals.received() => Ok(Some(asked)),
        ended = async {
            process.start(&mut tasks).await?;
            tasks.failed().await
        } => ended.map(|()| None),
    };
    if matches!(ended, Ok(Some(Asked::ToTerminate))) && !tasks.requests.is_empty() {
        process.drain(&mut signals).await;
    }
    process.end(tasks).await;
    telemetry.end().await;
    ended.map(|_| ExitCode::SUCCESS)
}

type Running = JoinSet<Result<(), Failure>>;

/// What runs in this process.
#[derive(Default)]
struct Tasks {
    requests: Running,
    roles: Running,
}

impl Tasks {
    /// Waits until something fails; nothing ends by itself otherwise.
    async fn failed(&mut self) -> Result<(), Failure> {
        loop {
            let ended = tokio::select! {
                Some(ended) = self.requests.join_next() => ended,
                Some(ended) = self.roles.join_next() => ended,
                else => return Ok(()),
            };
            ended.map_err(|error| Failure::start("a role", error))??;
        }
    }
}

async fn all_ended(tasks: &mut Running) {
    while tasks.join_next().await.is_some() {}
}

/// What the roles of this process share.
#[derive(Clone)]
struct Process {
    config: Arc<Config>,
    stores: Stores,
    readiness: Arc<Readiness>,
    metrics: PrometheusHandle,
    /// Ends every role but the API.
    stop: CancellationToken,
    /// Ends the API: before the others, for the answer to a write waits for the projector.
    requests: http::Ending,
}

impl Process {
    /// Starts every role, the API last: what it says first is true then.
    async fn start(&self, tasks: &mut Tasks) -> Result<(), Failure> {
        let Tasks { requests, roles: tasks } = tasks;
        if self.config.has(Role::Api) {
            authentication::warn(&self.config);
        }
        self.settle().await;
        self.signals(tasks);
        self.tell(tasks).await?;
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
            true => self.serve(requests).await,
            false => line("ready").map_err(unheard),
        }
    }

    /// An embedded journal is nobody else's: what its last process had begun in the directories is settled before the first
    /// request, which would find it in its way. What cannot be settled now, housekeeping tries again.
    async fn settle(&self) {
        if !self.config.journal.starts_with("embedded:") {
            return;
        }
        let meta = Meta::new(Actor::system("housekeeping"));
        match self.stores.fleet.settle_all(Timestamp::from(chrono::Utc::now()), &meta).await {
            Ok(0) => {}
            Ok(entries) => {
                tracing::info!(entries, "settled what was begun in the directories and never ended")
            }
            Err(error) => tracing::warn!(%error, "what was begun in the directories is not settled yet"),
        }
    }

    /// Says that it will end, and answers on for a while: clients and proxies turn to others before they are refused. Another
    /// signal cuts it short.
    async fn drain(&self, signals: &mut Signals) {
        self.readiness.drain();
        self.requests.draining.cancel();
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(self.config.http.drain_secs)) => {}
            _ = signals.received() => {}
        }
    }

    /// Answers the requests that are there, then ends what they need.
    async fn end(&self, mut tasks: Tasks) {
        let begun = tokio::time::Instant::now();
        self.requests.draining.cancel();
        self.requests.stop.cancel();
        if tokio::time::timeout(DRAIN_REQUESTS, all_ended(&mut tasks.requests)).await.is_err() {
            tracing::warn!("not every request was answered in time");
        }
        self.stop.cancel();
        if tokio::time::timeout_at(begun + DRAIN, all_ended(&mut tasks.roles)).await.is_err() {
            tracing::warn!("not everything ended in time");
        }
    }

    /// Measures what nobody reports by himself, and answers for it where no API does.
    async fn tell(&self, tasks: &mut Running) -> Result<(), Failure> {
        let Stores { journal, vault, models, .. } = self.stores.clone();
        let parts = Parts { readiness: Arc::clone(&self.readiness), journal, vault, models };
        let projects = self.config.has(Role::Projector);
        let sampling = telemetry::sample(parts.clone(), projects, self.metrics.clone(), self.stop.clone());
        tasks.spawn(async move {
            sampling.await;
            Ok(())
        });
        if let Some(address) = self.config.telemetry.listen.filter(|_| !self.config.has(Role::Api)) {
            tasks.spawn(telemetry::serve(address, parts, self.metrics.clone(), self.stop.clone()).await?);
        }
        Ok(())
    }

    /// Tells and hears what other processes have to know at once; in one process they know it anyway.
    fn signals(&self, tasks: &mut Running) {
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
            let telling = bus::announce_progress(Arc::clone(&bus), id, progress.clone(), stop());
            tasks.spawn(async move {
                telling.await;
                Ok(())
            });
        }
        // Also where a projector could run: another process may hold its lease.
        let hearing = bus::hear_progress(bus, id, progress, stop());
        tasks.spawn(async move {
            hearing.await;
            Ok(())
        });
    }

    async fn serve(&self, tasks: &mut Running) -> Result<(), Failure> {
        let listen = self.config.listen;
        let listener = http::listen(listen, self.config.http.reuse_port);
        let listener = listener.map_err(|error| Failure::start(format!("listen on {listen}"), error))?;
        let address = listener.local_addr().map_err(|error| Failure::start("listen", error))?;
        let tls = self.config.tls();
        let server = http::Server::new(roles::router(self)?, tls.as_ref(), self.config.http.clone())?;
        let ending = self.requests.clone();
        tasks.spawn(async move {
            server.run(listener, ending).await;
            Ok(())
        });
        let url = format!("{}://{address}", if tls.is_some() { "https" } else { "http" });
        line(format_args!("listening on {url}")).map_err(unheard)?;
        if let Err(error) = hint(&url) {
            tracing::debug!(%error, "nobody reads the hint");
        }
        Ok(())
    }
}

/// Whoever started this process waits for its first line.
fn unheard(error: std::io::Error) -> Failure {
    Failure::start("standard output", error)
}

fn hint(url: &str) -> Result<(), std::io::Error> {
    let subclouds = format!("{url}/v1.0/subclouds");
    line(format_args!(
        "try:  curl {subclouds}\n      curl -X PATCH {subclouds}/subcloud1 -F migrate=true -F management-state=unmanaged\n      \
         dcm history subcloud1 --url {url}        documentation: {url}/docs"
    ))
}
