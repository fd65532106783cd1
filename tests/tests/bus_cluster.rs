//! The bus on three NATS servers: the contract of the port, and what becomes of relay and consumers when the leader of the
//! events is killed or moves.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[macro_use]
#[path = "../../journal/tests/bus/contract.rs"]
mod contract;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use dcm_journal::bus::{
    Bus, Consumer, Delivery, NatsBus, NatsSettings, PublishError, Stream, StreamSettings, Upkeep,
    consume_forever,
};
use dcm_journal::conformance::events::{following, new_stream};
use dcm_journal::store::{self, Journal};
use dcm_tests::{NatsCluster, WorkDir, eventually};
use dcm_workers::relay::{Relay, RelayError, Window, verify};
use tokio::sync::{Mutex, MutexGuard, Notify, OnceCell, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long what is waited for may take on a busy machine.
const LONG: Duration = Duration::from_secs(120);
/// Events that are published before, and while a leader is missing.
const EVENTS: u64 = 400;

/// One cluster for all tests, used by one after the other.
static CLUSTER: OnceCell<Mutex<NatsCluster>> = OnceCell::const_new();

async fn cluster() -> MutexGuard<'static, NatsCluster> {
    let cluster = CLUSTER.get_or_init(async || Mutex::new(NatsCluster::start().await)).await.lock().await;
    cluster.wipe().await;
    cluster
}

fn three_copies() -> StreamSettings {
    StreamSettings { replicas: 3, ..StreamSettings::default() }
}

async fn bus(cluster: &NatsCluster) -> Arc<NatsBus> {
    let settings = NatsSettings { idle_heartbeat: Duration::from_millis(500), ..NatsSettings::default() };
    let bus = NatsBus::connect(&cluster.url().parse().unwrap(), settings).await.unwrap();
    eventually("the streams exist", LONG, async || bus.ensure_streams(&three_copies()).await).await;
    Arc::new(bus)
}

macro_rules! contract_suite {
    ($($case:ident),* $(,)?) => {
        mod three {
            $(#[tokio::test]
            async fn $case() {
                let cluster = super::cluster().await;
                super::contract::$case(super::bus(&cluster).await).await;
            })*
        }
    };
}

every_case!(contract_suite);

/// What a consumer saw: the orders of events, and whether one came for the first time behind a later one.
#[derive(Clone, Debug, Default)]
struct Seen {
    orders: BTreeSet<u64>,
    jumped: Vec<u64>,
}

fn follow(bus: &Arc<NatsBus>, consumer: Consumer, stop: &CancellationToken) -> watch::Receiver<Seen> {
    let (sender, seen) = watch::channel(Seen::default());
    let bus: Arc<dyn Bus> = bus.clone();
    let handle = move |delivery: Delivery| {
        let sender = sender.clone();
        async move {
            let order = dcm_schemas::cloudevents::position(&delivery.message.headers).unwrap().order;
            sender.send_modify(|seen| {
                if seen.orders.last().is_some_and(|last| order > last + 1) {
                    seen.jumped.push(order);
                }
                seen.orders.insert(order);
            });
            // An acknowledgement lost with a leader only means that the message comes again.
            let _ = delivery.ack().await;
        }
    };
    tokio::spawn(consume_forever(bus, Stream::Events, consumer, stop.clone(), handle));
    seen
}

/// A relay as its role keeps it: started over when it was fenced.
fn keep_relaying(journal: &Arc<dyn Journal>, bus: &Arc<NatsBus>, stop: &CancellationToken) -> JoinHandle<()> {
    let bus: Arc<dyn Bus> = bus.clone();
    let relay = Relay::new(Arc::clone(journal), bus, Arc::new(Notify::new())).with_streams(three_copies());
    let stop = stop.clone();
    tokio::spawn(async move {
        while !stop.is_cancelled() {
            match relay.run(&stop).await {
                Ok(()) | Err(RelayError::Fenced) => tokio::time::sleep(Duration::from_millis(50)).await,
                Err(error) => panic!("{error}"),
            }
        }
    })
}

async fn append(journal: &dyn Journal, count: u64) {
    for _ in 0..count {
        let stream = new_stream();
        let (expected, events) = following(&stream, None, 1);
        journal.append(&stream, expected, events).await.unwrap();
    }
}

async fn has_seen(seen: &mut watch::Receiver<Seen>, order: u64) {
    let all = seen.wait_for(|seen| seen.orders.len() as u64 >= order);
    tokio::time::timeout(LONG, all).await.expect("everything is seen").expect("the consumer goes on");
}

struct Bed {
    journal: Arc<dyn Journal>,
    bus: Arc<NatsBus>,
    kept: watch::Receiver<Seen>,
    passing: watch::Receiver<Seen>,
    relaying: JoinHandle<()>,
    stop: CancellationToken,
    _dir: WorkDir,
}

impl Bed {
    /// A relay that publishes, and a durable consumer and one without a name that read.
    async fn new(cluster: &NatsCluster) -> Self {
        let dir = WorkDir::new("journal");
        let journal = store::open("embedded:", dir.path()).await.unwrap();
        let (bus, stop) = (bus(cluster).await, CancellationToken::new());
        let relaying = keep_relaying(&journal, &bus, &stop);
        let durable = Consumer { durable: Some("kept".to_owned()), ..Consumer::default() };
        let (kept, passing) = (follow(&bus, durable, &stop), follow(&bus, Consumer::default(), &stop));
        Self { journal, bus, kept, passing, relaying, stop, _dir: dir }
    }

    async fn seen_by_both(&mut self, order: u64) {
        has_seen(&mut self.kept, order).await;
        has_seen(&mut self.passing, order).await;
    }

    /// Neither consumer saw an event before the one it follows.
    fn seen_in_order(&self) {
        for seen in [&self.kept, &self.passing] {
            assert_eq!(seen.borrow().jumped, [0; 0], "an event was seen before the one it follows");
        }
    }

    /// Everything is on the bus once and in order, and both consumers saw all of it. Not always in order: what a server that
    /// died or hung had on its way comes again, and by then its followers may have come.
    async fn end(mut self) {
        let head = self.journal.head().await.unwrap();
        self.seen_by_both(head).await;
        let upkeep: &dyn Upkeep = &*self.bus;
        let found = verify(&*self.journal, upkeep, Window::ALL, LONG).await.unwrap();
        assert!(found.agrees && found.dropped == 0, "{found:?}");
        assert_eq!((found.events, found.messages), (head, head));
        for seen in [self.kept.borrow().clone(), self.passing.borrow().clone()] {
            assert_eq!(seen.orders, (1..=head).collect());
        }
        self.stop.cancel();
        self.relaying.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn relay_and_consumers_survive_the_killed_leader_of_the_events() {
    let mut cluster = cluster().await;
    let mut bed = Bed::new(&cluster).await;
    append(&*bed.journal, EVENTS).await;
    bed.seen_by_both(EVENTS / 2).await;
    let killed = cluster.kill_leader("DCM_EVENTS").await;
    // Commands go on while nobody leads.
    append(&*bed.journal, EVENTS).await;
    bed.seen_by_both(2 * EVENTS).await;
    cluster.node(killed).start_again().await;
    append(&*bed.journal, EVENTS).await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn consumers_go_on_when_the_leader_moves_or_hangs() {
    let mut cluster = cluster().await;
    let mut bed = Bed::new(&cluster).await;
    append(&*bed.journal, EVENTS).await;
    bed.seen_by_both(1).await;
    cluster.move_leader("DCM_EVENTS").await;
    append(&*bed.journal, EVENTS).await;
    bed.seen_by_both(2 * EVENTS).await;
    bed.seen_in_order();
    let hung = cluster.leader("DCM_EVENTS").await;
    cluster.node(hung).pause();
    append(&*bed.journal, EVENTS).await;
    bed.seen_by_both(3 * EVENTS).await;
    cluster.node(hung).resume();
    append(&*bed.journal, 1).await;
    bed.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_batches_that_race_one_is_stored_whole_and_the_others_not_at_all() {
    const ROUNDS: u64 = 20;
    const MESSAGES: u64 = 50;
    let cluster = cluster().await;
    let publishers = [bus(&cluster).await, bus(&cluster).await];
    for round in 0..ROUNDS {
        let [one, two] = publishers.each_ref().map(|bus| {
            let subject = |number| format!("dcm.v1.event.a.r{round}-{number}.c");
            let messages = (0..MESSAGES).map(|number| contract::message(&subject(number))).collect();
            bus.publish_batch(Stream::Events, messages, round * MESSAGES)
        });
        let (one, two) = tokio::join!(one, two);
        let (stored, fenced) = match (one, two) {
            (Ok(stored), Err(fenced)) | (Err(fenced), Ok(stored)) => (stored, fenced),
            both => panic!("one is stored: {both:?}"),
        };
        let first = round * MESSAGES + 1;
        let sequences: Vec<u64> = stored.iter().map(|published| published.sequence).collect();
        assert_eq!(sequences, (first..first + MESSAGES).collect::<Vec<_>>());
        assert!(stored.iter().all(|published| !published.duplicate));
        let last = *sequences.last().unwrap();
        assert_eq!((fenced.stored.len(), fenced.source), (0, PublishError::Fenced { last }));
    }
    let found = cluster.context().await.unwrap().get_stream("DCM_EVENTS").await.unwrap();
    assert_eq!(found.cached_info().state.messages, ROUNDS * MESSAGES);
    // One behind the other they would carry no batch.
    let message = found.get_raw_message(2).await.unwrap();
    assert!(message.headers.get("Nats-Batch-Id").is_some(), "{message:?}");
    let read = publishers[0].read(Stream::Events, 2, 1).await.unwrap();
    assert_eq!(read[0].message.as_ref().unwrap().headers, [], "what a bus adds is its own");
}

#[tokio::test]
async fn copies_are_added_to_existing_streams_and_taken_away() {
    let cluster = cluster().await;
    let settings = NatsSettings::default();
    let bus = NatsBus::connect(&cluster.url().parse().unwrap(), settings).await.unwrap();
    let set_up = async |replicas: usize| {
        let settings = StreamSettings { replicas, ..StreamSettings::default() };
        eventually("the streams are as wanted", LONG, async || bus.ensure_streams(&settings).await).await;
    };
    set_up(1).await;
    let event = contract::message("dcm.v1.event.a.b.c");
    eventually("it is published", LONG, async || bus.publish(Stream::Events, event.clone(), None).await)
        .await;
    let before = bus.tail(Stream::Events).await.unwrap();
    for replicas in [3, 1] {
        set_up(replicas).await;
        let context = cluster.context().await.unwrap();
        let found =
            eventually("the stream answers", LONG, async || context.get_stream("DCM_EVENTS").await).await;
        let config = &found.cached_info().config;
        assert_eq!((config.num_replicas, config.allow_atomic_publish), (replicas, replicas > 1));
        let after = eventually("its end is told", LONG, async || bus.tail(Stream::Events).await).await;
        assert_eq!(after, before);
    }
}
