//! Collections over a real embedded journal: what crashes leave half-way is settled, and who comes too late is refused.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::Arc;

use dcm_domain::directory::{CloseGroup, Directory};
use dcm_domain::group::command::{AddSubcloudGroup, DeleteSubcloudGroup, UpdateSubcloudGroup};
use dcm_domain::group::{DEFAULT_GROUP, GroupChanges, GroupValues, Rejection, SubcloudGroup, name_key};
use dcm_domain::key_directory::{
    KeyDirectory, Rejection as DirectoryRejection, ReserveKeyChange, ReserveKeys,
};
use dcm_domain::peer_group::command::AddPeerGroup;
use dcm_domain::peer_group::{self, PeerGroupValues};
use dcm_domain::value::{Actor, Timestamp};
use dcm_journal::collection::{Collection, CollectionError, Lookup, NewEntity};
use dcm_journal::fleet::Fleet;
use dcm_journal::repository::{Meta, Repository};
use dcm_journal::store::Journal;
use dcm_schemas::StreamId;
use uuid::Uuid;

struct Site {
    journal: Arc<dyn Journal>,
    fleet: Fleet,
    directory: Repository<KeyDirectory>,
    _dir: tempfile::TempDir,
}

fn meta() -> Meta {
    Meta::new(Actor::system("test"))
}

fn now() -> Timestamp {
    Timestamp::from(chrono::Utc::now())
}

fn in_two_minutes() -> Timestamp {
    Timestamp::from_micros(now().micros() + 120_000_000)
}

fn values(name: &str) -> GroupValues {
    GroupValues {
        name: name.to_owned(),
        description: "Edge sites".to_owned(),
        update_apply_type: "parallel".to_owned(),
        max_parallel_subclouds: 5,
    }
}

fn rename(name: &str) -> UpdateSubcloudGroup {
    UpdateSubcloudGroup { changes: GroupChanges { name: Some(name.to_owned()), ..GroupChanges::default() } }
}

impl Site {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let journal = dcm_journal::store::open("embedded:", dir.path()).await.unwrap();
        let fleet = Fleet::new(&journal).unwrap();
        fleet.ensure_default_group(&meta()).await.unwrap();
        let directory = Repository::new(Arc::clone(&journal));
        Self { journal, fleet, directory, _dir: dir }
    }

    fn groups(&self) -> &Collection<SubcloudGroup> {
        &self.fleet.collections().groups
    }

    fn stream() -> StreamId {
        "directory-subcloud-group".parse().unwrap()
    }

    async fn add(&self, name: &str) -> Result<Uuid, CollectionError<Rejection>> {
        let new = NewEntity::new([name_key(name)].into());
        let entity = new.entity;
        self.groups().add(new, &meta(), |id| AddSubcloudGroup { id, values: values(name) }).await?;
        Ok(entity)
    }

    async fn find(&self, name: &str) -> Option<Uuid> {
        self.groups().resolve(Lookup::Key(&name_key(name))).await.unwrap()
    }
}

#[tokio::test]
async fn the_default_group_is_listed_once() {
    let site = Site::start().await;
    let head = site.journal.head().await.unwrap();
    site.fleet.ensure_default_group(&meta()).await.unwrap();
    assert_eq!(site.journal.head().await.unwrap(), head);
    assert_eq!(site.groups().resolve(Lookup::Id(1)).await.unwrap(), Some(DEFAULT_GROUP));
    assert_eq!(site.find("Default").await, Some(DEFAULT_GROUP));
    let entity = site.add("edge").await.unwrap();
    assert_eq!(site.groups().load(entity).await.unwrap().state.unwrap().id, 2);
}

#[tokio::test]
async fn a_stale_creation_is_released_and_its_creator_too_late() {
    let site = Site::start().await;
    let entity = Uuid::now_v7();
    let keys = [name_key("edge")].into();
    let reserve = ReserveKeys { entity, id: None, keys, refs: Default::default() };
    site.directory.run(&Site::stream(), &reserve, &meta()).await.unwrap();
    assert_eq!(site.fleet.settle(now(), &meta()).await.unwrap(), 0, "not stale yet");
    assert!(matches!(site.add("edge").await, Err(CollectionError::Rejected(Rejection::NameTaken))));
    assert_eq!(site.fleet.settle(in_two_minutes(), &meta()).await.unwrap(), 1);
    assert_eq!(site.fleet.settle(in_two_minutes(), &meta()).await.unwrap(), 0);
    let late = AddSubcloudGroup { id: 2, values: values("edge") };
    let refused = site.groups().run(entity, &late, &meta()).await;
    assert!(matches!(refused, Err(CollectionError::Rejected(Rejection::AlreadyExists))));
    site.add("edge").await.unwrap();
}

#[tokio::test]
async fn a_refused_creation_leaves_nothing_reserved() {
    let site = Site::start().await;
    let new = NewEntity::new([name_key("edge")].into());
    let wrong = GroupValues { description: String::new(), ..values("edge") };
    let refused = site.groups().add(new, &meta(), |id| AddSubcloudGroup { id, values: wrong }).await;
    assert!(matches!(refused, Err(CollectionError::Rejected(Rejection::InvalidDescription))));
    assert_eq!(site.find("edge").await, None);
    site.add("edge").await.unwrap();
}

#[tokio::test]
async fn a_stale_rename_ends_as_the_group_says() {
    let site = Site::start().await;
    let (left, made) = (site.add("left").await.unwrap(), site.add("made").await.unwrap());
    for (entity, name) in [(left, "left2"), (made, "made2")] {
        let reserve = ReserveKeyChange { entity, keys: [name_key(name)].into() };
        site.directory.run(&Site::stream(), &reserve, &meta()).await.unwrap();
    }
    let groups: Repository<SubcloudGroup> = Repository::new(Arc::clone(&site.journal));
    groups.run(&StreamId::aggregate("subcloud-group", made), &rename("made2"), &meta()).await.unwrap();
    let keys = || [name_key("made3")].into();
    let refused = site.groups().run_changing_keys(made, keys(), &rename("made3"), &meta()).await;
    assert!(matches!(refused, Err(CollectionError::Rejected(Rejection::ChangeUnderWay))));
    assert_eq!(site.fleet.settle(in_two_minutes(), &meta()).await.unwrap(), 2);
    assert_eq!((site.find("left").await, site.find("left2").await), (Some(left), None));
    assert_eq!((site.find("made").await, site.find("made2").await), (None, Some(made)));
    site.groups().run_changing_keys(made, keys(), &rename("made3"), &meta()).await.unwrap();
    assert_eq!((site.find("made2").await, site.find("made3").await), (None, Some(made)));
}

#[tokio::test]
async fn what_a_deleted_group_still_holds_is_released() {
    let site = Site::start().await;
    let entity = site.add("edge").await.unwrap();
    let groups: Repository<SubcloudGroup> = Repository::new(Arc::clone(&site.journal));
    groups.run(&StreamId::aggregate("subcloud-group", entity), &DeleteSubcloudGroup, &meta()).await.unwrap();
    assert!(matches!(site.add("edge").await, Err(CollectionError::Rejected(Rejection::NameTaken))));
    assert_eq!(site.fleet.settle(now(), &meta()).await.unwrap(), 1);
    site.add("edge").await.unwrap();
}

#[tokio::test]
async fn a_closed_group_is_reopened_unless_it_was_deleted() {
    let site = Site::start().await;
    let (kept, gone) = (site.add("kept").await.unwrap(), site.add("gone").await.unwrap());
    let directory: Repository<Directory> = Repository::new(Arc::clone(&site.journal));
    for group_id in [2, 3] {
        let stream = Directory::STREAM.parse().unwrap();
        directory.run(&stream, &CloseGroup { group_id }, &meta()).await.unwrap();
    }
    site.fleet.delete_group(gone, &meta()).await.unwrap();
    assert_eq!(site.fleet.settle(now(), &meta()).await.unwrap(), 0, "its deletion may be under way");
    assert_eq!(site.fleet.settle(in_two_minutes(), &meta()).await.unwrap(), 1);
    let directory = site.fleet.directory().await.unwrap();
    assert_eq!(directory.closed_groups().map(|(group_id, _)| group_id).collect::<Vec<_>>(), [3]);
    assert!(!site.groups().load(kept).await.unwrap().state.unwrap().deleted);
}

#[tokio::test]
async fn a_deletion_that_stalled_is_refused() {
    let site = Site::start().await;
    let entity = site.add("edge").await.unwrap();
    let long_ago = Timestamp::from_micros(now().micros() - 40_000_000);
    let refused = site.groups().remove(entity, &DeleteSubcloudGroup, Some(long_ago), &meta()).await;
    assert!(matches!(refused, Err(CollectionError::Stale)));
    site.groups().remove(entity, &DeleteSubcloudGroup, Some(now()), &meta()).await.unwrap();
    assert_eq!(site.find("edge").await, None);
}

#[tokio::test]
async fn a_reference_is_closed_while_nobody_refers_to_it() {
    let site = Site::start().await;
    let groups = site.groups();
    let new = NewEntity::new([name_key("edge")].into()).referring_to(["other:1".to_owned()].into());
    let entity = new.entity;
    groups.add(new, &meta(), |id| AddSubcloudGroup { id, values: values("edge") }).await.unwrap();
    let refused = groups.close_reference("other:1", &meta()).await;
    assert!(matches!(refused, Err(CollectionError::Rejected(DirectoryRejection::Referenced { by: 2, .. }))));
    groups.remove(entity, &DeleteSubcloudGroup, None, &meta()).await.unwrap();
    let closed_at = groups.close_reference("other:1", &meta()).await.unwrap();
    let late = NewEntity::new([name_key("late")].into()).referring_to(["other:1".to_owned()].into());
    let refused = groups.add(late, &meta(), |id| AddSubcloudGroup { id, values: values("late") }).await;
    assert!(matches!(refused, Err(CollectionError::Rejected(Rejection::ChangeUnderWay))));
    let settle = async |now, exists: bool| {
        groups.settle_references(now, &meta(), |_| async move { Ok(exists) }).await.unwrap()
    };
    assert_eq!((settle(now(), true).await, settle(in_two_minutes(), false).await), (0, 0));
    assert_eq!(settle(in_two_minutes(), true).await, 1);
    groups.reopen_reference("other:1", closed_at, &meta()).await.unwrap();
    assert_eq!(groups.directory().await.unwrap().closed().count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_deletions_at_once_the_late_one_reopens_nothing() {
    let site = Site::start().await;
    let (here, there) = (site.fleet.collections(), Fleet::new(&site.journal).unwrap());
    for round in 1..=10 {
        let values = PeerGroupValues {
            peer_group_name: format!("pg{round}"),
            system_leader_id: "ac62f555-9386-42f1-b3a1-51ecb709409d".to_owned(),
            system_leader_name: "dc-1".to_owned(),
            group_priority: 0,
            group_state: "enabled".to_owned(),
            max_subcloud_rehoming: 10,
        };
        let new = NewEntity::new([peer_group::name_key(&values.peer_group_name)].into());
        let entity = new.entity;
        here.peer_groups.add(new, &meta(), |id| AddPeerGroup { id, values }).await.unwrap();
        let (first, second) = (meta(), meta());
        let outcomes = tokio::join!(
            here.delete_peer_group(entity, &first),
            there.collections().delete_peer_group(entity, &second)
        );
        assert!(outcomes.0.is_ok() != outcomes.1.is_ok(), "one of them deletes it");
        let directory = here.associations.directory().await.unwrap();
        assert_eq!(directory.closed().count(), round, "what is deleted is never referred to again");
    }
}
