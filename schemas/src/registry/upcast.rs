//! Upcasters: one step from a version of an event's shape to the next.

use serde_json::{Value, json};

use super::current_version;

/// One step of one event name.
pub(super) struct Step {
    /// Event name.
    pub name: &'static str,
    /// The version it starts from; it leads to the next one.
    pub from: u32,
    /// The change of shape.
    pub change: fn(Value) -> Value,
}

/// Every step, in no particular order.
pub(super) const STEPS: &[Step] = &[Step { name: "SubcloudUnmanaged", from: 1, change: unmanaged_1_to_2 }];

/// Before migrations were announced, no release from management was the first step of one.
fn unmanaged_1_to_2(mut data: Value) -> Value {
    if let Value::Object(fields) = &mut data {
        fields.insert("migrate".to_owned(), json!(false));
    }
    data
}

/// `data` in the current shape of `name`; `None` if `version` is newer than this program or a step is missing.
pub(super) fn to_current(name: &str, version: u32, data: Value) -> Option<Value> {
    let current = current_version(name);
    if version == 0 || version > current {
        return None;
    }
    (version..current).try_fold(data, |data, from| {
        STEPS.iter().find(|step| step.name == name && step.from == from).map(|step| (step.change)(data))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_from_before_migrations_did_not_migrate() {
        assert_eq!(to_current("SubcloudUnmanaged", 1, json!({})), Some(json!({"migrate": false})));
        assert_eq!(
            to_current("SubcloudUnmanaged", 2, json!({"migrate": true})),
            Some(json!({"migrate": true}))
        );
    }

    #[test]
    fn a_version_from_the_future_is_not_guessed_at() {
        assert_eq!(to_current("SubcloudUnmanaged", 3, json!({})), None);
        assert_eq!(to_current("SubcloudManaged", 2, json!({})), None);
        assert_eq!(to_current("SubcloudManaged", 0, json!({})), None);
    }
}
