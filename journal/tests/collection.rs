//! Collections over a real embedded journal: what crashes leave half-way is settled, and who comes too late is refused.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};

use dcm_domain::aggregate::{Aggregate, Command, Facts};
use dcm_domain::directory::{CloseGroup, Directory};
use dcm_domain::group::command::{AddSubcloudGroup, DeleteSubcloudGroup, UpdateSubcloudGroup};
use dcm_domain::group::{DEFAULT_GROUP, GroupChanges, GroupValues, Rejection, SubcloudGroup, name_key};
use dcm_domain::key_directory::{
    KeyDirectory, Rejection as DirectoryRejection, ReserveKeyChange, ReserveKeys,
};
use dcm_domain::peer_group::command::AddPeerGroup;
use dcm_domain::peer_group::{self, PeerGroupValues};
use dcm_domain::system_peer::command::{AddSystemPeer, UpdateSystemPeer};
use dcm_domain::system_peer::{self, PeerChanges, PeerValues};
use dcm_domain::value::{Actor, SecretRef, Timestamp};
use dcm_journal::collection::{Collection, CollectionError, Lookup, NewEntity};
use dcm_journal::fleet::Fleet;
use dcm_journal::repository::{Meta, Repository};
use dcm_journal::store::Journal;
use dcm_schemas::StreamId;
use futures::future::BoxFuture;
use serde::{Serialize, Serializer};
use uuid::Uuid;

/// The systems that a peer is said to be.
const ONE: &str = "ac62f555-9386-42f1-b3a1-51ecb709409d";
const TWO: &str = "d9dea83f-f271-470d-9cce-44b0162a800b";

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

fn peer_values() -> PeerValues {
    PeerValues {
        peer_uuid: ONE.to_owned(),
        peer_name: "dc-2".to_owned(),
        manager_endpoint: "http://128.128.128.1:5000/v3".to_owned(),
        manager_username: "admin".to_owned(),
        peer_controller_gateway_address: "192.168.204.1".to_owned(),
        administrative_state: "enabled".to_owned(),
        heartbeat_interval: 60,
        heartbeat_failure_threshold: 3,
        heartbeat_failure_policy: "alarm".to_owned(),
        heartbeat_maintenance_timeout: 600,
    }
}

/// A command, and what others do between the look at what it would leave and its decision.
struct Interrupted<'a, C> {
    command: C,
    meanwhile: Mutex<Option<BoxFuture<'a, ()>>>,
}

impl<'a, C> Interrupted<'a, C> {
    fn by(command: C, meanwhile: impl Future<Output = ()> + Send + 'a) -> Self {
        Self { command, meanwhile: Mutex::new(Some(Box::pin(meanwhile))) }
    }
}

impl<C: Serialize> Serialize for Interrupted<'_, C> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.command.serialize(serializer)
    }
}

impl<A: Aggregate, C: Command<A>> Command<A> for Interrupted<'_, C> {
    type Rejection = C::Rejection;
    const NAME: &'static str = C::NAME;

    fn decide(&self, state: Option<&A>, facts: &Facts) -> Result<Vec<A::Event>, Self::Rejection> {
        let meanwhile = self.meanwhile.lock().unwrap().take();
        if let Some(meanwhile) = meanwhile {
            let runtime = tokio::runtime::Handle::current();
            tokio::task::block_in_place(|| runtime.block_on(meanwhile));
        }
        self.command.decide(state, facts)
    }
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

    async fn add_peer(&self, manager_password: SecretRef) -> Uuid {
        let new = NewEntity::new([system_peer::name_key("dc-2"), system_peer::uuid_key(ONE)].into());
        let entity = new.entity;
        let add = |id| AddSystemPeer { id, values: peer_values(), manager_password };
        self.fleet.collections().system_peers.add(new, &meta(), add).await.unwrap();
        entity
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
    let refused = site.groups().run_changing_keys(made, &rename("made3"), &meta()).await;
    assert!(matches!(refused, Err(CollectionError::Rejected(Rejection::ChangeUnderWay))));
    assert_eq!(site.fleet.settle(in_two_minutes(), &meta()).await.unwrap(), 2);
    assert_eq!((site.find("left").await, site.find("left2").await), (Some(left), None));
    assert_eq!((site.find("made").await, site.find("made2").await), (None, Some(made)));
    site.groups().run_changing_keys(made, &rename("made3"), &meta()).await.unwrap();
    assert_eq!((site.find("made2").await, site.find("made3").await), (None, Some(made)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_reserved_anew_if_another_request_changed_them_meanwhile() {
    let site = Site::start().await;
    let peers = &site.fleet.collections().system_peers;
    let entity = site.add_peer(SecretRef(Uuid::now_v7())).await;
    let other = async {
        let changes = PeerChanges { peer_uuid: Some(TWO.to_owned()), ..PeerChanges::default() };
        peers.run_changing_keys(entity, &UpdateSystemPeer { changes }, &meta()).await.unwrap();
    };
    let changes = PeerChanges { peer_name: Some("dc-3".to_owned()), ..PeerChanges::default() };
    let update = Interrupted::by(UpdateSystemPeer { changes }, other);
    let done = peers.run_changing_keys(entity, &update, &meta()).await.unwrap();
    let state = done.loaded.state.unwrap();
    assert_eq!((state.peer_name.as_str(), state.peer_uuid.as_str()), ("dc-3", TWO));
    for (key, holder) in [
        (system_peer::name_key("dc-3"), Some(entity)),
        (system_peer::uuid_key(TWO), Some(entity)),
        (system_peer::name_key("dc-2"), None),
        (system_peer::uuid_key(ONE), None),
    ] {
        assert_eq!(peers.resolve(Lookup::Key(&key)).await.unwrap(), holder, "{key}");
    }
    assert_eq!(peers.directory().await.unwrap().unsettled().count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_was_left_and_taken_meanwhile_is_not_taken_back() {
    let site = Site::start().await;
    let groups = site.groups();
    let entity = site.add("edge").await.unwrap();
    let others = async {
        groups.run_changing_keys(entity, &rename("left"), &meta()).await.unwrap();
        site.add("edge").await.unwrap();
    };
    // Its own name: at the look, nothing has to be reserved.
    let update = Interrupted::by(rename("edge"), others);
    let refused = groups.run_changing_keys(entity, &update, &meta()).await;
    assert!(matches!(refused, Err(CollectionError::Rejected(Rejection::NameTaken))));
    assert_eq!(groups.load(entity).await.unwrap().state.unwrap().name, "left");
    assert_eq!(site.find("left").await, Some(entity));
    assert!(site.find("edge").await.is_some_and(|holder| holder != entity));
    assert_eq!(groups.directory().await.unwrap().unsettled().count(), 0);
}

#[tokio::test]
async fn a_password_that_was_replaced_meanwhile_is_not_kept() {
    let site = Site::start().await;
    let peers = &site.fleet.collections().system_peers;
    let (first, second) = (SecretRef(Uuid::now_v7()), SecretRef(Uuid::now_v7()));
    let entity = site.add_peer(first).await;
    let kept =
        UpdateSystemPeer { changes: PeerChanges { kept_password: Some(first), ..PeerChanges::default() } };
    assert!(peers.run(entity, &kept, &meta()).await.unwrap().events.is_empty());
    let changes = PeerChanges { manager_password: Some(second), ..PeerChanges::default() };
    peers.run(entity, &UpdateSystemPeer { changes }, &meta()).await.unwrap();
    let refused = peers.run(entity, &kept, &meta()).await;
    assert!(matches!(refused, Err(CollectionError::Rejected(system_peer::Rejection::ChangeUnderWay))));
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
