//! Update options (fleet.md §10).

use dcm_domain::options::*;
use uuid::Uuid;

use crate::kit::{FACTS, Given, given};

const ONE: Uuid = Uuid::from_u128(1);
const TWO: Uuid = Uuid::from_u128(2);

fn values(storage: &str) -> OptionValues {
    OptionValues { storage_apply_type: Some(storage.to_owned()), ..OptionValues::installed() }
}

fn set(subcloud: Option<(Uuid, i64)>, values: OptionValues) -> SetSwUpdateOptions {
    SetSwUpdateOptions { subcloud, values }
}

fn nothing() -> Given<SwUpdateOptions> {
    given([])
}

#[test]
fn fl_138_the_default_is_there_until_it_is_removed() {
    nothing().when(set(None, OptionValues::installed())).then_nothing();
    let changed = nothing().when(set(None, values("serial"))).then_accepted();
    let stored = changed.state().stored(None).unwrap();
    assert_eq!((stored.id, stored.subcloud_id, stored.created_at), (1, None, None));
    assert_eq!(stored.updated_at, Some(FACTS.now));
    let removed = nothing().when(RemoveSwUpdateOptions { subcloud: None }).then_accepted();
    assert_eq!(removed.state().stored(None), None);
    let removed = removed.when(RemoveSwUpdateOptions { subcloud: None }).then_nothing();
    let given_again = OptionValues { max_parallel_workers: Some(3), ..OptionValues::default() };
    let again = removed.when(set(None, given_again.clone())).then_accepted();
    let stored = again.state().stored(None).unwrap();
    assert_eq!((stored.id, stored.subcloud_id, stored.created_at), (2, Some(0), Some(FACTS.now)));
    assert_eq!(stored.values, given_again, "nothing is left of the constants");
}

#[test]
fn fl_136_137_options_of_subclouds() {
    nothing().when(RemoveSwUpdateOptions { subcloud: Some(ONE) }).then_refused_saying("not found");
    let given = nothing().when(set(Some((TWO, 7)), values("serial"))).then_accepted();
    let given = given.when(set(Some((ONE, 3)), values("serial"))).then_accepted();
    let ids: Vec<_> = [TWO, ONE].map(|uuid| given.state().stored(Some(uuid)).unwrap().id).into();
    assert_eq!(ids, [1, 2]);
    assert_eq!(given.state().stored(Some(TWO)).unwrap().subcloud_id, Some(7));
    let partly = OptionValues { max_parallel_workers: Some(1), ..OptionValues::default() };
    let given = given.when(set(Some((ONE, 3)), partly.clone())).then_accepted();
    let stored = given.state().stored(Some(ONE)).unwrap();
    assert_eq!(stored.values, OptionValues { max_parallel_workers: Some(1), ..values("serial") });
    assert_eq!((stored.id, stored.created_at, stored.updated_at), (2, Some(FACTS.now), Some(FACTS.now)));
    let given = given.when(set(Some((ONE, 3)), partly)).then_nothing();
    let given = given.when(RemoveSwUpdateOptions { subcloud: Some(ONE) }).then_accepted();
    let given = given.when(set(Some((ONE, 3)), values("x"))).then_accepted();
    assert_eq!(given.state().stored(Some(ONE)).unwrap().id, 3, "ids are not used again");
}

#[test]
fn options_are_taken_over_as_they_were() {
    let row = SwUpdateOptionsImported {
        subcloud: Some(ONE),
        id: 9,
        subcloud_id: Some(4),
        values: OptionValues::default(),
        created_at: None,
        updated_at: None,
    };
    let imported = nothing().when(ImportSwUpdateOptions { rows: vec![row.clone()] }).then_accepted();
    assert_eq!(imported.state().stored(None), None, "the old table had no default");
    assert_eq!(imported.state().stored(Some(ONE)).unwrap().id, 9);
    let given = imported.when(set(Some((TWO, 5)), values("x"))).then_accepted();
    assert_eq!(given.state().stored(Some(TWO)).unwrap().id, 10);
    let default = SwUpdateOptionsImported { subcloud: None, id: 2, subcloud_id: Some(0), ..row };
    let import = ImportSwUpdateOptions { rows: vec![default] };
    given.when(import.clone()).then_refused_saying("already");
    let imported = nothing().when(import).then_accepted();
    assert_eq!(imported.state().stored(None).unwrap().subcloud_id, Some(0));
}
