//! What a bus on NATS does while the server is away, and after.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use dcm_journal::bus::{
    Bus, BusError, Consumer, Delivery, NatsBus, NatsSettings, PublishError, Stream, StreamSettings,
    consume_forever,
};
use futures::StreamExt;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::contract::{durable, message, next};
use crate::server::{NatsServer, eventually};

/// The default bound of a call, with some air for a busy machine.
const BOUND: Duration = Duration::from_secs(4);

pub async fn set_up(bus: &NatsBus) {
    eventually("the streams exist", async || bus.ensure_streams(&StreamSettings::default()).await.ok()).await;
}

fn event() -> dcm_journal::bus::Message {
    message("dcm.v1.event.subcloud.r1.changed")
}

async fn assert_unavailable_quickly(bus: &NatsBus) {
    let begun = Instant::now();
    let refused = bus.publish(Stream::Events, event(), None).await.unwrap_err();
    assert!(matches!(refused, PublishError::Unavailable { .. }), "{refused}");
    assert!(matches!(bus.tail(Stream::Events).await, Err(BusError::Unavailable { .. })));
    assert!(matches!(bus.consume(Stream::Events, &durable("x")).await, Err(BusError::Unavailable { .. })));
    assert!(matches!(bus.signal("dcm.v1.signal.x", Bytes::new()).await, Err(BusError::Unavailable { .. })));
    assert!(matches!(bus.health().await, Err(BusError::Unavailable { .. })));
    assert!(begun.elapsed() < BOUND, "took {:?}", begun.elapsed());
}

#[tokio::test]
async fn a_program_starts_before_its_server() {
    let mut server = NatsServer::new().await;
    server.stop();
    let bus = server.bus().await;
    assert_unavailable_quickly(&bus).await;
    let mut heard = bus.listen("dcm.v1.signal.*").await.unwrap();
    server.start().await;
    set_up(&bus).await;
    assert_eq!(bus.publish(Stream::Events, event(), Some(0)).await.unwrap().sequence, 1);
    eventually("the early listener hears", async || {
        bus.signal("dcm.v1.signal.x", Bytes::new()).await.ok()?;
        tokio::time::timeout(Duration::from_millis(100), heard.next()).await.ok().flatten()
    })
    .await;
}

#[tokio::test]
async fn publishing_fails_within_its_bound_and_recovers() {
    let mut server = NatsServer::new().await;
    let bus = server.bus().await;
    set_up(&bus).await;
    bus.publish(Stream::Events, event(), Some(0)).await.unwrap();
    server.stop();
    // More calls than the client could queue: none may block.
    for _ in 0..3000 {
        let begun = Instant::now();
        bus.publish(Stream::Events, event(), None).await.unwrap_err();
        assert!(begun.elapsed() < BOUND, "took {:?}", begun.elapsed());
    }
    assert_unavailable_quickly(&bus).await;
    let batch = bus.publish_batch(Stream::Events, vec![event(), event()], 1).await.unwrap_err();
    assert!(matches!(batch.source, PublishError::Unavailable { .. }));
    server.start().await;
    let again = event();
    eventually("publishing works again", async || {
        let last = bus.last(Stream::Events).await.ok()??.sequence;
        bus.publish(Stream::Events, again.clone(), Some(last)).await.ok()
    })
    .await;
    assert_eq!(bus.last(Stream::Events).await.unwrap().unwrap().message, again);
}

#[tokio::test]
async fn a_frozen_server_does_not_hold_its_callers() {
    let mut server = NatsServer::new().await;
    let bus = server.bus().await;
    set_up(&bus).await;
    let mut subscription = bus.consume(Stream::Events, &Consumer::default()).await.unwrap();
    server.freeze();
    let begun = Instant::now();
    let refused = bus.publish(Stream::Events, event(), None).await.unwrap_err();
    assert!(matches!(refused, PublishError::Unavailable { .. }), "{refused}");
    assert!(begun.elapsed() < BOUND, "took {:?}", begun.elapsed());
    let ended = tokio::time::timeout(BOUND, subscription.next()).await.expect("silence is noticed");
    assert!(ended.is_none() && subscription.end().is_some());
    server.stop();
}

#[tokio::test]
async fn a_subscription_ends_with_its_connection() {
    let mut server = NatsServer::new().await;
    let bus = server.bus().await;
    set_up(&bus).await;
    let mut subscription = bus.consume(Stream::Events, &durable("w")).await.unwrap();
    bus.publish(Stream::Events, event(), None).await.unwrap();
    let delivery = next(&mut subscription).await;
    server.stop();
    assert!(tokio::time::timeout(BOUND, subscription.next()).await.expect("it ends").is_none());
    assert!(subscription.end().is_some());
    assert!(matches!(delivery.ack().await, Err(BusError::Unavailable { .. })));
}

fn follow(bus: &NatsBus, consumer: Consumer, stop: &CancellationToken) -> Seen {
    let (sender, received) = mpsc::unbounded_channel();
    let handle = move |delivery: Delivery| {
        let sender = sender.clone();
        async move {
            // An acknowledgement lost with the connection only means that the message comes again.
            let _ = delivery.ack().await;
            let _ = sender.send(delivery.sequence);
        }
    };
    tokio::spawn(consume_forever(Arc::new(bus.clone()), Stream::Events, consumer, stop.clone(), handle));
    received
}

async fn wait_for(received: &mut Seen, sequence: u64) {
    let seen = async {
        while let Some(seen) = received.recv().await {
            if seen == sequence {
                return;
            }
        }
        panic!("the consumer stopped");
    };
    tokio::time::timeout(Duration::from_secs(20), seen)
        .await
        .unwrap_or_else(|_| panic!("{sequence} was not seen"));
}

#[tokio::test]
async fn consumers_are_rebuilt_after_an_outage() {
    let mut server = NatsServer::new().await;
    let bus = server.bus().await;
    set_up(&bus).await;
    let stop = CancellationToken::new();
    let mut kept = follow(&bus, durable("kept"), &stop);
    let mut passing = follow(&bus, Consumer::default(), &stop);
    for sequence in 1..=2 {
        bus.publish(Stream::Events, event(), None).await.unwrap();
        wait_for(&mut kept, sequence).await;
        wait_for(&mut passing, sequence).await;
        server.stop();
        server.start().await;
        eventually("the bus is back", async || bus.health().await.ok()).await;
    }
    bus.publish(Stream::Events, event(), None).await.unwrap();
    wait_for(&mut kept, 3).await;
    wait_for(&mut passing, 3).await;
    stop.cancel();
}

#[tokio::test]
async fn wiped_storage_is_an_empty_bus_that_is_followed_anew() {
    let mut server = NatsServer::new().await;
    let bus = server.bus().await;
    set_up(&bus).await;
    let stop = CancellationToken::new();
    let mut kept = follow(&bus, durable("kept"), &stop);
    let mut passing =
        follow(&bus, Consumer { start: dcm_journal::bus::Start::New, ..Consumer::default() }, &stop);
    let first = event();
    eventually("both follow", async || {
        bus.publish(Stream::Events, event(), None).await.ok()?;
        let both = async { (kept.recv().await, passing.recv().await) };
        tokio::time::timeout(Duration::from_millis(500), both).await.ok()
    })
    .await;
    server.stop();
    server.wipe();
    server.start().await;
    let last = eventually("the bus is back", async || bus.last(Stream::Events).await.ok()).await;
    assert_eq!(last, None);
    let refused = bus.publish(Stream::Events, first.clone(), Some(0)).await.unwrap_err();
    assert!(matches!(refused, PublishError::Unavailable { .. }), "{refused}");

    set_up(&bus).await;
    assert_eq!(bus.last(Stream::Events).await.unwrap(), None);
    assert_eq!(bus.publish(Stream::Events, first, Some(0)).await.unwrap().sequence, 1);
    wait_for(&mut kept, 1).await;
    wait_for(&mut passing, 1).await;
    stop.cancel();
}

/// One durable consumer and one without a name see a message.
async fn both_see(bus: &NatsBus, kept: &mut Seen, passing: &mut Seen) {
    let again = event();
    let sequence = eventually("publishing works", async || {
        let last = bus.tail(Stream::Events).await.ok()?.sequence;
        Some(bus.publish(Stream::Events, again.clone(), Some(last)).await.ok()?.sequence)
    })
    .await;
    wait_for(kept, sequence).await;
    wait_for(passing, sequence).await;
}

type Seen = mpsc::UnboundedReceiver<u64>;

#[tokio::test]
async fn consumers_notice_a_server_that_hangs_and_go_on_when_it_wakes() {
    let mut server = NatsServer::new().await;
    let bus = server.bus().await;
    set_up(&bus).await;
    let stop = CancellationToken::new();
    let (mut kept, mut passing) =
        (follow(&bus, durable("kept"), &stop), follow(&bus, Consumer::default(), &stop));
    both_see(&bus, &mut kept, &mut passing).await;
    server.freeze();
    // Each question takes its time: both have missed heartbeats by then, and tried in vain.
    for _ in 0..3 {
        bus.health().await.unwrap_err();
    }
    server.thaw();
    both_see(&bus, &mut kept, &mut passing).await;
    stop.cancel();
}

#[tokio::test]
async fn consumers_that_were_deleted_are_rebuilt_where_they_were() {
    let server = NatsServer::new().await;
    let bus = server.bus().await;
    set_up(&bus).await;
    let stop = CancellationToken::new();
    let (mut kept, mut passing) =
        (follow(&bus, durable("kept"), &stop), follow(&bus, Consumer::default(), &stop));
    both_see(&bus, &mut kept, &mut passing).await;
    let context = async_nats::jetstream::new(async_nats::connect(server.url()).await.unwrap());
    let stream = context.get_stream("DCM_EVENTS").await.unwrap();
    let names: Vec<String> = stream.consumer_names().map(Result::unwrap).collect().await;
    assert_eq!(names.len(), 2, "{names:?}");
    for name in &names {
        stream.delete_consumer(name).await.unwrap();
    }
    both_see(&bus, &mut kept, &mut passing).await;
    // What was handed over before does not come again.
    assert!(kept.try_recv().is_err() && passing.try_recv().is_err());
    stop.cancel();
}

#[tokio::test]
async fn a_stream_that_was_deleted_is_followed_from_the_beginning_of_the_next_one() {
    let server = NatsServer::new().await;
    let bus = server.bus().await;
    set_up(&bus).await;
    let stop = CancellationToken::new();
    let (mut kept, mut passing) =
        (follow(&bus, durable("kept"), &stop), follow(&bus, Consumer::default(), &stop));
    for _ in 0..3 {
        both_see(&bus, &mut kept, &mut passing).await;
    }
    let context = async_nats::jetstream::new(async_nats::connect(server.url()).await.unwrap());
    context.delete_stream("DCM_EVENTS").await.unwrap();
    set_up(&bus).await;
    both_see(&bus, &mut kept, &mut passing).await;
    stop.cancel();
}

#[tokio::test]
async fn credentials_are_used_and_never_shown() {
    let server = NatsServer::with_arguments(&["--user", "dcm", "--pass", "s3cr:et"]).await;
    let with = |user: &str| server.url().replace("nats://", &format!("nats://{user}@"));
    let connect =
        async |url: String| NatsBus::connect(&url.parse().unwrap(), NatsSettings::default()).await.unwrap();
    let right = connect(with("dcm:s3cr%3Aet")).await;
    set_up(&right).await;
    let wrong = connect(with("dcm:s3cr3t-guess")).await;
    let cause = eventually("the refusal is told", async || {
        let told = wrong.health().await.unwrap_err().to_string();
        told.to_lowercase().contains("authorization").then_some(told)
    })
    .await;
    assert!(!cause.contains("guess") && cause.contains("***@127.0.0.1"), "{cause}");
    let missing = format!("{}?creds=/nonexistent/dcm.creds", server.url()).parse().unwrap();
    let refused = NatsBus::connect(&missing, NatsSettings::default()).await.err().unwrap();
    assert!(matches!(refused, BusError::Invalid { .. }), "{refused}");
}

#[tokio::test]
async fn tls_trusts_the_named_authority_only() {
    let files = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| {
        let path = files.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let pair = |name: &str| {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        (
            write(&format!("{name}.pem"), made.cert.pem()),
            write(&format!("{name}.key"), made.signing_key.serialize_pem()),
        )
    };
    let (certificate, key) = pair("server");
    let (stranger, _) = pair("stranger");
    let server = NatsServer::with_arguments(&["--tls", "--tlscert", &certificate, "--tlskey", &key]).await;
    let connect = async |ca: &str| {
        let url = format!("{}?ca={ca}", server.url().replace("nats://", "tls://"));
        NatsBus::connect(&url.parse().unwrap(), NatsSettings::default()).await.unwrap()
    };
    let trusting = connect(&certificate).await;
    set_up(&trusting).await;
    let doubting = connect(&stranger).await;
    eventually("the refusal is told", async || {
        let told = doubting.health().await.unwrap_err().to_string();
        told.contains("(client error: ").then_some(())
    })
    .await;
}
