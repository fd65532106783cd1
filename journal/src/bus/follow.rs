//! Keeps a consumer going: a message stream ends, so it is watched, logged, counted and rebuilt.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span};

use super::{Bus, BusError, Consumer, Delivery, Start, Stream, Subscription};
use crate::trace;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Hands every delivery to `handle`, one after the other, and rebuilds the subscription whenever it ends, until `stop`
/// is cancelled (a delivery being handled is finished first). The handler settles its deliveries itself.
///
/// A rebuilt consumer without a durable name goes on after the last message handed over; what it had not settled does
/// not come again. When the stream was re-created meanwhile, it begins anew with all messages. One log line is written
/// when the subscription ends and one when it is back; `dcm_bus_consumer_rebuilds_total{stream,consumer}` counts the
/// ends.
pub async fn consume_forever<H, F>(
    bus: Arc<dyn Bus>,
    stream: Stream,
    consumer: Consumer,
    stop: CancellationToken,
    mut handle: H,
) where
    H: FnMut(Delivery) -> F + Send,
    F: Future<Output = ()> + Send,
{
    let mut place = Place { stream, consumer, incarnation: None };
    let mut health = Health::new(&place);
    while !stop.is_cancelled() {
        let begun = tokio::select! {
            () = stop.cancelled() => return,
            begun = place.subscribe(bus.as_ref()) => begun,
        };
        let reason = match begun {
            Err(error) => error.to_string(),
            Ok(mut subscription) => {
                health.up();
                while let Some(delivery) = next(&mut subscription, &stop).await {
                    place.handed(&delivery);
                    let span = health.consuming(&delivery);
                    handle(delivery).instrument(span).await;
                }
                if stop.is_cancelled() {
                    return;
                }
                metrics::counter!(
                    "dcm_bus_consumer_rebuilds_total",
                    "stream" => stream.name(),
                    "consumer" => health.name.clone()
                )
                .increment(1);
                subscription.end().unwrap_or_default().to_owned()
            }
        };
        let pause = health.down(&reason);
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn next(subscription: &mut Subscription, stop: &CancellationToken) -> Option<Delivery> {
    tokio::select! {
        biased;
        () = stop.cancelled() => None,
        delivery = subscription.next() => delivery,
    }
}

/// Where the consumer is to go on.
struct Place {
    stream: Stream,
    consumer: Consumer,
    /// The creation of the stream that the consumer's start refers to.
    incarnation: Option<String>,
}

impl Place {
    async fn subscribe(&mut self, bus: &dyn Bus) -> Result<Subscription, BusError> {
        // A work queue keeps what is unsettled and has no other start than all.
        if !self.stream.is_work_queue() {
            self.refresh_start(bus).await?;
        }
        bus.consume(self.stream, &self.consumer).await
    }

    async fn refresh_start(&mut self, bus: &dyn Bus) -> Result<(), BusError> {
        let tail = bus.tail(self.stream).await?;
        match &self.incarnation {
            Some(known) if *known != tail.incarnation => self.consumer.start = Start::All,
            // "New" means from now, also when the first subscription ends before its first message.
            None if self.consumer.start == Start::New => {
                self.consumer.start = Start::AfterSequence(tail.sequence);
            }
            _ => {}
        }
        self.incarnation = Some(tail.incarnation);
        Ok(())
    }

    fn handed(&mut self, delivery: &Delivery) {
        if self.stream.is_work_queue() {
            return;
        }
        let seen = match self.consumer.start {
            Start::AfterSequence(sequence) => sequence.max(delivery.sequence),
            Start::New | Start::All => delivery.sequence,
        };
        self.consumer.start = Start::AfterSequence(seen);
    }
}

/// Whether the consumer runs, for the log, and how long to wait before it is rebuilt.
struct Health {
    stream: &'static str,
    name: String,
    up_since: Option<Instant>,
    failures: u32,
    pause: Duration,
}

impl Health {
    /// The spans of one delivery: the exported one belongs to no trace of the sender's, but is linked to it; that of the log
    /// names the request and the trace that the message came from.
    fn consuming(&self, delivery: &Delivery) -> Span {
        let message = &delivery.message;
        let cause = message.header("traceparent");
        let consuming = tracing::info_span!(
            target: trace::TARGET,
            parent: None,
            "consume",
            otel.kind = "consumer",
            otel.name = format_args!("{} consume", self.stream),
            messaging.system = "dcm",
            messaging.destination.name = self.stream,
            messaging.consumer.group.name = self.name,
            messaging.message.id = %message.id,
            dcm.attempt = delivery.attempt,
        );
        if let Some(cause) = cause {
            trace::link(&consuming, cause);
        }
        tracing::info_span!(
            parent: &consuming,
            "message",
            consumer = self.name,
            id = %message.id,
            request_id = message.header("ce-requestid"),
            trace_id = cause.and_then(trace::trace_of),
        )
    }

    fn new(place: &Place) -> Self {
        let name = place.consumer.durable.clone().unwrap_or_else(|| "ephemeral".to_owned());
        Self { stream: place.stream.name(), name, up_since: None, failures: 0, pause: FIRST_PAUSE }
    }

    fn up(&mut self) {
        if self.failures > 0 {
            tracing::info!(
                stream = self.stream,
                consumer = self.name,
                attempts = self.failures,
                "bus consumer is back"
            );
        }
        self.failures = 0;
        self.up_since = Some(Instant::now());
    }

    /// Notes that the consumer does not run and returns how long to wait.
    fn down(&mut self, reason: &str) -> Duration {
        if self.failures == 0 {
            tracing::warn!(
                stream = self.stream,
                consumer = self.name,
                reason,
                "bus consumer ended, rebuilding it"
            );
        }
        self.failures = self.failures.saturating_add(1);
        // Only a subscription that lasted resets the pause: one that ends at once must not spin.
        if self.up_since.take().is_some_and(|since| since.elapsed() > LONGEST_PAUSE) {
            self.pause = FIRST_PAUSE;
        }
        let pause = self.pause;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        pause
    }
}
