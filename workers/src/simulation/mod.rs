//! A deterministic simulation of relay, projector and deploy workers: the product's own protocols over stores in memory,
//! in virtual time, with everything that can go wrong drawn from one seed.
//!
//! `DCM_SIM_SEEDS` says how many worlds are tried, from that of the seed `DCM_SIM_FIRST` on, or from a random one;
//! `DCM_TEST_SEED` repeats exactly one and prints what happened in it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "a world that failed is repeated by what it printed")]

mod actors;
mod bus;
mod checks;
mod clients;
mod dice;
mod host;
mod journal;
mod leases;
mod rows;
mod truth;
mod world;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clients::{Account, Apis, Client};
use dice::Dice;
use uuid::Uuid;
use world::{Broken, World};

/// Worlds that are tried by default, on as many threads as there are processors.
const SEEDS: u64 = 600;
/// How long a world may take to come to rest.
const REST: Duration = Duration::from_secs(400);

/// What became of a world.
struct Outcome {
    wrong: Vec<String>,
    digest: u64,
    lines: Vec<String>,
    events: usize,
}

/// Lives through the world of one seed.
fn live(seed: u64, broken: Option<Broken>, keep_trace: bool) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let world = World::new(seed, broken, keep_trace);
        let account = happens(&world).await;
        let mut wrong = checks::at_rest(&world, &account.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(unrest) = checks::unrest(&world) {
            wrong.push(format!("it does not come to rest: {unrest}"));
        }
        let events = world.truth().events.len();
        Outcome { wrong, digest: world.digest(), lines: world.lines(), events }
    })
}

async fn happens(world: &Arc<World>) -> Arc<Mutex<Account>> {
    let account = Arc::default();
    let apis: Arc<Apis> = Arc::new(Mutex::new(vec![None, None]));
    actors::start(world, &apis);
    let mut dice = Dice::of(world.seed, &[3]);
    let count = u8::try_from(1 + dice.below(3)).unwrap_or(1);
    let mut clients = tokio::task::JoinSet::new();
    let subclouds: Vec<Uuid> = (1..=count).map(|number| Uuid::from_u128(1000 + u128::from(number))).collect();
    for number in 1..=count {
        let client = Client {
            world: Arc::clone(world),
            apis: Arc::clone(&apis),
            account: Arc::clone(&account),
            number,
            subclouds: subclouds.clone(),
        };
        clients.spawn(client.run());
    }
    tokio::time::sleep(dice.millis(10_000, 40_000)).await;
    world.becomes_calm();
    world.note(format_args!("calm"));
    // Clients hear their last answers, and paused processes go on.
    let calm = tokio::time::Instant::now();
    while let Some(ended) = clients.join_next().await {
        ended.expect("a client panicked");
    }
    while checks::unrest(world).is_some() && calm.elapsed() < REST {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    // What is late comes now: nothing follows from it any more.
    tokio::time::sleep(Duration::from_secs(5)).await;
    account
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// Lives through `count` worlds from `first` on; the first that went wrong, and how many were tried.
fn first_wrong(first: u64, count: u64, broken: Option<Broken>) -> (Option<(u64, Vec<String>)>, u64, u64) {
    let next = AtomicU64::new(0);
    let events = AtomicU64::new(0);
    let found = Mutex::new(None);
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let place = next.fetch_add(1, Ordering::SeqCst);
                    if place >= count || found.lock().unwrap().is_some() {
                        return;
                    }
                    let seed = first.wrapping_add(place);
                    let outcome = live(seed, broken, false);
                    events.fetch_add(outcome.events as u64, Ordering::SeqCst);
                    if !outcome.wrong.is_empty() {
                        found.lock().unwrap().get_or_insert((seed, outcome.wrong));
                    }
                }
            });
        }
    });
    let tried = next.into_inner().min(count);
    (found.into_inner().unwrap(), tried, events.into_inner())
}

#[test]
fn no_world_goes_wrong() {
    if let Some(seed) = variable("DCM_TEST_SEED") {
        let outcome = live(seed, None, true);
        println!("{}", outcome.lines.join("\n"));
        assert!(outcome.wrong.is_empty(), "DCM_TEST_SEED={seed}: {:#?}", outcome.wrong);
        return;
    }
    let first = variable("DCM_SIM_FIRST").unwrap_or_else(|| {
        u64::from(std::process::id()) * 1_000_003
            + u64::from(std::time::UNIX_EPOCH.elapsed().unwrap().subsec_nanos())
    });
    let began = std::time::Instant::now();
    let (wrong, tried, events) = first_wrong(first, variable("DCM_SIM_SEEDS").unwrap_or(SEEDS), None);
    println!("{tried} worlds with {events} events in {:?}", began.elapsed());
    if let Some((seed, wrong)) = wrong {
        panic!("DCM_TEST_SEED={seed}: {wrong:#?}");
    }
}

#[test]
fn a_world_repeats_itself() {
    for seed in 0..variable("DCM_SIM_REPEATS").unwrap_or(20) {
        let (once, again) = (live(seed, None, true), live(seed, None, true));
        let differs = once.lines.iter().zip(&again.lines).find(|(one, other)| one != other);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!(once.digest, again.digest, "seed {seed}");
    }
}

/// Worlds that may be needed to notice a broken port.
const ENOUGH: u64 = 2_000;

#[test]
fn a_journal_that_forgets_is_noticed() {
    assert!(first_wrong(1, ENOUGH, Some(Broken::Journal)).0.is_some());
}

#[test]
fn a_bus_without_a_fence_is_noticed() {
    assert!(first_wrong(1, ENOUGH, Some(Broken::Fence)).0.is_some());
}

#[test]
fn a_checkpoint_without_a_fence_is_noticed() {
    assert!(first_wrong(1, ENOUGH, Some(Broken::Checkpoint)).0.is_some());
}

#[test]
fn a_lease_that_is_shown_as_run_out_is_noticed() {
    assert!(first_wrong(1, ENOUGH, Some(Broken::Lease)).0.is_some());
}

#[test]
fn a_refill_that_is_taken_for_news_is_noticed() {
    assert!(first_wrong(1, ENOUGH, Some(Broken::Replay)).0.is_some());
}
