//! The journal on a server of the EventStoreDB protocol.

use std::sync::Arc;
use std::time::{Duration, Instant};

use dcm_esdb_double::Node;
use dcm_journal::conformance::events::{following, new_stream};
use dcm_journal::store::{Journal, open};

use crate::load::count;
use crate::plan::{Bench, median};
use crate::table::Row;

/// Appends one after another, beside questions to the same server over the same connection: an append that waits for
/// anything but its answer shows here.
pub async fn event_store(bench: &mut Bench) {
    let sizes = bench.sizes;
    let node = Node::start();
    let journal = open(&node.url(), &bench.world.path("event-store")).await.expect("open the journal");
    let (mut ours, mut floor) = (Vec::new(), Vec::new());
    for _ in 0..sizes.rounds {
        ours.push(appends(&journal, sizes.span).await);
        floor.push(reads(&journal, sizes.span).await);
    }
    let row = Row::new("append, EventStoreDB protocol, one after another", median(&ours), "/s");
    let row = row.floor("reads of one event", median(&floor));
    bench.row(row.note("to a server of the tests' own, in memory; 40 ms of waiting would make it 25 /s"));
}

async fn appends(journal: &Arc<dyn Journal>, span: Duration) -> f64 {
    let (stream, mut last, mut done) = (new_stream(), None, 0);
    let begun = Instant::now();
    while begun.elapsed() < span {
        let (expected, events) = following(&stream, last.as_ref(), 1);
        last = events.last().cloned();
        journal.append(&stream, expected, events).await.expect("append an event");
        done += 1;
    }
    count(done) / begun.elapsed().as_secs_f64()
}

async fn reads(journal: &Arc<dyn Journal>, span: Duration) -> f64 {
    let (begun, mut done) = (Instant::now(), 0);
    while begun.elapsed() < span {
        let read = journal.read_all(0, 1).await.expect("read an event");
        assert_eq!(read.len(), 1, "there is one");
        done += 1;
    }
    count(done) / begun.elapsed().as_secs_f64()
}
