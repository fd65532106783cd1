//! Streams and consumers follow a changed configuration as far as NATS allows; what it does not allow is refused.

use std::time::Duration;

use async_nats::jetstream;
use async_nats::jetstream::consumer::{pull, push};
use dcm_journal::bus::{
    Bus, BusError, Consumer, NatsBus, Retention, Server, Storage, Stream, StreamSettings, Upkeep,
};

use crate::contract::{durable, message, next};
use crate::outage::set_up;
use crate::server::{NatsServer, eventually};

const HOUR: Duration = Duration::from_secs(3600);

async fn context(server: &NatsServer) -> jetstream::Context {
    jetstream::new(async_nats::connect(server.url()).await.unwrap())
}

/// What a second start with other settings comes to.
async fn restarted(server: &NatsServer, settings: &StreamSettings) -> Result<(), BusError> {
    let bus = server.bus().await;
    eventually("an answer for good", async || match bus.ensure_streams(settings).await {
        Err(BusError::Unavailable { .. }) => None,
        answer => Some(answer),
    })
    .await
}

#[tokio::test]
async fn changed_settings_are_applied_to_existing_streams() {
    let server = NatsServer::new().await;
    let bus = server.bus().await;
    set_up(&bus).await;
    bus.publish(Stream::Events, message("dcm.v1.event.a.b.c"), None).await.unwrap();
    let before = bus.tail(Stream::Events).await.unwrap();

    let events = Retention { max_age: HOUR, max_bytes: 1 << 20 };
    let duplicate_window = Duration::from_secs(7);
    let dead = Retention { max_age: HOUR * 9, max_bytes: 0 };
    let settings = StreamSettings { events, duplicate_window, dead, ..StreamSettings::default() };
    restarted(&server, &settings).await.unwrap();

    let context = context(&server).await;
    let config = async |name| context.get_stream(name).await.unwrap().cached_info().config.clone();
    let found = config("DCM_EVENTS").await;
    assert_eq!((found.max_age, found.max_bytes), (HOUR, 1 << 20));
    assert_eq!(found.duplicate_window, duplicate_window);
    let found = config("DCM_DEAD").await;
    assert_eq!((found.max_age, found.max_bytes, found.max_messages_per_subject), (HOUR * 9, -1, 1));
    assert_eq!(bus.tail(Stream::Events).await.unwrap(), before, "what was there stays");
    assert_eq!(bus.settings(&StreamSettings::default()).await.unwrap(), settings);
    context.delete_stream("DCM_DEAD").await.unwrap();
    let otherwise = StreamSettings { replicas: 3, ..StreamSettings::default() };
    let without = StreamSettings { dead: otherwise.dead, ..settings.clone() };
    assert_eq!(
        bus.settings(&otherwise).await.unwrap(),
        without,
        "of a stream that is not there nothing is known"
    );
    restarted(&server, &settings).await.unwrap();

    // What an operator set beside ours is left alone.
    let mut config = config("DCM_EVENTS").await;
    config.description = Some("watched".to_owned());
    context.update_stream(config).await.unwrap();
    restarted(&server, &StreamSettings::default()).await.unwrap();
    let found = context.get_stream("DCM_EVENTS").await.unwrap().cached_info().config.clone();
    assert_eq!((found.max_age, found.description.as_deref()), (Duration::ZERO, Some("watched")));
}

#[tokio::test]
async fn streams_that_are_to_stay_as_they_are_are_left_alone_and_what_is_missing_is_made() {
    let server = NatsServer::new().await;
    set_up(&server.bus().await).await;
    let context = context(&server).await;
    let config = async |name| context.get_stream(name).await.unwrap().cached_info().config.clone();
    let mut events = config("DCM_EVENTS").await;
    (events.max_messages, events.max_bytes) = (100, 1 << 20);
    let events = context.update_stream(events).await.unwrap().config;
    context.delete_stream("DCM_DEAD").await.unwrap();

    let settings =
        StreamSettings { storage: Storage::Memory, leaves_existing: true, ..StreamSettings::default() };
    restarted(&server, &settings).await.unwrap();
    assert_eq!(config("DCM_EVENTS").await, events);
    assert_eq!(config("DCM_DEAD").await.storage, jetstream::stream::StorageType::Memory);
}

#[tokio::test]
async fn what_nats_cannot_change_is_refused_with_what_to_do() {
    let server = NatsServer::new().await;
    set_up(&server.bus().await).await;
    let refusal = async |settings: StreamSettings| {
        let refused = restarted(&server, &settings).await.unwrap_err();
        assert!(matches!(refused, BusError::Invalid { .. }), "{refused}");
        refused.to_string()
    };
    let said = refusal(StreamSettings { storage: Storage::Memory, ..StreamSettings::default() }).await;
    assert!(said.contains("jetstream.storage = \"file\"") && said.contains("delete the stream"), "{said}");
    let said = refusal(StreamSettings { replicas: 3, ..StreamSettings::default() }).await;
    assert!(said.contains("jetstream.replicas is 3") && said.contains("cluster"), "{said}");

    let context = context(&server).await;
    context.delete_stream("DCM_JOBS").await.unwrap();
    let limits = jetstream::stream::Config {
        name: "DCM_JOBS".to_owned(),
        subjects: vec![Stream::Jobs.subjects().to_owned()],
        ..jetstream::stream::Config::default()
    };
    context.create_stream(limits).await.unwrap();
    let said = refusal(StreamSettings::default()).await;
    assert!(said.contains("DCM_JOBS has another retention policy"), "{said}");
}

#[tokio::test]
async fn a_server_that_is_not_fit_is_refused() {
    let server = NatsServer::with_configuration("max_payload: 32KB").await;
    let said = restarted(&server, &StreamSettings::default()).await.unwrap_err().to_string();
    assert!(said.contains("max_payload") && said.contains("65536"), "{said}");

    let server = NatsServer::new().await;
    let bus = server.bus().await;
    let found = eventually("the server answers", async || bus.server().await.ok()).await;
    assert!(matches!(found, Server::Nats { max_payload: 1_048_576, cluster: None, .. }), "{found:?}");
    assert_eq!(bus.largest_message(), 1_048_576);
}

#[tokio::test]
async fn a_durable_consumer_follows_its_changed_settings() {
    let server = NatsServer::new().await;
    let bus = server.bus().await;
    set_up(&bus).await;
    let first = Consumer { filters: vec!["dcm.v1.event.a.>".to_owned()], ..durable("worker") };
    drop(bus.consume(Stream::Events, &first).await.unwrap());
    let second = Consumer {
        filters: vec!["dcm.v1.event.b.>".to_owned(), "dcm.v1.event.c.>".to_owned()],
        ack_wait: Duration::from_secs(44),
        max_deliver: Some(5),
        ..first
    };
    let again = server.bus().await;
    let mut subscription =
        eventually("it is adapted", async || again.consume(Stream::Events, &second).await.ok()).await;
    for subject in ["dcm.v1.event.a.x", "dcm.v1.event.b.x", "dcm.v1.event.c.x"] {
        bus.publish(Stream::Events, message(subject), None).await.unwrap();
    }
    assert_eq!(next(&mut subscription).await.sequence, 2);
    assert_eq!(next(&mut subscription).await.sequence, 3);
    let stream = context(&server).await.get_stream("DCM_EVENTS").await.unwrap();
    let config = stream.consumer_info("worker").await.unwrap().config;
    assert_eq!((config.ack_wait, config.max_deliver), (Duration::from_secs(44), 5));
}

#[tokio::test]
async fn a_consumer_of_another_kind_is_refused_by_its_name() {
    let server = NatsServer::new().await;
    let bus: NatsBus = server.bus().await;
    set_up(&bus).await;
    let stream = context(&server).await.get_stream("DCM_EVENTS").await.unwrap();
    let pushed = push::Config {
        durable_name: Some("worker".to_owned()),
        deliver_subject: "elsewhere".to_owned(),
        ..push::Config::default()
    };
    stream.create_consumer(pushed).await.unwrap();
    let refused = bus.consume(Stream::Events, &durable("worker")).await.unwrap_err();
    let said = refused.to_string();
    assert!(matches!(refused, BusError::Invalid { .. }) && said.contains("worker of DCM_EVENTS"), "{said}");
    assert!(stream.delete_consumer("worker").await.unwrap().success);
    bus.consume(Stream::Events, &durable("worker")).await.unwrap();
    stream.get_consumer::<pull::Config>("worker").await.unwrap();
}
