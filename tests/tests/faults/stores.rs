//! Stores that are away.

use dcm_tests::load::{Addresses, Load};
use dcm_tests::{NatsCluster, Postgres, Serve, Split, eventually, run_dcm};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::scene::{
    FLEET, TAKE_OVER, acknowledges_more, comes_to_rest, fleet, none_has_ended, parts, parts_with, settings,
    the_bus_holds_the_journal,
};
use crate::{ALONE, seed};

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_is_answered_with_503_and_loses_nothing() {
    let _alone = ALONE.lock().await;
    let mut postgres = Postgres::start().await;
    let split = Split::on(&postgres).await;
    let names = [("api-a", "api"), ("relay-1", "relay"), ("projector", "projector")];
    let mut parts = parts(&split, &names).await;
    let addresses = Addresses::new(vec![parts[0].dcm.url().to_owned()]);
    let load = Load::start(&addresses, &fleet(), seed());
    for crash in [false, true] {
        acknowledges_more(&load, 20).await;
        match crash {
            true => postgres.crash(),
            false => postgres.stop().await,
        }
        let before = load.account().unavailable;
        eventually("the API says that it cannot write now", TAKE_OVER, async || {
            let now = load.account().unavailable;
            if now >= before + FLEET { Ok(()) } else { Err(now) }
        })
        .await;
        let read = parts[0].dcm.http().get("/v1.0/subclouds/subcloud1").send().await.expect(503);
        assert!(read.header("retry-after").is_some(), "{:?}", read.headers);
        postgres.start_again().await;
        acknowledges_more(&load, 20).await;
    }
    let account = load.finish().await;
    let (ledger, models) = comes_to_rest(&split.journal(), &split.read_model(), split.dir()).await;
    none_has_ended(&mut parts);
    ledger.verify().expect("hash chains are whole");
    account.compare(&ledger);
    ledger.compare_rows(&models).await;
    the_bus_holds_the_journal(&split.stores.nats.url(), &ledger).await;
}

/// Leads a process to another bus than its own, with three copies of each stream.
fn on_three_nodes(bus: &str, serve: Serve) -> Serve {
    settings(serve.instead("--bus", bus).flag("--set", "jetstream.replicas=3"))
}

#[tokio::test(flavor = "multi_thread")]
async fn one_node_of_three_that_dies_or_stands_still_loses_nothing() {
    let _alone = ALONE.lock().await;
    let seed = seed();
    let mut random = StdRng::seed_from_u64(seed);
    let mut cluster = NatsCluster::start().await;
    let (bus, split) = (cluster.url(), Split::on(Postgres::shared().await).await);
    let names = [("api-a", "api"), ("relay-1", "relay"), ("relay-2", "relay"), ("projector", "projector")];
    let mut parts = parts_with(&split, &names, FLEET, |serve| on_three_nodes(&bus, serve)).await;
    let addresses = Addresses::new(vec![parts[0].dcm.url().to_owned()]);
    let load = Load::start(&addresses, &fleet(), seed);
    acknowledges_more(&load, 20).await;
    for _ in 0..3 {
        let leader = cluster.kill_leader("DCM_EVENTS").await;
        println!("  the leader, node {leader}, is killed");
        acknowledges_more(&load, 40).await;
        cluster.node(leader).start_again().await;
        let still = random.random_range(0..3);
        println!("  node {still} stands still");
        cluster.node(still).pause();
        acknowledges_more(&load, 40).await;
        cluster.node(still).resume();
    }
    let account = load.finish().await;
    let (ledger, models) = comes_to_rest(&split.journal(), &split.read_model(), split.dir()).await;
    none_has_ended(&mut parts);
    ledger.verify().expect("hash chains are whole");
    account.compare(&ledger);
    ledger.compare_rows(&models).await;
    the_bus_holds_the_journal(&bus, &ledger).await;
    let (journal, api) = (split.journal(), parts[0].dcm.url());
    run_dcm(["bus", "verify", "--json", "--journal", &journal, "--bus", &bus]).await.ok();
    run_dcm(["projections", "verify", "--json", "--url", api]).await.ok();
}
