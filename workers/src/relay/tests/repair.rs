//! Proving that journal and bus agree, and making them agree again.

use std::ops::RangeInclusive;

use dcm_journal::bus::{LocalBus, Message, Retention, StreamSettings, Upkeep};
use dcm_schemas::Position;

use super::nats::Server;
use super::site::{PER_ADD, Site};
use super::*;
use crate::relay::{Findings, Repair, RepairError, Repaired, VerifyError, Window, verify};

const AT_ONCE: Duration = Duration::ZERO;

/// Both kinds of bus, one after the other.
macro_rules! on_both {
    ($($case:ident),* $(,)?) => {
        mod on_local {
            $(#[tokio::test]
            async fn $case() {
                super::$case(super::Bed::local().await).await;
            })*
        }
        mod on_nats {
            $(#[tokio::test]
            async fn $case() {
                super::$case(super::Bed::nats().await).await;
            })*
        }
    };
}

on_both!(
    a_copy_agrees,
    a_hole_is_found_and_repaired,
    a_lost_tail_is_found_and_repaired,
    an_emptied_stream_is_found_and_repaired,
    what_does_not_belong_is_found_and_removed,
    a_bus_ahead_is_refused_and_can_be_rebuilt,
    a_bus_of_another_journal_is_refused_and_can_be_rebuilt,
    a_relay_at_work_is_fenced_and_goes_on,
    what_is_behind_is_waited_for,
    windows_look_at_their_part,
);

/// A journal, a bus, and what keeps them.
pub(super) struct Bed {
    pub(super) site: Site,
    pub(super) bus: Arc<dyn Bus>,
    pub(super) upkeep: Arc<dyn Upkeep>,
    streams: StreamSettings,
    _server: Option<Server>,
}

/// Ids are soon forgotten, so that what was removed can soon be published again.
pub(super) fn streams() -> StreamSettings {
    StreamSettings { duplicate_window: Duration::from_millis(300), ..StreamSettings::default() }
}

impl Bed {
    pub(super) async fn local() -> Self {
        Self::on(Arc::new(LocalBus::default()), streams(), None).await
    }

    pub(super) async fn nats() -> Self {
        Self::nats_with(streams()).await
    }

    pub(super) async fn nats_with(streams: StreamSettings) -> Self {
        let server = Server::new().await;
        let bus = server.nats_bus().await;
        Self::on(Arc::new(bus), streams, Some(server)).await
    }

    pub(super) async fn on(upkeep: Arc<dyn Upkeep>, streams: StreamSettings, server: Option<Server>) -> Self {
        let bus: Arc<dyn Bus> = upkeep.clone();
        let deadline = Instant::now() + LONG;
        while upkeep.ensure_streams(&streams).await.is_err() {
            assert!(Instant::now() < deadline, "the streams exist");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Self { site: Site::new().await, bus, upkeep, streams, _server: server }
    }

    /// With its streams adapted to other settings.
    pub(super) async fn adapted(self, streams: StreamSettings) -> Self {
        self.upkeep.ensure_streams(&streams).await.unwrap();
        Self { streams, ..self }
    }

    pub(super) fn relay(&self) -> Relay {
        relay(&self.site.journal, &self.bus).with_streams(self.streams.clone())
    }

    /// `count` subclouds, copied by a relay that has ended.
    pub(super) async fn filled(&self, count: u64) {
        let running = started(self.relay()).await;
        for n in 1..=count {
            let entity = self.site.add(n, &format!("r{n}")).await;
            self.site.manage(entity).await;
        }
        self.copied().await;
        running.stop().await;
    }

    pub(super) async fn copied(&self) {
        copied(&self.site.journal, &self.bus).await;
    }

    pub(super) async fn verify(&self, window: Window) -> Findings {
        verify(&*self.site.journal, &*self.upkeep, window, AT_ONCE).await.unwrap()
    }

    pub(super) async fn repair(&self) -> Result<Repaired, RepairError> {
        self.repairing(false).run().await
    }

    async fn rebuild(&self) -> Repaired {
        self.repairing(true).run().await.unwrap()
    }

    fn repairing(&self, rebuild: bool) -> Repair {
        Repair::new(Arc::clone(&self.site.journal), Arc::clone(&self.upkeep), self.streams.clone(), rebuild)
    }

    pub(super) async fn remove(&self, sequences: RangeInclusive<u64>) {
        self.upkeep.remove(Stream::Events, sequences).await.unwrap();
    }

    async fn tail(&self) -> u64 {
        self.bus.tail(Stream::Events).await.unwrap().sequence
    }
}

pub(super) fn orders(found: &crate::relay::Differences) -> Vec<u64> {
    found.first.iter().map(|difference| difference.position.unwrap().order).collect()
}

/// Nothing differs, and it is so for who reads the bus himself; events in `replayed` are marked.
pub(super) async fn agrees(bed: &Bed, replayed: RangeInclusive<u64>) {
    let found = bed.verify(Window::ALL).await;
    let head = bed.site.head().await;
    assert!(found.agrees, "{found:?}");
    assert_eq!((found.events, found.messages, found.dropped), (head, head, 0));
    let mut sequences = Vec::new();
    for kept in bed.upkeep.read(Stream::Events, 1, 10_000).await.unwrap() {
        let message = kept.message.unwrap();
        let order = cloudevents::position(&message.headers).unwrap().order;
        assert_eq!(message.is_replayed(), replayed.contains(&order), "event {order}");
        sequences.push(kept.sequence);
    }
    assert!(sequences.is_sorted());
}

async fn a_copy_agrees(bed: Bed) {
    let empty = bed.verify(Window::ALL).await;
    assert!(empty.agrees && empty.from.is_none() && empty.to.is_none(), "{empty:?}");
    bed.filled(3).await;
    agrees(&bed, 0..=0).await;
    let before = bed.tail().await;
    let done = bed.repair().await.unwrap();
    assert!(done.republished_from.is_none() && done.removed.is_none() && done.findings.agrees, "{done:?}");
    assert!(!done.refilled && bed.tail().await == before, "nothing was done");
}

async fn a_hole_is_found_and_repaired(bed: Bed) {
    bed.filled(4).await;
    let head = bed.site.head().await;
    bed.remove(7..=8).await;
    let found = bed.verify(Window::ALL).await;
    assert!(!found.agrees);
    assert_eq!((found.missing.count, orders(&found.missing)), (2, vec![7, 8]));
    let others = [&found.doubled, &found.out_of_order, &found.wrong_previous, &found.foreign];
    assert!(others.iter().all(|kind| kind.count == 0), "{found:?}");

    let hints = bed.bus.tail(Stream::Jobs).await.unwrap().sequence;
    let done = bed.repair().await.unwrap();
    assert_eq!(done.republished_from.unwrap().order, 7);
    assert_eq!(done.replayed_to.unwrap().order, head);
    assert_eq!(done.removed, Some((7, head)));
    assert!(done.findings.agrees && !done.refilled);
    agrees(&bed, 7..=head).await;
    assert_eq!(bed.bus.tail(Stream::Jobs).await.unwrap().sequence, hints, "no work is started by a repair");

    // What comes afterwards is news.
    let running = started(bed.relay()).await;
    bed.site.add(5, "r5").await;
    bed.copied().await;
    running.stop().await;
    agrees(&bed, 7..=head).await;
}

async fn a_lost_tail_is_found_and_repaired(bed: Bed) {
    bed.filled(2).await;
    let head = bed.site.head().await;
    bed.remove(6..=head).await;
    let found = bed.verify(Window::ALL).await;
    assert_eq!(orders(&found.missing), (6..=head).collect::<Vec<_>>());
    // Not on the bus before: news, whoever publishes it.
    bed.site.add(3, "r3").await;
    let done = bed.repair().await.unwrap();
    assert_eq!((done.replayed_to.unwrap().order, done.removed), (head, None));
    agrees(&bed, 6..=head).await;
}

async fn an_emptied_stream_is_found_and_repaired(bed: Bed) {
    bed.filled(2).await;
    let head = bed.site.head().await;
    bed.remove(1..=head).await;
    let found = bed.verify(Window::ALL).await;
    assert_eq!((found.missing.count, found.messages, found.dropped), (head, 0, 0));
    let done = bed.repair().await.unwrap();
    assert!(done.findings.agrees && done.refilled, "{done:?}");
    agrees(&bed, 1..=head).await;
}

async fn what_does_not_belong_is_found_and_removed(bed: Bed) {
    bed.filled(2).await;
    let head = bed.site.head().await;
    let message = async |sequence| {
        let kept = bed.upkeep.read(Stream::Events, sequence, 1).await.unwrap().remove(0);
        Message { id: uuid::Uuid::now_v7(), ..kept.message.unwrap() }
    };
    let alien = Message { headers: Vec::new(), ..message(1).await };
    bed.bus.publish(Stream::Events, alien, None).await.unwrap();
    let doubled = message(4).await;
    // The id of the message is forgotten by now, or is said to be another one.
    let kept = bed.upkeep.read(Stream::Events, 4, 1).await.unwrap().remove(0).message.unwrap();
    bed.bus.publish(Stream::Events, doubled, None).await.unwrap();
    publish_again(&bed, kept).await;

    let found = bed.verify(Window::ALL).await;
    assert_eq!((found.foreign.count, found.doubled.count, found.missing.count), (2, 1, 0), "{found:?}");
    let done = bed.repairing(false).run().await;
    // A message that says to be of an event and is not, somebody has to look at.
    assert!(matches!(done, Err(RepairError::Refused(RelayError::Diverged { order: 4 }))), "{done:?}");
    bed.remove(head + 2..=head + 2).await;
    let done = bed.repair().await.unwrap();
    assert_eq!((done.republished_from, done.removed.unwrap().0), (None, head + 1));
    agrees(&bed, 0..=0).await;
}

/// Publishes a message again once its id is forgotten.
pub(super) async fn publish_again(bed: &Bed, message: Message) {
    let deadline = Instant::now() + LONG;
    while bed.bus.publish(Stream::Events, message.clone(), None).await.unwrap().duplicate {
        assert!(Instant::now() < deadline, "the id is forgotten");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn a_bus_ahead_is_refused_and_can_be_rebuilt(bed: Bed) {
    let (whole, backup) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let site = Site::at(whole.path()).await;
    let entity = site.add(1, "r1").await;
    drop(site);
    for entry in std::fs::read_dir(whole.path()).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), backup.path().join(entry.file_name())).unwrap();
    }
    let bed = Bed { site: Site::at(whole.path()).await, ..bed };
    let running = started(bed.relay()).await;
    bed.site.manage(entity).await;
    bed.copied().await;
    running.stop().await;

    let bed = Bed { site: Site::at(backup.path()).await, ..bed };
    let found = bed.verify(Window::ALL).await;
    assert_eq!((found.foreign.count, found.missing.count), (1, 0), "{found:?}");
    let refused = bed.repair().await.unwrap_err();
    let ahead = PER_ADD + 1;
    assert!(
        matches!(refused, RepairError::Refused(RelayError::BusAhead { bus }) if bus == ahead),
        "{refused}"
    );
    // Written again since, it has another event there.
    bed.site.online(entity).await;
    let refused = bed.repair().await.unwrap_err();
    assert!(matches!(refused, RepairError::Refused(RelayError::Diverged { .. })), "{refused}");
    assert!(bed.rebuild().await.findings.agrees);
    agrees(&bed, 1..=PER_ADD + 1).await;
}

async fn a_bus_of_another_journal_is_refused_and_can_be_rebuilt(bed: Bed) {
    bed.filled(1).await;
    let bed = Bed { site: Site::new().await, ..bed };
    let before = bed.tail().await;
    let refused = bed.repairing(true).run().await.unwrap_err();
    assert!(matches!(refused, RepairError::NothingToFill), "{refused}");
    assert_eq!(bed.upkeep.extent(Stream::Events).await.unwrap().messages, before, "nothing is removed");
    bed.site.add(1, "r1").await;
    let refused = bed.repair().await.unwrap_err();
    assert!(matches!(refused, RepairError::Refused(RelayError::OtherJournal { .. })), "{refused}");
    assert!(bed.rebuild().await.findings.agrees);
    agrees(&bed, 1..=PER_ADD).await;
}

/// As the role does: starts over when it was fenced.
async fn keep_relaying(relay: Relay, stop: CancellationToken) {
    while !stop.is_cancelled() {
        match relay.run(&stop).await {
            Ok(()) | Err(RelayError::Fenced) => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(error) => panic!("{error}"),
        }
    }
}

async fn a_relay_at_work_is_fenced_and_goes_on(bed: Bed) {
    bed.filled(5).await;
    bed.remove(9..=9).await;
    let stop = CancellationToken::new();
    let relaying = tokio::spawn(keep_relaying(bed.relay(), stop.clone()));
    let entity = bed.site.add(6, "r6").await;
    let (done, ()) = tokio::join!(bed.repair(), async {
        for _ in 0..50 {
            bed.site.manage(entity).await;
            bed.site.unmanage(entity).await;
        }
    });
    assert!(done.unwrap().findings.missing.count == 0);
    bed.copied().await;
    stop.cancel();
    relaying.await.unwrap();
    let found = bed.verify(Window::ALL).await;
    assert!(found.agrees && found.dropped == 0, "{found:?}");
}

async fn what_is_behind_is_waited_for(bed: Bed) {
    bed.filled(1).await;
    bed.site.add(2, "r2").await;
    let found = bed.verify(Window::ALL).await;
    assert_eq!(found.missing.count, PER_ADD);
    let running = start(bed.relay());
    let found = verify(&*bed.site.journal, &*bed.upkeep, Window::ALL, LONG).await.unwrap();
    assert!(found.agrees, "{found:?}");
    running.stop().await;
}

async fn windows_look_at_their_part(bed: Bed) {
    bed.filled(5).await;
    let head = bed.site.head().await;
    bed.remove(3..=3).await;
    let last = bed.verify(Window::Last(10)).await;
    assert!(last.agrees && last.events == 10, "{last:?}");
    assert_eq!((last.from.unwrap().order, last.to.unwrap().order), (head - 9, head));
    assert_eq!(bed.verify(Window::Last(head)).await.missing.count, 1);
    assert_eq!(bed.verify(Window::Last(head * 9)).await.events, head);
    let part = bed.verify(Window::Between(Some(4), Some(9))).await;
    assert!(part.agrees && part.events == 6, "{part:?}");
    let part = bed.verify(Window::Between(Some(2), Some(5))).await;
    assert_eq!(orders(&part.missing), [3]);
    let beyond =
        verify(&*bed.site.journal, &*bed.upkeep, Window::Between(None, Some(head + 1)), AT_ONCE).await;
    assert!(matches!(beyond, Err(VerifyError::NoSuchEvent(order)) if order == head + 1), "{beyond:?}");
    let json = serde_json::to_value(&part).unwrap();
    let position = Position { journal: bed.site.journal.id(), order: 3 };
    assert_eq!(json["agrees"], false);
    assert_eq!(json["missing"]["count"], 1);
    assert_eq!(json["missing"]["first"][0]["position"], position.to_string());
}

/// Who repairs with another configuration than who serves, or with none, leaves everything as it was set up.
#[tokio::test]
async fn streams_stay_set_up_as_they_are() {
    let events = Retention { max_age: Duration::ZERO, max_bytes: 5 << 20 };
    let bed = Bed::nats_with(StreamSettings { events, ..streams() }).await;
    bed.filled(2).await;
    bed.remove(3..=3).await;
    let (journal, upkeep) = (Arc::clone(&bed.site.journal), Arc::clone(&bed.upkeep));
    let done = Repair::new(journal, upkeep, StreamSettings::default(), false).run().await.unwrap();
    assert!(done.findings.agrees && done.removed.is_some(), "{done:?}");
    assert_eq!(bed.upkeep.settings(&StreamSettings::default()).await.unwrap(), bed.streams);
}
