//! The leases' suite, on both engines.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use dcm_journal::lease::{Holder, LeaseError, LeaseRecord, Leases};
use serde_json::json;
use support::postgres::Cluster;

/// Longer than any test.
const LONG: Duration = Duration::from_secs(600);
/// Runs out within a test.
const SHORT: Duration = Duration::from_millis(150);

/// A lease table of one test alone.
struct Place {
    directory: tempfile::TempDir,
    url: String,
    _cluster: Option<Arc<Cluster>>,
}

impl Place {
    async fn sqlite() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), url: "embedded:".into(), _cluster: None }
    }

    async fn postgres() -> Self {
        let cluster = Cluster::shared();
        let url = cluster.new_database().await;
        Self { directory: tempfile::tempdir().unwrap(), url, _cluster: Some(cluster) }
    }

    async fn open(&self) -> Leases {
        Leases::open(&self.url, self.directory.path()).await.unwrap()
    }
}

fn holder(role: &str) -> Holder {
    Holder::this_process(role).unwrap()
}

async fn record(leases: &Leases, name: &str) -> LeaseRecord {
    leases.read(name).await.unwrap().unwrap()
}

/// Polls until the lease has run out by the database's clock.
async fn until_expired(leases: &Leases, name: &str) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while record(leases, name).await.is_held() {
        assert!(Instant::now() < deadline, "lease {name} did not run out");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn one_of_many_claimants_wins(place: Place) {
    let tables = [place.open().await, place.open().await, place.open().await];
    for round in 0..5 {
        let name = format!("relay-{round}");
        let claims = (0..24).map(|n| {
            let (leases, name) = (tables[n % tables.len()].clone(), name.clone());
            tokio::spawn(async move { leases.acquire(&name, &holder(&format!("r{n}")), LONG).await })
        });
        let outcomes = futures::future::join_all(claims).await;
        let won: Vec<_> = outcomes.into_iter().filter_map(|outcome| outcome.unwrap().unwrap()).collect();
        assert_eq!(won.len(), 1, "{won:?}");
        assert_eq!(record(&tables[0], &name).await.holder.unwrap().id(), won[0].holder);
    }
}

async fn one_of_many_takes_an_expired_one(place: Place) {
    let leases = place.open().await;
    let first = leases.acquire("relay", &holder("first"), SHORT).await.unwrap().unwrap();
    until_expired(&leases, "relay").await;
    let claims = (0..24).map(|n| {
        let leases = leases.clone();
        tokio::spawn(async move { leases.acquire("relay", &holder(&format!("r{n}")), LONG).await })
    });
    let outcomes = futures::future::join_all(claims).await;
    let won: Vec<_> = outcomes.into_iter().filter_map(|outcome| outcome.unwrap().unwrap()).collect();
    assert_eq!(won.len(), 1, "{won:?}");
    assert!(won[0].epoch > first.epoch);
}

async fn a_held_lease_is_kept_by_renewal(place: Place) {
    let leases = place.open().await;
    let (mine, other) = (holder("mine"), holder("other"));
    let lease = leases.acquire("relay", &mine, LONG).await.unwrap().unwrap();
    assert_eq!(leases.acquire("relay", &other, LONG).await.unwrap(), None);
    let before = record(&leases, "relay").await;
    assert!(before.is_held());
    assert_eq!(before.expired_for(), None);
    assert_eq!(before.holder, Some(mine.clone()));
    assert!(leases.renew(&lease).await.unwrap());
    assert!(record(&leases, "relay").await.expires_at >= before.expires_at);
    let again = leases.acquire("relay", &mine, LONG).await.unwrap().unwrap();
    assert_eq!(again, lease, "the same holder's second claim is the same lease");
    assert!(leases.acquire("worker", &other, LONG).await.unwrap().is_some());
}

async fn a_paused_holder_is_fenced(place: Place) {
    let leases = place.open().await;
    let (mine, other) = (holder("mine"), holder("other"));
    let lease = leases.acquire("relay", &mine, SHORT).await.unwrap().unwrap();
    until_expired(&leases, "relay").await;
    assert!(record(&leases, "relay").await.expired_for().is_some());
    assert!(!leases.renew(&lease).await.unwrap(), "what ran out cannot be prolonged");
    let taken = leases.acquire("relay", &other, LONG).await.unwrap().unwrap();
    assert!(taken.epoch > lease.epoch);
    assert!(!leases.renew(&lease).await.unwrap());
    assert!(!leases.update_details(&lease, json!({"stale": true})).await.unwrap());
    assert!(!leases.release(&lease).await.unwrap());
    assert!(!leases.remove(&lease).await.unwrap());
    assert_eq!(leases.acquire("relay", &mine, LONG).await.unwrap(), None);
    assert_eq!(record(&leases, "relay").await.holder, Some(other));
    assert!(leases.renew(&taken).await.unwrap());
}

async fn its_holder_may_take_it_again(place: Place) {
    let leases = place.open().await;
    let mine = holder("mine");
    let lease = leases.acquire("relay", &mine, SHORT).await.unwrap().unwrap();
    until_expired(&leases, "relay").await;
    let again = leases.acquire("relay", &mine, LONG).await.unwrap().unwrap();
    assert_eq!(again.epoch, lease.epoch, "nobody else had it in between");
    assert!(leases.renew(&again).await.unwrap());
}

async fn a_released_lease_is_free_at_once(place: Place) {
    let leases = place.open().await;
    let (mine, other) = (holder("mine"), holder("other"));
    let lease = leases.acquire("relay", &mine, LONG).await.unwrap().unwrap();
    assert!(leases.update_details(&lease, json!({"pgid": 7})).await.unwrap());
    assert!(leases.release(&lease).await.unwrap());
    assert!(!leases.release(&lease).await.unwrap());
    let free = record(&leases, "relay").await;
    assert!(!free.is_held());
    assert_eq!((free.holder, free.details), (None, json!({})));
    let next = leases.acquire("relay", &other, LONG).await.unwrap().unwrap();
    assert!(next.epoch > lease.epoch, "a release does not forget the epoch");
    assert!(leases.remove(&next).await.unwrap());
    assert_eq!(leases.read("relay").await.unwrap(), None);
    let later = leases.acquire("relay", &mine, LONG).await.unwrap().unwrap();
    assert!(later.epoch > next.epoch, "an epoch came back with a new row");
}

async fn details_survive_their_holder(place: Place) {
    let leases = place.open().await;
    let mine = holder("mine");
    let lease = leases.acquire("run/1", &mine, LONG).await.unwrap().unwrap();
    let details = json!({"process_group": 4711, "text": "ä"});
    assert!(leases.update_details(&lease, details.clone()).await.unwrap());
    assert_eq!(record(&leases, "run/1").await.details, details);
    leases.acquire("run/1", &mine, SHORT).await.unwrap().unwrap();
    until_expired(&leases, "run/1").await;
    let taken = leases.acquire("run/1", &holder("other"), LONG).await.unwrap().unwrap();
    assert_eq!(record(&leases, "run/1").await.details, details, "what the dead one left is still known");
    assert!(leases.update_details(&taken, json!(null)).await.unwrap());
    assert_eq!(record(&leases, "run/1").await.details, json!(null));
}

async fn lists_by_prefix(place: Place) {
    let leases = place.open().await;
    for name in ["run/b", "run/a", "running", "relay", "Run/c", "run%x"] {
        leases.acquire(name, &holder("mine"), LONG).await.unwrap().unwrap();
    }
    let names = |records: Vec<LeaseRecord>| records.into_iter().map(|r| r.name).collect::<Vec<_>>();
    assert_eq!(names(leases.list("run/").await.unwrap()), ["run/a", "run/b"]);
    assert_eq!(names(leases.list("run%").await.unwrap()), ["run%x"]);
    assert_eq!(leases.list("").await.unwrap().len(), 6);
    assert!(leases.list("none").await.unwrap().is_empty());
    assert_eq!(leases.read("none").await.unwrap(), None);
}

async fn an_endless_ttl_does_not_overflow(place: Place) {
    let leases = place.open().await;
    let lease = leases.acquire("relay", &holder("mine"), Duration::MAX).await.unwrap().unwrap();
    assert!(leases.renew(&lease).await.unwrap());
    assert!(record(&leases, "relay").await.is_held());
}

macro_rules! on_both_engines {
    ($($case:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                super::$case(super::Place::sqlite().await).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                super::$case(super::Place::postgres().await).await;
            })*
        }
    };
}

on_both_engines!(
    one_of_many_claimants_wins,
    one_of_many_takes_an_expired_one,
    a_held_lease_is_kept_by_renewal,
    a_paused_holder_is_fenced,
    its_holder_may_take_it_again,
    a_released_lease_is_free_at_once,
    details_survive_their_holder,
    lists_by_prefix,
    an_endless_ttl_does_not_overflow,
);

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_server_is_unavailable() {
    let cluster = Cluster::start();
    let url = cluster.new_database().await;
    let directory = tempfile::tempdir().unwrap();
    let leases = Leases::open(&url, directory.path()).await.unwrap();
    let lease = leases.acquire("relay", &holder("mine"), LONG).await.unwrap().unwrap();
    cluster.stop();
    let begun = Instant::now();
    assert!(matches!(leases.renew(&lease).await, Err(LeaseError::Unavailable(_))));
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
}
