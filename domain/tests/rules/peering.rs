//! Peer groups, system peers and associations (fleet.md §3, §5, §7).

use dcm_domain::aggregate::{Aggregate, Command};
use dcm_domain::association::command::*;
use dcm_domain::association::{self, PeerGroupAssociation};
use dcm_domain::key_directory::Listed;
use dcm_domain::peer_group::command::*;
use dcm_domain::peer_group::*;
use dcm_domain::subcloud::PeerGroupChanged;
use dcm_domain::subcloud::command::{Details, LeavePeerGroup, PeerGroupMembership, UpdateSubcloud};
use dcm_domain::system_peer::command::*;
use dcm_domain::system_peer::{self, PeerChanges, PeerValues, SystemPeer, SystemPeerAdded};
use dcm_domain::value::{DeployStatus, SecretRef};
use uuid::Uuid;

use crate::kit::{FACTS, Given, given};
use crate::samples::subcloud;

const LOCAL: &str = "d9dea83f-f271-470d-9cce-44b0162a800b";
const OTHER: &str = "ac62f555-9386-42f1-b3a1-51ecb709409d";
const RUN: Uuid = Uuid::from_u128(9);
const LATER: Uuid = Uuid::from_u128(10);
const PASSWORD: SecretRef = SecretRef(Uuid::from_u128(7));

fn values() -> PeerGroupValues {
    PeerGroupValues {
        peer_group_name: "pg1".to_owned(),
        system_leader_id: OTHER.to_owned(),
        system_leader_name: "dc-2".to_owned(),
        group_priority: 0,
        group_state: "enabled".to_owned(),
        max_subcloud_rehoming: 10,
    }
}

fn group() -> Given<SubcloudPeerGroup> {
    given([]).after(AddPeerGroup { id: 1, values: values() })
}

/// What the command on nothing is refused for.
fn refusal<A: Aggregate, C: Command<A>>(command: &C) -> Option<C::Rejection> {
    command.decide(None, &FACTS).err()
}

#[test]
fn fl_34_37_values_of_a_peer_group() {
    use Rejection as R;
    let refused = |edit: fn(&mut PeerGroupValues)| {
        let mut values = values();
        edit(&mut values);
        refusal(&AddPeerGroup { id: 1, values })
    };
    assert_eq!(refused(|_| {}), None);
    for name in ["", "123", "none", "NONE", "a\nb"] {
        let values = PeerGroupValues { peer_group_name: name.to_owned(), ..values() };
        assert_eq!(refusal(&AddPeerGroup { id: 1, values }), Some(R::InvalidName), "{name:?}");
    }
    assert_eq!(refused(|values| values.peer_group_name = "x".repeat(255)), None);
    assert_eq!(refused(|values| values.peer_group_name = "x".repeat(256)), Some(R::InvalidName));
    assert_eq!(refused(|values| values.system_leader_id = "not-a-uuid".to_owned()), Some(R::InvalidLeaderId));
    assert_eq!(refused(|values| values.system_leader_name = "x".repeat(256)), Some(R::InvalidLeaderName));
    assert_eq!(refused(|values| values.group_priority = 65_536), None);
    assert_eq!(refused(|values| values.group_priority = 65_537), Some(R::InvalidPriority));
    assert_eq!(refused(|values| values.group_priority = -1), Some(R::InvalidPriority));
    assert_eq!(refused(|values| values.group_state = "up".to_owned()), Some(R::InvalidState));
    assert_eq!(refused(|values| values.max_subcloud_rehoming = 0), Some(R::InvalidMaxRehoming));
    assert_eq!(refused(|values| values.max_subcloud_rehoming = 251), Some(R::InvalidMaxRehoming));
    // The first rule that is broken is told.
    let all = |values: &mut PeerGroupValues| {
        values.group_priority = -1;
        values.group_state = "up".to_owned();
    };
    assert_eq!(refused(all), Some(R::InvalidPriority));
}

#[test]
fn fl_42_43_the_migration_status_of_a_peer_group() {
    let set = |word: &str| UpdatePeerGroup {
        changes: PeerGroupChanges {
            migration_status: Some(StatusChange::To(word.to_owned())),
            ..PeerGroupChanges::default()
        },
    };
    let status = |from: Option<&str>, to: Option<&str>| {
        MigrationStatusChanged { from: from.map(str::to_owned), to: to.map(str::to_owned) }.into()
    };
    group().when(set("Complete")).then([status(None, Some("Complete"))]);
    group().after(set("complete")).when(set("NONE")).then([status(Some("complete"), None)]);
    group().when(set("none")).then([]);
    assert_eq!(set("other").decide(Some(group().state()), &FACTS), Err(Rejection::InvalidMigrationStatus));
    let nothing = UpdatePeerGroup { changes: PeerGroupChanges::default() };
    assert_eq!(nothing.decide(Some(group().state()), &FACTS), Err(Rejection::NothingToUpdate));
}

fn migration(run_id: Uuid) -> RequestMigration {
    let members = vec![MigrationMember { subcloud: Uuid::from_u128(1), run_id: Uuid::from_u128(2) }];
    let leader = Some(SystemLeader { id: LOCAL.to_owned(), name: "dc-1".to_owned() });
    RequestMigration { run_id, members, leader }
}

#[test]
fn one_migration_at_a_time_and_each_ends_once() {
    let migrating = group().after(migration(RUN));
    assert_eq!(migrating.state().migration_status.as_deref(), Some(MIGRATING));
    assert_eq!(migration(LATER).decide(Some(migrating.state()), &FACTS), Err(Rejection::MigrationUnderWay));
    let members = RequestMigration { members: Vec::new(), ..migration(RUN) };
    assert_eq!(members.decide(Some(group().state()), &FACTS), Err(Rejection::NothingToMigrate));
    migrating.clone().when(FinishMigration { run_id: LATER, completed: 1 }).then([]);

    let done = migrating.clone().after(FinishMigration { run_id: RUN, completed: 1 });
    let state = done.state();
    assert_eq!(state.migration_status.as_deref(), Some(COMPLETE));
    assert_eq!(state.system_leader_id.as_deref(), Some(LOCAL));
    done.clone().when(FinishMigration { run_id: RUN, completed: 1 }).then([]);
    done.after(migration(LATER));

    let failed = migrating.after(FinishMigration { run_id: RUN, completed: 0 });
    assert_eq!(failed.state().migration_status, None);
    assert_eq!(failed.state().system_leader_id.as_deref(), Some(OTHER));
}

fn peer_values() -> PeerValues {
    PeerValues {
        peer_uuid: OTHER.to_owned(),
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

#[test]
fn fl_58_64_values_of_a_system_peer() {
    use system_peer::Rejection as R;
    let refused = |edit: &dyn Fn(&mut PeerValues)| {
        let mut values = peer_values();
        edit(&mut values);
        refusal(&AddSystemPeer { id: 1, values, manager_password: PASSWORD })
    };
    assert_eq!(refused(&|_| {}), None);
    assert_eq!(refused(&|values| values.peer_uuid = "123".to_owned()), Some(R::InvalidUuid));
    assert_eq!(refused(&|values| values.peer_uuid = format!("urn:uuid:{OTHER}")), Some(R::InvalidUuid));
    for name in ["", "123", "a\0b"] {
        assert_eq!(refused(&|values| values.peer_name = name.to_owned()), Some(R::InvalidName), "{name:?}");
    }
    assert_eq!(refused(&|values| values.peer_name = "x".repeat(254)), None);
    assert_eq!(refused(&|values| values.peer_name = "x".repeat(255)), Some(R::InvalidName));
    for endpoint in ["", "ftp://x", "/http"] {
        let edit = |values: &mut PeerValues| values.manager_endpoint = endpoint.to_owned();
        assert_eq!(refused(&edit), Some(R::InvalidEndpoint), "{endpoint}");
    }
    assert_eq!(refused(&|values| values.manager_username.clear()), Some(R::InvalidUsername));
    for address in ["", "123", "10.0.0.0/24", "10.0.0.256", "host"] {
        let edit = |values: &mut PeerValues| values.peer_controller_gateway_address = address.to_owned();
        assert_eq!(refused(&edit), Some(R::InvalidGateway), "{address}");
    }
    for (interval, fits) in [(9, false), (10, true), (600, true), (601, false)] {
        let expected = (!fits).then_some(R::InvalidInterval);
        assert_eq!(refused(&|values| values.heartbeat_interval = interval), expected);
    }
    for (threshold, fits) in [(0, false), (1, true), (30, true), (31, false)] {
        let expected = (!fits).then_some(R::InvalidThreshold);
        assert_eq!(refused(&|values| values.heartbeat_failure_threshold = threshold), expected);
    }
    for (timeout, fits) in [(299, false), (300, true), (36_000, true), (36_001, false)] {
        let expected = (!fits).then_some(R::InvalidMaintenance);
        assert_eq!(refused(&|values| values.heartbeat_maintenance_timeout = timeout), expected);
    }
    assert_eq!(
        refused(&|values| values.heartbeat_failure_policy = "fake".to_owned()),
        Some(R::InvalidPolicy)
    );
    assert_eq!(refused(&|values| values.administrative_state = "fake".to_owned()), Some(R::InvalidState));
    assert_eq!(system_peer::check_password(&"x".repeat(254)), Ok(()));
    for password in [String::new(), "x".repeat(255)] {
        assert_eq!(system_peer::check_password(&password), Err(R::InvalidPassword));
    }
}

#[test]
fn fl_66_67_only_what_changes_is_told() {
    let peer: Given<SystemPeer> =
        given([]).after(AddSystemPeer { id: 1, values: peer_values(), manager_password: PASSWORD });
    assert_eq!(peer.state().heartbeat_status, "created");
    let update = |changes| UpdateSystemPeer { changes };
    let name = |name: &str| PeerChanges { peer_name: Some(name.to_owned()), ..PeerChanges::default() };
    peer.clone().when(update(name("dc-2"))).then([]);
    let renamed = peer.clone().after(update(name("dc-3")));
    assert_eq!(renamed.state().keys(), ["name:dc-3".to_owned(), format!("uuid:{OTHER}")].into());
    assert_eq!(
        update(PeerChanges::default()).decide(Some(peer.state()), &FACTS),
        Err(system_peer::Rejection::NothingToUpdate)
    );
    let interval = PeerChanges { heartbeat_interval: Some(0), ..PeerChanges::default() };
    assert_eq!(
        update(interval).decide(Some(peer.state()), &FACTS),
        Err(system_peer::Rejection::InvalidInterval)
    );
    let gone = peer.after(DeleteSystemPeer);
    assert_eq!(DeleteSystemPeer.decide(Some(gone.state()), &FACTS), Err(system_peer::Rejection::NotFound));
    let events =
        AddSystemPeer { id: 1, values: peer_values(), manager_password: PASSWORD }.decide(None, &FACTS);
    let shown = serde_json::to_string(&events.unwrap()).unwrap();
    let added: SystemPeerAdded =
        serde_json::from_value(serde_json::from_str::<serde_json::Value>(&shown).unwrap()[0]["data"].clone())
            .unwrap();
    assert_eq!(added.manager_password, PASSWORD);
}

fn add(group_priority: i64, peer_group_priority: Option<i64>) -> AddAssociation {
    AddAssociation {
        id: 1,
        peer_group_id: 1,
        system_peer_id: 2,
        group_priority,
        peer_group_priority,
        run_id: RUN,
    }
}

fn associated(group_priority: i64, priority: Option<i64>) -> Given<PeerGroupAssociation> {
    given([]).after(add(group_priority, priority))
}

fn sync(run_id: Uuid, leader: &str) -> RequestAssociationSync {
    RequestAssociationSync { run_id, leader_id: Some(leader.to_owned()), local_id: LOCAL.to_owned() }
}

#[test]
fn fl_72_74_77_priorities_of_an_association() {
    use association::Rejection as R;
    for (own, copy, expected) in [
        (0, Some(1), None),
        (0, Some(65_536), None),
        (0, None, Some(R::PriorityRequired)),
        (0, Some(65_537), Some(R::InvalidPriority)),
        (0, Some(-1), Some(R::InvalidPriority)),
        (5, None, None),
        (5, Some(7), Some(R::PriorityForbidden)),
    ] {
        assert_eq!(refusal(&add(own, copy)), expected, "{own} {copy:?}");
    }
    let owned = associated(0, Some(99));
    assert_eq!(
        (owned.state().sync_status.as_str(), owned.state().sync_run),
        (association::SYNCING, Some(RUN))
    );
    let copy = associated(5, None);
    assert_eq!((copy.state().sync_status.as_str(), copy.state().sync_run), (association::DISABLED, None));
    assert_eq!(copy.state().keys(), ["pair:1:2".to_owned()].into());
}

#[test]
fn fl_81_83_synchronising_again() {
    use association::Rejection as R;
    let owned = associated(0, Some(99));
    let again = owned.clone().after(sync(LATER, &LOCAL.to_uppercase().replace('-', "")));
    assert_eq!((again.state().sync_run, again.state().sync_message.as_deref()), (Some(LATER), Some("None")));
    let refused =
        |state: &PeerGroupAssociation, leader| sync(LATER, leader).decide(Some(state), &FACTS).err();
    assert_eq!(refused(owned.state(), OTHER), Some(R::NotLeader));
    assert_eq!(refused(associated(5, None).state(), LOCAL), Some(R::Disabled));
    let leaderless = RequestAssociationSync { leader_id: None, ..sync(LATER, LOCAL) };
    assert_eq!(leaderless.decide(Some(owned.state()), &FACTS).err(), Some(R::NotLeader));
}

#[test]
fn a_synchronisation_is_lost_once_and_only_the_one_that_waits() {
    let lose = |run_id| LoseAssociationSync { run_id };
    let again = associated(0, Some(99)).after(sync(LATER, LOCAL));
    again.clone().when(lose(Some(RUN))).then([]);
    again.clone().when(lose(None)).then([]);
    let lost = again.after(lose(Some(LATER)));
    assert_eq!((lost.state().sync_status.as_str(), lost.state().sync_run), (association::FAILED, None));
    assert_eq!(lost.state().sync_message.as_deref(), Some("no worker for peer-sync"));
    lost.when(lose(Some(LATER))).then([]);
}

#[test]
fn fl_84_85_only_a_copys_association_is_removed_alone() {
    let refused = DeleteAssociation.decide(Some(associated(0, Some(9)).state()), &FACTS);
    assert_eq!(refused, Err(association::Rejection::NotDisabled));
    assert!(associated(5, None).after(DeleteAssociation).state().is_deleted());
}

#[test]
fn sc_174_a_subcloud_joins_changes_and_leaves() {
    let to = |peer_group| UpdateSubcloud { details: Details { peer_group, ..Details::default() } };
    let changed = |from, to| PeerGroupChanged { from, to }.into();
    let member = subcloud(DeployStatus::Complete).after(to(Some(PeerGroupMembership::Of(1))));
    assert_eq!(member.state().peer_group_id, Some(1));
    member.clone().when(to(Some(PeerGroupMembership::Of(1)))).then([]);
    member.clone().when(to(Some(PeerGroupMembership::Of(2)))).then([changed(Some(1), Some(2))]);
    member.clone().when(to(Some(PeerGroupMembership::None))).then([changed(Some(1), None)]);
    member.clone().when(to(None)).then([]);
    // fl_54: only the group that is gone is left.
    member.clone().when(LeavePeerGroup { peer_group_id: 2 }).then([]);
    member.when(LeavePeerGroup { peer_group_id: 1 }).then([changed(Some(1), None)]);
}
