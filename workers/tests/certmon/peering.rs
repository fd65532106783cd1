//! What waits for other controllers ends where nobody speaks with them.

use std::time::Duration;

use dcm_domain::association::command::{AddAssociation, ImportAssociation};
use dcm_domain::association::{PeerGroupAssociationImported, pair_key, peer_group_reference};
use dcm_domain::peer_group::command::{AddPeerGroup, ImportPeerGroup, RequestMigration};
use dcm_domain::peer_group::{
    MigrationMember, PeerGroupValues, SubcloudPeerGroup, SubcloudPeerGroupImported, SystemLeader, name_key,
};
use dcm_domain::subcloud::Document;
use dcm_domain::subcloud::command::{
    ChangeDeployStatus, ClaimRun, CompletePhase, Details, LoseRun, LostBecause, MigrateSubcloud,
    PeerGroupMembership, StartPhase, UnmanageSubcloud, UpdateSubcloud,
};
use dcm_domain::value::{Phase, SecretRef, Timestamp};
use dcm_journal::collection::{CollectionError, NewEntity};
use dcm_workers::housekeeping::Housekeeping;
use dcm_workers::peering::{PeeringKeeper, Times};
use serde_json::json;
use uuid::Uuid;

use super::site::{Site, meta};

const ZERO: Duration = Duration::ZERO;
const LONG: Duration = Duration::from_secs(3600);

fn keeper(site: &Site, claim_within: Duration, requested_within: Duration) -> PeeringKeeper {
    let times = Times { claim_within, requested_within, ..Times::default() };
    PeeringKeeper::new(site.fleet.clone(), site.models.clone(), times)
}

async fn look(site: &Site, keeper: &mut PeeringKeeper) {
    site.settled().await;
    keeper.look(true).await.unwrap();
    site.settled().await;
}

async fn add_group(site: &Site) -> Uuid {
    let values = PeerGroupValues {
        peer_group_name: "pg1".to_owned(),
        system_leader_id: "ac62f555-9386-42f1-b3a1-51ecb709409d".to_owned(),
        system_leader_name: "dc-2".to_owned(),
        group_priority: 0,
        group_state: "enabled".to_owned(),
        max_subcloud_rehoming: 10,
    };
    let new = NewEntity::new([name_key("pg1")].into());
    let entity = new.entity;
    let groups = &site.fleet.collections().peer_groups;
    groups.add(new, &meta(), |id| AddPeerGroup { id, values }).await.unwrap();
    entity
}

async fn group(site: &Site, entity: Uuid) -> SubcloudPeerGroup {
    let loaded = site.fleet.collections().peer_groups.load(entity).await.unwrap();
    loaded.state.unwrap().as_ref().clone()
}

/// Begins the migration of the first `count` subclouds without requesting their runs.
async fn begin(site: &Site, entity: Uuid, count: u32) -> Vec<MigrationMember> {
    let mut members = Vec::new();
    for id in 1..=count {
        members.push(MigrationMember { subcloud: site.uuid(id).await, run_id: Uuid::now_v7() });
    }
    let leader =
        SystemLeader { id: "d9dea83f-f271-470d-9cce-44b0162a800b".to_owned(), name: "dc-1".to_owned() };
    let command = RequestMigration { run_id: Uuid::now_v7(), members: members.clone(), leader: Some(leader) };
    site.fleet.collections().peer_groups.run(entity, &command, &meta()).await.unwrap();
    members
}

/// Requests the run that rehomes a member.
async fn rehome(site: &Site, id: u32, member: MigrationMember) {
    site.run(id, UnmanageSubcloud::default()).await;
    let shown = json!({"bootstrap-address": "10.10.10.12"});
    let rehome = Some(Document { secret: SecretRef(Uuid::now_v7()), digest: "d".to_owned(), shown });
    site.run(id, UpdateSubcloud { details: Details { rehome, ..Details::default() } }).await;
    site.run(id, ChangeDeployStatus::mark_secondary()).await;
    site.run(id, MigrateSubcloud { run_id: member.run_id, sysadmin_password: None }).await;
}

#[tokio::test]
async fn a_migration_ends_with_the_last_run() {
    let site = Site::with(2).await;
    let entity = add_group(&site).await;
    let members = begin(&site, entity, 2).await;
    let mut keeper = keeper(&site, LONG, LONG);
    look(&site, &mut keeper).await;
    for (id, member) in (1..).zip(&members) {
        rehome(&site, id, *member).await;
    }
    look(&site, &mut keeper).await;
    let run_id = members[0].run_id;
    site.run(1, LoseRun { run_id, because: LostBecause::NoWorker }).await;
    look(&site, &mut keeper).await;
    assert_eq!(group(&site, entity).await.migration_status.as_deref(), Some("migrating"));

    let run_id = members[1].run_id;
    site.run(2, ClaimRun { run_id, worker: "w".to_owned() }).await;
    site.run(2, StartPhase { run_id, phase: Phase::Rehome }).await;
    site.run(2, CompletePhase { run_id, phase: Phase::Rehome }).await;
    look(&site, &mut keeper).await;
    let ended = group(&site, entity).await;
    assert_eq!(ended.migration_status.as_deref(), Some("complete"));
    assert_eq!((ended.migration, ended.system_leader_name.as_deref()), (None, Some("dc-1")));
    let head = site.journal.head().await.unwrap();
    look(&site, &mut keeper).await;
    assert_eq!(site.journal.head().await.unwrap(), head, "once");
}

#[tokio::test]
async fn a_migration_without_success_is_as_if_there_had_been_none() {
    let site = Site::with(2).await;
    let entity = add_group(&site).await;
    let members = begin(&site, entity, 2).await;
    rehome(&site, 1, members[0]).await;
    let run_id = members[0].run_id;
    site.run(1, LoseRun { run_id, because: LostBecause::NoWorker }).await;
    // The request for the second run never came.
    look(&site, &mut keeper(&site, ZERO, LONG)).await;
    assert_eq!(group(&site, entity).await.migration_status.as_deref(), Some("migrating"));
    look(&site, &mut keeper(&site, LONG, ZERO)).await;
    let ended = group(&site, entity).await;
    assert_eq!((ended.migration_status, ended.migration), (None, None));
    assert_eq!(ended.system_leader_name.as_deref(), Some("dc-2"));
}

#[tokio::test]
async fn what_was_under_way_elsewhere_ends_too() {
    let site = Site::with(1).await;
    let collections = site.fleet.collections();
    let at = Timestamp::from_micros(0);
    let imported = SubcloudPeerGroupImported {
        id: 7,
        peer_group_name: "old".to_owned(),
        group_priority: 0,
        group_state: "enabled".to_owned(),
        max_subcloud_rehoming: 10,
        system_leader_id: None,
        system_leader_name: None,
        migration_status: Some("migrating".to_owned()),
        created_at: at,
        updated_at: None,
    };
    let new = NewEntity { id: Some(7), ..NewEntity::new([name_key("old")].into()) };
    let entity = new.entity;
    collections.peer_groups.add(new, &meta(), |_| ImportPeerGroup { imported }).await.unwrap();
    let imported = PeerGroupAssociationImported {
        id: 3,
        peer_group_id: 7,
        system_peer_id: 4,
        peer_group_priority: Some(2),
        sync_status: "syncing".to_owned(),
        sync_message: None,
        created_at: at,
        updated_at: None,
    };
    let new = NewEntity { id: Some(3), ..NewEntity::new([pair_key(7, 4)].into()) };
    collections.associations.add(new, &meta(), |_| ImportAssociation { imported }).await.unwrap();
    let shown = site.models.peer_groups();
    site.settled().await;
    assert_eq!(shown.by_id(7).await.unwrap().unwrap().state.migration_status.as_deref(), Some("migrating"));
    look(&site, &mut keeper(&site, ZERO, ZERO)).await;
    assert_eq!(group(&site, entity).await.migration_status, None);
    let row = site.models.associations().by_id(3).await.unwrap().unwrap();
    assert_eq!(row.state.sync_status, "failed");
}

#[tokio::test]
async fn a_synchronisation_that_no_worker_takes_fails() {
    let site = Site::with(1).await;
    let associations = &site.fleet.collections().associations;
    let new = NewEntity::new([pair_key(1, 1)].into());
    let (entity, run_id) = (new.entity, Uuid::now_v7());
    let add = |id| AddAssociation {
        id,
        peer_group_id: 1,
        system_peer_id: 1,
        group_priority: 0,
        peer_group_priority: Some(9),
        run_id,
    };
    associations.add(new, &meta(), add).await.unwrap();
    look(&site, &mut keeper(&site, LONG, LONG)).await;
    let status = async || associations.load(entity).await.unwrap().state.unwrap().sync_status.clone();
    assert_eq!(status().await, "syncing");
    let mut keeper = keeper(&site, ZERO, ZERO);
    look(&site, &mut keeper).await;
    let row = site.models.associations().by_id(1).await.unwrap().unwrap();
    assert_eq!(row.state.sync_status, "failed");
    assert_eq!(row.state.sync_message.as_deref(), Some("no worker for peer-sync"));
    assert!(row.updated_at.is_some());
    let head = site.journal.head().await.unwrap();
    look(&site, &mut keeper).await;
    assert_eq!(site.journal.head().await.unwrap(), head, "once");
}

#[tokio::test]
async fn members_of_groups_that_are_gone_leave_them() {
    let site = Site::with(2).await;
    let entity = add_group(&site).await;
    for (id, group) in [(1, 1), (2, 99)] {
        let peer_group = Some(PeerGroupMembership::Of(group));
        site.run(id, UpdateSubcloud { details: Details { peer_group, ..Details::default() } }).await;
    }
    look(&site, &mut keeper(&site, LONG, LONG)).await;
    let belongs = async |id| site.models.subclouds().by_id(id).await.unwrap().unwrap().subcloud.peer_group_id;
    // Nothing here ever had the id 99: it comes from an installation that was taken over, and is kept.
    assert_eq!((belongs(1).await, belongs(2).await), (Some(1), Some(99)));
    // As if the request had died before it told the members.
    site.fleet.collections().delete_peer_group(entity, &meta()).await.unwrap();
    look(&site, &mut keeper(&site, LONG, LONG)).await;
    assert_eq!((belongs(1).await, belongs(2).await), (None, Some(99)));
}

#[tokio::test]
async fn a_deletion_that_came_to_nothing_does_not_keep_the_group_closed() {
    let site = Site::with(1).await;
    add_group(&site).await;
    let associations = &site.fleet.collections().associations;
    let reference = peer_group_reference(1);
    associations.close_reference(&reference, &meta()).await.unwrap();
    let add = async || {
        let new = NewEntity::new([pair_key(1, 1)].into()).referring_to([reference.clone()].into());
        let command = |id| AddAssociation {
            id,
            peer_group_id: 1,
            system_peer_id: 1,
            group_priority: 5,
            peer_group_priority: None,
            run_id: Uuid::nil(),
        };
        associations.add(new, &meta(), command).await
    };
    assert!(matches!(add().await, Err(CollectionError::Rejected(_))));
    let mut housekeeping = Housekeeping::new(site.fleet.clone(), site.models.clone());
    let later = Timestamp::from(chrono::Utc::now()).micros() + 120_000_000;
    housekeeping.settle(Timestamp::from_micros(later)).await.unwrap();
    add().await.unwrap();
}
