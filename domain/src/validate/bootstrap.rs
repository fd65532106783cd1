//! Bootstrap values: the keys that must be there (subclouds.md V1) and the spelling of their addresses (V8).

use super::fields::{present, respell};
use super::{Map, Refused};

const ADMIN_KEYS: [&str; 4] =
    ["admin_subnet", "admin_start_address", "admin_end_address", "admin_gateway_address"];

const ADDRESSES: [&str; 10] = [
    "bootstrap-address",
    "management_start_address",
    "management_end_address",
    "management_gateway_address",
    "systemcontroller_gateway_address",
    "external_oam_gateway_address",
    "external_oam_floating_address",
    "admin_start_address",
    "admin_end_address",
    "admin_gateway_address",
];

/// Checks that every bootstrap key is present and not empty, in the order of subclouds.md V1. Refuses with
/// `<key> required`, or with `cannot be specified at the same time` if both gateways are given.
pub fn bootstrap_keys(payload: &Map) -> Result<(), Refused> {
    require(payload, &["name", "system_mode"])?;
    if ADMIN_KEYS.iter().any(|key| present(payload, key).is_some()) {
        require(payload, &ADMIN_KEYS)?;
    }
    require(payload, &["management_subnet", "management_start_address", "management_end_address"])?;
    one_gateway(payload)?;
    require(
        payload,
        &[
            "systemcontroller_gateway_address",
            "external_oam_subnet",
            "external_oam_gateway_address",
            "external_oam_floating_address",
        ],
    )
}

/// Puts the canonical spelling of every bootstrap address in its place (subclouds.md V8), `bootstrap-address`
/// included. Absent or empty ones stay; what is no address is refused with `<key> invalid`. On a refusal some may
/// have been respelled already.
pub fn normalise(payload: &mut Map) -> Result<(), Refused> {
    ADDRESSES.iter().try_for_each(|key| respell(payload, key))
}

fn require(payload: &Map, keys: &[&str]) -> Result<(), Refused> {
    match keys.iter().find(|key| present(payload, key).is_none()) {
        Some(key) => Err(Refused::required(key)),
        None => Ok(()),
    }
}

fn one_gateway(payload: &Map) -> Result<(), Refused> {
    let management = present(payload, "management_gateway_address").is_some();
    let admin = present(payload, "admin_gateway_address").is_some();
    match (management, admin) {
        (true, true) => Err(Refused::bad_request(
            "management_gateway_address and admin_gateway_address cannot be specified at the same time",
        )),
        (false, false) => Err(Refused::required("management_gateway_address")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::{bootstrap_keys, normalise};
    use crate::validate::samples::{admin, bootstrap, with, without};
    use serde_json::{Value, json};

    #[test]
    fn complete_values_pass() {
        bootstrap_keys(&bootstrap()).unwrap();
        bootstrap_keys(&admin()).unwrap();
    }

    #[test]
    fn sc_044_to_053_each_bootstrap_key_is_required() {
        let keys = [
            "system_mode",
            "name",
            "management_subnet",
            "management_start_address",
            "management_end_address",
            "management_gateway_address",
            "external_oam_subnet",
            "external_oam_gateway_address",
            "external_oam_floating_address",
            "systemcontroller_gateway_address",
        ];
        for key in keys {
            let expected = format!("{key} required");
            assert_eq!(bootstrap_keys(&without(bootstrap(), key)).unwrap_err().text, expected);
            for empty in [json!(""), Value::Null, json!({}), json!([]), json!(false)] {
                assert_eq!(bootstrap_keys(&with(bootstrap(), key, empty)).unwrap_err().text, expected);
            }
        }
    }

    #[test]
    fn keys_are_asked_for_in_the_contracts_order() {
        let order = [
            "name",
            "system_mode",
            "management_subnet",
            "management_start_address",
            "management_end_address",
            "management_gateway_address",
            "systemcontroller_gateway_address",
            "external_oam_subnet",
            "external_oam_gateway_address",
            "external_oam_floating_address",
        ];
        let complete = bootstrap();
        let mut payload = crate::validate::Map::new();
        for key in order {
            assert_eq!(bootstrap_keys(&payload).unwrap_err().text, format!("{key} required"));
            payload.insert(key.into(), complete[key].clone());
        }
        bootstrap_keys(&payload).unwrap();
    }

    #[test]
    fn sc_102_two_gateways_are_one_too_many() {
        let both = with(admin(), "management_gateway_address", json!("192.168.101.1"));
        assert!(bootstrap_keys(&both).unwrap_err().text.contains("cannot be specified at the same time"));
    }

    #[test]
    fn sc_103_admin_keys_come_all_four_or_not_at_all() {
        for key in super::ADMIN_KEYS {
            let text = bootstrap_keys(&without(admin(), key)).unwrap_err().text;
            assert_eq!(text, format!("{key} required"));
        }
    }

    #[test]
    fn sc_054_055_bootstrap_address_is_an_address() {
        for (given, expected) in [
            ("10.10.10.wut", None),
            ("10.10.10.276", None),
            ("2620::10a:a103::1135", None),
            ("2620:10a:a001:a103::wut", None),
            ("2620:10a:a001:a103:1135", None),
            ("10.10.10.3\nansible_host: evil", None),
            ("{{ 7 * 7 }}", None),
            ("10.10.10.3", Some("10.10.10.3")),
            ("2620:10a:a001:a103::1135", Some("2620:10a:a001:a103::1135")),
            ("2620:010A:A001:A103:0000::1135", Some("2620:10a:a001:a103::1135")),
        ] {
            let mut payload = with(bootstrap(), "bootstrap-address", json!(given));
            match (normalise(&mut payload), expected) {
                (Ok(()), Some(expected)) => assert_eq!(payload["bootstrap-address"], expected),
                (Err(refused), None) => {
                    assert!(refused.text.starts_with("bootstrap-address invalid"), "{}", refused.text);
                    assert!(!refused.text.contains(given));
                }
                (result, _) => assert!(result.is_ok() == expected.is_some(), "{given}"),
            }
        }
    }

    #[test]
    fn every_bootstrap_address_gets_its_canonical_spelling() {
        for key in super::ADDRESSES {
            let mut payload = with(bootstrap(), key, json!("FD01:0006:0::0007"));
            normalise(&mut payload).unwrap();
            assert_eq!(payload[key], "fd01:6::7", "{key}");
            assert!(normalise(&mut with(bootstrap(), key, json!(7))).is_err(), "{key}");
        }
        let mut payload = with(bootstrap(), "management_subnet", json!("FD01:0006::/64"));
        normalise(&mut payload).unwrap();
        assert_eq!(payload["management_subnet"], "FD01:0006::/64");
        assert!(!payload.contains_key("admin_start_address"));
    }
}
