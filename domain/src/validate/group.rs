//! The group a new subcloud joins (subclouds.md V4, check 15).

use serde_json::Value;

use super::Refused;
use super::fields::text;

/// The group of a subcloud that names none.
pub const DEFAULT_GROUP: i64 = 1;

/// The group id of the `group_id` field, [`DEFAULT_GROUP`] if it is absent. Only ids are known on create, no names;
/// `exists` tells which are taken. Anything else is refused with `Invalid group_id`.
pub fn group_id(given: Option<&Value>, exists: &dyn Fn(i64) -> bool) -> Result<i64, Refused> {
    let id = match given {
        None => Some(DEFAULT_GROUP),
        Some(value) => text(value).and_then(|digits| whole(&digits)),
    };
    id.filter(|id| exists(*id)).ok_or_else(|| Refused::bad_request("Invalid group_id"))
}

fn whole(digits: &str) -> Option<i64> {
    // `parse` alone would take a sign.
    digits.bytes().all(|b| b.is_ascii_digit()).then_some(digits)?.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::group_id;
    use serde_json::{Value, json};

    #[test]
    fn sc_121_groups_go_by_id() {
        let exists = |id| id == 1 || id == 7;
        assert_eq!(group_id(None, &exists).unwrap(), 1);
        assert_eq!(group_id(Some(&json!("1")), &exists).unwrap(), 1);
        assert_eq!(group_id(Some(&json!(7)), &exists).unwrap(), 7);
        for wrong in ["9", "Default", "", "0", "-1", "+1", "1.0", " 1", "1\n", "99999999999999999999", "١"] {
            assert_eq!(
                group_id(Some(&json!(wrong)), &exists).unwrap_err().text,
                "Invalid group_id",
                "{wrong:?}"
            );
        }
        for wrong in [Value::Null, json!(1.5), json!(-1), json!(true), json!([1])] {
            assert_eq!(group_id(Some(&wrong), &exists).unwrap_err().text, "Invalid group_id", "{wrong}");
        }
    }
}
