//! The Kubernetes version a subcloud is bootstrapped with (subclouds.md V6).

use super::fields::{present, quoted, text};
use super::{Map, Refused};

const SHIPPED: &str = "fresh_install_k8s_version";

/// Checks `kubernetes_version` of the payload against what `target_release` ships. Skipped if the target is
/// `active_release` or the key is absent. `vars` gives a release's bootstrap validation variables, `None` if there
/// are none. All refusals are bad requests (subclouds.md V6).
pub fn kubernetes(
    payload: &Map,
    target_release: &str,
    active_release: &str,
    vars: &dyn Fn(&str) -> Option<Map>,
) -> Result<(), Refused> {
    let Some(requested) = present(payload, "kubernetes_version") else { return Ok(()) };
    if target_release == active_release {
        return Ok(());
    }
    let vars = vars(target_release).ok_or_else(|| {
        Refused::bad_request(format!("validate-config vars not found for release {target_release}"))
    })?;
    let shipped = present(&vars, SHIPPED).and_then(text).ok_or_else(|| {
        Refused::bad_request(format!(
            "{SHIPPED} not found in the validate-config vars of release {target_release}"
        ))
    })?;
    match text(requested) {
        Some(requested) if requested == shipped => Ok(()),
        requested => Err(Refused::bad_request(format!(
            "kubernetes_version {} doesn't match {shipped}, the {SHIPPED} of release {target_release}",
            quoted(requested.as_deref().unwrap_or("given")),
        ))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::kubernetes;
    use crate::validate::samples::{bootstrap, with};
    use crate::validate::{Map, Status};
    use serde_json::{Value, json};

    fn check(version: Value, vars: Option<Value>) -> Result<(), crate::validate::Refused> {
        let payload = with(bootstrap(), "kubernetes_version", version);
        let vars = vars.map(|vars| vars.as_object().unwrap().clone());
        kubernetes(&payload, "21.12", "22.12", &|release| vars.clone().filter(|_| release == "21.12"))
    }

    #[test]
    fn sc_082_the_version_must_be_the_one_the_release_ships() {
        let ships = |version: &str| Some(json!({"fresh_install_k8s_version": version}));
        check(json!("1.23.1"), ships("1.23.1")).unwrap();
        for (version, vars, phrase) in [
            (json!("1.21.8"), ships("1.23.1"), "doesn't match"),
            (json!(["1.23.1"]), ships("1.23.1"), "doesn't match"),
            (json!("1.21.8"), None, "validate-config vars not found"),
            (json!("1.21.8"), Some(json!({})), "not found in"),
            (json!("1.21.8"), ships(""), "not found in"),
        ] {
            let refused = check(version, vars).unwrap_err();
            assert_eq!(refused.status, Status::BadRequest);
            assert!(refused.text.contains(phrase), "{}", refused.text);
        }
    }

    #[test]
    fn the_active_release_and_an_absent_version_are_not_looked_at() {
        let never = |_: &str| -> Option<Map> { unreachable!() };
        kubernetes(&bootstrap(), "21.12", "22.12", &never).unwrap();
        kubernetes(&with(bootstrap(), "kubernetes_version", json!("1.21.8")), "22.12", "22.12", &never)
            .unwrap();
        check(Value::Null, None).unwrap();
        check(json!(""), None).unwrap();
    }
}
