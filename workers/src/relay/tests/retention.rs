//! What is gone at the front of a stream: removed by its limits, or lost.

use dcm_domain::value::Timestamp;
use dcm_journal::bus::{LocalBus, LocalSettings, Retention, StreamSettings};

use super::repair::{Bed, agrees, orders, publish_again, streams};
use super::site::{PER_ADD, Site};
use super::*;
use crate::relay::compare::{Comparison, Front};
use crate::relay::{Findings, Window};

/// What no limit explains says so.
const UNEXPLAINED: &str = "no limit of the stream explains that";
const NO_LIMIT: Retention = Retention { max_age: Duration::ZERO, max_bytes: 0 };
const MINUTE: Duration = Duration::from_secs(60);

on_both!(
    what_is_lost_at_the_front_is_found_and_the_stream_filled_anew,
    a_refill_that_broke_off_is_done_again,
);

async fn what_is_lost_at_the_front_is_found_and_the_stream_filled_anew(bed: Bed) {
    bed.filled(4).await;
    let head = bed.site.head().await;
    bed.remove(1..=6).await;
    let found = bed.verify(Window::ALL).await;
    assert!(!found.agrees);
    assert_eq!((found.missing.count, found.lost_at_front, found.dropped), (6, 6, 0));
    assert_eq!(orders(&found.missing), [1, 2, 3, 4, 5, 6]);
    assert!(found.missing.first.iter().all(|lost| lost.what.contains(UNEXPLAINED)), "{found:?}");
    // A part says the same of its events.
    let part = bed.verify(Window::Between(Some(2), Some(4))).await;
    assert_eq!((part.missing.count, part.lost_at_front), (3, 3), "{part:?}");
    let part = bed.verify(Window::Between(Some(5), Some(9))).await;
    assert_eq!((part.missing.count, part.lost_at_front), (2, 2), "{part:?}");
    assert!(bed.verify(Window::Between(Some(7), None)).await.agrees);

    let done = bed.repair().await.unwrap();
    assert!(done.refilled && done.findings.agrees, "{done:?}");
    assert_eq!((done.republished_from.unwrap().order, done.replayed_to.unwrap().order), (1, head));
    assert_eq!(done.removed, Some((1, head)));
    agrees(&bed, 1..=head).await;
}

async fn a_refill_that_broke_off_is_done_again(bed: Bed) {
    bed.filled(4).await;
    let head = bed.site.head().await;
    let first = bed.upkeep.read(Stream::Events, 1, 1).await.unwrap().remove(0).message.unwrap();
    bed.remove(1..=6).await;
    // As after a repair that died before it removed what was there.
    publish_again(&bed, first).await;
    let found = bed.verify(Window::ALL).await;
    assert_eq!((orders(&found.missing), orders(&found.out_of_order)), (vec![2, 3, 4, 5, 6], vec![1]));
    let done = bed.repair().await.unwrap();
    assert!(done.refilled && done.findings.agrees, "{done:?}");
    agrees(&bed, 1..=head).await;
}

#[tokio::test]
async fn a_full_stream_in_this_process() {
    let bus = LocalBus::new(LocalSettings { capacity: 12, ..LocalSettings::default() });
    a_full_stream(Bed::on(Arc::new(bus), streams(), None).await).await;
}

#[tokio::test]
async fn a_full_stream_on_nats() {
    let events = Retention { max_bytes: 32 * 1024, ..NO_LIMIT };
    a_full_stream(Bed::nats_with(StreamSettings { events, ..streams() }).await).await;
}

/// Sequences of the first `count` messages.
async fn front(bed: &Bed, count: usize) -> Vec<u64> {
    let first = bed.upkeep.read(Stream::Events, 1, count).await.unwrap();
    first.into_iter().map(|kept| kept.sequence).collect()
}

/// The bus lacks what its limits removed, and nothing else.
fn full(found: &Findings) {
    assert!(found.agrees && found.lost_at_front == 0, "{found:?}");
    assert!(found.dropped > 0 && found.messages > 8, "{found:?}");
    assert_eq!(found.dropped + found.messages, found.events, "{found:?}");
}

async fn a_full_stream(bed: Bed) {
    bed.filled(12).await;
    let head = bed.site.head().await;
    let found = bed.verify(Window::ALL).await;
    full(&found);
    let dropped = found.dropped;

    // A hole makes room: what had to give way before is not lost for that.
    let hole = dropped + 4..=dropped + 6;
    bed.remove(hole.clone()).await;
    let found = bed.verify(Window::ALL).await;
    assert_eq!((found.dropped, found.lost_at_front), (dropped, 0), "{found:?}");
    assert_eq!(orders(&found.missing), hole.clone().collect::<Vec<_>>());
    let done = bed.repair().await.unwrap();
    assert_eq!((done.republished_from.unwrap().order, done.refilled), (*hole.start(), false));
    full(&done.findings);

    // With so much room nothing had to give way.
    let first = front(&bed, 8).await;
    bed.remove(first[0]..=first[7]).await;
    let found = bed.verify(Window::ALL).await;
    assert_eq!((found.dropped, found.lost_at_front), (0, head - found.messages), "{found:?}");
    assert_eq!(found.missing.count, found.lost_at_front);
    assert!(found.missing.first[0].what.contains(UNEXPLAINED), "{found:?}");
    let done = bed.repair().await.unwrap();
    assert_eq!((done.republished_from.unwrap().order, done.refilled), (1, true));
    full(&done.findings);
}

#[tokio::test]
async fn what_grew_too_old_is_no_difference_and_what_cannot_have_is_one() {
    let of_age = |max_age| StreamSettings { events: Retention { max_age, ..NO_LIMIT }, ..streams() };
    let bed = Bed::nats_with(of_age(Duration::from_secs(3))).await;
    let running = started(bed.relay()).await;
    bed.site.add(1, "r1").await;
    bed.copied().await;
    let deadline = Instant::now() + LONG;
    while bed.bus.tail(Stream::Events).await.unwrap().message.is_some() {
        assert!(Instant::now() < deadline, "messages grow too old");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // Nothing is left, as of any idle stream.
    let found = bed.verify(Window::ALL).await;
    assert!(found.agrees && found.dropped == PER_ADD, "{found:?}");
    bed.site.add(2, "r2").await;
    bed.copied().await;
    let found = bed.verify(Window::ALL).await;
    assert!(found.agrees && found.dropped >= PER_ADD, "{found:?}");
    running.stop().await;

    let bed = bed.adapted(of_age(MINUTE * 60)).await;
    let found = bed.verify(Window::ALL).await;
    assert_eq!(found.dropped, 0, "{found:?}");
    assert!(found.missing.count >= PER_ADD);
    let what = &found.missing.first[0].what;
    assert!(what.contains(UNEXPLAINED) && what.contains("max_age is 3600s"), "{what}");
}

/// Of `events`, none of which is found on a stream with this front: how many were dropped, and how many are lost there.
fn judged(events: &[Recorded], front: &Front) -> (u64, u64) {
    let last = events.last().unwrap().position;
    let mut comparison = Comparison::new(last.journal, last.order);
    for event in events {
        comparison.want(event, event.position.order - 1);
    }
    let found = comparison.findings(front);
    (found.dropped, found.lost_at_front)
}

#[tokio::test]
async fn limits_explain_what_they_can_have_removed() {
    let site = Site::new().await;
    site.add(1, "r1").await;
    site.add(2, "r2").await;
    let events = everything(&site.journal).await;
    let recorded = events.last().unwrap().envelope.recorded_at;
    let later = |by: Duration| Timestamp::from_micros(recorded.micros() + by.as_micros() as i64);
    let front = Front {
        order: Some(PER_ADD + 1),
        first_sequence: PER_ADD + 1,
        last_sequence: 2 * PER_ADD,
        messages: PER_ADD,
        bytes: 100_000,
        kept: NO_LIMIT,
        max_messages: 0,
        created: None,
        now: later(MINUTE * 60),
    };
    let judged = |front: Front| judged(&events, &front);
    let (all_dropped, all_lost) = ((PER_ADD, 0), (0, PER_ADD));
    assert_eq!(judged(front), all_lost);

    let of_bytes = |max_bytes| Front { kept: Retention { max_bytes, ..NO_LIMIT }, ..front };
    assert_eq!(judged(of_bytes(100_100)), all_dropped);
    assert_eq!(judged(of_bytes(200_000)), all_lost);
    assert_eq!(judged(Front { max_messages: PER_ADD, ..front }), all_dropped);
    assert_eq!(judged(Front { max_messages: PER_ADD + 1, ..front }), all_lost);

    // By its recorded time a message may be older than it is, never younger.
    let of_age = |max_age| Front { kept: Retention { max_age, ..NO_LIMIT }, ..front };
    assert_eq!(judged(of_age(MINUTE * 59)), all_dropped);
    assert_eq!(judged(of_age(MINUTE * 62)), all_lost);
    // Refilled into a stream that is not as old itself.
    let created = |by: Duration| Front { created: Some(later(by)), ..of_age(MINUTE * 30) };
    assert_eq!(judged(created(MINUTE * 20)), all_dropped);
    assert_eq!(judged(created(MINUTE * 40)), all_lost);

    // However full it is: what began further behind has never held the others.
    let of_sequence =
        |first| Front { first_sequence: first, last_sequence: first + PER_ADD - 1, ..of_bytes(100_100) };
    assert_eq!(judged(of_sequence(1)), all_lost);
    assert_eq!(judged(of_sequence(3)), (2, PER_ADD - 2));
    assert_eq!(judged(of_sequence(100)), all_dropped);

    // Of an empty stream everything is gone, and only age does that.
    let empty =
        |front: Front| Front { order: None, first_sequence: 2 * PER_ADD + 1, messages: 0, bytes: 0, ..front };
    assert_eq!(judged(empty(of_age(MINUTE * 59))), (2 * PER_ADD, 0));
    assert_eq!(judged(empty(of_bytes(100_100))), (0, 2 * PER_ADD));
    // What does not stand before a message of ours is missing like any other.
    assert_eq!(judged(Front { order: None, ..of_bytes(100_100) }), (0, 0));
}
