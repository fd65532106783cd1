//! The demo fleet is filled in once, whatever interrupts it.

use std::path::Path;
use std::sync::Arc;

use dcm_domain::subcloud::command::{LoseRun, LostBecause, ReportAvailability, UnmanageSubcloud};
use dcm_domain::subcloud::{NO_ERROR, Subcloud};
use dcm_domain::value::{Availability, DeployStatus, ManagementState, Name, Region, Subnet, SyncStatus};
use dcm_journal::fleet::{Fleet, Reference};
use dcm_journal::store::{self, Journal};
use dcm_workers::demo::fill::{FillError, Filled, fill};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::faulty::Faulty;
use super::housekeeping::reserve;
use super::site::{demo, meta};

async fn open(dir: &Path) -> Arc<dyn Journal> {
    store::open("embedded:", dir).await.unwrap()
}

/// A fill in a process of its own: with nothing cached.
async fn fill_anew(journal: &Arc<dyn Journal>, count: u32) -> Result<Filled, FillError> {
    let fleet = Fleet::new(journal).unwrap();
    fill(&fleet, journal, &demo(count), &CancellationToken::new()).await
}

async fn entity(fleet: &Fleet, number: u32) -> Uuid {
    let name = Name::parse(&format!("subcloud{number}")).unwrap();
    fleet.resolve(&Reference::Name(name)).await.unwrap().unwrap()
}

async fn subcloud(journal: &Arc<dyn Journal>, number: u32) -> Arc<Subcloud> {
    let fleet = Fleet::new(journal).unwrap();
    fleet.subcloud(entity(&fleet, number).await).await.unwrap().state.unwrap()
}

async fn assert_filled(journal: &Arc<dyn Journal>, count: u32) {
    for number in 1..=count {
        let subcloud = subcloud(journal, number).await;
        assert_eq!(subcloud.management, ManagementState::Managed, "{number}");
        assert_eq!(subcloud.availability, Availability::Online, "{number}");
        assert_eq!(subcloud.deploy, DeployStatus::Complete, "{number}");
        assert_eq!(
            (subcloud.run.as_ref(), subcloud.error_description.as_str()),
            (None, NO_ERROR),
            "{number}"
        );
        assert_eq!(subcloud.endpoints.len(), 8);
        assert!(subcloud.endpoints.values().all(|status| *status == SyncStatus::InSync), "{number}");
    }
}

/// Event names of the whole journal, and how many of each.
async fn tally(journal: &Arc<dyn Journal>) -> std::collections::BTreeMap<String, usize> {
    let mut tally = std::collections::BTreeMap::new();
    for event in journal.read_all(0, 100_000).await.unwrap() {
        *tally.entry(event.envelope.r#type).or_default() += 1;
    }
    tally
}

#[tokio::test]
async fn twenty_are_filled_in_order_and_a_second_fill_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path()).await;
    assert_eq!(fill_anew(&journal, 20).await.unwrap(), Filled { filled: 20, found: 0, left: 0 });
    assert_filled(&journal, 20).await;
    for number in 1..=20 {
        assert_eq!(subcloud(&journal, number).await.id, i64::from(number), "ids follow the names");
    }
    let head = journal.head().await.unwrap();
    assert_eq!(fill_anew(&journal, 20).await.unwrap(), Filled { filled: 0, found: 20, left: 0 });
    assert_eq!(journal.head().await.unwrap(), head);
    assert_eq!(fill_anew(&journal, 22).await.unwrap(), Filled { filled: 2, found: 20, left: 0 });
}

#[tokio::test]
async fn a_fill_interrupted_anywhere_is_completed_without_repeating_anything() {
    let whole = tempfile::tempdir().unwrap();
    let journal = open(whole.path()).await;
    fill_anew(&journal, 3).await.unwrap();
    let expected = tally(&journal).await;

    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path()).await;
    let faulty = Faulty::over(Arc::clone(&journal));
    let through: Arc<dyn Journal> = faulty.clone();
    let mut interruptions = 0;
    loop {
        faulty.allow_appends(3);
        match fill_anew(&through, 3).await {
            Ok(_) => break,
            Err(FillError::Unavailable(_)) => interruptions += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert!(interruptions > 10, "{interruptions}");
    assert_filled(&journal, 3).await;
    let mut found = tally(&journal).await;
    // A confirmation that was lost with its answer is made good by housekeeping.
    found.insert("EntryConfirmed".to_owned(), 3);
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_stopped_fill_says_so_and_goes_on_the_next_time() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path()).await;
    let fleet = Fleet::new(&journal).unwrap();
    let stop = CancellationToken::new();
    let settings = demo(5);
    let mut appended = journal.appended();
    let (stopped, ()) = tokio::join!(fill(&fleet, &journal, &settings, &stop), async {
        appended.wait_for(|order| *order >= 40).await.unwrap();
        stop.cancel();
    });
    assert!(matches!(stopped, Err(FillError::Stopped)));
    fill_anew(&journal, 5).await.unwrap();
    assert_filled(&journal, 5).await;
}

#[tokio::test]
async fn what_was_done_to_the_fleet_later_stays() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path()).await;
    fill_anew(&journal, 2).await.unwrap();
    let fleet = Fleet::new(&journal).unwrap();
    let migrate = UnmanageSubcloud { migrate: true, ..UnmanageSubcloud::default() };
    fleet.run(entity(&fleet, 1).await, &migrate, &meta()).await.unwrap();
    let second = entity(&fleet, 2).await;
    fleet.run(second, &UnmanageSubcloud::default(), &meta()).await.unwrap();
    fleet.run(second, &ReportAvailability { to: Availability::Offline }, &meta()).await.unwrap();
    fleet.delete(second, &meta()).await.unwrap();
    let head = journal.head().await.unwrap();
    assert_eq!(fill_anew(&journal, 2).await.unwrap(), Filled { filled: 0, found: 2, left: 0 });
    assert_eq!(journal.head().await.unwrap(), head);
}

#[tokio::test]
async fn a_subcloud_changed_before_it_was_filled_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let journal = open(dir.path()).await;
    let faulty = Faulty::over(Arc::clone(&journal));
    let through: Arc<dyn Journal> = faulty.clone();
    faulty.allow_appends(5);
    fill_anew(&through, 1).await.unwrap_err();
    let fleet = Fleet::new(&journal).unwrap();
    let run_id =
        fleet.subcloud(entity(&fleet, 1).await).await.unwrap().state.unwrap().run.as_ref().unwrap().id;
    let lose = LoseRun { run_id, because: LostBecause::WorkerLost };
    fleet.run(entity(&fleet, 1).await, &lose, &meta()).await.unwrap();
    assert_eq!(fill_anew(&journal, 2).await.unwrap(), Filled { filled: 1, found: 0, left: 1 });
    let lost = DeployStatus::CreateFailed;
    let fleet = Fleet::new(&journal).unwrap();
    assert_eq!(fleet.subcloud(entity(&fleet, 1).await).await.unwrap().state.unwrap().deploy, lost);
}

#[tokio::test]
async fn what_collides_is_named_and_nothing_is_written() {
    let cases = [
        ("subcloud2", "other", "172.16.0.0/24", "name"),
        ("other", "the region", "172.16.0.0/24", "region"),
        ("other", "other", "10.1.1.128/25", "network"),
    ];
    for (name, region, subnet, what) in cases {
        let dir = tempfile::tempdir().unwrap();
        let journal = open(dir.path()).await;
        let region = match region {
            "the region" => dcm_workers::demo::fleet(2).unwrap().remove(1).region,
            other => other.to_owned(),
        };
        reserve(
            &journal,
            Uuid::now_v7(),
            Name::parse(name).unwrap(),
            Region::parse(&region).unwrap(),
            Subnet::parse(subnet).unwrap(),
        )
        .await;
        let refused = fill_anew(&journal, 3).await.unwrap_err().to_string();
        let expected = format!("the {what} of subcloud2 is that of {name}");
        assert!(refused.contains(&expected), "{refused}");
        let tally = tally(&journal).await;
        assert_eq!(tally.get("SubcloudAdded"), None);
        assert_eq!(tally["EntryReserved"], 1);
    }
}
