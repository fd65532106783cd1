//! The bus of the configuration, and the signals between processes that go over it.

use std::sync::Arc;

use bytes::Bytes;
use dcm_journal::bus::{Bus, BusError, LocalBus, NatsBus, NatsSettings, NatsUrl, Upkeep};
use dcm_journal::store::Journal;
use dcm_projections::Progress;
use dcm_schemas::{JournalId, Position};
use futures::StreamExt;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::commands::Failure;
use crate::config::{Config, Role};

/// Rung when a process has appended.
const APPENDED: &str = "dcm.v1.signal.appended";
/// Rung when a projector has committed.
const PROJECTED: &str = "dcm.v1.signal.projected";
/// How long a start, or a check, waits for a server that is being connected to.
const CONNECTS_WITHIN: std::time::Duration = std::time::Duration::from_secs(3);
/// Pause between two looks at a connection that is being made.
const GLANCE: std::time::Duration = std::time::Duration::from_millis(20);
/// Pause before listening again.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(500);

/// Opens the bus. A server that is away is waited for, a moment here and then in the background.
///
/// # Errors
/// [`Failure::Start`] if the URL cannot be used.
pub async fn connect(config: &Config) -> Result<Arc<dyn Upkeep>, Failure> {
    if config.bus.starts_with("local:") {
        return Ok(Arc::new(LocalBus::default()));
    }
    let url: NatsUrl = config.bus.parse().map_err(|error| Failure::start("bus", error))?;
    let bus = NatsBus::connect(&url, NatsSettings::default()).await;
    let bus: Arc<dyn Upkeep> = Arc::new(bus.map_err(|error| Failure::start("bus", error))?);
    // What is connected a moment later need not be told as missing.
    let _ = tokio::time::timeout(CONNECTS_WITHIN, async {
        while bus.health().await.is_err() {
            tokio::time::sleep(GLANCE).await;
        }
    })
    .await;
    Ok(bus)
}

/// Creates or adapts the streams of the bus, if this process has the relay, which does so again and again; a bus that is
/// away is not waited for.
///
/// # Errors
/// [`Failure::Start`] if the bus can never be as it is configured, and what to do.
pub async fn prepare(bus: &dyn Bus, config: &Config) -> Result<(), Failure> {
    if !config.has(Role::Relay) {
        return Ok(());
    }
    match bus.ensure_streams(&config.jetstream.streams()).await {
        Err(error @ BusError::Invalid { .. }) => Err(Failure::start("bus", error)),
        Err(error @ BusError::Unavailable { .. }) => {
            tracing::warn!(%error, "the bus is not ready; it is tried again");
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

/// Tells other processes how far the journal is, as often as it grows and as the bus keeps up.
pub async fn announce_appends(bus: Arc<dyn Bus>, journal: Arc<dyn Journal>, stop: CancellationToken) {
    announce(&bus, APPENDED, journal.id(), journal.appended(), &stop).await;
}

/// Tells other processes how far the read models are.
pub async fn announce_progress(
    bus: Arc<dyn Bus>,
    journal: JournalId,
    progress: Progress,
    stop: CancellationToken,
) {
    announce(&bus, PROJECTED, journal, progress.follow(), &stop).await;
}

async fn announce(
    bus: &Arc<dyn Bus>,
    subject: &str,
    journal: JournalId,
    mut orders: watch::Receiver<u64>,
    stop: &CancellationToken,
) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            changed = orders.changed() => if changed.is_err() { return },
        }
        let order = *orders.borrow_and_update();
        let payload = Bytes::from(Position { journal, order }.to_string());
        // A lost signal costs a moment: whoever waits also looks by itself.
        if let Err(error) = bus.signal(subject, payload).await {
            tracing::debug!(%error, subject, "not signalled");
        }
    }
}

/// Rings `bell` whenever another process has appended.
pub async fn hear_appends(bus: Arc<dyn Bus>, journal: JournalId, bell: Arc<Notify>, stop: CancellationToken) {
    hear(&bus, APPENDED, journal, &stop, |_| bell.notify_waiters()).await;
}

/// Passes on what other processes' projectors have committed.
pub async fn hear_progress(
    bus: Arc<dyn Bus>,
    journal: JournalId,
    progress: Progress,
    stop: CancellationToken,
) {
    hear(&bus, PROJECTED, journal, &stop, |order| progress.reached(order)).await;
}

async fn hear(
    bus: &Arc<dyn Bus>,
    subject: &str,
    journal: JournalId,
    stop: &CancellationToken,
    mut heard: impl FnMut(u64),
) {
    while !stop.is_cancelled() {
        if let Ok(mut signals) = bus.listen(subject).await {
            loop {
                let signal = tokio::select! {
                    () = stop.cancelled() => return,
                    signal = signals.next() => signal,
                };
                let Some(signal) = signal else { break };
                let place =
                    std::str::from_utf8(&signal.payload).ok().and_then(|text| text.parse::<Position>().ok());
                if let Some(place) = place.filter(|place| place.journal == journal) {
                    heard(place.order);
                }
            }
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}
