//! What the tests share: a fleet under load, the processes of a split service, and what holds at rest.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dcm_projections::ReadModels;
use dcm_tests::ledger::count_runs;
use dcm_tests::load::Load;
use dcm_tests::{Dcm, Ledger, Serve, Split, eventually, heard, run_dcm};
use rand::Rng;
use rand::rngs::StdRng;
use uuid::Uuid;

/// Subclouds of the load, unless a test wants more.
pub const FLEET: usize = 4;
/// How long everything may take to come to rest: leases run out, runs without a worker are ended.
pub const REST: Duration = Duration::from_secs(120);
/// How long a take-over may take.
pub const TAKE_OVER: Duration = Duration::from_secs(60);

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
    let models = ReadModels::open(read_model, dir, Ledger::read(journal).await.journal).await.unwrap();
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
    parts_for(split, names, FLEET).await
}

/// The same with a fleet of `fleet` subclouds.
pub async fn parts_for(split: &Split, names: &[(&'static str, &'static str)], fleet: usize) -> Vec<Part> {
    fill(settings(split.serve("api-a", "api")), fleet).await;
    let mut parts = Vec::new();
    for (name, roles) in names {
        parts.push(Part { name, dcm: settings(split.serve(name, roles)).start().await });
    }
    parts
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

pub async fn acknowledges_more(load: &Load, count: usize) {
    let before = load.account().acknowledged.len();
    eventually("the load goes on", TAKE_OVER, async || {
        let account = load.account();
        match account.acknowledged.len() >= before + count {
            true => Ok(()),
            false => Err((account.acknowledged.len(), account.unavailable, account.wrong)),
        }
    })
    .await;
}
