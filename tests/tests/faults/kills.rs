//! Processes killed and paused under load.

use std::path::PathBuf;

use dcm_projections::ReadModels;
use dcm_tests::ledger::{alter, embedded};
use dcm_tests::load::{Addresses, Load};
use dcm_tests::{Dcm, Ledger, Postgres, Shuffler, Split, WorkDir, on_the_example_site};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::deployments::{deployments, no_password, nothing_outlived, nothing_outlives_its_worker, password};
use crate::scene::{
    FLEET, Part, a_while, acknowledges_more, added_once, comes_to_rest, every_run_ended_once, fleet,
    none_has_ended, parts, parts_with, proofs, reaches_the_bus, settings, shuffled,
    the_bus_holds_the_journal, was_shuffled,
};
use crate::subscriber::Subscriber;
use crate::{ALONE, kills, seed};

#[tokio::test(flavor = "multi_thread")]
async fn killed_processes_lose_nothing_that_was_acknowledged() {
    let _alone = ALONE.lock().await;
    let seed = seed();
    let mut random = StdRng::seed_from_u64(seed);
    let split = Split::on(Postgres::shared().await).await;
    let names = [
        ("api-a", "api"),
        ("api-b", "api"),
        ("relay-1", "relay"),
        ("relay-2", "relay"),
        ("projector", "projector"),
        ("worker-1", "worker"),
        ("worker-2", "worker"),
        ("cert-mon", "cert-mon"),
    ];
    let shuffler = Shuffler::start(split.stores.nats.port(), seed);
    let mut parts = parts_with(&split, &names, FLEET, |serve| shuffled(&shuffler, serve)).await;
    let addresses = Addresses::new(vec![parts[0].dcm.url().to_owned(), parts[1].dcm.url().to_owned()]);
    let mut subscriber = Subscriber::start(shuffler.url().to_owned());
    let load = Load::start(&addresses, &fleet(), seed);
    let (stop, stopping) = watch::channel(false);
    let password = password();
    let mut lines = JoinSet::new();
    for line in 0..2 {
        lines.spawn(deployments(line, password.clone(), addresses.clone(), stopping.clone()));
    }
    // Each in its turn, so that none is spared; but for cert-mon, which only adds to the load.
    let mut victims: Vec<usize> = (0..parts.len() - 1).collect();
    victims.shuffle(&mut random);
    let mut outlived = Vec::new();
    for kill in 0..kills() {
        a_while(&mut random, 2500).await;
        let victim = victims[kill % victims.len()];
        let part = &mut parts[victim];
        println!("kill {kill}: {}", part.name);
        part.dcm.kill();
        if part.name.starts_with("worker") {
            outlived.push(nothing_outlives_its_worker(&part.dcm.data_dir()));
        }
        if random.random_bool(0.3) {
            subscriber.restart();
        }
        a_while(&mut random, 1000).await;
        part.dcm.restart().await;
        if victim < 2 {
            addresses.moved(victim, part.dcm.url());
        }
    }
    a_while(&mut random, 2000).await;
    let account = load.finish().await;
    stop.send_replace(true);
    let added: Vec<String> = lines.join_all().await.into_iter().flatten().collect();
    nothing_outlived(outlived);
    let (ledger, models) = comes_to_rest(&split.journal(), &split.read_model(), split.dir()).await;
    none_has_ended(&mut parts);
    println!(
        "{} acknowledged, {} refused, {} unknown, {} added, {} events",
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
    subscriber.has_seen(&ledger.ids()).await;
    was_shuffled(&shuffler, &["DCM_EVENTS outside"]);
    the_bus_holds_the_journal(&split.stores.nats.url(), &ledger).await;
    proofs(&split, &parts[0].dcm).await;
    let logs: String = parts.iter().map(|part| part.dcm.logs()).collect();
    no_password(&password, &[split.dir(), split.stores.nats.dir(), Postgres::shared().await.dir()], &logs)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_relay_that_comes_back_after_a_take_over_publishes_nothing() {
    let _alone = ALONE.lock().await;
    let split = Split::on(Postgres::shared().await).await;
    let names = [("api-a", "api"), ("relay-1", "relay"), ("projector", "projector")];
    let mut parts = parts(&split, &names).await;
    let addresses = Addresses::new(vec![parts[0].dcm.url().to_owned()]);
    let load = Load::start(&addresses, &fleet(), seed());
    let bus = split.stores.nats.url();
    // The first relay publishes: there is no other yet.
    reaches_the_bus(&bus, &load, 10).await;
    parts.push(Part { name: "relay-2", dcm: settings(split.serve("relay-2", "relay")).start().await });
    for publishing in [1, 3] {
        parts[publishing].dcm.pause();
        reaches_the_bus(&bus, &load, 10).await;
        parts[publishing].dcm.resume();
        reaches_the_bus(&bus, &load, 30).await;
    }
    let account = load.finish().await;
    let (ledger, models) = comes_to_rest(&split.journal(), &split.read_model(), split.dir()).await;
    none_has_ended(&mut parts);
    account.compare(&ledger);
    ledger.compare_rows(&models).await;
    the_bus_holds_the_journal(&bus, &ledger).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_one_process_is_killed_again_and_again_and_its_journal_is_whole() {
    let _alone = ALONE.lock().await;
    let seed = seed();
    let mut random = StdRng::seed_from_u64(seed);
    let dir = WorkDir::new("killed");
    let data: PathBuf = dir.path().join("data");
    let serve = settings(on_the_example_site(Dcm::serve())).data_dir(&data);
    let mut dcm = serve.flag("--demo", FLEET.to_string()).start().await;
    let addresses = Addresses::new(vec![dcm.url().to_owned()]);
    let load = Load::start(&addresses, &fleet(), seed);
    let (stop, stopping) = watch::channel(false);
    let password = password();
    let mut lines = JoinSet::new();
    for line in 0..3 {
        lines.spawn(deployments(line, password.clone(), addresses.clone(), stopping.clone()));
    }
    let mut outlived = Vec::new();
    for kill in 0..kills() / 2 {
        a_while(&mut random, 3000).await;
        println!("kill {kill}");
        dcm.kill();
        outlived.push(nothing_outlives_its_worker(dir.path()));
        dcm.restart().await;
        addresses.moved(0, dcm.url());
    }
    acknowledges_more(&load, 20).await;
    let account = load.finish().await;
    stop.send_replace(true);
    let added: Vec<String> = lines.join_all().await.into_iter().flatten().collect();
    nothing_outlived(outlived);
    let journal = embedded(&data);
    let (_, models) = comes_to_rest(&journal, "embedded:", &data).await;
    drop(models);
    assert!(dcm.terminate().await.success(), "{}", dcm.logs());

    let ledger = Ledger::read(&journal).await;
    println!(
        "{} acknowledged, {} added, {} events",
        account.acknowledged.len(),
        added.len(),
        ledger.events.len()
    );
    ledger.verify().expect("hash chains are whole");
    account.compare(&ledger);
    added_once(&added, &ledger);
    every_run_ended_once(&ledger);
    let models = ReadModels::open("embedded:", &data, ledger.journal).await.unwrap();
    ledger.compare_rows(&models).await;
    no_password(&password, &[&data], &dcm.logs()).await;
    one_altered_byte_is_caught(&journal, &ledger, &mut random).await;
}

/// Alters single bytes of stored events, and puts them back.
async fn one_altered_byte_is_caught(journal: &str, ledger: &Ledger, random: &mut StdRng) {
    for _ in 0..3 {
        let stored = &ledger.events[random.random_range(0..ledger.events.len())];
        let mut bytes = stored.body.clone().into_bytes();
        let at = random.random_range(0..bytes.len());
        bytes[at] ^= 1;
        let Ok(altered) = String::from_utf8(bytes) else { continue };
        alter(journal, stored.order, &altered).await;
        let caught = Ledger::read(journal).await.verify().expect_err("an altered byte is caught");
        assert!(caught.starts_with(&format!("event {}:", stored.order)), "{caught}");
        alter(journal, stored.order, &stored.body).await;
    }
    Ledger::read(journal).await.verify().expect("everything is as it was");
}
