//! The contract of the `Bus` port, run against every adapter, and what only one of them can show.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[macro_use]
#[path = "bus/contract.rs"]
mod contract;
#[path = "bus/migration.rs"]
mod migration;
#[path = "bus/outage.rs"]
mod outage;
#[path = "bus/server.rs"]
mod server;

/// One test per adapter for each function of [`contract`].
macro_rules! contract_suite {
    ($($case:ident),* $(,)?) => {
        mod local {
            $(#[tokio::test]
            async fn $case() {
                let bus = dcm_journal::bus::LocalBus::default();
                super::contract::$case(std::sync::Arc::new(bus)).await;
            })*
        }
        mod nats {
            $(#[tokio::test]
            async fn $case() {
                use dcm_journal::bus::{Bus, StreamSettings};
                let server = crate::server::NatsServer::new().await;
                let bus = server.bus().await;
                let set_up = async || bus.ensure_streams(&StreamSettings::default()).await.ok();
                crate::server::eventually("the streams exist", set_up).await;
                super::contract::$case(std::sync::Arc::new(bus)).await;
            })*
        }
    };
}

every_case!(contract_suite);

mod bounds {
    use std::sync::Arc;
    use std::time::Duration;

    use dcm_journal::bus::{
        Bus, Consumer, Delivery, LocalBus, LocalSettings, Start, Stream, consume_forever,
    };
    use futures::StreamExt;
    use tokio::sync::mpsc;
    use tokio_util::sync::CancellationToken;

    use crate::contract::{durable, message, next};

    async fn flood(bus: &LocalBus, count: usize) {
        for _ in 0..count {
            bus.publish(Stream::Events, message("dcm.v1.event.a.b.c"), None).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_slow_local_subscriber_is_ended_and_goes_on_with_what_is_kept() {
        let bus = LocalBus::new(LocalSettings { capacity: 10, ..LocalSettings::default() });
        let consumer = durable("slow");
        let mut subscription = bus.consume(Stream::Events, &consumer).await.unwrap();
        flood(&bus, 1).await;
        assert_eq!(next(&mut subscription).await.sequence, 1);
        flood(&bus, 30).await;
        assert!(subscription.next().await.is_none());
        assert!(subscription.end().unwrap().contains("lagged"));
        let mut subscription = bus.consume(Stream::Events, &consumer).await.unwrap();
        assert_eq!(next(&mut subscription).await.sequence, 22);
    }

    #[tokio::test]
    async fn a_lagged_consumer_is_rebuilt() {
        let bus = LocalBus::new(LocalSettings { capacity: 10, ..LocalSettings::default() });
        let (sender, mut received) = mpsc::unbounded_channel();
        let flooded = bus.clone();
        let handle = move |delivery: Delivery| {
            let (bus, sender) = (flooded.clone(), sender.clone());
            async move {
                if delivery.sequence == 1 {
                    flood(&bus, 30).await;
                }
                sender.send(delivery.sequence).unwrap();
            }
        };
        let stop = CancellationToken::new();
        let consumer = Consumer { start: Start::All, ..Consumer::default() };
        let running = tokio::spawn(consume_forever(
            Arc::new(bus.clone()),
            Stream::Events,
            consumer,
            stop.clone(),
            handle,
        ));
        flood(&bus, 1).await;
        for expected in [1, 22, 23] {
            let seen = tokio::time::timeout(Duration::from_secs(10), received.recv()).await.unwrap();
            assert_eq!(seen, Some(expected));
        }
        stop.cancel();
        running.await.unwrap();
    }
}
