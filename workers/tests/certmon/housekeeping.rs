//! What crashes leave half-way in the directory is settled.

use std::sync::Arc;

use dcm_domain::directory::{Directory, ReserveEntry};
use dcm_domain::group::DEFAULT_GROUP_ID;
use dcm_domain::subcloud::Subcloud;
use dcm_domain::subcloud::command::{DeleteSubcloud, ReportAvailability, UnmanageSubcloud};
use dcm_domain::value::{Availability, Name, Region, Subnet, Timestamp};
use dcm_journal::repository::Repository;
use dcm_journal::store::Journal;
use dcm_schemas::StreamId;
use dcm_workers::housekeeping::Housekeeping;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::site::{Site, meta, until};

/// A reservation whose creator died.
pub async fn reserve(journal: &Arc<dyn Journal>, entity: Uuid, name: Name, region: Region, subnet: Subnet) {
    let directory: Repository<Directory> = Repository::new(Arc::clone(journal));
    let reserve = ReserveEntry { entity, name, region, subnet, group_id: DEFAULT_GROUP_ID };
    directory.run(&Directory::STREAM.parse().unwrap(), &reserve, &meta()).await.unwrap();
}

fn in_two_minutes() -> Timestamp {
    Timestamp::from_micros(Timestamp::from(chrono::Utc::now()).micros() + 120_000_000)
}

#[tokio::test]
async fn a_stale_reservation_is_released_and_its_creator_too_late() {
    let site = Site::with(1).await;
    let entity = Uuid::now_v7();
    let region = Region::parse("lost").unwrap();
    let subnet = Subnet::parse("172.16.0.0/24").unwrap();
    reserve(&site.journal, entity, Name::parse("lost").unwrap(), region, subnet).await;
    let mut housekeeping = Housekeeping::new(site.fleet.clone(), site.models.clone());
    assert_eq!(housekeeping.settle(Timestamp::from(chrono::Utc::now())).await.unwrap(), 0, "not stale yet");
    assert_eq!(housekeeping.settle(in_two_minutes()).await.unwrap(), 1);
    assert!(site.fleet.directory().await.unwrap().entry(entity).is_none());
    assert!(site.fleet.subcloud(entity).await.unwrap().state.unwrap().deleted, "the stream is closed");
    assert_eq!(housekeeping.settle(in_two_minutes()).await.unwrap(), 0);
}

#[tokio::test]
async fn what_a_deleted_subcloud_still_holds_is_released() {
    let site = Site::with(2).await;
    site.run(1, UnmanageSubcloud::default()).await;
    site.run(1, ReportAvailability { to: Availability::Offline }).await;
    let entity = site.uuid(1).await;
    // As if its deleter had died before it told the directory.
    let subclouds: Repository<Subcloud> = Repository::new(site.journal.clone());
    let stream = StreamId::aggregate("subcloud", entity);
    subclouds.run(&stream, &DeleteSubcloud, &meta()).await.unwrap();
    site.settled().await;
    assert!(site.fleet.directory().await.unwrap().entry(entity).is_some());

    let housekeeping = Housekeeping::new(site.fleet.clone(), site.models.clone());
    let stop = CancellationToken::new();
    let running = tokio::spawn(housekeeping.run(stop.clone()));
    until("the release", async || site.fleet.directory().await.unwrap().entry(entity).is_none()).await;
    stop.cancel();
    running.await.unwrap();
    assert_eq!(site.logs.count(&["released what a deleted subcloud held", "subcloud1"]), 1);
    assert!(site.fleet.directory().await.unwrap().entry(site.uuid(2).await).is_some());
}

#[tokio::test]
async fn a_failed_release_is_tried_again() {
    let site = Site::with(1).await;
    site.run(1, UnmanageSubcloud::default()).await;
    site.run(1, ReportAvailability { to: Availability::Offline }).await;
    let entity = site.uuid(1).await;
    let subclouds: Repository<Subcloud> = Repository::new(site.journal.clone());
    subclouds.run(&StreamId::aggregate("subcloud", entity), &DeleteSubcloud, &meta()).await.unwrap();
    site.settled().await;
    let mut housekeeping = Housekeeping::new(site.fleet.clone(), site.models.clone());
    site.faults.set_down(true);
    housekeeping.settle(in_two_minutes()).await.unwrap_err();
    site.faults.set_down(false);
    site.faults.allow_appends(0);
    housekeeping.settle(in_two_minutes()).await.unwrap_err();
    site.faults.allow_appends(9);
    assert_eq!(housekeeping.settle(in_two_minutes()).await.unwrap(), 1);
}

#[tokio::test]
async fn a_subnet_that_a_dead_command_moved_is_given_back_at_the_second_look() {
    let site = Site::with(1).await;
    site.settled().await;
    let entity = site.uuid(1).await;
    let subnet = async || site.fleet.directory().await.unwrap().entry(entity).unwrap().subnet.clone();
    let own = subnet().await;
    let moved = Subnet::parse("172.16.0.0/24").unwrap();
    site.fleet.change_subnet(entity, moved.clone(), &meta()).await.unwrap();
    let now = Timestamp::from(chrono::Utc::now());
    let mut housekeeping = Housekeeping::new(site.fleet.clone(), site.models.clone());
    assert_eq!(housekeeping.settle(now).await.unwrap(), 0, "its command may be under way");
    assert_eq!(subnet().await, Some(moved));
    assert_eq!(housekeeping.settle(now).await.unwrap(), 1);
    assert_eq!(subnet().await, own);
    assert_eq!(housekeeping.settle(now).await.unwrap(), 0);
}
