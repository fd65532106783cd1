//! The directory of a small kind: keys, ids and references (design §4, reservation protocol).

use std::collections::BTreeSet;

use dcm_domain::key_directory::*;
use dcm_domain::reservation::{InTime, InTimeRejection, USABLE_FOR};
use dcm_domain::value::Timestamp;
use uuid::Uuid;

use crate::kit::{FACTS, Given, given};

const ONE: Uuid = Uuid::from_u128(1);
const TWO: Uuid = Uuid::from_u128(2);
const THREE: Uuid = Uuid::from_u128(3);
const PEER: &str = "peer-group:1";

fn set(keys: &[&str]) -> BTreeSet<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

fn reserve(entity: Uuid, keys: &[&str]) -> ReserveKeys {
    ReserveKeys { entity, id: None, keys: set(keys), refs: BTreeSet::new() }
}

fn referring(entity: Uuid, key: &str) -> ReserveKeys {
    ReserveKeys { refs: set(&[PEER]), ..reserve(entity, &[key]) }
}

fn change(entity: Uuid, keys: &[&str]) -> ReserveKeyChange {
    ReserveKeyChange { entity, keys: set(keys) }
}

fn close() -> CloseReference {
    CloseReference { reference: PEER.to_owned() }
}

fn reopen(closed_at: Timestamp) -> ReopenReference {
    ReopenReference { reference: PEER.to_owned(), closed_at }
}

fn empty() -> Given<KeyDirectory> {
    given([])
}

/// Two entities whose streams have begun: `name:a` with `uuid:x`, and `name:b`.
fn both() -> Given<KeyDirectory> {
    empty()
        .when(reserve(ONE, &["name:a", "uuid:x"]))
        .then_accepted()
        .when(ConfirmKeys { entity: ONE })
        .then_accepted()
        .when(reserve(TWO, &["name:b"]))
        .then_accepted()
        .when(ConfirmKeys { entity: TWO })
        .then_accepted()
}

fn unsettled(given: &Given<KeyDirectory>) -> usize {
    given.state().unsettled().count()
}

#[test]
fn a_reservation_is_confirmed_and_released() {
    let event = KeysReserved { entity: ONE, id: 1, keys: set(&["name:a"]), refs: set(&[]), at: FACTS.now };
    let given = empty().when(reserve(ONE, &["name:a"])).then([event.into()]);
    assert_eq!(unsettled(&given), 1);
    let given = given.when(reserve(ONE, &["name:other"])).then_nothing();
    let given = given.when(ConfirmKeys { entity: ONE }).then([KeysConfirmed { entity: ONE }.into()]);
    let given = given.when(ConfirmKeys { entity: ONE }).then_nothing();
    assert_eq!(
        (unsettled(&given), given.state().by_key("name:a"), given.state().by_id(1)),
        (0, Some(ONE), Some(ONE))
    );
    let given = given.when(ReleaseKeys { entity: ONE }).then([KeysReleased { entity: ONE }.into()]);
    let given = given.when(ReleaseKeys { entity: ONE }).then_nothing();
    assert_eq!((given.state().by_key("name:a"), given.state().by_id(1)), (None, None));
    assert_eq!(
        given.when(reserve(TWO, &["name:a"])).then_accepted().state().by_id(2),
        Some(TWO),
        "ids go on"
    );
}

#[test]
fn each_key_is_one_entitys() {
    for keys in [&["name:a"][..], &["name:c", "uuid:x"], &["name:b", "uuid:y"]] {
        both().when(reserve(THREE, keys)).then_refused_saying("is taken");
    }
    both().when(reserve(THREE, &["uuid:a"])).then_accepted();
}

#[test]
fn an_import_brings_its_ids() {
    let imported = |entity, id, key| ReserveKeys { id: Some(id), ..reserve(entity, &[key]) };
    let given = both().when(imported(THREE, 9, "name:c")).then_accepted();
    given.clone().when(imported(Uuid::from_u128(4), 9, "name:d")).then_refused_saying("the id 9 is taken");
    let given = given.when(imported(Uuid::from_u128(4), 5, "name:d")).then_accepted();
    assert_eq!(given.state().next_id(), 10);
}

#[test]
fn a_change_holds_both_until_it_is_settled() {
    let given = both().when(change(ONE, &["name:c", "uuid:x"])).then_accepted();
    assert_eq!(unsettled(&given), 1);
    for key in ["name:a", "name:c", "uuid:x"] {
        assert_eq!(given.state().by_key(key), Some(ONE), "{key}");
    }
    given.clone().when(reserve(THREE, &["name:c"])).then_refused_saying("is taken");
    given.clone().when(change(ONE, &["name:c", "uuid:x"])).then_refused_saying("another request");
    let keys = set(&["name:c", "uuid:x"]);
    let other = set(&["name:d", "uuid:x"]);
    let given = given.when(ConfirmKeyChange { entity: ONE, keys: other.clone() }).then_nothing();
    let given = given.when(ReleaseKeyChange { entity: ONE, keys: other }).then_nothing();
    let kept = given.clone().when(ReleaseKeyChange { entity: ONE, keys: keys.clone() }).then_accepted();
    assert_eq!((kept.state().by_key("name:a"), kept.state().by_key("name:c")), (Some(ONE), None));
    assert_eq!((kept.state().by_key("uuid:x"), unsettled(&kept)), (Some(ONE), 0));
    let changed = given.when(ConfirmKeyChange { entity: ONE, keys }).then_accepted();
    assert_eq!((changed.state().by_key("name:a"), changed.state().by_key("name:c")), (None, Some(ONE)));
    assert_eq!((changed.state().by_key("uuid:x"), unsettled(&changed)), (Some(ONE), 0));
}

#[test]
fn a_change_to_what_is_there_is_none_and_one_to_anothers_is_refused() {
    both().when(change(ONE, &["name:a", "uuid:x"])).then_nothing();
    both().when(change(ONE, &["name:b", "uuid:x"])).then_refused_saying("name:b is taken");
    both().when(change(THREE, &["name:c"])).then_refused_saying("not in the directory");
    both().when(ConfirmKeys { entity: THREE }).then_refused_saying("not in the directory");
    let given = both().when(change(ONE, &["name:c"])).then_accepted();
    let given = given.when(ReleaseKeys { entity: ONE }).then_accepted();
    assert_eq!((given.state().by_key("name:c"), given.state().by_key("uuid:x")), (None, None));
}

#[test]
fn what_is_referred_to_is_not_closed_and_what_is_closed_is_not_referred_to() {
    let given = both().when(referring(THREE, "pair:1:2")).then_accepted();
    let given = given.when(close()).then_refused_saying("peer-group:1 is in use");
    let given = given.when(ReleaseKeys { entity: THREE }).then_accepted();
    let given = given.when(close()).then_accepted();
    let given = given.when(referring(THREE, "pair:1:2")).then_refused_saying("is being deleted");
    assert_eq!(given.state().closed().collect::<Vec<_>>(), [(PEER, FACTS.now)]);
    let given = given.when(reopen(Timestamp::from_micros(0))).then_nothing();
    let given = given.when(reopen(FACTS.now)).then_accepted();
    given.when(reopen(FACTS.now)).then_nothing().when(referring(THREE, "pair:1:2")).then_accepted();
}

#[test]
fn who_comes_too_late_after_a_reservation_is_refused() {
    let at = |age: i64| Timestamp::from_micros(FACTS.now.micros() - age);
    let confirm = ConfirmKeys { entity: ONE };
    let decided = |age| {
        let reserved = empty().when(reserve(ONE, &["name:a"])).then_accepted();
        let in_time = InTime { command: &confirm, reserved_at: at(age) };
        dcm_domain::aggregate::Command::decide(&in_time, Some(reserved.state()), &FACTS)
    };
    assert_eq!(decided(USABLE_FOR).map(|events| events.len()), Ok(1));
    assert_eq!(decided(USABLE_FOR + 1), Err(InTimeRejection::Stale));
    let unknown = InTime { command: &ConfirmKeys { entity: TWO }, reserved_at: at(USABLE_FOR + 1) };
    let refused = dcm_domain::aggregate::Command::decide(&unknown, Some(both().state()), &FACTS);
    assert_eq!(refused, Ok(Vec::new()), "what changes nothing needs no reservation");
    assert_eq!(
        serde_json::to_value(unknown).unwrap(),
        serde_json::to_value(ConfirmKeys { entity: TWO }).unwrap()
    );
}
