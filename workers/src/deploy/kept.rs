//! What of a document may be kept in clear: everything but secrets (jobs.md M-5).

use serde_json::{Map, Value};

use crate::playbook::Redactor;

/// Parts of keys whose values are secret.
const SECRET_KEYS: [&str; 6] = ["pass", "secret", "token", "credential", "private", "_key"];
const PEM_KEY: &str = "PRIVATE KEY-----";

/// Whether what stands under `key` is a secret. A switch such as `password_change` is none.
fn is_secret(key: &str, value: &Value) -> bool {
    let key = key.to_lowercase();
    !matches!(value, Value::Bool(_) | Value::Null) && SECRET_KEYS.iter().any(|word| key.contains(word))
}

/// `value` without its secrets: what stands under their keys, keys of certificates, the data of Kubernetes secrets, and
/// whatever holds one of the secrets `redactor` knows.
pub(super) fn without_secrets(value: &Value, redactor: &Redactor) -> Option<Value> {
    match value {
        Value::Object(members) => Some(Value::Object(mapping(members, redactor))),
        Value::Array(items) => {
            Some(items.iter().filter_map(|item| without_secrets(item, redactor)).collect())
        }
        Value::String(text) if text.contains(PEM_KEY) || redactor.redact(text) != *text => None,
        scalar => Some(scalar.clone()),
    }
}

fn mapping(members: &Map<String, Value>, redactor: &Redactor) -> Map<String, Value> {
    let kubernetes_secret = members.get("kind").and_then(Value::as_str) == Some("Secret");
    members
        .iter()
        .filter(|(key, value)| !is_secret(key, value))
        .filter(|(key, _)| !kubernetes_secret || !matches!(key.as_str(), "data" | "stringData"))
        .filter_map(|(key, value)| Some((key.clone(), without_secrets(value, redactor)?)))
        .collect()
}

/// The texts in `value` that stand under keys of secrets, for the redactor.
pub(super) fn secrets_of<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                if is_secret(key, member) { texts_of(member, found) } else { secrets_of(member, found) }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| secrets_of(item, found)),
        Value::String(text) if text.contains(PEM_KEY) => found.push(text),
        _ => {}
    }
}

fn texts_of<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => found.push(text),
        Value::Array(items) => items.iter().for_each(|item| texts_of(item, found)),
        Value::Object(members) => members.values().for_each(|member| texts_of(member, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{secrets_of, without_secrets};
    use crate::playbook::Redactor;

    #[test]
    fn secrets_go_and_the_rest_stays() {
        let value = json!({
            "name": "edge1", "admin_password": "a1", "password_change": true, "hidden_here": "x Li69nux* y",
            "registries": {"docker": {"url": "u", "password": "a2", "auth_secret": {"deep": ["a3"]}}},
            "sc_ca_key": "a4", "pem": "-----BEGIN PRIVATE KEY-----", "list": ["b", "Li69nux*", {"token": "a5"}],
            "kind": "Secret", "data": {"x": "a6"},
        });
        let kept = without_secrets(&value, &Redactor::new(["Li69nux*"]));
        let expected = json!({
            "name": "edge1", "password_change": true, "registries": {"docker": {"url": "u"}},
            "list": ["b", {}], "kind": "Secret",
        });
        assert_eq!(kept, Some(expected));
        let mut found = Vec::new();
        secrets_of(&value, &mut found);
        found.sort_unstable();
        assert_eq!(found, ["-----BEGIN PRIVATE KEY-----", "a1", "a2", "a3", "a4", "a5"]);
    }
}
