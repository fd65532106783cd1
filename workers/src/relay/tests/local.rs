//! On the bus of one process.

use dcm_journal::bus::{LocalBus, Message, NatsBus, NatsSettings, Retention, StreamSettings, Upkeep};
use dcm_schemas::Position;

use super::figures::Figures;
use super::site::{PER_ADD, Site};
use super::*;
use crate::relay::place::Reached;
use crate::relay::{StartAt, forget_figures};

fn local() -> Arc<dyn Bus> {
    Arc::new(LocalBus::default())
}

/// The first `count` messages of the event stream, on a bus of their own: what a relay leaves that was killed then.
async fn interrupted(bus: &Arc<dyn Bus>, count: usize) -> Arc<dyn Bus> {
    let copy = local();
    for delivery in messages(bus, Stream::Events).await.into_iter().take(count) {
        copy.publish(Stream::Events, delivery.message, None).await.unwrap();
    }
    copy
}

#[tokio::test]
async fn every_event_comes_once_in_order_and_valid_whatever_the_region_is_called() {
    let (site, bus) = (Site::new().await, local());
    let running = started(relay(&site.journal, &bus)).await;
    site.default_group().await;
    for (n, region) in (1..).zip(HOSTILE) {
        let entity = site.add(n, region).await;
        site.manage(entity).await;
        site.online(entity).await;
    }
    copied(&site.journal, &bus).await;
    let jobs = hints(&bus, Stream::Jobs, HOSTILE.len() as u64).await;
    for (delivery, region) in jobs.iter().zip(HOSTILE) {
        let job: hint::DeployHint = serde_json::from_slice(&delivery.message.payload).unwrap();
        assert_eq!(job.region, region);
    }
    hints(&bus, Stream::Notify, HOSTILE.len() as u64 * 2).await;
    running.stop().await;
    check_copy(&site.journal, &bus, 0, 0).await;
}

#[tokio::test]
async fn relays_that_die_anywhere_leave_no_gap_and_no_double() {
    let (site, bus) = (Site::new().await, local());
    let mut entity = site.add(1, "r1").await;
    let first = site.head().await;
    let running = start(relay(&site.journal, &bus));
    copied(&site.journal, &bus).await;
    running.stop().await;
    for round in 2..40 {
        let running = start(relay(&site.journal, &bus));
        if round % 3 == 0 {
            entity = site.add(round, &format!("r{round}")).await;
        }
        site.manage(entity).await;
        for _ in 0..(round * 7) % 11 {
            tokio::task::yield_now().await;
        }
        running.kill().await;
        site.unmanage(entity).await;
    }
    let running = start(relay(&site.journal, &bus));
    copied(&site.journal, &bus).await;
    let jobs = everything(&site.journal).await;
    let news = jobs.iter().filter(|event| event.position.order > first);
    let count = |name: &str| news.clone().filter(|event| event.envelope.r#type == name).count() as u64;
    hints(&bus, Stream::Jobs, count("DeployRunRequested")).await;
    hints(&bus, Stream::Notify, count("SubcloudManaged")).await;
    running.stop().await;
    check_copy(&site.journal, &bus, 0, first).await;
}

#[tokio::test]
async fn what_was_there_before_the_refill_is_replayed_and_what_came_later_is_news() {
    let (site, bus) = (Site::new().await, local());
    for n in 1..=100 {
        site.add(n, &format!("r{n}")).await;
    }
    let before = site.head().await;
    let running = start(relay(&site.journal, &bus));
    copied(&site.journal, &bus).await;
    assert_eq!(bus.tail(Stream::Jobs).await.unwrap().sequence, 0, "no work is started by a refill");
    site.add(101, "r101").await;
    copied(&site.journal, &bus).await;
    hints(&bus, Stream::Jobs, 1).await;
    running.stop().await;
    check_copy(&site.journal, &bus, 0, before).await;

    // Interrupted half-way and taken up by another relay, it is the same refill.
    let half = interrupted(&bus, 150).await;
    site.add(102, "r102").await;
    let running = start(relay(&site.journal, &half));
    copied(&site.journal, &half).await;
    hints(&half, Stream::Jobs, 2).await;
    running.stop().await;
    check_copy(&site.journal, &half, 0, before).await;
}

#[tokio::test]
async fn a_bus_lost_in_the_middle_of_a_refill_is_refilled_as_far_as_before() {
    let (site, bus) = (Site::new().await, local());
    site.add(1, "r1").await;
    let relay = relay(&site.journal, &bus);
    let place = relay.resume(None).await.unwrap();
    site.add(2, "r2").await;
    let again = relay.resume(Some(place.reached())).await.unwrap();
    assert_eq!((again.order, again.refilled_to), (0, PER_ADD));
}

#[tokio::test]
async fn a_gap_is_what_was_on_the_bus_and_is_gone() {
    let figures = Figures::default();
    let _measured = metrics::set_default_local_recorder(&figures);
    let gaps = || figures.counter("dcm_bus_gaps_healed_total");
    let (site, upkeep) = (Site::new().await, Arc::new(LocalBus::default()));
    let bus: Arc<dyn Bus> = upkeep.clone();
    site.add(1, "r1").await;
    let running = start(relay(&site.journal, &bus));
    copied(&site.journal, &bus).await;
    running.stop().await;
    assert_eq!(gaps(), 0, "a bus that was never used has lost nothing");

    let reached = Some(Reached { order: PER_ADD, known: PER_ADD });
    relay(&site.journal, &bus).resume(reached).await.unwrap();
    assert_eq!(gaps(), 0);
    // Its last messages are gone, or all with the stream.
    let older = interrupted(&bus, 2).await;
    relay(&site.journal, &older).resume(reached).await.unwrap();
    assert_eq!(gaps(), 1);
    relay(&site.journal, &local()).resume(reached).await.unwrap();
    assert_eq!(gaps(), 2);
    // Whether there was something before, a stream says itself; but not why, where messages grow old.
    upkeep.remove(Stream::Events, 1..=PER_ADD).await.unwrap();
    relay(&site.journal, &bus).resume(None).await.unwrap();
    assert_eq!(gaps(), 3);
    let events = Retention { max_age: Duration::from_secs(60), max_bytes: 0 };
    let aging = StreamSettings { events, ..StreamSettings::default() };
    relay(&site.journal, &bus).with_streams(aging).resume(None).await.unwrap();
    assert_eq!(gaps(), 3);
}

#[tokio::test]
async fn a_bus_that_was_never_seen_is_behind_by_the_whole_journal() {
    let figures = Figures::default();
    let _measured = metrics::set_default_local_recorder(&figures);
    let site = Site::new().await;
    site.add(1, "r1").await;
    // Nobody listens there any more.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("nats://{address}").parse().unwrap();
    let bus: Arc<dyn Bus> = Arc::new(NatsBus::connect(&url, NatsSettings::default()).await.unwrap());
    let mut running = start(relay(&site.journal, &bus));
    let state = tokio::time::timeout(LONG, running.health.changed()).await.unwrap();
    assert!(matches!(state, Some(RelayState::Waiting { .. })), "{state:?}");
    let deadline = Instant::now() + LONG;
    let lag = || (figures.gauge("dcm_relay_lag_events"), figures.gauge("dcm_relay_lag_seconds"));
    while lag().0 != PER_ADD as f64 || lag().1 <= 0.0 {
        assert!(Instant::now() < deadline, "{:?}", lag());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    running.stop().await;
    forget_figures();
    assert_eq!(lag(), (0.0, 0.0));
}

#[tokio::test]
async fn a_bus_that_is_new_in_each_process_begins_at_the_head() {
    let (site, bus) = (Site::new().await, local());
    let entity = site.add(1, "a.b").await;
    let head = site.head().await;
    let running = start(relay(&site.journal, &bus).start_at(StartAt::Head(head)));
    site.manage(entity).await;
    copied(&site.journal, &bus).await;
    hints(&bus, Stream::Notify, 1).await;
    running.stop().await;
    assert_eq!(bus.tail(Stream::Jobs).await.unwrap().sequence, 0);
    check_copy(&site.journal, &bus, head, head).await;
}

#[tokio::test]
async fn hints_that_were_not_sent_are_sent_by_the_next_relay() {
    let (site, bus) = (Site::new().await, local());
    let running = started(relay(&site.journal, &bus)).await;
    let entity = site.add(1, "r1").await;
    site.manage(entity).await;
    copied(&site.journal, &bus).await;
    hints(&bus, Stream::Notify, 1).await;
    running.stop().await;
    let told = messages(&bus, Stream::Notify).await.remove(0).message;

    let died = interrupted(&bus, usize::try_from(PER_ADD + 1).unwrap()).await;
    let replacement = start(relay(&site.journal, &died));
    hints(&died, Stream::Jobs, 1).await;
    assert_eq!(hints(&died, Stream::Notify, 1).await.remove(0).message, told);
    replacement.stop().await;
}

#[tokio::test]
async fn of_two_relays_one_is_fenced_and_stops() {
    let (site, bus) = (Site::new().await, local());
    let one = started(relay(&site.journal, &bus)).await;
    let two = started(relay(&site.journal, &bus)).await;
    let entity = site.add(1, "r1").await;
    copied(&site.journal, &bus).await;
    let deadline = Instant::now() + LONG;
    while !one.task.is_finished() && !two.task.is_finished() {
        assert!(Instant::now() < deadline, "one is fenced");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (stale, other) = if one.task.is_finished() { (one, two) } else { (two, one) };
    let health = stale.health.clone();
    assert!(matches!(stale.end().await, RelayError::Fenced));
    assert_eq!(health.state(), RelayState::Fenced);
    site.manage(entity).await;
    copied(&site.journal, &bus).await;
    other.stop().await;
    check_copy(&site.journal, &bus, 0, 0).await;
}

#[tokio::test]
async fn a_bus_of_another_journal_or_writer_stops_the_relay() {
    let figures = Figures::default();
    let _measured = metrics::set_default_local_recorder(&figures);
    let halted = || figures.gauge("dcm_relay_halted_ratio");
    let (site, other, bus) = (Site::new().await, Site::new().await, local());
    let running = start(relay(&site.journal, &bus));
    site.add(1, "r1").await;
    other.add(1, "r1").await;
    copied(&site.journal, &bus).await;
    running.stop().await;

    let running = start(relay(&other.journal, &bus));
    let health = running.health.clone();
    assert!(matches!(running.end().await, RelayError::OtherJournal { .. }));
    assert!(matches!(health.state(), RelayState::Halted { reason } if reason.contains("DCM_EVENTS")));
    assert_eq!(halted(), 1.0);

    let alien = Message {
        subject: "dcm.v1.event.subcloud.r1.subcloud-added".to_owned(),
        id: uuid::Uuid::now_v7(),
        headers: Vec::new(),
        payload: b"{}".as_slice().into(),
    };
    bus.publish(Stream::Events, alien, None).await.unwrap();
    assert!(matches!(start(relay(&site.journal, &bus)).end().await, RelayError::Foreign { .. }));
    assert_eq!(halted(), 1.0);
    forget_figures();
    assert_eq!(halted(), 0.0);
}

#[tokio::test]
async fn a_journal_that_lost_events_stops_the_relay() {
    let (whole, backup) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let site = Site::at(whole.path()).await;
    let entity = site.add(1, "r1").await;
    drop(site);
    for entry in std::fs::read_dir(whole.path()).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), backup.path().join(entry.file_name())).unwrap();
    }
    let (site, bus) = (Site::at(whole.path()).await, local());
    site.manage(entity).await;
    let running = start(relay(&site.journal, &bus));
    copied(&site.journal, &bus).await;
    running.stop().await;

    let restored = Site::at(backup.path()).await;
    let error = start(relay(&restored.journal, &bus)).end().await;
    assert!(matches!(error, RelayError::BusAhead { bus } if bus == PER_ADD + 1), "{error}");
    restored.online(entity).await;
    let error = start(relay(&restored.journal, &bus)).end().await;
    assert!(matches!(error, RelayError::Diverged { order } if order == PER_ADD + 1), "{error}");
}

#[tokio::test]
async fn a_consumer_of_everything_sees_a_gap_by_the_previous_position() {
    let (site, bus) = (Site::new().await, local());
    let running = start(relay(&site.journal, &bus));
    for n in 1..=3 {
        site.add(n, &format!("r{n}")).await;
    }
    copied(&site.journal, &bus).await;
    running.stop().await;
    let mut seen: Vec<Received> = messages(&bus, Stream::Events).await.iter().map(check_event).collect();
    let start = Position { journal: site.journal.id(), order: 0 };
    let gaps = |events: &[Received]| {
        let places = std::iter::once(start).chain(events.iter().map(|event| event.position));
        places.zip(events).filter(|(at, event)| event.previous != *at).count()
    };
    assert_eq!(gaps(&seen), 0);
    seen.remove(5);
    assert_eq!(gaps(&seen), 1);
}
