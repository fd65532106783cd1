//! The crew of a worker: takes runs, as hinted by the bus and as found in the read model, up to a number at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dcm_domain::subcloud::{Run, RunKind, Subcloud};
use dcm_journal::bus::{Bus, BusError, Consumer, Delivery, Start, Stream, consume_forever};
use dcm_journal::fleet::Fleet;
use dcm_journal::lease::{Holder, Leases};
use dcm_journal::vault::Vault;
use dcm_projections::RunRow;
use dcm_schemas::hint::{DEPLOY, DeployHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument;
use uuid::Uuid;

use super::ownership::Ownership;
use super::ports::{Hands, OpenRuns, Processes};
use super::settings::Settings;
use super::timeouts::{RunTimeouts, presence};
use super::work::Work;
use crate::outage::Outage;

/// When a hint that cannot be taken now comes again.
const LATER: Duration = Duration::from_secs(2);
/// Open runs looked at in one round.
const MOST: u32 = 1000;

/// What all runs of a worker share.
pub(crate) struct Shared {
    pub fleet: Arc<Fleet>,
    pub vault: Arc<dyn Vault>,
    pub leases: Leases,
    pub bus: Arc<dyn Bus>,
    pub runs: Arc<dyn OpenRuns>,
    pub hands: Arc<dyn Hands>,
    pub processes: Arc<dyn Processes>,
    pub settings: Settings,
    pub holder: Holder,
    /// Counts the aborts that the bus told of.
    pub aborts: watch::Sender<u64>,
    /// Runs this worker is at, with their subclouds.
    pub active: Mutex<HashMap<Uuid, Uuid>>,
}

impl Shared {
    /// Whether this worker is at the run.
    pub(super) fn is_active(&self, run_id: Uuid) -> bool {
        self.lock_active().contains_key(&run_id)
    }

    /// Notes that this worker is at the run. Not while it is at it already, nor while something is left of another run of
    /// the same subcloud, which others may have ended while this worker stood still.
    fn begin(&self, entity: Uuid, run_id: Uuid) -> Option<Taken> {
        let mut active = self.lock_active();
        if active.contains_key(&run_id) {
            return Some(Taken::Yes);
        }
        if active.values().any(|busy| *busy == entity) {
            return Some(Taken::NotNow);
        }
        active.insert(run_id, entity);
        None
    }

    /// A map is whole after every panic, so a poisoned lock is as good as any.
    fn lock_active(&self) -> MutexGuard<'_, HashMap<Uuid, Uuid>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes runs and carries them out.
pub(crate) struct Crew {
    shared: Arc<Shared>,
    places: Arc<Semaphore>,
    tasks: TaskTracker,
}

/// What became of a run that was offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    /// This worker is at it.
    Yes,
    /// It is over, or another's.
    NotOurs,
    /// Not now: another is about to claim it, or the journal or the leases do not answer.
    NotNow,
    /// Not now: no place is free.
    Full,
}

/// A run's place among those this worker is at.
struct Seat {
    shared: Arc<Shared>,
    run_id: Uuid,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.shared.lock_active().remove(&self.run_id);
    }
}

impl Crew {
    pub(crate) fn new(shared: Shared) -> Self {
        let places = Arc::new(Semaphore::new(shared.settings.max_runs));
        Self { shared: Arc::new(shared), places, tasks: TaskTracker::new() }
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Takes runs until `stop`; then ends those it is at, and returns.
    pub(crate) async fn run(&self, stop: &CancellationToken) {
        tokio::join!(
            self.be_present(stop),
            self.follow_hints(stop),
            self.follow_aborts(stop),
            self.look_for_runs(stop),
            RunTimeouts::of(&self.shared).run(stop.clone()),
        );
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Says by a lease that a worker is there, so that nobody ends runs for want of one.
    async fn be_present(&self, stop: &CancellationToken) {
        let Shared { leases, holder, settings, .. } = self.shared.as_ref();
        let name = format!("{}{}", presence(RunKind::Deploy), holder.id());
        let mut lease = None;
        while !stop.is_cancelled() {
            match leases.acquire(&name, holder, settings.lease_ttl).await {
                Ok(held) => lease = held,
                Err(error) => tracing::debug!(%error, "the worker cannot say that it is there"),
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(settings.lease_ttl / 3) => {}
            }
        }
        if let Some(lease) = lease
            && let Err(error) = leases.remove(&lease).await
        {
            tracing::debug!(%error, "the worker cannot say that it leaves");
        }
    }

    async fn follow_hints(&self, stop: &CancellationToken) {
        let consumer = Consumer {
            durable: Some("deploy-worker".to_owned()),
            filters: vec![DEPLOY.subject()],
            prefetch: 1,
            ..Consumer::default()
        };
        let bus = Arc::clone(&self.shared.bus);
        consume_forever(bus, Stream::Jobs, consumer, stop.clone(), |delivery| async move {
            if let Err(error) = self.on_hint(&delivery, stop).await {
                tracing::debug!(%error, "a hint was not settled; it will come again");
            }
        })
        .await;
    }

    async fn on_hint(&self, delivery: &Delivery, stop: &CancellationToken) -> Result<(), BusError> {
        let Ok(hint) = serde_json::from_slice::<DeployHint>(&delivery.message.payload) else {
            return delivery.term("not a hint of a deployment run").await;
        };
        match self.take(hint.subcloud, hint.run_id, stop).await {
            Taken::Yes | Taken::NotOurs => delivery.ack().await,
            Taken::NotNow | Taken::Full => delivery.nak(LATER).await,
        }
    }

    async fn follow_aborts(&self, stop: &CancellationToken) {
        let consumer = Consumer {
            filters: vec!["dcm.v1.event.subcloud.*.deploy-abort-requested".to_owned()],
            start: Start::New,
            ..Consumer::default()
        };
        let bus = Arc::clone(&self.shared.bus);
        consume_forever(bus, Stream::Events, consumer, stop.clone(), |delivery| async move {
            // Which run it is, and whether it is news, the aggregate tells.
            self.shared.aborts.send_modify(|count| *count = count.wrapping_add(1));
            if let Err(error) = delivery.ack().await {
                tracing::debug!(%error, "the news of an abort will come again");
            }
        })
        .await;
    }

    /// Finds runs whose hint was lost.
    async fn look_for_runs(&self, stop: &CancellationToken) {
        let mut outage = Outage::of("list of open runs");
        while !stop.is_cancelled() {
            match self.shared.runs.open_runs(MOST).await {
                Ok(runs) => {
                    outage.end();
                    let ours = |run: &&RunRow| run.worker.is_none() && run.kind == RunKind::Deploy;
                    for run in runs.iter().filter(ours) {
                        if self.take(run.uuid, run.run_id, stop).await == Taken::Full {
                            break;
                        }
                    }
                }
                Err(error) => outage.begin(&error),
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(self.shared.settings.poll) => {}
            }
        }
    }

    /// Begins to work on a run that nobody has claimed.
    async fn take(&self, entity: Uuid, run_id: Uuid, stop: &CancellationToken) -> Taken {
        let Ok(permit) = Arc::clone(&self.places).try_acquire_owned() else { return Taken::Full };
        if let Some(taken) = self.shared.begin(entity, run_id) {
            return taken;
        }
        let seat = Seat { shared: Arc::clone(&self.shared), run_id, _permit: permit };
        match self.shared.fleet.subcloud(entity).await {
            Err(error) => {
                tracing::debug!(%run_id, %error, "a run cannot be taken now");
                return Taken::NotNow;
            }
            Ok(loaded) if !loaded.state.as_ref().is_some_and(|subcloud| waits(subcloud, run_id)) => {
                return Taken::NotOurs;
            }
            Ok(_) => {}
        }
        let ttl = self.shared.settings.lease_ttl;
        let ownership = match Ownership::acquire(&self.shared.leases, &self.shared.holder, run_id, ttl).await
        {
            Ok(Some(ownership)) => ownership,
            // Another is about to claim it.
            Ok(None) => return Taken::NotNow,
            Err(error) => {
                tracing::debug!(%run_id, %error, "a run cannot be taken now");
                return Taken::NotNow;
            }
        };
        let work = Work::new(&self.shared, entity, run_id, ownership);
        let stop = stop.clone();
        let working = async move {
            work.carry_out(&stop).await;
            drop(seat);
        };
        self.tasks.spawn(working.in_current_span());
        Taken::Yes
    }
}

/// Whether the run is the subcloud's active one, for a worker of this kind, and nobody has claimed it.
fn waits(subcloud: &Subcloud, run_id: Uuid) -> bool {
    let waits = |run: &Run| run.id == run_id && run.worker.is_none() && run.kind() == RunKind::Deploy;
    subcloud.run.as_ref().is_some_and(waits)
}
