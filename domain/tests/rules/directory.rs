//! The directory: what must hold across subclouds (design §4, reservation protocol; decisions.md on names and
//! overlaps).

use dcm_domain::directory::*;
use dcm_domain::value::{Name, Region, Subnet};
use uuid::Uuid;

use crate::kit::{FACTS, Given, given};
use crate::samples::name;

pub const ONE: Uuid = Uuid::from_u128(1);
pub const TWO: Uuid = Uuid::from_u128(2);
const THREE: Uuid = Uuid::from_u128(3);

fn region(text: &str) -> Region {
    Region::parse(text).unwrap()
}

pub fn subnet(text: &str) -> Subnet {
    Subnet::parse(text).unwrap()
}

fn reserve(entity: Uuid, name: &str, region_name: &str, net: &str) -> ReserveEntry {
    ReserveEntry {
        entity,
        name: Name::parse(name).unwrap(),
        region: region(region_name),
        subnet: subnet(net),
        group_id: 1,
    }
}

fn reserved(of: &ReserveEntry, id: i64) -> DirectoryEvent {
    let ReserveEntry { entity, name, region, subnet, group_id } = of.clone();
    EntryReserved { entity, id, name, region, subnet, group_id, at: FACTS.now }.into()
}

fn one() -> ReserveEntry {
    reserve(ONE, "edge1", "r1", "10.1.0.0/16")
}

fn two() -> ReserveEntry {
    reserve(TWO, "edge2", "r2", "10.2.0.0/16")
}

fn empty() -> Given<Directory> {
    given([])
}

/// Two subclouds whose streams have begun.
pub fn both() -> Given<Directory> {
    empty().after(one()).after(ConfirmEntry { entity: ONE }).after(two()).after(ConfirmEntry { entity: TWO })
}

fn reserve_name(entity: Uuid, to: &str) -> ReserveName {
    ReserveName { entity, name: name(to) }
}

fn confirm_name(entity: Uuid, to: &str) -> ConfirmName {
    ConfirmName { entity, name: name(to) }
}

fn release_name(entity: Uuid, to: &str) -> ReleaseName {
    ReleaseName { entity, name: name(to) }
}

fn unsettled(given: &Given<Directory>) -> Vec<Uuid> {
    let mut entities: Vec<_> = given.state().unsettled().map(|(entity, _)| entity).collect();
    entities.sort();
    entities
}

#[test]
fn a_reservation_is_confirmed_and_released() {
    let given = empty().when(one()).then([reserved(&one(), 1)]);
    assert_eq!(unsettled(&given), [ONE]);
    let given = given
        .when(ConfirmEntry { entity: ONE })
        .then([EntryConfirmed { entity: ONE }.into()])
        .when(ConfirmEntry { entity: ONE })
        .then_nothing();
    assert!(unsettled(&given).is_empty());
    assert_eq!(given.state().by_name(&name("edge1")), Some(ONE));
    assert_eq!(given.state().by_region(&region("r1")), Some(ONE));
    assert_eq!(given.state().by_id(1), Some(ONE));
    let given = given
        .when(ReleaseEntry { entity: ONE })
        .then([EntryReleased { entity: ONE }.into()])
        .when(ReleaseEntry { entity: ONE })
        .then_nothing();
    assert_eq!(given.state().by_name(&name("edge1")), None);
    assert_eq!(given.state().by_region(&region("r1")), None);
    assert_eq!(given.state().by_id(1), None);
    assert_eq!(given.state().entries().count(), 0);
}

#[test]
fn a_reservation_made_twice_is_one() {
    empty().after(one()).when(one()).then_nothing();
}

#[test]
fn an_unconfirmed_reservation_can_be_released() {
    let given = empty().after(one()).after(ReleaseEntry { entity: ONE });
    assert!(unsettled(&given).is_empty());
    given.when(reserve(TWO, "edge1", "r1", "10.1.0.0/16")).then_accepted();
}

#[test]
fn a_name_is_taken_as_long_as_it_is_reserved() {
    let again = reserve(TWO, "edge1", "r2", "10.2.0.0/16");
    empty()
        .after(one())
        .when(again.clone())
        .then_rejected("name-taken")
        .after(ConfirmEntry { entity: ONE })
        .when(again.clone())
        .then_rejected("name-taken")
        .when(again)
        .then_refused_saying("already exists");
}

#[test]
fn a_region_is_taken_as_long_as_it_is_reserved() {
    both().when(reserve(THREE, "edge3", "r1", "10.3.0.0/16")).then_rejected("region-taken");
}

#[test]
fn the_name_of_a_deleted_subcloud_can_be_added_again_at_once_but_its_id_is_never_used_again() {
    let again = reserve(THREE, "edge2", "r2", "10.2.0.0/16");
    both().after(ReleaseEntry { entity: TWO }).when(again.clone()).then([reserved(&again, 3)]);
    let given = both().after(ReleaseEntry { entity: ONE }).after(ReleaseEntry { entity: TWO });
    assert_eq!(given.state().next_id(), 3);
}

#[test]
fn names_are_looked_at_before_regions_and_regions_before_addresses() {
    both().when(reserve(THREE, "edge1", "r1", "10.1.0.0/16")).then_rejected("name-taken");
    both().when(reserve(THREE, "edge3", "r1", "10.1.0.0/16")).then_rejected("region-taken");
    both().when(reserve(THREE, "edge3", "r3", "10.1.0.0/16")).then_rejected("subnet-overlaps");
}

#[test]
fn an_overlap_is_refused_in_both_directions() {
    for net in ["10.1.0.0/16", "10.1.7.0/24", "10.0.0.0/8", "0.0.0.0/0", "10.1.255.255/32", "10.1.2.3/16"] {
        both().when(reserve(THREE, "edge3", "r3", net)).then_rejected("subnet-overlaps");
    }
    for net in ["10.3.0.0/16", "11.0.0.0/8", "fd01::/64", "::/0"] {
        both().when(reserve(THREE, "edge3", "r3", net)).then_accepted();
    }
}

#[test]
fn an_overlap_is_refused_in_ipv6_too() {
    let given = empty().after(reserve(ONE, "edge1", "r1", "fd01:1::/64"));
    for net in ["fd01:1::/64", "FD01:0001:0:0::/64", "fd01:1::8000:0:0:0/65", "fd01::/16", "::/0"] {
        given.clone().when(reserve(TWO, "edge2", "r2", net)).then_rejected("subnet-overlaps");
    }
    for net in ["fd01:2::/64", "10.0.0.0/8", "0.0.0.0/0"] {
        given.clone().when(reserve(TWO, "edge2", "r2", net)).then_accepted();
    }
}

#[test]
fn a_subcloud_moves_to_a_subnet_that_overlaps_its_own_but_no_others() {
    let change = |net| ChangeSubnet { entity: ONE, subnet: subnet(net) };
    both().when(change("10.1.0.0/16")).then_nothing();
    both().when(change("10.2.3.0/24")).then_rejected("subnet-overlaps");
    both().when(change("10.0.0.0/8")).then_rejected("subnet-overlaps");
    let moved = both().when(change("10.1.4.0/24")).then([SubnetChanged {
        entity: ONE,
        subnet: subnet("10.1.4.0/24"),
    }
    .into()]);
    moved.when(reserve(THREE, "edge3", "r3", "10.1.5.0/24")).then_accepted();
}

#[test]
fn a_rename_holds_both_names_until_it_is_confirmed() {
    let given = both().when(reserve_name(ONE, "edge9")).then([NameReserved {
        entity: ONE,
        name: name("edge9"),
        at: FACTS.now,
    }
    .into()]);
    assert_eq!(unsettled(&given), [ONE]);
    for held in ["edge1", "edge9"] {
        assert_eq!(given.state().by_name(&name(held)), Some(ONE));
        given.clone().when(reserve(THREE, held, "r3", "10.3.0.0/16")).then_rejected("name-taken");
        given.clone().when(reserve_name(TWO, held)).then_rejected("name-or-region-taken");
    }
    let given = given
        .when(confirm_name(ONE, "edge9"))
        .then([NameConfirmed { entity: ONE }.into()])
        .when(confirm_name(ONE, "edge9"))
        .then_nothing();
    assert!(unsettled(&given).is_empty());
    assert_eq!(given.state().by_name(&name("edge9")), Some(ONE));
    given.when(reserve(THREE, "edge1", "r3", "10.3.0.0/16")).then_accepted();
}

#[test]
fn a_rename_that_comes_to_nothing_frees_the_new_name_and_keeps_the_old() {
    let given = both()
        .after(reserve_name(ONE, "edge9"))
        .when(release_name(ONE, "edge9"))
        .then([NameReleased { entity: ONE }.into()])
        .when(release_name(ONE, "edge9"))
        .then_nothing();
    assert!(unsettled(&given).is_empty());
    assert_eq!(given.state().by_name(&name("edge1")), Some(ONE));
    assert_eq!(given.state().by_name(&name("edge9")), None);
}

#[test]
fn sc_173_a_rename_to_the_name_or_region_of_another_is_refused() {
    for taken in ["edge2", "r2"] {
        both()
            .when(reserve_name(ONE, taken))
            .then_rejected("name-or-region-taken")
            .when(reserve_name(ONE, taken))
            .then_refused_saying("already exist");
    }
}

#[test]
fn a_rename_to_its_own_region_is_possible() {
    both().when(reserve_name(ONE, "r1")).then_accepted();
}

#[test]
fn a_second_rename_waits_for_the_first_even_to_the_same_name() {
    let given = both().after(reserve_name(ONE, "edge9"));
    for to in ["edge8", "edge9"] {
        given.clone().when(reserve_name(ONE, to)).then_rejected("name-or-region-taken");
    }
}

#[test]
fn a_rename_to_the_name_it_has_reserves_nothing() {
    let given = both().when(reserve_name(ONE, "edge1")).then_rejected("name-or-region-taken");
    assert_eq!(given.state().by_name(&name("edge1")), Some(ONE));
}

#[test]
fn a_late_confirmation_or_release_does_not_touch_another_rename() {
    let given = both().after(reserve_name(ONE, "edge9"));
    given.clone().when(confirm_name(ONE, "edge8")).then_nothing();
    given.when(release_name(ONE, "edge8")).then_nothing();
}

#[test]
fn confirming_a_creation_leaves_its_rename_unsettled() {
    let given = empty().after(one()).after(reserve_name(ONE, "edge9")).after(ConfirmEntry { entity: ONE });
    assert_eq!(unsettled(&given), [ONE]);
    assert!(unsettled(&given.after(confirm_name(ONE, "edge9"))).is_empty());
}

#[test]
fn ending_a_rename_leaves_an_unconfirmed_creation_unsettled() {
    let given = empty().after(one()).after(reserve_name(ONE, "edge9")).after(release_name(ONE, "edge9"));
    assert_eq!(unsettled(&given), [ONE]);
}

#[test]
fn a_release_in_the_middle_of_a_rename_frees_both_names() {
    let given = both().after(reserve_name(ONE, "edge9")).after(ReleaseEntry { entity: ONE });
    assert!(unsettled(&given).is_empty());
    for free in ["edge1", "edge9"] {
        given.clone().when(reserve(THREE, free, "r3", "10.3.0.0/16")).then_accepted();
    }
}

#[test]
fn a_subcloud_moves_between_groups() {
    both()
        .when(MoveToGroup { entity: ONE, group_id: 2 })
        .then([GroupMembershipChanged { entity: ONE, group_id: 2 }.into()])
        .when(MoveToGroup { entity: ONE, group_id: 2 })
        .then_nothing();
}

#[test]
fn what_is_not_in_the_directory_cannot_be_changed() {
    for given in [empty(), both()] {
        given.clone().when(ConfirmEntry { entity: THREE }).then_rejected("unknown");
        given.clone().when(reserve_name(THREE, "edge3")).then_rejected("unknown");
        given.clone().when(confirm_name(THREE, "edge3")).then_rejected("unknown");
        given.clone().when(release_name(THREE, "edge3")).then_rejected("unknown");
        let change = ChangeSubnet { entity: THREE, subnet: subnet("10.3.0.0/16") };
        given.clone().when(change).then_rejected("unknown");
        given.when(MoveToGroup { entity: THREE, group_id: 1 }).then_rejected("unknown");
    }
}
