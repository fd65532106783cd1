//! Random reservations, renames and releases: the directory agrees with a plain list, and nothing unique is held twice.

use dcm_domain::aggregate::{Aggregate, Command};
use dcm_domain::directory::*;
use dcm_domain::value::{Name, Region, Subnet};
use proptest::prelude::*;
use proptest::sample::select;
use uuid::Uuid;

use crate::kit::FACTS;

/// Names and regions come from one small pool, so that they collide with one another.
const WORDS: [&str; 6] = ["a", "b", "c", "edge.1", "edge-2", "0"];

/// Subnets that lie in, around and beside one another, of both families.
const SUBNETS: [&str; 10] = [
    "10.0.0.0/8",
    "10.1.0.0/16",
    "10.1.2.0/24",
    "10.1.2.3/24",
    "10.2.0.0/16",
    "192.168.0.0/30",
    "fd00::/16",
    "fd00:1::/64",
    "FD00:0001:0::/64",
    "fd01::/64",
];

#[derive(Clone, Debug)]
enum Act {
    Reserve { entity: u128, name: &'static str, region: &'static str, subnet: &'static str },
    Confirm { entity: u128 },
    Release { entity: u128 },
    ReserveName { entity: u128, name: &'static str },
    ConfirmName { entity: u128, name: &'static str },
    ReleaseName { entity: u128, name: &'static str },
    ChangeSubnet { entity: u128, subnet: &'static str },
    Move { entity: u128, group_id: i64 },
}

fn any_act() -> impl Strategy<Value = Act> {
    let word = || select(&WORDS[..]);
    let net = || select(&SUBNETS[..]);
    let entity = || 1_u128..7;
    prop_oneof![
        4 => (entity(), word(), word(), net())
            .prop_map(|(entity, name, region, subnet)| Act::Reserve { entity, name, region, subnet }),
        3 => entity().prop_map(|entity| Act::Confirm { entity }),
        2 => entity().prop_map(|entity| Act::Release { entity }),
        4 => (entity(), word()).prop_map(|(entity, name)| Act::ReserveName { entity, name }),
        3 => (entity(), word()).prop_map(|(entity, name)| Act::ConfirmName { entity, name }),
        3 => (entity(), word()).prop_map(|(entity, name)| Act::ReleaseName { entity, name }),
        2 => (entity(), net()).prop_map(|(entity, subnet)| Act::ChangeSubnet { entity, subnet }),
        1 => (entity(), 1_i64..3).prop_map(|(entity, group_id)| Act::Move { entity, group_id }),
    ]
}

fn decide(act: &Act, state: Option<&Directory>) -> Result<Vec<DirectoryEvent>, Rejection> {
    let name = |text: &str| Name::parse(text).unwrap();
    let subnet = |text: &str| Subnet::parse(text).unwrap();
    let uuid = Uuid::from_u128;
    match *act {
        Act::Reserve { entity, name: text, region, subnet: net } => ReserveEntry {
            entity: uuid(entity),
            name: name(text),
            region: Region::parse(region).unwrap(),
            subnet: subnet(net),
            group_id: 1,
        }
        .decide(state, &FACTS),
        Act::Confirm { entity } => ConfirmEntry { entity: uuid(entity) }.decide(state, &FACTS),
        Act::Release { entity } => ReleaseEntry { entity: uuid(entity) }.decide(state, &FACTS),
        Act::ReserveName { entity, name: text } => {
            ReserveName { entity: uuid(entity), name: name(text) }.decide(state, &FACTS)
        }
        Act::ConfirmName { entity, name: text } => {
            ConfirmName { entity: uuid(entity), name: name(text) }.decide(state, &FACTS)
        }
        Act::ReleaseName { entity, name: text } => {
            ReleaseName { entity: uuid(entity), name: name(text) }.decide(state, &FACTS)
        }
        Act::ChangeSubnet { entity, subnet: net } => {
            ChangeSubnet { entity: uuid(entity), subnet: subnet(net) }.decide(state, &FACTS)
        }
        Act::Move { entity, group_id } => {
            MoveToGroup { entity: uuid(entity), group_id }.decide(state, &FACTS)
        }
    }
}

/// What is held for one subcloud.
#[derive(Clone, Debug, PartialEq)]
struct Held {
    entity: u128,
    id: i64,
    name: &'static str,
    next: Option<&'static str>,
    region: &'static str,
    subnet: &'static str,
    group: i64,
    confirmed: bool,
}

/// A plain list, searched from end to end.
#[derive(Clone, Debug, Default)]
struct Model {
    held: Vec<Held>,
    last_id: i64,
}

impl Model {
    /// Whether the request is accepted; then it is carried out.
    fn accept(&mut self, act: &Act) -> bool {
        let taken = |held: &Held, name: &str| held.name == name || held.next == Some(name);
        let others = self.held.clone();
        let find = |held: &mut Vec<Held>, entity: u128| held.iter().position(|one| one.entity == entity);
        match *act {
            Act::Reserve { entity, name, region, subnet } => {
                if find(&mut self.held, entity).is_some() {
                    return true;
                }
                let free = others
                    .iter()
                    .all(|held| !taken(held, name) && held.region != region && !overlap(held.subnet, subnet));
                if free {
                    self.last_id += 1;
                    let (id, next, group, confirmed) = (self.last_id, None, 1, false);
                    self.held.push(Held { entity, id, name, next, region, subnet, group, confirmed });
                }
                free
            }
            Act::Release { entity } => {
                self.held.retain(|held| held.entity != entity);
                true
            }
            Act::Confirm { entity }
            | Act::ReserveName { entity, .. }
            | Act::ConfirmName { entity, .. }
            | Act::ReleaseName { entity, .. }
            | Act::ChangeSubnet { entity, .. }
            | Act::Move { entity, .. } => match find(&mut self.held, entity) {
                Some(index) => change(&mut self.held, index, act),
                None => false,
            },
        }
    }
}

fn change(held: &mut [Held], index: usize, act: &Act) -> bool {
    let others = |test: &dyn Fn(&Held) -> bool| {
        held.iter().enumerate().any(|(other, one)| other != index && test(one))
    };
    match *act {
        Act::ReserveName { name, .. } => {
            let taken = others(&|one| one.name == name || one.next == Some(name) || one.region == name);
            if taken || held[index].next.is_some() || held[index].name == name {
                return false;
            }
            held[index].next = Some(name);
        }
        Act::ChangeSubnet { subnet, .. } => {
            if others(&|one| overlap(one.subnet, subnet)) {
                return false;
            }
            held[index].subnet = subnet;
        }
        Act::ConfirmName { name, .. } if held[index].next == Some(name) => {
            (held[index].name, held[index].next) = (name, None);
        }
        Act::ReleaseName { name, .. } if held[index].next == Some(name) => held[index].next = None,
        Act::Confirm { .. } => held[index].confirmed = true,
        Act::Move { group_id, .. } => held[index].group = group_id,
        _ => {}
    }
    true
}

/// Whether two subnets share an address, by comparing their leading bits.
fn overlap(one: &str, two: &str) -> bool {
    let (one, two) = (bits(one), bits(two));
    let shorter = one.len().min(two.len());
    one[..shorter] == two[..shorter]
}

/// The family and the bits that name the subnet.
fn bits(subnet: &str) -> String {
    let (address, prefix) = subnet.split_once('/').unwrap();
    let bits = match address.parse().unwrap() {
        std::net::IpAddr::V4(v4) => format!("4{:032b}", v4.to_bits()),
        std::net::IpAddr::V6(v6) => format!("6{:0128b}", v6.to_bits()),
    };
    bits[..=prefix.parse::<usize>().unwrap()].to_owned()
}

fn told(directory: &Directory) -> Vec<Held> {
    let word = |text: &str| *WORDS.iter().find(|word| **word == text).unwrap();
    let mut held: Vec<_> = directory
        .entries()
        .map(|(entity, entry)| Held {
            entity: entity.as_u128(),
            id: entry.id,
            name: word(entry.name.as_ref()),
            next: entry.next_name.as_ref().map(|name| word(name.as_ref())),
            region: word(entry.region.as_ref()),
            subnet: SUBNETS
                .iter()
                .find(|net| Some(**net) == entry.subnet.as_ref().map(Subnet::as_str))
                .unwrap(),
            group: entry.group_id,
            confirmed: entry.confirmed,
        })
        .collect();
    held.sort_by_key(|held| held.id);
    held
}

/// Every index finds exactly what the entries say.
fn indices_agree(directory: &Directory, held: &[Held]) -> Result<(), TestCaseError> {
    let owner = |test: &dyn Fn(&Held) -> bool| {
        let owners: Vec<_> = held.iter().filter(|held| test(held)).collect();
        assert!(owners.len() <= 1, "held twice: {owners:?}");
        owners.first().map(|held| Uuid::from_u128(held.entity))
    };
    for word in WORDS {
        let by_name = directory.by_name(&Name::parse(word).unwrap());
        prop_assert_eq!(
            by_name,
            owner(&|held| held.name == word || held.next == Some(word)),
            "name {}",
            word
        );
        let by_region = directory.by_region(&Region::parse(word).unwrap());
        prop_assert_eq!(by_region, owner(&|held| held.region == word), "region {}", word);
    }
    for id in 0..=directory.next_id() {
        prop_assert_eq!(directory.by_id(id), owner(&|held| held.id == id), "id {}", id);
    }
    for net in SUBNETS {
        let expected = held.iter().any(|held| overlap(held.subnet, net));
        let found = directory.overlapping(&Subnet::parse(net).unwrap(), None);
        prop_assert_eq!(found.is_some(), expected, "{}", net);
    }
    for (index, one) in held.iter().enumerate() {
        prop_assert!(held[..index].iter().all(|other| !overlap(other.subnet, one.subnet)), "{:?}", held);
    }
    let mut unsettled: Vec<_> = directory.unsettled().map(|(_, entry)| entry.id).collect();
    unsettled.sort_unstable();
    let open = held.iter().filter(|held| !held.confirmed || held.next.is_some());
    prop_assert_eq!(unsettled, open.map(|held| held.id).collect::<Vec<_>>());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn any_history_agrees_with_a_plain_list(history in prop::collection::vec(any_act(), 1..200)) {
        let (mut model, mut state, mut events) = (Model::default(), None, Vec::new());
        for act in &history {
            let decided = decide(act, state.as_ref());
            prop_assert_eq!(model.accept(act), decided.is_ok(), "{:?} on {:?}: {:?}", act, model, decided);
            for event in decided.unwrap_or_default() {
                let text = serde_json::to_string(&event).unwrap();
                let stored: DirectoryEvent = serde_json::from_str(&text).unwrap();
                prop_assert_eq!(&stored, &event);
                state = Some(Directory::evolve(state, &stored).unwrap());
                events.push(stored);
            }
            let Some(directory) = &state else { continue };
            prop_assert_eq!(&told(directory), &model.held, "{:?}", act);
            prop_assert_eq!(directory.next_id(), model.last_id + 1);
            indices_agree(directory, &model.held)?;
        }
        let refolded = events.iter().try_fold(None, |state, event| Directory::evolve(state, event).map(Some));
        let refolded = refolded.unwrap();
        prop_assert_eq!(refolded.as_ref().map(told), state.as_ref().map(told));
        if let Some(directory) = &refolded {
            indices_agree(directory, &model.held)?;
        }
    }
}
