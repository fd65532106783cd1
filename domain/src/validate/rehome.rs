//! The stored payload of rehome data (subclouds.md §9.4).

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use super::Map;
use super::fields::text;

const BOOTSTRAP_ADDRESS: &str = "bootstrap-address";
const DROPPED: [&str; 3] = ["sysadmin_password", "ansible_ssh_pass", "ansible_become_pass"];

/// The `saved_payload` that new bootstrap values make: `yaml` without the passwords of a run, `admin_password` as
/// base64, and the `bootstrap-address` of the `previous` payload put back, even over one in `yaml` (subclouds.md
/// §9.4). Holds a password: it belongs into the vault, and only its [`masked`](super::masked) form anywhere else.
pub fn rehome_payload(yaml: Map, previous: Option<&Map>) -> Map {
    let mut payload = storable(yaml, &DROPPED);
    if let Some(address) = previous.and_then(|previous| previous.get(BOOTSTRAP_ADDRESS)) {
        payload.insert(BOOTSTRAP_ADDRESS.to_owned(), address.clone());
    }
    payload
}

/// The `saved_payload` of a secondary subcloud: the whole create payload without `secondary` and the passwords of a
/// run, `admin_password` as base64 (subclouds.md §9.4). Secret as [`rehome_payload`]'s result is.
pub fn secondary_payload(create: Map) -> Map {
    let mut payload = storable(create, &DROPPED);
    payload.retain(|key, _| key != "secondary");
    payload
}

fn storable(mut payload: Map, dropped: &[&str]) -> Map {
    payload.retain(|key, _| !dropped.contains(&key.as_str()));
    if let Some(password) = payload.get_mut("admin_password")
        && let Some(encoded) = text(password).map(|plain| BASE64_STANDARD.encode(plain.as_bytes()))
    {
        *password = Value::String(encoded);
    }
    payload
}

#[cfg(test)]
mod tests {
    use super::{rehome_payload, secondary_payload};
    use crate::validate::samples::{bootstrap, map, with};
    use serde_json::json;

    fn passwords() -> crate::validate::Map {
        map(json!({
            "name": "edge", "admin_password": "testpass", "sysadmin_password": "a", "ansible_ssh_pass": "b",
            "ansible_become_pass": "c", "location": "x",
        }))
    }

    #[test]
    fn run_passwords_go_and_the_admin_password_is_encoded() {
        let kept = rehome_payload(passwords(), None);
        assert_eq!(kept, map(json!({"name": "edge", "admin_password": "dGVzdHBhc3M=", "location": "x"})));
        let number = rehome_payload(map(json!({"admin_password": 1234})), None);
        assert_eq!(number["admin_password"], "MTIzNA==");
    }

    #[test]
    fn the_old_bootstrap_address_is_put_back() {
        let previous = map(json!({"bootstrap-address": "10.0.0.1", "location": "old"}));
        let given = with(bootstrap(), "bootstrap-address", json!("10.0.0.2"));
        let kept = rehome_payload(given.clone(), Some(&previous));
        assert_eq!(kept["bootstrap-address"], "10.0.0.1");
        assert!(!kept.contains_key("location"), "the old payload is replaced, not merged");
        assert_eq!(rehome_payload(given, Some(&bootstrap()))["bootstrap-address"], "10.0.0.2");
    }

    #[test]
    fn a_secondary_subcloud_keeps_its_create_payload() {
        let mut create = passwords();
        create.extend(map(json!({"secondary": "true", "bootstrap-address": "10.0.0.1", "region_name": "r"})));
        let kept = secondary_payload(create);
        assert!(!kept.contains_key("secondary") && !kept.contains_key("sysadmin_password"));
        assert_eq!((&kept["bootstrap-address"], &kept["region_name"]), (&json!("10.0.0.1"), &json!("r")));
        assert_eq!(kept["admin_password"], "dGVzdHBhc3M=");
    }
}
