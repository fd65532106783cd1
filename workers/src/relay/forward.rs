//! One batch: from the journal to the bus, and what follows from it.

use std::sync::Arc;
use std::time::Instant;

use dcm_journal::bus::{BatchError, Message, Published, REPLAYED_HEADER, Stream};
use dcm_journal::trace;
use dcm_schemas::hint::{self, Family, Hint};
use dcm_schemas::{Position, Recorded, cloudevents, subjects};
use tracing::{Instrument, Span};

use super::{BATCH, Keys, Place, REFILLED_TO_HEADER, Relay, Trouble, lag, oversize};

impl Relay {
    /// Publishes the next batch and the hints that follow from it. Whether there may be more at once.
    pub(super) async fn forward(&self, place: &mut Place, keys: &mut Keys) -> Result<bool, Trouble> {
        let events = match self.journal.recent(place.order, BATCH) {
            Some(recent) => recent,
            None => shared(self.journal.read_all(place.order, BATCH).await?),
        };
        let Some(last) = events.last().map(|event| event.position) else {
            lag::none();
            return Ok(false);
        };
        let mut messages = Vec::with_capacity(events.len());
        let mut previous = place.position;
        for event in &events {
            let key = keys.of(self.journal.as_ref(), event).await?;
            messages.push(message(event, previous, &key, place.refilled_to, self.bus.largest_message()));
            previous = event.position;
        }
        self.publish(messages, place.sequence).instrument(publishing(&events)).await?;
        place.order = last.order;
        place.position = last;
        place.sequence += events.len() as u64;
        let hinted = Hinted { jobs: place.refilled_to, notify: place.refilled_to };
        self.hint(&events, hinted, keys).await?;
        let full = events.len() == BATCH;
        match full {
            true => self.observe_lag(Some(place.reached())).await,
            false => lag::none(),
        }
        Ok(full)
    }

    async fn publish(&self, messages: Vec<Message>, sequence: u64) -> Result<(), Trouble> {
        let begun = Instant::now();
        let (stored, error) = match self.bus.publish_batch(Stream::Events, messages, sequence).await {
            Ok(stored) => (stored, None),
            Err(BatchError { stored, source }) => (stored, Some(source)),
        };
        metrics::histogram!("dcm_relay_publish_seconds").record(begun.elapsed().as_secs_f64());
        let new = stored.iter().take_while(|published| !published.duplicate).count();
        metrics::counter!("dcm_relay_published_total").increment(new as u64);
        // The stream ends where it was expected to and yet knows the id: the message was removed from it, and its id is
        // not forgotten yet. It takes the message again once the window for duplicates is over.
        if stored.iter().any(|published: &Published| published.duplicate) {
            return Err(Trouble::Passing("the bus still remembers messages that were removed".to_owned()));
        }
        error.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Sends the hints of the last batch unless they were sent: whoever published it may have died before it did. They
    /// have the same ids, so that one that was sent is not doubled.
    pub(super) async fn repeat_hints(&self, place: &Place, keys: &mut Keys) -> Result<(), Trouble> {
        if place.refilled_to >= place.order {
            return Ok(());
        }
        let mut events = self.journal.read_back(place.order, BATCH).await?;
        events.retain(|event| event.position.order > place.refilled_to);
        let jobs = self.hinted_to(Stream::Jobs).await?.max(place.refilled_to);
        let notify = self.hinted_to(Stream::Notify).await?.max(place.refilled_to);
        self.hint(&shared(events), Hinted { jobs, notify }, keys).await
    }

    /// The order up to which a stream's own end says that hints were sent: they are sent in order.
    async fn hinted_to(&self, stream: Stream) -> Result<u64, Trouble> {
        let last = self.bus.tail(stream).await?.message;
        let position = last.and_then(|message| cloudevents::position(&message.headers));
        Ok(position
            .filter(|position| position.journal == self.journal.id())
            .map_or(0, |position| position.order))
    }

    /// Publishes the hints that follow from `events`, but for those that need none any more.
    async fn hint(&self, events: &[Arc<Recorded>], hinted: Hinted, keys: &mut Keys) -> Result<(), Trouble> {
        let news = hinted.jobs.min(hinted.notify);
        for event in events.iter().filter(|event| event.position.order > news) {
            let key = keys.of(self.journal.as_ref(), event).await?;
            match hint::of(event, &key) {
                Ok(Some(hint)) if event.position.order > hinted.to(hint.family) => {
                    let (stream, message) = hint_message(hint);
                    self.bus.publish(stream, message, None).await?;
                }
                Ok(_) => {}
                // The event itself is on the bus; its reader stops in front of it and says so.
                Err(error) => {
                    tracing::warn!(position = %event.position, %error, "no hint is sent for an event")
                }
            }
        }
        Ok(())
    }
}

fn shared(events: Vec<Recorded>) -> Vec<Arc<Recorded>> {
    events.into_iter().map(Arc::new).collect()
}

/// The span of a batch, linked to the traces in which its events were written.
fn publishing(events: &[Arc<Recorded>]) -> Span {
    let span = tracing::info_span!(
        target: trace::TARGET,
        parent: None,
        "publish",
        otel.kind = "producer",
        otel.name = format_args!("{} publish", Stream::Events.name()),
        messaging.system = "dcm",
        messaging.destination.name = Stream::Events.name(),
        messaging.batch.message_count = events.len(),
    );
    for event in events {
        if let Some(context) = &event.envelope.traceparent {
            trace::link(&span, context);
        }
    }
    span
}

/// Up to which order events need no hints: they are no news, or their hints were sent.
#[derive(Clone, Copy)]
struct Hinted {
    jobs: u64,
    notify: u64,
}

impl Hinted {
    fn to(self, family: Family) -> u64 {
        match family {
            Family::Job => self.jobs,
            Family::Notify => self.notify,
        }
    }
}

/// The message for an event whose subject has the key `key`, where events up to `refilled_to` are no news and a message
/// has at most `largest` bytes.
pub(super) fn message(
    event: &Recorded,
    previous: Position,
    key: &str,
    refilled_to: u64,
    largest: usize,
) -> Message {
    let envelope = &event.envelope;
    let subject = subjects::event(subjects::aggregate(&envelope.stream), key, &envelope.r#type);
    let mut headers = cloudevents::event_headers(event, previous);
    if refilled_to > 0 {
        headers.push((REFILLED_TO_HEADER.to_owned(), refilled_to.to_string()));
    }
    if event.position.order <= refilled_to {
        headers.push((REPLAYED_HEADER.to_owned(), "true".to_owned()));
    }
    let payload = cloudevents::event_payload(envelope).into();
    oversize::fitted(Message { subject, id: envelope.id, headers, payload }, largest)
}

fn hint_message(hint: Hint) -> (Stream, Message) {
    let stream = match hint.family {
        Family::Job => Stream::Jobs,
        Family::Notify => Stream::Notify,
    };
    let message =
        Message { subject: hint.subject, id: hint.id, headers: hint.headers, payload: hint.payload.into() };
    (stream, message)
}
