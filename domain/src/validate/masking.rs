//! What of a payload may be shown and enter events (design, invariant 9; decisions.md, Passwords in answers).

use serde_json::Value;

/// What stands in the place of a value that is not shown.
pub const HIDDEN: &str = "***";

/// The keys of install values that may be shown: those of subclouds.md V5.
pub const INSTALL_VALUES: [&str; 20] = [
    "software_version",
    "image",
    "persistent_size",
    "hw_settle",
    "extra_boot_params",
    "bootstrap_interface",
    "bootstrap_address",
    "bootstrap_address_prefix",
    "bootstrap_vlan",
    "install_type",
    "bmc_username",
    "bmc_address",
    "nexthop_gateway",
    "network_address",
    "network_mask",
    "rd.net.timeout.ipv6dad",
    "console_type",
    "rootfs_device",
    "boot_device",
    "no_check_certificate",
];

/// The keys of a bootstrap or rehome payload that may be shown: those of subclouds.md V1 and §6.3.
pub const PAYLOAD: [&str; 23] = [
    "name",
    "system_mode",
    "description",
    "location",
    "admin_subnet",
    "admin_start_address",
    "admin_end_address",
    "admin_gateway_address",
    "management_subnet",
    "management_start_address",
    "management_end_address",
    "management_gateway_address",
    "systemcontroller_gateway_address",
    "external_oam_subnet",
    "external_oam_gateway_address",
    "external_oam_floating_address",
    "bootstrap-address",
    "kubernetes_version",
    "region_name",
    "software_version",
    "group_id",
    "migrate",
    "secondary",
];

const SECRET_WORDS: [&str; 3] = ["pass", "secret", "token"];

/// `value` as it may be shown: of an object, only the members whose key is in `shown`, every other one as [`HIDDEN`];
/// below that, whatever a secret's key names is hidden too. A value that is no object is hidden as a whole.
pub fn masked(value: &Value, shown: &[&str]) -> Value {
    match value {
        Value::Object(members) => {
            members.iter().map(|(key, member)| (key.clone(), masked_field(key, member, shown))).collect()
        }
        Value::Null => Value::Null,
        _ => hidden(),
    }
}

/// `value` with everything hidden whose key, at any depth, contains `pass`, `secret` or `token` in any case.
pub fn without_secrets(value: &Value) -> Value {
    match value {
        Value::Object(members) => members
            .iter()
            .map(|(key, member)| {
                (key.clone(), if is_secret_key(key) { hidden() } else { without_secrets(member) })
            })
            .collect(),
        Value::Array(items) => items.iter().map(without_secrets).collect(),
        scalar => scalar.clone(),
    }
}

/// The value of one top-level `key` as it may be shown.
pub(super) fn masked_field(key: &str, value: &Value, shown: &[&str]) -> Value {
    if shown.contains(&key) && !is_secret_key(key) { without_secrets(value) } else { hidden() }
}

/// Whether what stands under `key` is never shown: its name contains `pass`, `secret` or `token` in any case.
pub fn is_secret_key(key: &str) -> bool {
    let key = key.to_lowercase();
    SECRET_WORDS.iter().any(|word| key.contains(word))
}

fn hidden() -> Value {
    Value::String(HIDDEN.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{INSTALL_VALUES, PAYLOAD, masked, without_secrets};
    use serde_json::{Value, json};

    #[test]
    fn install_values_show_only_what_is_on_the_list() {
        let values = json!({
            "image": "/opt/x.iso", "install_type": 2, "bmc_username": "root", "bmc_password": "dGVzdHBhc3M=",
            "ansible_become_pass": "x", "my_own_key": "x", "boot_device": ["a", {"unlock_Token": "x", "path": "/dev/sda"}],
        });
        let expected = json!({
            "image": "/opt/x.iso", "install_type": 2, "bmc_username": "root", "bmc_password": "***",
            "ansible_become_pass": "***", "my_own_key": "***",
            "boot_device": ["a", {"unlock_Token": "***", "path": "/dev/sda"}],
        });
        assert_eq!(masked(&values, &INSTALL_VALUES), expected);
    }

    #[test]
    fn payloads_show_only_what_is_on_the_list() {
        let payload = json!({
            "name": "edge", "location": "x", "admin_password": "x", "admin_subnet": "10.0.0.0/24",
            "docker_registries": {"defaults": {"username": "u", "password": "p"}}, "ssl_key": "x",
            "ADMIN_SUBNET": "x",
        });
        let expected = json!({
            "name": "edge", "location": "x", "admin_password": "***", "admin_subnet": "10.0.0.0/24",
            "docker_registries": "***", "ssl_key": "***", "ADMIN_SUBNET": "***",
        });
        assert_eq!(masked(&payload, &PAYLOAD), expected);
    }

    #[test]
    fn a_value_that_is_no_object_is_hidden() {
        for value in [json!("text"), json!(7), json!([{"name": "x"}]), json!(true)] {
            assert_eq!(masked(&value, &PAYLOAD), json!("***"));
        }
        assert_eq!(masked(&Value::Null, &PAYLOAD), Value::Null);
    }

    #[test]
    fn secrets_are_hidden_at_any_depth_and_in_any_case() {
        let value =
            json!({"a": [{"SysAdmin_PASSWORD": {"x": 1}}, {"b": {"api-token": 1, "Secret": [], "c": 2}}]});
        let expected = json!({"a": [{"SysAdmin_PASSWORD": "***"}, {"b": {"api-token": "***", "Secret": "***", "c": 2}}]});
        assert_eq!(without_secrets(&value), expected);
    }

    #[test]
    fn no_list_shows_a_secret_key() {
        for key in INSTALL_VALUES.iter().chain(&PAYLOAD) {
            assert!(!super::is_secret_key(key), "{key}");
        }
    }
}
