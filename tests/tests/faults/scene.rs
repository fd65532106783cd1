//! What the tests share: a fleet under load, the processes of a split service, and what holds at rest.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dcm_projections::ReadModels;
use dcm_tests::ledger::count_runs;
use dcm_tests::load::Load;
use dcm_tests::{Dcm, Ledger, Serve, Shuffler, Split, eventually, heard, run_dcm};
use rand::Rng;
use rand::rngs::StdRng;
use uuid::Uuid;

/// Subclouds of the load, unless a test wants more.
pub const FLEET: usize = 4;
/// As many of them, each with a client of its own, where thousands of commands are sent.
pub const CLIENTS: usize = 12;
/// How long everything may take to come to rest: leases run out, runs without a worker are ended.
pub const REST: Duration = Duration::from_secs(120);
/// How long a take-over may take.
pub const TAKE_OVER: Duration = Duration::from_secs(60);
/// Commands that are acknowledged within that time by a service that has nothing to take over.
const PORTION: usize = 200;
/// Deliveries of which some came twice, whatever the dice said.
const MANY: usize = 100;

/// Names of the first subclouds of the fleet.
pub fn fleet_of(count: usize) -> Vec<String> {
    (1..=count).map(|number| format!("subcloud{number}")).collect()
}

/// The subclouds of the load.
pub fn fleet() -> Vec<String> {
    fleet_of(FLEET)
}

/// Waits for a random moment.
pub async fn a_while(random: &mut StdRng, most: u64) {
    tokio::time::sleep(Duration::from_millis(random.random_range(0..most))).await;
}

/// A quicker end for runs whose worker is gone.
pub fn settings(serve: Serve) -> Serve {
    serve.flag("--set", "deploy.lease_secs=5").flag("--set", "deploy.claim_within_secs=30")
}

/// The bus holds every event once and in the journal's order.
pub async fn the_bus_holds_the_journal(url: &str, ledger: &Ledger) {
    let all = heard(url, "DCM_EVENTS", |all| all.len() >= ledger.events.len()).await;
    let heard: Vec<Uuid> = all.iter().map(|message| message.header("ce-id").parse().unwrap()).collect();
    assert_eq!(heard, ledger.ids(), "bus and journal differ");
}

/// Waits until every run has ended and the read model is at the journal's end.
pub async fn comes_to_rest(journal: &str, read_model: &str, dir: &Path) -> (Ledger, Arc<ReadModels>) {
    eventually("every run ends", REST, async || {
        let (requested, ended) = count_runs(journal).await;
        if requested == ended { Ok(()) } else { Err((requested, ended)) }
    })
    .await;
    let id = Ledger::read(journal).await.journal;
    // An embedded file is also written by the process that is tested.
    let models = eventually("the read models can be opened", REST, async || {
        ReadModels::open(read_model, dir, id).await.map_err(|error| error.to_string())
    })
    .await;
    let ledger = eventually("the read models catch up", REST, async || {
        let ledger = Ledger::read(journal).await;
        let (position, _) = models.subclouds().position().await.unwrap();
        if position == ledger.events.len() as u64 { Ok(ledger) } else { Err((position, ledger.events.len())) }
    })
    .await;
    (ledger, models)
}

/// The operator's own proofs say that journal, bus and rows agree.
pub async fn proofs(split: &Split, api: &Dcm) {
    let (journal, bus) = (split.journal(), split.stores.nats.url());
    run_dcm(["journal", "verify", "--journal", &journal]).await.ok();
    run_dcm(["bus", "verify", "--json", "--journal", &journal, "--bus", &bus]).await.ok();
    run_dcm(["projections", "verify", "--json", "--url", api.url()]).await.ok();
}

pub fn every_run_ended_once(ledger: &Ledger) {
    let ends = ledger.ends_of_runs();
    let not_once: Vec<_> = ends.iter().filter(|(_, ends)| **ends != 1).collect();
    assert!(not_once.is_empty(), "{not_once:?}");
}

/// Subclouds that were acknowledged were added once each.
pub fn added_once(requests: &[String], ledger: &Ledger) {
    let envelopes = ledger.envelopes();
    for request in requests {
        let added = envelopes.iter().filter(|event| {
            event.r#type == "SubcloudAdded" && event.request_id.as_deref() == Some(request.as_str())
        });
        assert_eq!(added.count(), 1, "{request}");
    }
}

/// A process of the split service.
pub struct Part {
    pub name: &'static str,
    pub dcm: Dcm,
}

/// Fills the demo fleet, before there is a worker that would take its runs for itself.
pub async fn fill(serve: Serve, fleet: usize) {
    let mut filling = serve.flag("--demo", fleet.to_string()).start().await;
    assert!(filling.terminate().await.success(), "{}", filling.logs());
}

/// Fills the fleet of the load and starts these processes, by name and roles.
pub async fn parts(split: &Split, names: &[(&'static str, &'static str)]) -> Vec<Part> {
    parts_with(split, names, FLEET, settings).await
}

/// The same with a fleet of `fleet` subclouds, and with processes that are started as `change` says.
pub async fn parts_with(
    split: &Split,
    names: &[(&'static str, &'static str)],
    fleet: usize,
    change: impl Fn(Serve) -> Serve,
) -> Vec<Part> {
    fill(change(split.serve("api-a", "api")), fleet).await;
    let mut parts = Vec::new();
    for (name, roles) in names {
        parts.push(Part { name, dcm: change(split.serve(name, roles)).start().await });
    }
    parts
}

/// Leads a process to the bus through `shuffler`.
pub fn shuffled(shuffler: &Shuffler, serve: Serve) -> Serve {
    settings(serve.instead("--bus", shuffler.url()))
}

/// What came through `shuffler` did come twice and in another order: to whoever was given much, and to these consumers.
pub fn was_shuffled(shuffler: &Shuffler, consumers: &[&str]) {
    let tallies = shuffler.tallies();
    for (consumer, tally) in &tallies {
        println!(
            "  {consumer}: {} deliveries, {} came twice, {} behind a later one",
            tally.made, tally.doubled, tally.reordered
        );
        assert!(tally.made < MANY || tally.doubled > 0, "nothing came twice to {consumer}");
    }
    let of_streams = tallies.iter().filter(|(consumer, _)| consumer.starts_with("DCM_"));
    let (doubled, reordered) = of_streams.fold((0, 0), |(doubled, reordered), (_, tally)| {
        (doubled + tally.doubled, reordered + tally.reordered)
    });
    println!("{doubled} deliveries came twice, {reordered} behind a later one");
    assert!(doubled > 0 && reordered > 0, "{tallies:?}");
    for consumer in consumers {
        let tally = tallies.get(*consumer).copied().unwrap_or_default();
        assert!(tally.doubled > 0 && tally.reordered > 0, "{consumer}: {tally:?}");
    }
}

pub fn none_has_ended(parts: &mut [Part]) {
    for part in parts {
        assert_eq!(part.dcm.exited(), None, "{} has ended:\n{}", part.name, part.dcm.logs());
    }
}

/// Waits until a request that is answered only from now on, and `more` after it, show on the bus.
pub async fn reaches_the_bus(url: &str, load: &Load, more: usize) {
    let before = load.account().acknowledged.len();
    let last = eventually("the load goes on", TAKE_OVER, async || {
        let now = load.account().acknowledged;
        now.get(before + more).map(|yes| yes.request_id.clone()).ok_or(now.len())
    })
    .await;
    heard(url, "DCM_EVENTS", |all| all.iter().any(|one| one.header("ce-requestid") == last)).await;
}

/// Waits until so many more commands are acknowledged; each portion of them has its own time.
pub async fn acknowledges_more(load: &Load, count: usize) {
    let before = load.account().acknowledged.len();
    let portions = (PORTION..count).step_by(PORTION).chain([count]);
    for portion in portions {
        eventually("the load goes on", TAKE_OVER, async || {
            let account = load.account();
            match account.acknowledged.len() >= before + portion {
                true => Ok(()),
                false => Err((account.acknowledged.len(), account.unavailable, account.wrong)),
            }
        })
        .await;
    }
}
