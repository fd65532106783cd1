//! What is gone at the front of a stream: removed by its limits, or lost.

use dcm_domain::value::Timestamp;
use dcm_journal::bus::{Kept, LocalBus, LocalSettings, Message, Retention, StreamSettings};
use dcm_schemas::Position;

use super::repair::{Bed, agrees, orders, publish_again, streams};
use super::site::{PER_ADD, Site};
use super::*;
use crate::relay::compare::{Comparison, Front};
use crate::relay::{Findings, Window, forward};

/// What no limit explains says so.
const UNEXPLAINED: &str = "no limit of the stream explains that";
const NO_LIMIT: Retention = Retention { max_age: Duration::ZERO, max_bytes: 0 };
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
/// Messages that a stream of [`small`] holds.
const CAPACITY: u64 = 12;

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

/// A bus in this process whose streams are soon full.
async fn small() -> Bed {
    let bus = LocalBus::new(LocalSettings { capacity: CAPACITY as usize, ..LocalSettings::default() });
    Bed::on(Arc::new(bus), streams(), None).await
}

#[tokio::test]
async fn a_full_stream_in_this_process() {
    a_full_stream(small().await).await;
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
async fn a_full_stream_that_loses_its_end_has_not_lost_its_front() {
    let bed = small().await;
    bed.filled(4).await;
    let end = bed.site.head().await;
    let entity = bed.site.add(5, "r5").await;
    bed.site.manage(entity).await;
    bed.site.unmanage(entity).await;
    let head = bed.site.head().await;
    // What a full stream holds without its end. Its last sequence went back with that: no sequence is gone.
    let dropped = head - CAPACITY;
    bed.remove(1..=dropped).await;
    let held = bed.upkeep.extent(Stream::Events).await.unwrap();
    let last = bed.upkeep.tail(Stream::Events).await.unwrap().sequence;
    assert_eq!((held.first_sequence, last, held.messages), (dropped + 1, end, end - dropped));

    let found = bed.verify(Window::ALL).await;
    assert_eq!((found.dropped, found.lost_at_front), (dropped, 0), "{found:?}");
    assert_eq!(orders(&found.missing), (end + 1..=head).collect::<Vec<_>>());
    let done = bed.repair().await.unwrap();
    assert!(!done.refilled && done.removed.is_none(), "{done:?}");
    full(&done.findings);
    assert_eq!((done.findings.dropped, done.findings.messages), (dropped, CAPACITY));
    full(&bed.verify(Window::ALL).await);

    // One that is missing behind leaves room for others: it does not explain that they are gone.
    bed.remove(1..=head - 4).await;
    bed.site.manage(entity).await;
    let found = bed.verify(Window::ALL).await;
    assert_eq!((found.dropped, found.lost_at_front), (0, head - 4), "{found:?}");
    assert_eq!(found.missing.count, found.lost_at_front + 1, "{found:?}");
}

#[tokio::test]
async fn a_full_stream_that_a_repair_makes_room_in_has_not_lost_its_front() {
    let bed = small().await;
    bed.filled(4).await;
    let running = started(bed.relay()).await;
    let entity = bed.site.add(5, "r5").await;
    bed.copied().await;
    running.stop().await;
    // An event twice, and a message of none: both stand in place of events that gave way for them.
    let end = bed.site.head().await;
    let twice = bed.upkeep.read(Stream::Events, end, 1).await.unwrap().remove(0).message.unwrap();
    let alien = Message { id: uuid::Uuid::now_v7(), headers: Vec::new(), ..twice.clone() };
    publish_again(&bed, twice).await;
    bed.bus.publish(Stream::Events, alien, None).await.unwrap();
    let found = bed.verify(Window::ALL).await;
    let gone = end + 2 - CAPACITY;
    assert_eq!((found.dropped, found.lost_at_front, found.missing.count), (gone, 0, 0), "{found:?}");
    assert_eq!((found.doubled.count, found.foreign.count), (1, 1), "{found:?}");

    // The repair begins with a message, for which one more gives way.
    bed.site.manage(entity).await;
    let done = bed.repair().await.unwrap();
    assert_eq!((done.republished_from.unwrap().order, done.refilled), (end + 1, false));
    assert_eq!(done.removed, Some((end + 1, end + 2)));
    full(&done.findings);
    assert_eq!((done.findings.dropped, done.findings.messages), (gone + 1, CAPACITY - 2));
}

#[tokio::test]
async fn what_grew_too_old_is_no_difference_and_what_cannot_have_is_one() {
    let of_age = |max_age| StreamSettings { events: Retention { max_age, ..NO_LIMIT }, ..streams() };
    let bed = Bed::nats_with(of_age(Duration::from_secs(6))).await;
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

    // Young ones that are removed while they may live for hours did not grow too old, whatever clocks say.
    running.stop().await;
    let bed = bed.adapted(of_age(HOUR * 3)).await;
    let running = started(bed.relay()).await;
    bed.site.add(3, "r3").await;
    bed.copied().await;
    running.stop().await;
    let last = bed.bus.tail(Stream::Events).await.unwrap().sequence;
    bed.remove(1..=last - 2).await;
    let found = bed.verify(Window::ALL).await;
    let gone = bed.site.head().await - 2;
    assert_eq!((found.dropped, found.lost_at_front, found.missing.count), (0, gone, gone), "{found:?}");
    let what = &found.missing.first[0].what;
    assert!(what.contains(UNEXPLAINED) && what.contains("max_age is 10800s"), "{what}");
}

/// Of `events`, on a stream with this front that holds them from its first message on as far as it has messages: how many
/// were dropped, and how many are lost before it. A repair has kept it up to the event `kept_to`.
fn judged(events: &[Recorded], front: &Front, kept_to: u64) -> (u64, u64) {
    let Position { journal, order } = events.last().unwrap().position;
    let mut comparison = Comparison::new(journal, order);
    let at = |order| Position { journal, order };
    for event in events {
        comparison.want(event, event.position.order - 1);
    }
    let behind = events.iter().filter(|event| front.order.is_some_and(|first| event.position.order >= first));
    for (sequence, event) in (front.first_sequence..).zip(behind).take(front.messages as usize) {
        let message = forward::message(event, at(event.position.order - 1), "r1", 0, usize::MAX);
        comparison.take(&Kept { sequence, message: Ok(message) });
    }
    let found = comparison.findings(front, kept_to);
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
        messages: PER_ADD,
        bytes: 100_000,
        kept: NO_LIMIT,
        max_messages: 0,
        created: None,
        now: later(HOUR * 12),
    };
    let kept_to = |order| judged(&events, &front, order);
    let judged = |front: Front| judged(&events, &front, 0);
    let (all_dropped, all_lost) = ((PER_ADD, 0), (0, PER_ADD));
    assert_eq!(judged(front), all_lost);

    let of_bytes = |max_bytes| Front { kept: Retention { max_bytes, ..NO_LIMIT }, ..front };
    assert_eq!(judged(of_bytes(100_100)), all_dropped);
    assert_eq!(judged(of_bytes(200_000)), all_lost);
    assert_eq!(judged(Front { max_messages: PER_ADD, ..front }), all_dropped);
    assert_eq!(judged(Front { max_messages: PER_ADD + 1, ..front }), all_lost);

    // What is missing behind would make it full, whether its sequences were given out again or not.
    let short = |front: Front| Front { messages: PER_ADD - 2, bytes: 94_000, ..front };
    assert_eq!(judged(short(of_bytes(100_100))), all_dropped);
    assert_eq!(judged(Front { messages: PER_ADD, ..short(of_bytes(100_100)) }), all_lost);
    assert_eq!(judged(short(of_bytes(200_000))), all_lost);
    assert_eq!(judged(short(Front { max_messages: PER_ADD, ..front })), all_dropped);
    assert_eq!(judged(short(Front { max_messages: PER_ADD + 1, ..front })), all_lost);

    // What was judged before a repair is not judged again.
    assert_eq!(kept_to(PER_ADD + 2), all_dropped);
    assert_eq!(kept_to(2), (2, PER_ADD - 2));

    // By its recorded time a message may be older than it is, and younger only as clocks are apart: an hour, or a tenth of
    // the age.
    let of_age = |max_age| Front { kept: Retention { max_age, ..NO_LIMIT }, ..front };
    let aged = |age, max_age| judged(Front { now: later(age), ..of_age(max_age) });
    assert_eq!(aged(HOUR * 3, HOUR * 3), all_dropped);
    assert_eq!(aged(HOUR * 2, HOUR * 3 - MINUTE), all_dropped);
    assert_eq!(aged(HOUR * 2, HOUR * 3 + MINUTE), all_lost);
    assert_eq!(aged(HOUR * 90, HOUR * 99), all_dropped);
    assert_eq!(aged(HOUR * 90, HOUR * 101), all_lost);
    assert_eq!(aged(MINUTE, HOUR), all_dropped);
    // Refilled into a stream that is not as old itself.
    let created = |by: Duration| Front { created: Some(later(by)), ..of_age(HOUR * 6) };
    assert_eq!(judged(created(HOUR * 6)), all_dropped);
    assert_eq!(judged(created(HOUR * 8)), all_lost);

    // However full it is: what began further behind has never held the others.
    let of_sequence = |first| Front { first_sequence: first, ..of_bytes(100_100) };
    assert_eq!(judged(of_sequence(1)), all_lost);
    assert_eq!(judged(of_sequence(3)), (2, PER_ADD - 2));
    assert_eq!(judged(of_sequence(100)), all_dropped);

    // Of an empty stream everything is gone, and only age does that.
    let empty =
        |front: Front| Front { order: None, first_sequence: 2 * PER_ADD + 1, messages: 0, bytes: 0, ..front };
    assert_eq!(judged(empty(of_age(HOUR * 11))), (2 * PER_ADD, 0));
    assert_eq!(judged(empty(of_bytes(100_100))), (0, 2 * PER_ADD));
    // What does not stand before a message of ours is missing like any other.
    assert_eq!(judged(Front { order: None, ..of_bytes(100_100) }), (0, 0));
}
