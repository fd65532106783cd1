//! The bus on three servers that copy its streams.

use std::time::{Duration, Instant};

use dcm_journal::bus::{Bus, Message, NatsBus, NatsSettings, Stream, StreamSettings};
use dcm_tests::{NatsCluster, eventually};
use uuid::Uuid;

use crate::load::count;
use crate::plan::{Bench, median};
use crate::table::Row;
use crate::world::LONG;

/// Messages of one batch, as many as the relay's.
const BATCH: usize = 256;
/// Bytes of a message, about those of an event.
const BYTES: usize = 1024;

/// Batches of events beside events that each wait for the answer for the one before.
pub async fn copies(bench: &mut Bench) {
    let sizes = bench.sizes;
    let cluster = NatsCluster::start().await;
    let url = cluster.url().parse().expect("an address of ours");
    let bus = NatsBus::connect(&url, NatsSettings::default()).await.expect("connect");
    let settings = StreamSettings { replicas: 3, ..StreamSettings::default() };
    eventually("the streams exist", LONG, async || bus.ensure_streams(&settings).await).await;
    let (mut batches, mut in_turn) = (Vec::new(), Vec::new());
    for _ in 0..sizes.rounds {
        batches.push(published(&bus, sizes.span, BATCH).await);
        in_turn.push(published(&bus, sizes.span, 1).await);
    }
    let row = Row::new("events to the bus, three copies, in batches", median(&batches), "/s");
    bench.row(row.floor("each after the answer for the one before", median(&in_turn)));
}

/// Events stored a second, so many at once.
async fn published(bus: &NatsBus, span: Duration, at_once: usize) -> f64 {
    let mut last =
        eventually("the stream's end", LONG, async || bus.tail(Stream::Events).await).await.sequence;
    let first = last;
    let begun = Instant::now();
    while begun.elapsed() < span {
        let messages = (0..at_once).map(|_| event()).collect();
        let stored = bus.publish_batch(Stream::Events, messages, last).await.expect("the batch is stored");
        last = stored.last().expect("it is not empty").sequence;
    }
    count(usize::try_from(last - first).expect("not so many")) / begun.elapsed().as_secs_f64()
}

fn event() -> Message {
    Message {
        subject: "dcm.v1.event.subcloud.subcloud1.deploy-status-changed".to_owned(),
        id: Uuid::now_v7(),
        headers: Vec::new(),
        payload: vec![b'x'; BYTES].into(),
    }
}
