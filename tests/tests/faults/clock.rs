//! Clocks that jump while the processes run and thousands of commands are sent: their own ones, and not those that measure
//! how long something takes.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use chrono::Utc;
use dcm_domain::value::Timestamp;
use dcm_schemas::StreamId;
use dcm_tests::load::{Addresses, Load};
use dcm_tests::{Ledger, Postgres, Serve, Split, WorkDir};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::watch;

use crate::deployments::{deployments, password};
use crate::scene::{
    CLIENTS, Part, acknowledges_more, added_once, comes_to_rest, every_run_ended_once, fill, fleet_of,
    none_has_ended, proofs, settings, the_bus_holds_the_journal,
};
use crate::{ALONE, commands, seed};

/// The furthest a clock is off, in seconds.
const DAY: i64 = 86_400;
/// How often clocks jump at least.
const JUMPS: usize = 8;

/// A clock of one process that can be set.
struct Clock {
    /// Says how far it is off; looked at whenever the time is asked for.
    file: PathBuf,
}

impl Clock {
    fn new(dir: &Path, name: &str) -> Self {
        let clock = Self { file: dir.join(format!("{name}.clock")) };
        clock.set(0);
        clock
    }

    fn set(&self, seconds: i64) {
        // Replaced as a whole: a reader sees the old time or the new one.
        let new = self.file.with_extension("new");
        std::fs::write(&new, format!("{seconds:+}\n")).unwrap();
        std::fs::rename(&new, &self.file).unwrap();
    }

    fn give(&self, serve: Serve) -> Serve {
        serve
            .env("LD_PRELOAD", library())
            .env("FAKETIME_TIMESTAMP_FILE", &self.file)
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("NO_FAKE_STAT", "1")
    }
}

/// The library that stands between a process and its clock (Debian's `libfaketime`).
fn library() -> PathBuf {
    let places = std::fs::read_dir("/usr/lib").unwrap().flatten().map(|entry| entry.path());
    let found =
        places.map(|place| place.join("faketime/libfaketimeMT.so.1")).find(|library| library.is_file());
    found.expect("no libfaketime below /usr/lib: run `tests/run --install`")
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_that_jump_and_differ_lose_nothing_and_never_set_a_stream_back() {
    let _alone = ALONE.lock().await;
    let seed = seed();
    let mut random = StdRng::seed_from_u64(seed);
    let split = Split::on(Postgres::shared().await).await;
    let clocks_dir = WorkDir::new("clocks");
    fill(settings(split.serve("api-a", "api")), CLIENTS).await;
    let mut clocks = Vec::new();
    let mut parts = Vec::new();
    for (name, roles) in [
        ("api-a", "api"),
        ("api-b", "api"),
        ("relay-1", "relay"),
        ("relay-2", "relay"),
        ("projector", "projector"),
        ("worker", "worker"),
    ] {
        let clock = Clock::new(clocks_dir.path(), name);
        parts.push(Part { name, dcm: clock.give(settings(split.serve(name, roles))).start().await });
        clocks.push(clock);
    }
    let addresses = Addresses::new(vec![parts[0].dcm.url().to_owned(), parts[1].dcm.url().to_owned()]);
    let load = Load::start(&addresses, &fleet_of(CLIENTS), seed);
    let (stop, stopping) = watch::channel(false);
    let line = tokio::spawn(deployments(0, password(), addresses.clone(), stopping));
    // One API far ahead of the other, so that both write to streams that the other wrote to.
    clocks[0].set(DAY);
    acknowledges_more(&load, 50).await;
    let mut jumps = 0;
    while load.account().acknowledged.len() < commands() || jumps < JUMPS {
        jumps += 1;
        let clock = random.random_range(0..clocks.len());
        let seconds = random.random_range(-DAY..DAY);
        println!("  the clock of {} is off by {seconds} s", parts[clock].name);
        clocks[clock].set(seconds);
        acknowledges_more(&load, 50).await;
    }
    let account = load.finish().await;
    stop.send_replace(true);
    let added = line.await.unwrap();
    let (ledger, models) = comes_to_rest(&split.journal(), &split.read_model(), split.dir()).await;
    none_has_ended(&mut parts);
    println!(
        "{jumps} jumps, {} acknowledged, {} refused, {} unknown, {} added, {} events",
        account.acknowledged.len(),
        account.refused.len(),
        account.unknown.len(),
        added.len(),
        ledger.events.len()
    );
    ledger.verify().expect("hash chains are whole");
    account.compare(&ledger);
    added_once(&added, &ledger);
    every_run_ended_once(&ledger);
    ledger.compare_rows(&models).await;
    the_bus_holds_the_journal(&split.stores.nats.url(), &ledger).await;
    proofs(&split, &parts[0].dcm).await;
    no_stream_goes_back(&ledger);
}

/// In a stream, no event is recorded before the one it follows; and the clocks did jump.
fn no_stream_goes_back(ledger: &Ledger) {
    let mut last: HashMap<StreamId, Timestamp> = HashMap::new();
    let mut latest = Timestamp::from_micros(0);
    for envelope in ledger.envelopes() {
        let before = last.insert(envelope.stream.clone(), envelope.recorded_at);
        assert!(before.is_none_or(|before| before <= envelope.recorded_at), "{envelope:?} after {before:?}");
        latest = latest.max(envelope.recorded_at);
    }
    let ahead = latest.micros() - Timestamp::from(Utc::now()).micros();
    assert!(ahead > DAY * 500_000, "no event was recorded by a clock that is ahead");
}
