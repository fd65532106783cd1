//! The fixtures of subclouds.md §14 as payloads.

use serde_json::{Value, json};

use super::Map;

/// `value` as a payload, empty unless it is an object.
pub(super) fn map(value: Value) -> Map {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// Fixture BV.
pub(super) fn bootstrap() -> Map {
    map(json!({
        "system_mode": "simplex",
        "name": "subcloud2",
        "management_subnet": "192.168.101.0/24",
        "management_start_address": "192.168.101.2",
        "management_end_address": "192.168.101.50",
        "management_gateway_address": "192.168.101.1",
        "external_oam_subnet": "10.10.10.0/24",
        "external_oam_gateway_address": "10.10.10.1",
        "external_oam_floating_address": "10.10.10.12",
        "systemcontroller_gateway_address": "192.168.204.101",
    }))
}

/// BV with a complete admin network in place of the management gateway.
pub(super) fn admin() -> Map {
    let mut payload = without(bootstrap(), "management_gateway_address");
    payload.extend(map(json!({
        "admin_subnet": "192.168.102.0/24",
        "admin_start_address": "192.168.102.5",
        "admin_end_address": "192.168.102.49",
        "admin_gateway_address": "192.168.102.1",
    })));
    payload
}

/// BV in IPv6.
pub(super) fn bootstrap_v6() -> Map {
    map(json!({
        "system_mode": "duplex",
        "name": "subcloud6",
        "management_subnet": "FD01:0006::/64",
        "management_start_address": "fd01:6::0002",
        "management_end_address": "fd01:6::50",
        "management_gateway_address": "fd01:6::1",
        "external_oam_subnet": "fd02::/64",
        "external_oam_gateway_address": "fd02::1",
        "external_oam_floating_address": "fd02::12",
        "systemcontroller_gateway_address": "FD00:204::101",
    }))
}

/// Fixture IV, without `bmc_password`, which is a form field.
pub(super) fn install() -> Map {
    map(json!({
        "bootstrap_interface": "eno1",
        "bootstrap_address": "10.10.10.12",
        "bootstrap_address_prefix": 23,
        "bmc_address": "128.224.64.1",
        "bmc_username": "root",
        "install_type": 2,
    }))
}

/// `payload` with `key` set to `value`.
pub(super) fn with(mut payload: Map, key: &str, value: Value) -> Map {
    payload.insert(key.to_owned(), value);
    payload
}

/// `payload` without `key`.
pub(super) fn without(mut payload: Map, key: &str) -> Map {
    payload.retain(|one, _| one != key);
    payload
}
