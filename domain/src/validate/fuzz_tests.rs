//! No validator panics, whatever a client sends.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::samples::{admin, bootstrap, bootstrap_v6, install};
use super::*;
use crate::value::Subnet;

const MORE_KEYS: [&str; 12] = [
    "bootstrap-address",
    "kubernetes_version",
    "group_id",
    "admin_password",
    "persistent_size",
    "hw_settle",
    "extra_boot_params",
    "software_version",
    "nexthop_gateway",
    "network_address",
    "network_mask",
    "rd.net.timeout.ipv6dad",
];

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        any::<String>().prop_map(Value::from),
        "[0-9a-fA-F.:/]{0,24}".prop_map(Value::from),
        "(fd0[0-9]::[0-9a-f]{0,4}|10\\.0\\.[0-9]{1,3}\\.[0-9]{1,3})(/[0-9]{1,3})?".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::from),
            btree_map(".{0,6}", inner, 0..3).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// A sound payload with some of its keys, or other known ones, set to anything.
fn any_payload() -> impl Strategy<Value = Map> {
    let keys: Vec<String> = [bootstrap(), admin(), install()]
        .iter()
        .flat_map(|map| map.keys().cloned())
        .chain(MORE_KEYS.iter().map(|key| (*key).to_owned()))
        .collect();
    let bases = vec![bootstrap(), admin(), bootstrap_v6(), install(), Map::new()];
    (select(bases), btree_map(select(keys), any_value(), 0..6)).prop_map(|(mut base, changes)| {
        base.extend(changes);
        base
    })
}

fn controller() -> Controller {
    Controller {
        management_subnet: Subnet::parse("192.168.204.0/24").unwrap(),
        pool_start: "192.168.204.2".parse().unwrap(),
        pool_end: "192.168.204.100".parse().unwrap(),
    }
}

proptest! {
    #[test]
    fn nothing_panics(payload in any_payload(), text in any::<Option<String>>(), release_text in any::<String>()) {
        let _ = bootstrap_keys(&payload);
        let _ = normalise(&mut payload.clone());
        let _ = group_id(payload.get("group_id"), &|id| id == 1);
        let _ = kubernetes(&payload, "21.12", &release_text, &|_| Some(payload.clone()));
        let _ = base64_password("sysadmin_password", text.as_deref());
        let _ = rehome_payload(payload.clone(), Some(&payload));
        let _ = secondary_payload(payload.clone());
        let releases = Releases { active: "22.12".into(), supported: text.map(|one| vec![one]) };
        let _ = release(Some(&release_text), &releases);
    }

    #[test]
    fn an_accepted_network_is_sound(payload in any_payload()) {
        let checked = bootstrap_keys(&payload).and_then(|()| network(&payload, &controller(), &|_| false));
        if let Ok(shown) = checked {
            let subnet = Subnet::parse(&shown.subnet).unwrap();
            for address in [&shown.start, &shown.end, &shown.gateway] {
                prop_assert!(subnet.contains(address.parse().unwrap()));
            }
            let mut payload = payload;
            payload.retain(|key, _| key != "bootstrap-address");
            normalise(&mut payload).unwrap();
        }
    }

    #[test]
    fn accepted_install_values_hold_every_mandatory_key(payload in any_payload()) {
        if let Ok(values) = install_values(payload, Some("YQ=="), "21.12", None, &|_| Ok("x.iso".into())) {
            for key in ["bootstrap_interface", "bmc_username", "bmc_password", "image", "software_version"] {
                prop_assert!(values.contains_key(key));
            }
        }
    }

    #[test]
    fn masking_leaves_no_secret(payload in any_payload(), secret in "[a-z]{16}", depth in 0_usize..4) {
        let nested = (0..depth).fold(json!({"Api_Password": secret}), |inner, _| json!([{"x": inner}]));
        let mut payload = payload;
        payload.insert("location".into(), nested);
        payload.insert("admin_password".into(), json!(secret));
        payload.insert("free".into(), json!(secret));
        let shown = masked(&Value::Object(payload), &PAYLOAD).to_string();
        prop_assert!(!shown.contains(&secret));
    }
}
