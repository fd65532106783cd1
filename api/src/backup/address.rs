//! Where a subcloud is reached before it is restored (subclouds.md §7.12).

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use dcm_domain::subcloud::Subcloud;
use dcm_domain::validate::Map;
use dcm_domain::value::canonical_ip;
use serde::Deserialize;
use serde_json::Value;
use tokio::io::AsyncReadExt;

use crate::transport::ApiError;

const BOOTSTRAP_ADDRESS: &str = "bootstrap_address";

/// An inventory has a few lines; what is larger is none.
const LARGEST_INVENTORY: u64 = 64 * 1024;

/// The addresses that a request gives, and where else to look.
pub struct Addresses {
    given: BTreeMap<String, String>,
    inventories: PathBuf,
}

impl Addresses {
    /// The addresses by subcloud name in `values`, the restore values; inventories lie in `inventories`.
    ///
    /// # Errors
    /// 400 `is in invalid format` if `bootstrap_address` is no object of IP addresses.
    pub fn of(values: Option<&Map>, inventories: &Path) -> Result<Self, ApiError> {
        let inventories = inventories.to_owned();
        let given = match values.and_then(|values| values.get(BOOTSTRAP_ADDRESS)) {
            None | Some(Value::Null) => BTreeMap::new(),
            Some(Value::Object(by_name)) => {
                let address = |(name, address): (&String, &Value)| {
                    Some((name.clone(), canonical_ip(address.as_str()?)?))
                };
                by_name.iter().map(address).collect::<Option<_>>().ok_or_else(invalid)?
            }
            Some(_) => return Err(invalid()),
        };
        Ok(Self { given, inventories })
    }

    /// The address of a subcloud: given, of its install values, the one it was bootstrapped at, or of its inventory.
    pub async fn find(&self, subcloud: &Subcloud) -> Option<String> {
        let name: &str = subcloud.name.as_ref();
        let installed = subcloud.install.as_ref().and_then(|install| install.shown.get(BOOTSTRAP_ADDRESS));
        let known = self
            .given
            .get(name)
            .cloned()
            .or_else(|| canonical_ip(installed?.as_str()?))
            .or_else(|| canonical_ip(subcloud.bootstrap_address.as_deref()?));
        match known {
            Some(address) => Some(address),
            None => in_inventory(&self.inventories, name).await,
        }
    }
}

fn invalid() -> ApiError {
    ApiError::bad_request(format!("The {BOOTSTRAP_ADDRESS} provided in restore_values is in invalid format"))
}

/// What is read of `<name>_inventory.yml` (jobs.md §0.5).
#[derive(Deserialize)]
struct Inventory {
    all: All,
}

#[derive(Deserialize)]
struct All {
    hosts: BTreeMap<String, Host>,
}

#[derive(Deserialize)]
struct Host {
    ansible_host: String,
}

async fn in_inventory(folder: &Path, name: &str) -> Option<String> {
    let file = PathBuf::from(format!("{name}_inventory.yml"));
    let mut parts = file.components();
    // Names of old rows may hold anything.
    let (Some(Component::Normal(_)), None) = (parts.next(), parts.next()) else { return None };
    let opened = tokio::fs::File::open(folder.join(&file)).await.ok()?;
    let mut text = String::new();
    opened.take(LARGEST_INVENTORY).read_to_string(&mut text).await.ok()?;
    let inventory: Inventory = serde_yaml_ng::from_str(&text).ok()?;
    canonical_ip(&inventory.all.hosts.get(name)?.ansible_host)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::*;

    #[test]
    fn sc_298_addresses_are_given_by_name() {
        let of =
            |value: Value| Addresses::of(json!({"bootstrap_address": value}).as_object(), Path::new("/"));
        assert_eq!(of(json!({"a": "2620:010A::1"})).ok().unwrap().given["a"], "2620:10a::1");
        assert!(of(json!({})).is_ok() && of(json!(null)).is_ok());
        for wrong in [json!("10.10.10.12"), json!(["10.10.10.12"]), json!({"a": 1}), json!({"a": "{{x}}"})] {
            let refused = of(wrong).err().unwrap();
            assert!(refused.detail().unwrap().contains("is in invalid format"));
        }
    }

    #[tokio::test]
    async fn an_inventory_tells_an_address() {
        let dir = tempfile::tempdir().unwrap();
        let inventory = "---\nall:\n  vars:\n    ansible_ssh_user: sysadmin\n    initial_deployment: true\n  \
            hosts:\n    edge1:\n      ansible_host: 10.10.10.12\n";
        std::fs::write(dir.path().join("edge1_inventory.yml"), inventory).unwrap();
        std::fs::write(dir.path().join("edge2_inventory.yml"), "all: [").unwrap();
        assert_eq!(in_inventory(dir.path(), "edge1").await.as_deref(), Some("10.10.10.12"));
        for none in ["edge2", "edge3", "../edge1", "/etc/x", ""] {
            assert_eq!(in_inventory(dir.path(), none).await, None, "{none}");
        }
    }
}
