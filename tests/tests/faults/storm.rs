//! Everything at once: every role is killed and paused, bus and database crash, stand still and lose what may be lost,
//! whatever the bus hands on comes twice, late and in another order, hints come again long after their time, while several
//! clients send commands.

use std::collections::HashMap;

use async_nats::HeaderMap;
use async_nats::jetstream;
use dcm_schemas::hint::{DEPLOY, DeployHint};
use dcm_tests::load::{Addresses, Load};
use dcm_tests::{Ledger, Postgres, Shuffler, Split};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::deployments::{deployments, nothing_outlived, nothing_outlives_its_worker, password};
use crate::scene::{
    CLIENTS, Part, a_while, acknowledges_more, added_once, comes_to_rest, every_run_ended_once, fleet_of,
    none_has_ended, parts_with, proofs, shuffled, the_bus_holds_the_journal, was_shuffled,
};
use crate::{ALONE, commands, seed};

const PROCESSES: [(&str, &str); 9] = [
    ("api-a", "api"),
    ("api-b", "api"),
    ("relay-1", "relay"),
    ("relay-2", "relay"),
    ("projector-1", "projector"),
    ("projector-2", "projector"),
    ("worker-1", "worker"),
    ("worker-2", "worker"),
    ("cert-mon", "cert-mon"),
];

/// What happens to the service.
#[derive(Clone, Copy, Debug)]
enum Blow {
    Kill(usize),
    /// Another blow falls while it stands still.
    Pause(usize),
    BusCrashes,
    BusStandsStill,
    BusIsWiped,
    DatabaseCrashes,
    DatabaseStandsStill,
    DatabaseStops,
    HintsComeAgain,
}

/// Every blow once, in random order.
fn round(random: &mut StdRng) -> Vec<Blow> {
    let mut blows = vec![
        Blow::BusCrashes,
        Blow::BusStandsStill,
        Blow::BusIsWiped,
        Blow::DatabaseCrashes,
        Blow::DatabaseStandsStill,
        Blow::DatabaseStops,
        Blow::HintsComeAgain,
        Blow::HintsComeAgain,
    ];
    blows.extend((0..PROCESSES.len()).flat_map(|part| [Blow::Kill(part), Blow::Pause(part)]));
    blows.shuffle(random);
    blows
}

/// A service in the storm.
struct Storm {
    split: Split,
    postgres: Postgres,
    parts: Vec<Part>,
    addresses: Addresses,
    random: StdRng,
    outlived: Vec<std::thread::JoinHandle<()>>,
}

impl Storm {
    async fn strike(&mut self, blow: Blow) {
        println!("  {blow:?}");
        let nats = &mut self.split.stores.nats;
        match blow {
            Blow::Kill(part) => self.kill(part).await,
            Blow::Pause(_) | Blow::HintsComeAgain => self.hints_come_again().await,
            Blow::BusCrashes => {
                nats.kill();
                a_while(&mut self.random, 2_000).await;
                nats.start_again().await;
            }
            Blow::BusStandsStill => {
                nats.pause();
                a_while(&mut self.random, 6_000).await;
                nats.resume();
            }
            Blow::BusIsWiped => {
                nats.wipe().await;
                a_while(&mut self.random, 1_000).await;
                nats.start_again().await;
            }
            Blow::DatabaseCrashes => {
                self.postgres.crash();
                a_while(&mut self.random, 1_500).await;
                self.postgres.start_again().await;
            }
            Blow::DatabaseStandsStill => {
                self.postgres.pause();
                a_while(&mut self.random, 4_000).await;
                self.postgres.resume();
            }
            Blow::DatabaseStops => self.postgres.restart().await,
        }
    }

    async fn kill(&mut self, victim: usize) {
        let part = &mut self.parts[victim];
        part.dcm.kill();
        if part.name.starts_with("worker") {
            self.outlived.push(nothing_outlives_its_worker(&part.dcm.data_dir()));
        }
        a_while(&mut self.random, 1_000).await;
        part.dcm.restart().await;
        if victim < 2 {
            self.addresses.moved(victim, part.dcm.url());
        }
    }

    /// Publishes hints of runs that were requested some time, twice and in any order.
    async fn hints_come_again(&mut self) {
        let ledger = Ledger::read(&self.split.journal()).await;
        let mut hints = hints(&ledger);
        hints.extend(hints.clone());
        hints.shuffle(&mut self.random);
        let Ok(client) = async_nats::connect(self.split.stores.nats.url()).await else { return };
        let bus = jetstream::new(client);
        for hint in hints.iter().take(20) {
            let mut headers = HeaderMap::new();
            headers.insert("Nats-Msg-Id", Uuid::new_v4().to_string());
            let payload = serde_json::to_vec(hint).unwrap();
            // Without an acknowledgement: the stream may be gone at this moment.
            let _ = bus.publish_with_headers(DEPLOY.subject(), headers, payload.into()).await;
        }
    }
}

/// The hints of all runs that were ever requested.
fn hints(ledger: &Ledger) -> Vec<DeployHint> {
    let mut regions = HashMap::new();
    let mut hints = Vec::new();
    for envelope in ledger.envelopes() {
        let Some(subcloud) = envelope.stream.uuid() else { continue };
        if let Some(region) = envelope.data.get("region").and_then(Value::as_str) {
            regions.insert(subcloud, region.to_owned());
        }
        if envelope.r#type == "DeployRunRequested" {
            hints.push(DeployHint {
                subcloud,
                region: regions.get(&subcloud).cloned().unwrap_or_default(),
                run_id: envelope.data["run_id"].as_str().unwrap().parse().unwrap(),
                phases: serde_json::from_value(envelope.data["phases"].clone()).unwrap(),
            });
        }
    }
    hints
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_every_fault_loses_nothing_that_was_acknowledged() {
    let _alone = ALONE.lock().await;
    let seed = seed();
    let postgres = Postgres::start().await;
    let split = Split::on(&postgres).await;
    // It stays when the bus is away: to the processes it is the bus.
    let shuffler = Shuffler::start(split.stores.nats.port(), seed);
    let parts = parts_with(&split, &PROCESSES, CLIENTS, |serve| shuffled(&shuffler, serve)).await;
    let addresses = Addresses::new(vec![parts[0].dcm.url().to_owned(), parts[1].dcm.url().to_owned()]);
    let load = Load::start(&addresses, &fleet_of(CLIENTS), seed);
    let (stop, stopping) = watch::channel(false);
    let mut lines = JoinSet::new();
    for line in 0..2 {
        lines.spawn(deployments(line, password(), addresses.clone(), stopping.clone()));
    }
    let random = StdRng::seed_from_u64(seed);
    let mut storm = Storm { split, postgres, parts, addresses, random, outlived: vec![] };
    // Whole rounds, so that whatever the seed, everything befalls everything.
    let mut blows = round(&mut storm.random);
    let mut struck = 0;
    while load.account().acknowledged.len() < commands() || !blows.is_empty() {
        a_while(&mut storm.random, 1_500).await;
        let Some(blow) = blows.pop() else {
            blows = round(&mut storm.random);
            continue;
        };
        struck += 1;
        match blow {
            Blow::Pause(part) => {
                println!("  {} stands still", PROCESSES[part].0);
                storm.parts[part].dcm.pause();
                let other =
                    if storm.random.random_bool(0.5) { Blow::BusCrashes } else { Blow::HintsComeAgain };
                storm.strike(other).await;
                a_while(&mut storm.random, 8_000).await;
                storm.parts[part].dcm.resume();
            }
            blow => storm.strike(blow).await,
        }
    }
    acknowledges_more(&load, 50).await;
    let account = load.finish().await;
    stop.send_replace(true);
    let added: Vec<String> = lines.join_all().await.into_iter().flatten().collect();
    let Storm { split, postgres: _postgres, mut parts, outlived, .. } = storm;
    nothing_outlived(outlived);
    let (ledger, models) = comes_to_rest(&split.journal(), &split.read_model(), split.dir()).await;
    none_has_ended(&mut parts);
    was_shuffled(&shuffler, &["DCM_EVENTS cert-mon"]);
    println!(
        "{struck} blows, {} acknowledged, {} refused, {} unknown, {} added, {} events",
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
    no_run_was_claimed_twice(&ledger);
    ledger.compare_rows(&models).await;
    the_bus_holds_the_journal(&split.stores.nats.url(), &ledger).await;
    proofs(&split, &parts[0].dcm).await;
}

fn no_run_was_claimed_twice(ledger: &Ledger) {
    let mut claims: HashMap<String, usize> = HashMap::new();
    for envelope in ledger.envelopes().iter().filter(|envelope| envelope.r#type == "DeployRunClaimed") {
        *claims.entry(envelope.data["run_id"].to_string()).or_default() += 1;
    }
    let twice: Vec<_> = claims.iter().filter(|(_, claims)| **claims > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
}
