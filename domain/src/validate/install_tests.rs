#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::install_values;
use crate::validate::samples::{install, map, with, without};
use crate::validate::{Map, Refused, Status};

/// base64 of `bmcpass`.
const BMC: &str = "Ym1jcGFzcw==";

fn found(_: &str) -> Result<String, Refused> {
    Ok("/opt/dc-vault/loads/21.12/bootimage.iso".into())
}

fn check(values: Map) -> Result<Map, Refused> {
    install_values(values, Some(BMC), "21.12", None, &found)
}

/// Each of `wrong` under `key` must be refused with `phrase`, each of `right` accepted.
fn table(base: fn() -> Map, key: &str, phrase: &str, wrong: &[Value], right: &[Value]) {
    for value in wrong {
        let refused = check(with(base(), key, value.clone())).unwrap_err();
        assert_eq!(refused.status, Status::BadRequest);
        assert!(refused.text.contains(phrase), "{key}={value}: {} lacks {phrase}", refused.text);
        assert!(!refused.text.contains(BMC) && !refused.text.contains("bmcpass"));
    }
    for value in right {
        assert!(check(with(base(), key, value.clone())).is_ok(), "{key}={value}");
    }
}

fn install_v6() -> Map {
    let values = with(install(), "bootstrap_address", json!("fd01:6::6"));
    with(values, "bmc_address", json!("fd01:6::7"))
}

fn routed() -> Map {
    let values = with(install(), "nexthop_gateway", json!("192.168.1.2"));
    with(with(values, "network_address", json!("192.168.101.10")), "network_mask", json!(32))
}

#[test]
fn values_come_back_completed() {
    let values = check(install()).unwrap();
    assert_eq!(values["software_version"], "21.12");
    assert_eq!(values["bmc_password"], BMC);
    assert_eq!(values["image"], "/opt/dc-vault/loads/21.12/bootimage.iso");
}

#[test]
fn sc_074_bmc_password_is_a_form_field() {
    for (given, phrase) in [
        (None, "bmc_password required"),
        (Some(""), "bmc_password required"),
        (Some("a"), "Failed to decode subcloud bmc_password"),
    ] {
        let values = with(install(), "bmc_password", json!(BMC));
        let refused = install_values(values, given, "21.12", None, &found).unwrap_err();
        assert!(refused.text.contains(phrase));
        assert!(!refused.text.contains(BMC));
    }
}

#[test]
fn sc_071_072_075_version_and_image() {
    let phrase = "does not match with the specified/current software version";
    let wrong = [json!("22.12"), json!(""), Value::Null, json!("21.12\n"), json!(22.12)];
    table(install, "software_version", phrase, &wrong, &[json!("21.12"), json!(21.12)]);
    let number = check(with(install(), "software_version", json!(21.12))).unwrap();
    assert_eq!(number["software_version"], "21.12");

    let none = |release: &str| Err(Refused::bad_request(format!("Failed to get {release} load image")));
    let refused = install_values(install(), Some(BMC), "21.12", None, &none).unwrap_err();
    assert_eq!(refused.text, "Failed to get 21.12 load image");
    let given = with(install(), "image", json!("http://evil/x.iso"));
    assert_ne!(check(given).unwrap()["image"], "http://evil/x.iso");
}

#[test]
fn sc_076_to_081_mandatory_keys() {
    let keys = [
        "bootstrap_interface",
        "bootstrap_address",
        "bootstrap_address_prefix",
        "bmc_address",
        "bmc_username",
        "install_type",
    ];
    for key in keys {
        let refused = check(without(install(), key)).unwrap_err();
        assert_eq!(refused.text, format!("Mandatory install value {key} not present"));
    }
    // The stored value is shown beside the missing one.
    let stored = map(json!({"bmc_username": "admin", "bmc_password": BMC}));
    let missing = without(install(), "bmc_username");
    let refused = install_values(missing, Some(BMC), "21.12", Some(&stored), &found).unwrap_err();
    assert_eq!(
        refused.text,
        "Mandatory install value bmc_username not present, stored bmc_username: \"admin\""
    );
}

#[test]
fn sc_083_install_type() {
    let wrong =
        [json!(-1), json!(6), json!("3"), json!("w"), json!(""), Value::Null, json!(3.0), json!(u64::MAX)];
    table(install, "install_type", "install_type invalid", &wrong, &[json!(0), json!(3), json!(5)]);
}

#[test]
fn sc_084_085_addresses() {
    let wrong =
        [json!("192.168.1.256"), json!("192.168.206.wut"), Value::Null, json!(7), json!("10.0.0.1\n")];
    table(install, "bootstrap_address", "bootstrap_address invalid", &wrong, &[json!("10.0.0.1")]);
    let wrong = [json!("128.224.64.256"), json!("128.224.64.wut"), Value::Null, json!("http://10.0.0.1")];
    table(install, "bmc_address", "bmc_address invalid", &wrong, &[json!("10.0.0.1")]);
}

#[test]
fn sc_086_persistent_size_and_its_neighbour_hw_settle() {
    let whole = [json!("4000o"), json!("40000"), json!("20000"), json!(40000.1), Value::Null, json!(true)];
    table(install, "persistent_size", "must be a whole number", &whole, &[json!(40000), json!(30000)]);
    table(install, "persistent_size", "is less than the permitted minimum", &[json!(29999), json!(-1)], &[]);
    table(install, "hw_settle", "must be a whole number", &whole, &[json!(0), json!(9)]);
    table(install, "hw_settle", "is less than 0", &[json!(-1)], &[]);
}

#[test]
fn extra_boot_params() {
    let key = "extra_boot_params";
    let empty = [json!(""), Value::Null, json!("None"), json!([]), json!({"a": 1})];
    table(
        install,
        key,
        "must not be empty",
        &empty,
        &[json!("multi-drivers-switch=cvl-2.54"), json!("a=1,b=2")],
    );
    let blanks = [json!("a=1 b=2"), json!("a\tb"), json!("a\nb"), json!("a\u{a0}b"), json!("a\0b")];
    table(install, key, "Spaces are not allowed", &blanks, &[]);
}

#[test]
fn sc_087_093_094_nexthop_gateway() {
    let key = "nexthop_gateway";
    let wrong = [json!("128.224.64.256"), json!("128.224.64.wut"), Value::Null, json!("")];
    table(install, key, "nexthop_gateway address invalid", &wrong, &[json!("192.168.1.2")]);
    table(install, key, "must be the same IP version", &[json!("fd01:6::7")], &[]);
    table(install_v6, key, "must be the same IP version", &[json!("192.168.1.2")], &[json!("fd01:6::8")]);
    let mixed = with(install(), "bootstrap_address", json!("fd01:6::6"));
    let mixed = with(mixed, key, json!("fd01:6::8"));
    assert!(check(mixed).unwrap_err().text.contains("must be the same IP version"));
}

#[test]
fn sc_088_089_090_network_address() {
    let right = [json!("192.168.101.10")];
    let mask = |mask: Value| with(routed(), "network_mask", mask);
    table(routed, "network_address", "network address invalid", &[json!("junk"), Value::Null], &right);
    let v6 = with(mask(json!(24)), "network_address", json!("fd01:6::0"));
    assert!(check(v6).unwrap_err().text.contains("must be the same IP version"));
    for (missing, phrase) in
        [("nexthop_gateway", "nexthop_gateway is required"), ("network_mask", "network mask is required")]
    {
        assert!(check(without(routed(), missing)).unwrap_err().text.contains(phrase));
    }
    let wrong =
        [Value::Null, json!(64), json!(-1), json!("junk"), json!("255.0.255.0"), json!("ffff::"), json!("")];
    let right = [json!(32), json!(0), json!("24"), json!("255.255.255.0")];
    table(routed, "network_mask", "network address invalid", &wrong, &right);
    // Without an address the mask is not looked at.
    check(without(mask(json!("junk")), "network_address")).unwrap();
}

#[test]
fn sc_091_092_bmc_address_is_of_the_bootstrap_addresss_family() {
    let same = "must be the same IP version";
    table(install, "bmc_address", same, &[json!("fd01:6::7")], &[json!("192.168.1.7")]);
    table(install_v6, "bmc_address", same, &[json!("192.168.1.7")], &[json!("fd01:6::7")]);
    let wrong = [Value::Null, json!("fd01:6:7"), json!("fd01:6::wut")];
    table(install_v6, "bmc_address", "bmc_address invalid", &wrong, &[]);
}

#[test]
fn sc_095_addresses_are_stored_in_canonical_spelling() {
    let mut values = with(install_v6(), "bootstrap_address", json!("2620:010A:a001:a103:0000::1135"));
    values = with(values, "nexthop_gateway", json!("2620:010A::0001"));
    values = with(values, "network_address", json!("2620:010A:0::0"));
    values = with(values, "network_mask", json!(64));
    let values = check(values).unwrap();
    assert_eq!(values["bootstrap_address"], "2620:10a:a001:a103::1135");
    assert_eq!(values["nexthop_gateway"], "2620:10a::1");
    assert_eq!(values["network_address"], "2620:10a::");
}

#[test]
fn ipv6_duplicate_address_detection_timeout() {
    let key = "rd.net.timeout.ipv6dad";
    table(
        install,
        key,
        "must be greater than 0",
        &[json!(0), json!(-1), json!("0")],
        &[json!(60), json!("60")],
    );
    let wrong = [Value::Null, json!("x"), json!(1.5), json!(""), json!(true)];
    table(install, key, "rd.net.timeout.ipv6dad invalid", &wrong, &[]);
}

#[test]
fn checks_come_in_the_contracts_order() {
    let mut values = map(json!({
        "software_version": "1", "persistent_size": 1, "hw_settle": -1, "extra_boot_params": "",
        "rd.net.timeout.ipv6dad": 0, "network_address": "junk",
    }));
    let steps = [
        ("software_version", json!("21.12"), "does not match"),
        ("persistent_size", json!(40000), "permitted minimum"),
        ("hw_settle", json!(1), "is less than 0"),
        ("extra_boot_params", json!("a"), "must not be empty"),
        ("bootstrap_interface", json!("eno1"), "bootstrap_interface not present"),
        ("bootstrap_address", json!("junk"), "bootstrap_address not present"),
        ("bootstrap_address_prefix", json!(24), "bootstrap_address_prefix not present"),
        ("install_type", json!(9), "install_type not present"),
        ("bmc_username", json!("root"), "bmc_username not present"),
        ("bmc_address", json!("junk"), "bmc_address not present"),
        ("install_type", json!(3), "install_type invalid"),
        ("bootstrap_address", json!("10.0.0.1"), "bootstrap_address invalid"),
        ("bmc_address", json!("10.0.0.2"), "bmc_address invalid"),
        ("nexthop_gateway", json!("10.0.0.3"), "nexthop_gateway is required"),
        ("network_mask", json!(24), "network mask is required"),
        ("network_address", json!("10.0.1.0"), "network address invalid"),
        ("rd.net.timeout.ipv6dad", json!(1), "must be greater than 0"),
    ];
    for (key, mended, phrase) in steps {
        let text = check(values.clone()).unwrap_err().text;
        assert!(text.contains(phrase), "before {key}: {text}");
        values.insert(key.into(), mended);
    }
    check(values).unwrap();
}

proptest! {
    #[test]
    fn a_refusal_never_repeats_the_password(key in 0_usize..7, password in "[a-z]{12,24}") {
        let encoded = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, &password);
        let keys = ["install_type", "bmc_address", "persistent_size", "software_version", "hw_settle",
            "extra_boot_params", "bootstrap_address"];
        let values = with(install(), keys[key], Value::Null);
        let stored = map(json!({"bmc_password": encoded}));
        let refused = install_values(values, Some(&encoded), "21.12", Some(&stored), &found).unwrap_err();
        prop_assert!(!refused.text.contains(&encoded) && !refused.text.contains(&password));
    }
}
