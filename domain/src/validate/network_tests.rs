#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::{Value, json};

use super::{Addresses, Controller, network, network_of_existing};
use crate::validate::samples::{admin, bootstrap, bootstrap_v6, with, without};
use crate::validate::{Map, Refused, Status};
use crate::value::Subnet;

fn controller() -> Controller {
    Controller {
        management_subnet: Subnet::parse("192.168.204.0/24").unwrap(),
        pool_start: "192.168.204.2".parse().unwrap(),
        pool_end: "192.168.204.100".parse().unwrap(),
    }
}

fn controller_v6() -> Controller {
    Controller {
        management_subnet: Subnet::parse("fd00:204::/64").unwrap(),
        pool_start: "fd00:204::2".parse().unwrap(),
        pool_end: "fd00:204::100".parse().unwrap(),
    }
}

fn check(payload: &Map) -> Result<Addresses, Refused> {
    network(payload, &controller(), &|_| false)
}

/// `key` of the fixture BV set to each of `values` must be refused with `phrase`.
fn refuses(base: fn() -> Map, key: &str, values: &[&str], phrases: &[&str]) {
    for value in values {
        let refused = check(&with(base(), key, json!(value))).unwrap_err();
        assert_eq!(refused.status, Status::BadRequest);
        for phrase in phrases {
            assert!(refused.text.contains(phrase), "{key}={value}: {} lacks {phrase}", refused.text);
        }
    }
}

#[test]
fn sc_056_057_058_system_controller_gateway() {
    let key = "systemcontroller_gateway_address";
    let invalid = "systemcontroller_gateway_address invalid";
    refuses(bootstrap, key, &["192.168.205.101"], &[invalid, "Address must be in subnet"]);
    refuses(bootstrap, key, &["192.168.204.99", "192.168.204.2"], &[invalid, "is within management pool"]);
    refuses(
        bootstrap,
        key,
        &["192.168.276.276", "192.168.206.wut", "192.168.204"],
        &[invalid, "not a valid IP address"],
    );
    refuses(bootstrap, key, &["fd00::1"], &[invalid, "Invalid IP version"]);
    check(&with(bootstrap(), key, json!("192.168.204.101"))).unwrap();
}

#[test]
fn sc_059_060_management_subnet() {
    let key = "management_subnet";
    refuses(bootstrap, key, &["192.168.101.0/32", "192.168.101.0/30"], &["Subnet too small"]);
    refuses(
        bootstrap,
        key,
        &["192.168.101.0/33", "192.168.276.0/24", "192.168.206.wut/24", "192.168.204/24", "192.168.101.0"],
        &["management_subnet invalid", "not a valid IP subnet"],
    );
    check(&bootstrap()).unwrap();
}

#[test]
fn a_subnet_of_eight_addresses_is_enough() {
    let mut payload = with(bootstrap(), "management_subnet", json!("192.168.101.0/29"));
    payload = with(payload, "management_end_address", json!("192.168.101.6"));
    check(&payload).unwrap();
    let broadcast = with(payload, "management_end_address", json!("192.168.101.7"));
    assert!(check(&broadcast).unwrap_err().text.contains("Cannot use broadcast address"));
}

#[test]
fn sc_061_to_064_management_start_address() {
    let key = "management_start_address";
    let invalid = "management_start_address invalid";
    refuses(bootstrap, key, &["192.168.100.2"], &[invalid, "Address must be in subnet"]);
    refuses(bootstrap, key, &["192.168.101.51", "192.168.101.50"], &["not less than"]);
    refuses(bootstrap, key, &["192.168.101.48"], &["must contain at least 4"]);
    refuses(bootstrap, key, &["192.168.276.2", "192.168.206.wut", "192.168.204"], &[invalid]);
    check(&with(bootstrap(), key, json!("192.168.101.47"))).unwrap();
}

#[test]
fn sc_065_to_068_management_end_address() {
    let key = "management_end_address";
    let invalid = "management_end_address invalid";
    refuses(bootstrap, key, &["192.168.100.50"], &[invalid, "Address must be in subnet"]);
    refuses(bootstrap, key, &["192.168.101.1"], &["not less than"]);
    refuses(bootstrap, key, &["192.168.101.4"], &["must contain at least 4"]);
    refuses(bootstrap, key, &["192.168.276.50", "192.168.206.wut", "192.168.204"], &[invalid]);
    refuses(bootstrap, key, &["192.168.101.255"], &[invalid, "Cannot use broadcast address"]);
}

#[test]
fn sc_096_admin_addresses_are_preferred() {
    let expected = Addresses {
        subnet: "192.168.102.0/24".into(),
        start: "192.168.102.5".into(),
        end: "192.168.102.49".into(),
        gateway: "192.168.102.1".into(),
        systemcontroller_gateway: "192.168.204.101".into(),
    };
    assert_eq!(check(&admin()).unwrap(), expected);
}

#[test]
fn sc_097_without_admin_network_management_addresses_are_shown() {
    let expected = Addresses {
        subnet: "192.168.101.0/24".into(),
        start: "192.168.101.2".into(),
        end: "192.168.101.50".into(),
        gateway: "192.168.101.1".into(),
        systemcontroller_gateway: "192.168.204.101".into(),
    };
    assert_eq!(check(&bootstrap()).unwrap(), expected);
}

#[test]
fn sc_098_to_101_admin_network() {
    refuses(admin, "admin_subnet", &["192.168.102.0/32"], &["admin_subnet invalid", "Subnet too small"]);
    for key in ["admin_start_address", "admin_end_address", "admin_gateway_address"] {
        let invalid = format!("{key} invalid");
        refuses(admin, key, &["192.168.103.7"], &[&invalid, "Address must be in subnet"]);
    }
    refuses(admin, "admin_start_address", &["192.168.102.49"], &["not less than"]);
    refuses(admin, "admin_gateway_address", &["192.168.102.5"], &["is within admin pool"]);
    // Two addresses are enough for an admin pool.
    check(&with(admin(), "admin_start_address", json!("192.168.102.48"))).unwrap();
}

#[test]
fn sc_104_105_names() {
    for digits in [json!("123"), json!(123), json!("0")] {
        let refused = check(&with(bootstrap(), "name", digits)).unwrap_err();
        assert!(refused.text.contains("must contain alphabetic characters"));
    }
    refuses(bootstrap, "name", &["RegionOne", "SystemController"], &["name cannot be"]);
    for fine in ["Sub Cloud_1", "1edge", "regionone"] {
        check(&with(bootstrap(), "name", json!(fine))).unwrap();
    }
}

#[test]
fn hostile_names_are_refused_before_anything_else() {
    for hostile in
        [json!("../edge"), json!("{{ name }}"), json!("a\nb"), json!(["a"]), json!(true), Value::Null]
    {
        let payload = with(without(bootstrap(), "management_subnet"), "name", hostile);
        assert!(check(&payload).unwrap_err().text.starts_with("name invalid"));
    }
}

#[test]
fn a_name_that_was_taken_over_is_kept() {
    let payload = with(bootstrap(), "name", json!("Größe {{ 1 }}"));
    assert!(check(&payload).unwrap_err().text.starts_with("name invalid"), "a new subcloud may not have it");
    let existing = |payload: &Map| network_of_existing(payload, &controller(), &|_| false);
    assert_eq!(existing(&payload).unwrap(), check(&bootstrap()).unwrap());
    for (name, phrase) in [("123", "must contain alphabetic characters"), ("RegionOne", "name cannot be")] {
        let refused = existing(&with(bootstrap(), "name", json!(name))).unwrap_err();
        assert!(refused.text.contains(phrase), "V4 holds otherwise: {}", refused.text);
    }
}

#[test]
fn sc_107_overlapping_subnets_are_refused() {
    let stored = Subnet::parse("192.168.101.0/24").unwrap();
    let taken = |candidate: &Subnet| candidate.overlaps(&stored);
    let key_of = |payload: &Map| network(payload, &controller(), &taken).unwrap_err().text;
    assert!(key_of(&bootstrap()).contains("management_subnet invalid: Subnet overlaps"));
    let wider = with(bootstrap(), "management_subnet", json!("192.168.0.0/16"));
    assert!(key_of(&wider).contains("management_subnet invalid: Subnet overlaps"));

    let mut other = bootstrap();
    for (key, value) in [
        ("management_subnet", "192.168.111.0/24"),
        ("management_start_address", "192.168.111.2"),
        ("management_end_address", "192.168.111.50"),
        ("management_gateway_address", "192.168.111.1"),
    ] {
        other.insert(key.into(), json!(value));
    }
    network(&other, &controller(), &taken).unwrap();
    let oam = with(other, "external_oam_subnet", json!("192.168.101.0/28"));
    assert!(key_of(&oam).contains("external_oam_subnet invalid: Subnet overlaps"));
}

#[test]
fn sc_108_gateway_inside_the_management_pool() {
    let phrases = ["management_gateway_address invalid", "is within management pool"];
    refuses(bootstrap, "management_gateway_address", &["192.168.101.2", "192.168.101.50"], &phrases);
    refuses(bootstrap, "management_gateway_address", &["192.168.102.1"], &["Address must be in subnet"]);
    // An admin network inside the management network brings its gateway into the same rule.
    let mut nested = with(admin(), "admin_subnet", json!("192.168.101.0/24"));
    nested = with(nested, "admin_start_address", json!("192.168.101.60"));
    nested = with(nested, "admin_end_address", json!("192.168.101.70"));
    nested = with(nested, "admin_gateway_address", json!("192.168.101.10"));
    let text = check(&nested).unwrap_err().text;
    assert!(text.contains("admin_gateway_address invalid") && text.contains("is within management pool"));
}

#[test]
fn oam_network() {
    refuses(
        bootstrap,
        "external_oam_subnet",
        &["10.10.10.0/31"],
        &["external_oam_subnet invalid", "too small"],
    );
    refuses(bootstrap, "external_oam_gateway_address", &["10.10.11.1"], &["oam_gateway_address invalid"]);
    refuses(bootstrap, "external_oam_floating_address", &["fd00::1"], &["oam_floating_address invalid"]);
}

#[test]
fn checks_come_in_the_contracts_order() {
    // Each step mends what the step before complained about.
    let steps = [
        ("name", "123", "must contain alphabetic characters"),
        ("name", "RegionOne", "name cannot be"),
        ("name", "edge", "management_subnet invalid"),
        ("management_subnet", "192.168.101.0/24", "management_start_address invalid"),
        ("management_start_address", "192.168.101.2", "management_end_address invalid"),
        ("management_end_address", "192.168.101.1", "not less than"),
        ("management_end_address", "192.168.101.4", "must contain at least 4"),
        ("management_end_address", "192.168.101.50", "management_gateway_address invalid: not a valid"),
        ("management_gateway_address", "192.168.101.3", "is within management pool"),
        (
            "management_gateway_address",
            "192.168.101.1",
            "systemcontroller_gateway_address invalid: not a valid",
        ),
        ("systemcontroller_gateway_address", "192.168.204.3", "is within management pool"),
        ("systemcontroller_gateway_address", "192.168.204.101", "external_oam_subnet invalid"),
        ("external_oam_subnet", "10.10.10.0/24", "oam_gateway_address invalid"),
        ("external_oam_gateway_address", "10.10.10.1", "oam_floating_address invalid"),
    ];
    let mut payload = Map::new();
    for (key, value, phrase) in steps {
        payload.insert(key.into(), json!(value));
        let text = check(&payload).unwrap_err().text;
        assert!(text.contains(phrase), "{key}={value}: {text}");
    }
}

#[test]
fn ipv6_networks() {
    let check = |payload: &Map| network(payload, &controller_v6(), &|_| false);
    let shown = check(&bootstrap_v6()).unwrap();
    assert_eq!((shown.subnet.as_str(), shown.start.as_str()), ("FD01:0006::/64", "fd01:6::2"));
    assert_eq!(shown.systemcontroller_gateway, "fd00:204::101");
    for (key, value, phrase) in [
        ("management_subnet", "fd01:6::/63", "IPv6 minimum prefix length"),
        ("management_subnet", "fd01:6::/126", "Subnet too small"),
        ("management_subnet", "fd01:6::%eth0/64", "not a valid IP subnet"),
        ("management_start_address", "192.168.101.2", "Invalid IP version"),
        ("management_end_address", "fd01:6::ffff:ffff:ffff:ffff", "Cannot use broadcast address"),
        ("management_gateway_address", "fd01:6::50", "is within management pool"),
        ("external_oam_subnet", "fd02::/32", "IPv6 minimum prefix length"),
        ("systemcontroller_gateway_address", "fd00:204::99", "is within management pool"),
    ] {
        let text = check(&with(bootstrap_v6(), key, json!(value))).unwrap_err().text;
        assert!(text.contains(phrase), "{key}={value}: {text}");
    }
}
