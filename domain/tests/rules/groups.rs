//! Subcloud groups (fleet.md §2), and who is in them.

use dcm_domain::directory::{
    CloseGroup, ConfirmEntry, Directory, MoveToGroup, ReleaseGroupMove, ReopenGroup, ReserveEntry,
    ReserveGroupMove,
};
use dcm_domain::group::command::*;
use dcm_domain::group::*;
use dcm_domain::key_directory::Listed;
use dcm_domain::value::{Name, Region, Subnet, Timestamp};
use uuid::Uuid;

use crate::kit::{FACTS, Given, given};

const ONE: Uuid = Uuid::from_u128(1);
const TWO: Uuid = Uuid::from_u128(2);

fn values() -> GroupValues {
    GroupValues {
        name: "edge".to_owned(),
        description: "Edge sites".to_owned(),
        update_apply_type: "parallel".to_owned(),
        max_parallel_subclouds: 5,
    }
}

fn edge() -> Given<SubcloudGroup> {
    given([]).when(AddSubcloudGroup { id: 2, values: values() }).then_accepted()
}

fn update(changes: GroupChanges) -> UpdateSubcloudGroup {
    UpdateSubcloudGroup { changes }
}

fn name(name: &str) -> GroupChanges {
    GroupChanges { name: Some(name.to_owned()), ..GroupChanges::default() }
}

#[test]
fn fl_7_15_values_of_a_group() {
    let long = "x".repeat(255);
    let name = |name: &str| GroupValues { name: name.to_owned(), ..values() };
    for wrong in ["", "123", "Default", &long, "a\0", "a\n", "١٢"] {
        assert_eq!(name(wrong).check(), Err(Rejection::InvalidName), "{wrong:?}");
    }
    for right in ["default", "DEFAULT", "1a", &"ü".repeat(254), "get", "a b"] {
        assert_eq!(name(right).check(), Ok(5), "{right:?}");
    }
    for description in [String::new(), long, "a\0".to_owned()] {
        let refused = GroupValues { description, ..values() }.check();
        assert_eq!(refused, Err(Rejection::InvalidDescription));
    }
    for word in ["", "something", "Serial"] {
        let refused = GroupValues { update_apply_type: word.to_owned(), ..values() }.check();
        assert_eq!(refused, Err(Rejection::InvalidApplyType));
    }
    for (count, within) in
        [(i64::MIN, false), (0, false), (1, true), (500, true), (501, false), (i64::MAX, false)]
    {
        let checked = GroupValues { max_parallel_subclouds: count, ..values() }.check();
        assert_eq!(checked.is_ok(), within, "{count}");
    }
    let all_wrong = GroupValues { name: String::new(), description: String::new(), ..values() };
    assert_eq!(all_wrong.check(), Err(Rejection::InvalidName), "the name comes first");
}

#[test]
fn an_update_records_what_changes() {
    let changes = GroupChanges { description: Some("Edge sites".to_owned()), ..name("west") };
    let updated = SubcloudGroupUpdated { name: Some("west".to_owned()), ..SubcloudGroupUpdated::default() };
    let given =
        edge().when(update(changes.clone())).then([SubcloudGroupEvent::SubcloudGroupUpdated(updated)]);
    assert_eq!(given.state().keys(), [name_key("west")].into());
    given.when(update(changes)).then_nothing();
    edge().when(update(GroupChanges::default())).then_refused_saying("nothing to update");
    let wrong = GroupChanges { max_parallel_subclouds: Some(0), ..GroupChanges::default() };
    edge().when(update(wrong)).then_refused_saying("max_parallel_subclouds");
}

#[test]
fn the_default_group_keeps_its_name_and_stays() {
    let default = given([]).when(EnsureDefaultGroup).then_accepted();
    default.clone().when(EnsureDefaultGroup).then_nothing();
    default.clone().when(update(name("x"))).then_refused_saying("cannot be changed");
    default.clone().when(update(name(""))).then_refused_saying("Invalid group name");
    default.clone().when(DeleteSubcloudGroup).then_refused_saying("may not be deleted");
    let more = GroupChanges { max_parallel_subclouds: Some(9), ..GroupChanges::default() };
    default.when(update(more)).then_accepted();
}

#[test]
fn a_group_that_is_gone_takes_no_command() {
    let gone = edge().when(DeleteSubcloudGroup).then_accepted();
    let never = given([]).when(AbandonSubcloudGroup { id: 2 }).then_accepted();
    for group in [gone, never] {
        assert!(group.state().is_deleted());
        group.clone().when(update(name("x"))).then_refused_saying("not found");
        group.clone().when(DeleteSubcloudGroup).then_refused_saying("not found");
        group.clone().when(AbandonSubcloudGroup { id: 2 }).then_refused_saying("exists");
        group.when(AddSubcloudGroup { id: 2, values: values() }).then_refused_saying("exists");
    }
    edge().when(AbandonSubcloudGroup { id: 2 }).then_refused_saying("exists");
}

#[test]
fn a_group_that_is_taken_over_is_as_it_was() {
    let imported = SubcloudGroupImported {
        id: 4,
        name: "7".to_owned(),
        description: String::new(),
        update_apply_type: "serial".to_owned(),
        max_parallel_subclouds: 0,
        created_at: Timestamp::from_micros(1),
        updated_at: None,
    };
    let given = given([]).when(ImportSubcloudGroup { imported: imported.clone() }).then_accepted();
    assert_eq!((given.state().max_parallel_subclouds, given.state().name.as_str()), (0, "7"));
    given.when(ImportSubcloudGroup { imported }).then_refused_saying("exists");
}

fn member() -> Given<Directory> {
    given([])
        .when(reserve(ONE, "edge1", "10.1.0.0/16"))
        .then_accepted()
        .when(ConfirmEntry { entity: ONE })
        .then_accepted()
}

fn reserve(entity: Uuid, name: &str, net: &str) -> ReserveEntry {
    ReserveEntry {
        entity,
        name: Name::parse(name).unwrap(),
        region: Region::parse(name).unwrap(),
        subnet: Subnet::parse(net).unwrap(),
        group_id: 1,
    }
}

fn to(group_id: i64) -> ReserveGroupMove {
    ReserveGroupMove { entity: ONE, group_id }
}

#[test]
fn a_subcloud_on_its_way_counts_for_both_groups() {
    let moving = member().when(to(2)).then_accepted();
    assert_eq!(moving.state().unsettled().count(), 1);
    for group_id in [1, 2] {
        moving.clone().when(CloseGroup { group_id }).then_rejected("group-not-empty");
    }
    moving.clone().when(to(3)).then_rejected("move-under-way");
    moving.clone().when(to(2)).then_rejected("move-under-way");
    let back = moving.clone().when(ReleaseGroupMove { entity: ONE, group_id: 2 }).then_accepted();
    back.clone().when(ReleaseGroupMove { entity: ONE, group_id: 2 }).then_nothing();
    assert_eq!(back.state().unsettled().count(), 0);
    back.when(CloseGroup { group_id: 2 }).then_accepted();
    let there = moving.when(MoveToGroup { entity: ONE, group_id: 2 }).then_accepted();
    assert_eq!((there.state().unsettled().count(), there.state().entry(ONE).unwrap().group_id), (0, 2));
    there.clone().when(to(2)).then_nothing();
    there.when(CloseGroup { group_id: 1 }).then_accepted();
}

#[test]
fn nobody_joins_a_closed_group() {
    let closed = member().when(CloseGroup { group_id: 2 }).then_accepted();
    closed.clone().when(to(2)).then_rejected("group-closed");
    closed.clone().when(MoveToGroup { entity: ONE, group_id: 2 }).then_rejected("group-closed");
    let second = ReserveEntry { group_id: 2, ..reserve(TWO, "edge2", "10.2.0.0/16") };
    closed.clone().when(second.clone()).then_rejected("group-closed");
    let closed_at = closed.state().group_closed_at(2).unwrap();
    assert_eq!((closed_at, closed.state().closed_groups().count()), (FACTS.now, 1));
    let early = Timestamp::from_micros(closed_at.micros() - 1);
    let closed = closed.when(ReopenGroup { group_id: 2, closed_at: early }).then_nothing();
    let open = closed.when(ReopenGroup { group_id: 2, closed_at }).then_accepted();
    open.clone().when(to(2)).then_accepted();
    open.when(second).then_accepted();
}
