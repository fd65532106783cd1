//! Processes killed, paused and cut off under load, stores that crash, stand still, lose everything or are full, clocks
//! that jump, deliveries that come twice, late and in another order: what was acknowledged is there once, rows and bus say
//! what the journal says, every run ends once, no playbook outlives its worker.
//!
//! `DCM_TEST_SEED` repeats the choices of a run that failed (each prints its seed); `DCM_TEST_KILLS` is how many processes
//! the tests of kills kill; `DCM_TEST_COMMANDS` is how many commands are acknowledged while everything goes wrong at once,
//! and while clocks jump or disks are full: a hundred thousand make a soak test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "a run that failed is repeated by what it printed")]

mod clock;
mod deployments;
mod disk;
mod kills;
mod runs;
mod scene;
mod stores;
mod storm;
mod subscriber;

use rand::Rng;

/// One test at a time: each is a load for the whole machine.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// A number that the caller may set.
fn variable<N: std::str::FromStr>(name: &str) -> Option<N> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// Where the choices of this run come from; printed.
fn seed() -> u64 {
    let seed = variable("DCM_TEST_SEED").unwrap_or_else(|| rand::rng().random());
    println!("DCM_TEST_SEED={seed}");
    seed
}

/// How many processes are killed.
fn kills() -> usize {
    variable("DCM_TEST_KILLS").unwrap_or(12)
}

/// How many commands of several clients are acknowledged by a test that needs thousands.
fn commands() -> usize {
    variable("DCM_TEST_COMMANDS").unwrap_or(2_000)
}
