//! What every bus does. Each function gets an empty bus with its streams.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dcm_journal::bus::{
    Bus, BusError, Consumer, Delivery, GaveUp, GivenUp, GivenUps, Message, PublishError, Published,
    REPLAYED_HEADER, Start, Stream, Subscription, Upkeep, consume_forever,
};
use futures::StreamExt;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Hands the name of every case to `$suite`, which makes tests of them: no adapter forgets one.
macro_rules! every_case {
    ($suite:ident) => {
        $suite!(
            an_empty_stream_has_no_last,
            last_is_what_was_published,
            setting_up_again_keeps_what_is_there,
            a_stale_publisher_is_fenced,
            the_same_id_is_stored_once,
            what_cannot_travel_is_refused,
            a_batch_keeps_its_order,
            a_batch_says_how_far_it_came,
            a_durable_consumer_resumes,
            consumers_of_one_name_share,
            several_filters_select,
            refused_deliveries_come_again,
            unsettled_deliveries_come_again_a_bounded_number_of_times,
            terminated_deliveries_do_not_come_again,
            a_job_goes_to_one_worker,
            an_unfinished_job_comes_again,
            a_start_is_kept,
            signals_reach_who_listens,
            what_is_kept_can_be_read_and_removed,
            of_a_dead_letter_the_last_is_kept,
            what_consumers_give_up_is_told,
            a_terminated_job_is_told_whole,
            a_consumer_runs_until_it_is_stopped,
        );
    };
}

pub type AnyBus = Arc<dyn Upkeep>;

const LONG: Duration = Duration::from_secs(10);
/// Long enough to see a redelivery that should not come: several times the consumers' `ack_wait`.
const SHORT_WAIT: Duration = Duration::from_millis(200);

pub fn message(subject: &str) -> Message {
    Message {
        subject: subject.to_owned(),
        id: Uuid::now_v7(),
        headers: Vec::new(),
        payload: Bytes::from(subject.to_owned()),
    }
}

fn event(name: &str) -> Message {
    message(&format!("dcm.v1.event.subcloud.{name}.changed"))
}

pub fn durable(name: &str) -> Consumer {
    Consumer { durable: Some(name.to_owned()), ack_wait: Duration::from_secs(1), ..Consumer::default() }
}

async fn publish(bus: &AnyBus, stream: Stream, message: Message) -> u64 {
    bus.publish(stream, message, None).await.expect("published").sequence
}

pub async fn next(subscription: &mut Subscription) -> Delivery {
    let next = tokio::time::timeout(LONG, subscription.next()).await.expect("a delivery in time");
    next.unwrap_or_else(|| panic!("the subscription ended: {:?}", subscription.end()))
}

async fn take(subscription: &mut Subscription) -> u64 {
    let delivery = next(subscription).await;
    delivery.ack().await.expect("acknowledged");
    delivery.sequence
}

async fn assert_silent(subscription: &mut Subscription) {
    let seen = tokio::time::timeout(SHORT_WAIT * 5, subscription.next()).await;
    assert!(seen.is_err(), "unexpected: {seen:?}");
}

pub async fn an_empty_stream_has_no_last(bus: AnyBus) {
    for stream in Stream::ALL {
        assert_eq!(bus.last(stream).await.unwrap(), None);
        assert_eq!(bus.tail(stream).await.unwrap().sequence, 0);
    }
    bus.health().await.unwrap();
}

pub async fn last_is_what_was_published(bus: AnyBus) {
    let mut first = event("a");
    first.headers =
        vec![("traceparent".to_owned(), "00-1-2-01".to_owned()), ("ce-type".to_owned(), "a b%20".to_owned())];
    first.payload = Bytes::from_static(b"\x00\xff\r\n");
    assert_eq!(publish(&bus, Stream::Events, first.clone()).await, 1);
    let last = bus.last(Stream::Events).await.unwrap().unwrap();
    first.headers.sort();
    assert_eq!((last.sequence, &last.message), (1, &first));

    let second = event("b");
    assert_eq!(publish(&bus, Stream::Events, second.clone()).await, 2);
    let last = bus.last(Stream::Events).await.unwrap().unwrap();
    assert_eq!((last.sequence, last.message), (2, second));
    assert_eq!(bus.last(Stream::Notify).await.unwrap(), None, "streams are apart");

    let mut all = bus.consume(Stream::Events, &Consumer::default()).await.unwrap();
    let delivery = next(&mut all).await;
    assert_eq!((delivery.message, delivery.sequence, delivery.attempt), (first, 1, 1));
}

pub async fn setting_up_again_keeps_what_is_there(bus: AnyBus) {
    publish(&bus, Stream::Events, event("a")).await;
    let before = bus.tail(Stream::Events).await.unwrap();
    bus.ensure_streams(&Default::default()).await.unwrap();
    assert_eq!(bus.tail(Stream::Events).await.unwrap(), before);
}

pub async fn a_stale_publisher_is_fenced(bus: AnyBus) {
    let first = event("a");
    let stored = bus.publish(Stream::Events, first.clone(), Some(0)).await.unwrap();
    assert_eq!(stored, Published { sequence: 1, duplicate: false });
    for wrong in [0, 2] {
        let refused = bus.publish(Stream::Events, event("b"), Some(wrong)).await.unwrap_err();
        assert_eq!(refused, PublishError::Fenced { last: 1 }, "expected {wrong}");
    }
    assert_eq!(bus.last(Stream::Events).await.unwrap().unwrap().message, first);
    assert_eq!(bus.publish(Stream::Events, event("c"), Some(1)).await.unwrap().sequence, 2);
}

pub async fn the_same_id_is_stored_once(bus: AnyBus) {
    let message = event("a");
    publish(&bus, Stream::Events, message.clone()).await;
    publish(&bus, Stream::Events, event("b")).await;
    let duplicate = Published { sequence: 1, duplicate: true };
    assert_eq!(bus.publish(Stream::Events, message.clone(), None).await.unwrap(), duplicate);
    assert_eq!(bus.publish(Stream::Events, message.clone(), Some(2)).await.unwrap(), duplicate);
    let stale = bus.publish(Stream::Events, message, Some(0)).await;
    assert!(stale == Ok(duplicate) || stale == Err(PublishError::Fenced { last: 2 }), "{stale:?}");
    assert_eq!(bus.tail(Stream::Events).await.unwrap().sequence, 2);
}

pub async fn what_cannot_travel_is_refused(bus: AnyBus) {
    let foreign = message("dcm.v1.job.deploy");
    let wildcard = message("dcm.v1.event.*");
    let mut injected = event("a");
    injected.headers = vec![("ce-type".to_owned(), "x\r\nNats-Msg-Id: y".to_owned())];
    for bad in [foreign, wildcard, injected] {
        let refused = bus.publish(Stream::Events, bad, None).await.unwrap_err();
        assert!(matches!(refused, PublishError::Invalid { .. }), "{refused}");
    }
    let consumer = Consumer { filters: vec!["dcm.v1.job.x".to_owned()], ..Consumer::default() };
    let refused = bus.consume(Stream::Events, &consumer).await.unwrap_err();
    assert!(matches!(refused, BusError::Invalid { .. }), "{refused}");
}

pub async fn a_batch_keeps_its_order(bus: AnyBus) {
    let messages: Vec<Message> = (0..700).map(|n| event(&format!("r{n}"))).collect();
    let published = bus.publish_batch(Stream::Events, messages.clone(), 0).await.unwrap();
    let sequences: Vec<u64> = published.iter().map(|published| published.sequence).collect();
    assert_eq!(sequences, (1..=700).collect::<Vec<u64>>());
    let mut all = bus.consume(Stream::Events, &Consumer::default()).await.unwrap();
    for (expected, sequence) in messages.iter().zip(1..) {
        let delivery = next(&mut all).await;
        assert_eq!((&delivery.message, delivery.sequence), (expected, sequence));
        delivery.ack().await.unwrap();
    }
    assert_eq!(bus.publish_batch(Stream::Events, Vec::new(), 5).await.unwrap(), []);
}

pub async fn a_batch_says_how_far_it_came(bus: AnyBus) {
    let first = event("a");
    publish(&bus, Stream::Events, first.clone()).await;
    let late = bus.publish_batch(Stream::Events, vec![event("b"), event("c")], 0).await.unwrap_err();
    assert_eq!((late.stored.len(), late.source), (0, PublishError::Fenced { last: 1 }));
    assert_eq!(bus.last(Stream::Events).await.unwrap().unwrap().message, first, "nor was the rest stored");

    // A message stored earlier takes no place, so that its successor's expectation fails.
    let batch = vec![event("b"), first, event("c"), event("d")];
    let fenced = bus.publish_batch(Stream::Events, batch, 1).await.unwrap_err();
    let stored = [Published { sequence: 2, duplicate: false }, Published { sequence: 1, duplicate: true }];
    assert_eq!(fenced.stored, stored);
    assert_eq!(fenced.source, PublishError::Fenced { last: 2 });

    let batch = vec![event("e"), message("dcm.v1.job.deploy"), event("f")];
    let invalid = bus.publish_batch(Stream::Events, batch, 2).await.unwrap_err();
    assert_eq!(invalid.stored, [Published { sequence: 3, duplicate: false }]);
    assert!(matches!(invalid.source, PublishError::Invalid { .. }));
    assert_eq!(bus.tail(Stream::Events).await.unwrap().sequence, 3);
}

pub async fn a_durable_consumer_resumes(bus: AnyBus) {
    for name in ["a", "b", "c"] {
        publish(&bus, Stream::Events, event(name)).await;
    }
    let consumer = durable("worker");
    let mut subscription = bus.consume(Stream::Events, &consumer).await.unwrap();
    assert_eq!((take(&mut subscription).await, take(&mut subscription).await), (1, 2));
    drop(subscription);
    publish(&bus, Stream::Events, event("d")).await;

    // A durable consumer goes on where it was, whatever its start says now, also with other filters.
    let consumer = Consumer {
        start: Start::New,
        filters: vec!["dcm.v1.event.*.c.*".to_owned(), "dcm.v1.event.*.d.*".to_owned()],
        ..consumer
    };
    let mut subscription = bus.consume(Stream::Events, &consumer).await.unwrap();
    let mut rest = [take(&mut subscription).await, take(&mut subscription).await];
    rest.sort_unstable();
    assert_eq!(rest, [3, 4]);
}

pub async fn consumers_of_one_name_share(bus: AnyBus) {
    let consumer = Consumer { prefetch: 1, ack_wait: LONG, ..durable("shared") };
    let mut one = bus.consume(Stream::Events, &consumer).await.unwrap();
    let mut two = bus.consume(Stream::Events, &consumer).await.unwrap();
    for name in ["a", "b", "c", "d"] {
        publish(&bus, Stream::Events, event(name)).await;
    }
    let mut seen = Vec::new();
    while seen.len() < 4 {
        let delivery = tokio::select! { d = next(&mut one) => d, d = next(&mut two) => d };
        delivery.ack().await.unwrap();
        seen.push(delivery.sequence);
    }
    seen.sort_unstable();
    assert_eq!(seen, [1, 2, 3, 4]);
}

pub async fn several_filters_select(bus: AnyBus) {
    let filters = vec![
        "dcm.v1.event.subcloud.*.deploy-status-changed".to_owned(),
        "dcm.v1.event.subcloud.r2.>".to_owned(),
    ];
    let refused = Consumer { filters: filters.clone(), ..Consumer::default() };
    assert!(
        matches!(bus.consume(Stream::Events, &refused).await, Err(BusError::Invalid { .. })),
        "they overlap"
    );

    let filters =
        vec!["dcm.v1.event.subcloud.*.deploy-status-changed".to_owned(), "dcm.v1.event.group.>".to_owned()];
    let consumer = Consumer { filters, ..Consumer::default() };
    let mut subscription = bus.consume(Stream::Events, &consumer).await.unwrap();
    for subject in [
        "dcm.v1.event.subcloud.r1.subcloud-added",
        "dcm.v1.event.subcloud.r1.deploy-status-changed",
        "dcm.v1.event.subcloud.r2.subcloud-added",
        "dcm.v1.event.group.1.group-added",
    ] {
        publish(&bus, Stream::Events, message(subject)).await;
    }
    assert_eq!((take(&mut subscription).await, take(&mut subscription).await), (2, 4));
}

pub async fn refused_deliveries_come_again(bus: AnyBus) {
    publish(&bus, Stream::Events, event("a")).await;
    let consumer = Consumer { ack_wait: Duration::from_secs(60), ..durable("nak") };
    let mut subscription = bus.consume(Stream::Events, &consumer).await.unwrap();
    let first = next(&mut subscription).await;
    first.nak(Duration::ZERO).await.unwrap();
    let second = next(&mut subscription).await;
    assert_eq!((second.sequence, second.attempt), (1, 2));
    let asked = std::time::Instant::now();
    second.nak(Duration::from_millis(300)).await.unwrap();
    let third = next(&mut subscription).await;
    assert_eq!((third.sequence, third.attempt), (1, 3));
    assert!(asked.elapsed() >= Duration::from_millis(250), "too early: {:?}", asked.elapsed());
    third.ack().await.unwrap();
}

pub async fn unsettled_deliveries_come_again_a_bounded_number_of_times(bus: AnyBus) {
    publish(&bus, Stream::Events, event("a")).await;
    let consumer = Consumer { ack_wait: SHORT_WAIT, max_deliver: Some(2), ..durable("slow") };
    let mut subscription = bus.consume(Stream::Events, &consumer).await.unwrap();
    for attempt in 1..=2 {
        let delivery = next(&mut subscription).await;
        assert_eq!((delivery.sequence, delivery.attempt), (1, attempt));
    }
    assert_silent(&mut subscription).await;

    let backoff = vec![Duration::from_millis(50), Duration::from_millis(600)];
    let consumer = Consumer { backoff, ..durable("backing-off") };
    let mut subscription = bus.consume(Stream::Events, &consumer).await.unwrap();
    assert_eq!(next(&mut subscription).await.attempt, 1);
    assert_eq!(next(&mut subscription).await.attempt, 2);
    let begun = std::time::Instant::now();
    assert_eq!(next(&mut subscription).await.attempt, 3);
    assert!(begun.elapsed() >= Duration::from_millis(400), "too early: {:?}", begun.elapsed());
}

pub async fn terminated_deliveries_do_not_come_again(bus: AnyBus) {
    publish(&bus, Stream::Events, event("a")).await;
    let consumer = Consumer { ack_wait: SHORT_WAIT, ..durable("picky") };
    let mut subscription = bus.consume(Stream::Events, &consumer).await.unwrap();
    next(&mut subscription).await.term("not\r\nunderstood").await.unwrap();
    assert_silent(&mut subscription).await;
    assert_eq!(publish(&bus, Stream::Events, event("b")).await, take(&mut subscription).await);
}

pub async fn a_job_goes_to_one_worker(bus: AnyBus) {
    for _ in 0..6 {
        publish(&bus, Stream::Jobs, message("dcm.v1.job.deploy")).await;
    }
    let consumer =
        Consumer { filters: vec!["dcm.v1.job.deploy".to_owned()], prefetch: 1, ..durable("deploy") };
    let mut one = bus.consume(Stream::Jobs, &consumer).await.unwrap();
    let mut two = bus.consume(Stream::Jobs, &consumer).await.unwrap();
    let mut seen = Vec::new();
    while seen.len() < 6 {
        let delivery = tokio::select! { d = next(&mut one) => d, d = next(&mut two) => d };
        delivery.ack().await.unwrap();
        seen.push(delivery.sequence);
    }
    seen.sort_unstable();
    assert_eq!(seen, [1, 2, 3, 4, 5, 6]);

    let deadline = tokio::time::Instant::now() + LONG;
    while bus.last(Stream::Jobs).await.unwrap().is_some() {
        assert!(tokio::time::Instant::now() < deadline, "settled jobs are removed");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(bus.tail(Stream::Jobs).await.unwrap().sequence, 6, "the sequence goes on");

    let rival = bus.consume(Stream::Jobs, &durable("rival")).await.unwrap_err();
    assert!(matches!(rival, BusError::Invalid { .. }), "{rival}");
    let other = Consumer { filters: vec!["dcm.v1.job.backup".to_owned()], ..durable("backup") };
    bus.consume(Stream::Jobs, &other).await.unwrap();
    let late = Consumer { start: Start::New, ..consumer };
    assert!(matches!(bus.consume(Stream::Jobs, &late).await, Err(BusError::Invalid { .. })));
}

pub async fn an_unfinished_job_comes_again(bus: AnyBus) {
    publish(&bus, Stream::Jobs, message("dcm.v1.job.deploy")).await;
    let consumer = Consumer { ack_wait: SHORT_WAIT, prefetch: 1, ..durable("deploy") };
    let mut crashed = bus.consume(Stream::Jobs, &consumer).await.unwrap();
    assert_eq!(next(&mut crashed).await.attempt, 1);
    drop(crashed);
    let mut successor = bus.consume(Stream::Jobs, &consumer).await.unwrap();
    let delivery = next(&mut successor).await;
    assert_eq!((delivery.sequence, delivery.attempt), (1, 2));
    delivery.ack().await.unwrap();
}

pub async fn a_start_is_kept(bus: AnyBus) {
    for name in ["a", "b", "c"] {
        publish(&bus, Stream::Events, event(name)).await;
    }
    let from = |start| Consumer { start, ..Consumer::default() };
    let mut all = bus.consume(Stream::Events, &from(Start::All)).await.unwrap();
    let mut after = bus.consume(Stream::Events, &from(Start::AfterSequence(2))).await.unwrap();
    let mut new = bus.consume(Stream::Events, &from(Start::New)).await.unwrap();
    assert_eq!((take(&mut all).await, take(&mut after).await), (1, 3));
    let mut replayed = event("d");
    replayed.headers = vec![(REPLAYED_HEADER.to_owned(), "true".to_owned())];
    publish(&bus, Stream::Events, replayed).await;
    let delivery = next(&mut new).await;
    assert_eq!((delivery.sequence, delivery.replayed), (4, true));
    assert_eq!(take(&mut after).await, 4);
    assert!(!next(&mut all).await.replayed);
}

pub async fn signals_reach_who_listens(bus: AnyBus) {
    let mut progress = bus.listen("dcm.v1.signal.progress.*").await.unwrap();
    let mut all = bus.listen("dcm.v1.signal.>").await.unwrap();
    // Over a network, listening takes effect a moment after it was asked for.
    let deadline = tokio::time::Instant::now() + LONG;
    loop {
        bus.signal("dcm.v1.signal.progress.subclouds", Bytes::from_static(b"7")).await.unwrap();
        let heard = tokio::time::timeout(Duration::from_millis(100), progress.next()).await;
        if let Ok(signal) = heard {
            let signal = signal.unwrap();
            assert_eq!(signal.subject, "dcm.v1.signal.progress.subclouds");
            assert_eq!(signal.payload, Bytes::from_static(b"7"));
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "a signal is heard");
    }
    bus.signal("dcm.v1.signal.relay", Bytes::new()).await.unwrap();
    let heard_all = async {
        while let Some(signal) = all.next().await {
            if signal.subject == "dcm.v1.signal.relay" {
                return;
            }
        }
    };
    tokio::time::timeout(LONG, heard_all).await.expect("the other signal is heard");
    for bad in ["dcm.v1.event.x", "a.*", ""] {
        assert!(matches!(bus.signal(bad, Bytes::new()).await, Err(BusError::Invalid { .. })), "{bad:?}");
    }
}

pub async fn a_consumer_runs_until_it_is_stopped(bus: AnyBus) {
    let (sender, mut received) = mpsc::unbounded_channel();
    let stop = CancellationToken::new();
    let handle = move |delivery: Delivery| {
        let sender = sender.clone();
        async move {
            delivery.ack().await.unwrap();
            sender.send(delivery.sequence).unwrap();
        }
    };
    publish(&bus, Stream::Events, event("a")).await;
    let following: Arc<dyn Bus> = bus.clone();
    let running =
        tokio::spawn(consume_forever(following, Stream::Events, durable("f"), stop.clone(), handle));
    publish(&bus, Stream::Events, event("b")).await;
    for expected in [1, 2] {
        assert_eq!(tokio::time::timeout(LONG, received.recv()).await.unwrap(), Some(expected));
    }
    stop.cancel();
    tokio::time::timeout(LONG, running).await.unwrap().unwrap();
}

/// Sequences of what a stream holds from `from` on.
async fn kept(bus: &AnyBus, stream: Stream, from: u64) -> Vec<u64> {
    bus.read(stream, from, 1000).await.unwrap().iter().map(|kept| kept.sequence).collect()
}

pub async fn what_is_kept_can_be_read_and_removed(bus: AnyBus) {
    assert_eq!(bus.read(Stream::Events, 1, 10).await.unwrap(), []);
    let messages: Vec<Message> = (0..9).map(|n| event(&format!("r{n}"))).collect();
    bus.publish_batch(Stream::Events, messages.clone(), 0).await.unwrap();
    let page = bus.read(Stream::Events, 3, 4).await.unwrap();
    assert_eq!(page.iter().map(|kept| kept.sequence).collect::<Vec<_>>(), [3, 4, 5, 6]);
    assert_eq!(page[0].message.as_ref(), Ok(&messages[2]));

    let mut subscription = bus.consume(Stream::Events, &durable("reader")).await.unwrap();
    assert_eq!(take(&mut subscription).await, 1);
    drop(subscription);
    bus.remove(Stream::Events, 4..=5).await.unwrap();
    bus.remove(Stream::Events, 4..=6).await.unwrap();
    bus.remove(Stream::Events, 9..=9).await.unwrap();
    assert_eq!(kept(&bus, Stream::Events, 1).await, [1, 2, 3, 7, 8]);
    assert_eq!(kept(&bus, Stream::Events, 4).await, [7, 8]);
    let tail = bus.tail(Stream::Events).await.unwrap();
    assert_eq!(
        (tail.sequence, tail.message.as_ref()),
        (9, Some(&messages[7])),
        "sequences are not given again"
    );
    bus.remove(Stream::Events, 1..=7).await.unwrap();
    assert_eq!(kept(&bus, Stream::Events, 1).await, [8]);
    bus.remove(Stream::Events, 1..=100).await.unwrap();
    assert_eq!(kept(&bus, Stream::Events, 1).await, [0; 0]);
    assert_eq!(bus.publish(Stream::Events, event("new"), Some(9)).await.unwrap().sequence, 10);
    let work_queue = bus.read(Stream::Jobs, 1, 1).await.unwrap_err();
    assert!(matches!(work_queue, BusError::Invalid { .. }), "{work_queue}");
}

pub async fn of_a_dead_letter_the_last_is_kept(bus: AnyBus) {
    for subject in ["dcm.v1.dead.a", "dcm.v1.dead.b", "dcm.v1.dead.a"] {
        publish(&bus, Stream::Dead, message(subject)).await;
    }
    assert_eq!(kept(&bus, Stream::Dead, 1).await, [2, 3]);
}

async fn next_given_up(given_up: &mut GivenUps) -> GivenUp {
    tokio::time::timeout(LONG, given_up.next()).await.expect("told in time").unwrap().expect("no end")
}

pub async fn what_consumers_give_up_is_told(bus: AnyBus) {
    let first = event("a");
    publish(&bus, Stream::Events, first.clone()).await;
    let consumer = Consumer { ack_wait: SHORT_WAIT, max_deliver: Some(2), ..durable("tired") };
    let mut tired = bus.consume(Stream::Events, &consumer).await.unwrap();
    assert_eq!((next(&mut tired).await.attempt, next(&mut tired).await.attempt), (1, 2));
    // Whoever waits for the next message lets a local bus see that this one is over.
    let follow = tokio::spawn(async move { tired.next().await.map(|delivery| delivery.sequence) });
    let mut given_up = bus.given_up().await.unwrap();
    let told = next_given_up(&mut given_up).await;
    assert_eq!((told.stream, told.consumer.as_str(), told.sequence), (Stream::Events, "tired", 1));
    assert_eq!((told.deliveries, &told.cause), (2, &GaveUp::MaxDeliveries));
    assert_eq!(told.message.as_ref(), Some(&first));
    told.ack().await.unwrap();
    follow.abort();

    let picky = durable("picky");
    let mut picky = bus.consume(Stream::Events, &picky).await.unwrap();
    next(&mut picky).await.term("not understood").await.unwrap();
    let told = next_given_up(&mut given_up).await;
    assert_eq!((told.consumer.as_str(), told.deliveries), ("picky", 1));
    assert_eq!(told.cause, GaveUp::Terminated(Some("not understood".to_owned())));
    assert_eq!(told.message, Some(first));
    told.ack().await.unwrap();
    // Of dead letters nobody is told: that would have no end.
    publish(&bus, Stream::Dead, message("dcm.v1.dead.a")).await;
    let mut reader = bus.consume(Stream::Dead, &durable("reader")).await.unwrap();
    next(&mut reader).await.term("unread").await.unwrap();
    assert!(tokio::time::timeout(SHORT_WAIT * 3, given_up.next()).await.is_err());
}

pub async fn a_terminated_job_is_told_whole(bus: AnyBus) {
    let mut job = message("dcm.v1.job.deploy");
    job.headers = vec![("ce-type".to_owned(), "dcm.job.deploy.v1".to_owned())];
    publish(&bus, Stream::Jobs, job.clone()).await;
    let mut worker = bus.consume(Stream::Jobs, &durable("deploy")).await.unwrap();
    next(&mut worker).await.term("größe\r\n").await.unwrap();
    let mut given_up = bus.given_up().await.unwrap();
    let told = next_given_up(&mut given_up).await;
    assert_eq!((told.stream, told.consumer.as_str(), told.sequence), (Stream::Jobs, "deploy", 1));
    assert!(
        matches!(&told.cause, GaveUp::Terminated(Some(reason)) if reason.starts_with("größe")),
        "{told:?}"
    );
    assert_eq!(told.message.as_ref(), Some(&job), "the queue itself has forgotten it");
    told.ack().await.unwrap();
    assert!(tokio::time::timeout(SHORT_WAIT * 3, given_up.next()).await.is_err(), "told once");
}
