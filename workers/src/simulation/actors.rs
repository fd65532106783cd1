//! The processes of the simulated world: two of each role, started again whenever they die.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dcm_journal::fleet::Fleet;
use dcm_projections::Projector;
use futures::future::BoxFuture;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::bus::SimBus;
use super::clients::Apis;
use super::dice::{Dice, named};
use super::host::{NoVault, SimHost};
use super::journal::SimJournal;
use super::leases::leases;
use super::rows::SimRows;
use super::world::{Node, World};
use crate::deploy::{ControllerFacts, Crew, Dirs, RunTimeouts, Settings, Shared};
use crate::relay::{Relay, RelayError};
use crate::singleton;

/// Pause of a role that failed.
const PAUSE: Duration = Duration::from_secs(1);

type Main = fn(Arc<Node>, Arc<Apis>) -> BoxFuture<'static, ()>;

/// Every process: its name, its host, what it does.
const PROCESSES: [(&str, &str, Main); 8] = [
    ("api-0", "host-a", |node, apis| Box::pin(api(node, apis, 0))),
    ("api-1", "host-b", |node, apis| Box::pin(api(node, apis, 1))),
    ("relay-0", "host-a", |node, _| Box::pin(relay(node))),
    ("relay-1", "host-b", |node, _| Box::pin(relay(node))),
    ("projector-0", "host-a", |node, _| Box::pin(projector(node))),
    ("projector-1", "host-b", |node, _| Box::pin(projector(node))),
    ("worker-0", "host-a", |node, _| Box::pin(worker(node))),
    ("worker-1", "host-b", |node, _| Box::pin(worker(node))),
];

/// Starts every process, and what befalls the world as a whole.
pub fn start(world: &Arc<World>, apis: &Arc<Apis>) {
    // In some worlds the second worker is on the first one's host.
    let shared = Dice::of(world.seed, &[named("hosts")]).once_in(2);
    for (index, (name, host, main)) in (1..).zip(PROCESSES) {
        let host = if shared && name.starts_with("worker") { "host-a" } else { host };
        tokio::spawn(keep_running(Arc::clone(world), Arc::clone(apis), index, name, host, main));
    }
    tokio::spawn(befalls(Arc::clone(world)));
}

async fn keep_running(
    world: Arc<World>,
    apis: Arc<Apis>,
    index: u64,
    name: &'static str,
    host: &'static str,
    main: Main,
) {
    let mut dice = Dice::of(world.seed, &[named("fate"), index]);
    loop {
        let node = Node::start(&world, name, host, index);
        let task = tokio::spawn(main(Arc::clone(&node), Arc::clone(&apis)));
        loop {
            tokio::select! {
                biased;
                () = node.died() => break,
                () = tokio::time::sleep(dice.millis(1_000, 1_015)) => {}
            }
            if world.is_calm() {
                node.died().await;
            } else if dice.once_in(world.weather.kills) {
                node.kill();
            } else if dice.once_in(world.weather.pauses) {
                node.pause(dice.millis(100, 30_000));
            }
        }
        task.abort();
        tokio::time::sleep(dice.millis(20, 5_000)).await;
    }
}

/// The bus loses everything, and the clock of the lease store jumps.
async fn befalls(world: Arc<World>) {
    let mut dice = Dice::of(world.seed, &[named("befalls")]);
    while !world.is_calm() {
        tokio::time::sleep(dice.millis(1_000, 1_500)).await;
        if dice.once_in(world.weather.wipes) {
            world.note(format_args!("the bus is wiped"));
            let mut truth = world.truth();
            truth.bus = <_>::default();
            truth.wipes += 1;
            drop(truth);
            world.bus_changed.notify_waiters();
        }
        if dice.once_in(world.weather.jumps) {
            let jump = i64::try_from(dice.below(40_000_000)).unwrap_or(0) - 15_000_000;
            world.note(format_args!("the clock jumps by {jump}"));
            let mut truth = world.truth();
            truth.skew += jump;
            truth.set_back |= jump < 0;
            truth.set_forward |= jump > 0;
        }
    }
}

fn fleet(node: &Arc<Node>) -> Option<Arc<Fleet>> {
    Fleet::new(&SimJournal::of(node)).ok().map(Arc::new)
}

async fn api(node: Arc<Node>, apis: Arc<Apis>, place: usize) {
    let fleet = fleet(&node);
    let register = |fleet| {
        if let Some(api) = apis.lock().unwrap_or_else(PoisonError::into_inner).get_mut(place) {
            *api = fleet;
        }
    };
    register(fleet);
    node.died().await;
    register(None);
}

async fn relay(node: Arc<Node>) {
    let leases = leases(&node);
    let stop = CancellationToken::new();
    let holder = node.holder("relay");
    let relaying = singleton::run(
        &leases,
        "relay",
        &holder,
        &stop,
        || (),
        |_, held| {
            let node = Arc::clone(&node);
            async move {
                let relay =
                    Relay::new(SimJournal::of(&node), Arc::new(SimBus(Arc::clone(&node))), Arc::default());
                match relay.run(&held).await {
                    Ok(()) => return,
                    Err(RelayError::Fenced) => node.world.note(format_args!("{} is fenced off", node.name)),
                    Err(error) => node.world.truth().is_wrong(format!("the relay stops: {error}")),
                }
                tokio::select! {
                    biased;
                    () = held.cancelled() => {}
                    () = tokio::time::sleep(PAUSE) => {}
                }
            }
        },
    );
    tokio::join!(relaying, timeouts(&node));
}

async fn projector(node: Arc<Node>) {
    let leases = leases(&node);
    let stop = CancellationToken::new();
    let holder = node.holder("projector");
    singleton::run(
        &leases,
        "projector",
        &holder,
        &stop,
        || (),
        |epoch, held| project(Arc::clone(&node), epoch, held),
    )
    .await;
}

async fn project(node: Arc<Node>, epoch: i64, held: singleton::Held) {
    let rows = Arc::new(SimRows(Arc::clone(&node)));
    let projector = Projector::over(rows, SimJournal::of(&node), epoch, Arc::default()).under(held.until());
    if let Err(error) = projector.run(&held, |_| ()).await {
        node.world.truth().is_wrong(format!("the projector stops: {error}"));
        tokio::select! {
            biased;
            () = held.cancelled() => {}
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

/// Somebody sees that a read model stopped in front of the event `order`, and soon has a program there that can take it,
/// in place of `node`. Should that die before, its successor stops again.
pub fn replace(node: &Arc<Node>, order: u64) {
    let node = Arc::clone(node);
    let time = node.dice("replace", order).millis(500, 5_000);
    tokio::spawn(async move {
        node.after(time).await;
        node.world.note(format_args!("{} is replaced", node.name));
        node.world.truth().understood.insert(order);
        node.kill();
    });
}

async fn worker(node: Arc<Node>) {
    if let Some(shared) = shared(&node, "deploy-worker") {
        Crew::new(shared).run(&CancellationToken::new()).await;
    }
}

async fn timeouts(node: &Arc<Node>) {
    if let Some(shared) = shared(node, "run-timeouts") {
        RunTimeouts::of(&shared).run(CancellationToken::new()).await;
    }
}

fn shared(node: &Arc<Node>, role: &str) -> Option<Shared> {
    let host = || Arc::new(SimHost(Arc::clone(node)));
    Some(Shared {
        fleet: fleet(node)?,
        vault: Arc::new(NoVault),
        leases: leases(node),
        bus: Arc::new(SimBus(Arc::clone(node))),
        runs: host(),
        hands: host(),
        processes: host(),
        settings: settings(),
        holder: node.holder(role),
        aborts: watch::Sender::default(),
        active: Mutex::default(),
    })
}

fn settings() -> Settings {
    let nowhere = || std::path::PathBuf::from("/nonexistent");
    let dirs = Dirs {
        ansible: nowhere(),
        playbooks: nowhere(),
        previous_playbooks: nowhere(),
        logs: nowhere(),
        runs: nowhere(),
    };
    Settings {
        lease_ttl: Duration::from_secs(6),
        grace: Duration::from_secs(10),
        claim_within: Duration::from_secs(15),
        poll: Duration::from_millis(1_500),
        max_runs: 2,
        ..Settings::new(dirs, "24.09", ControllerFacts::default())
    }
}
