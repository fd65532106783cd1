//! Members of a JSON body as the contract reads them: loosely typed numbers, and "falsy" values that count as absent
//! (fleet.md, marks and §1).

use serde_json::{Map, Value};

use crate::transport::ApiError;

/// The members of a JSON object.
#[derive(Clone, Copy)]
pub struct Fields<'a>(&'a Map<String, Value>);

impl<'a> Fields<'a> {
    /// The members of `body`.
    ///
    /// # Errors
    /// 400 if there are none.
    pub fn of(body: &'a Map<String, Value>) -> Result<Self, ApiError> {
        if body.is_empty() {
            return Err(ApiError::bad_request("Body required"));
        }
        Ok(Self(body))
    }

    /// The members of `body`, which may have none.
    pub const fn any(body: &'a Map<String, Value>) -> Self {
        Self(body)
    }

    /// The value of `key`; `None` if it is absent or null.
    pub fn given(self, key: &str) -> Option<&'a Value> {
        self.0.get(key).filter(|value| !value.is_null())
    }

    /// The value of `key`, unless it is falsy.
    pub fn truthy(self, key: &str) -> Option<&'a Value> {
        self.given(key).filter(|value| !is_falsy(value))
    }

    /// The text of `key`; `None` if it is absent, null or empty. What is falsy without being a text is no way to leave
    /// a text out, but a mistake.
    ///
    /// # Errors
    /// 400 naming the key if it is no text, or contains NUL, which no text column takes.
    pub fn text(self, key: &str) -> Result<Option<&'a str>, ApiError> {
        match self.given(key) {
            None => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) if text.contains('\0') => {
                Err(ApiError::bad_request(format!("{key} must not contain NUL")))
            }
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(ApiError::bad_request(format!("{key} must be a string"))),
        }
    }

    /// The integer of `key` in any of the forms that [`integer`] takes, 0 included; `None` if it is absent or null.
    ///
    /// # Errors
    /// 400 naming the key if it is anything else.
    pub fn integer(self, key: &str) -> Result<Option<i64>, ApiError> {
        self.given(key)
            .map(|value| {
                integer(value).ok_or_else(|| ApiError::bad_request(format!("{key} must be an integer")))
            })
            .transpose()
    }

    /// As [`Fields::integer`], with `None` for an empty text and the number 0 too.
    ///
    /// # Errors
    /// As [`Fields::integer`].
    pub fn integer_or_default(self, key: &str) -> Result<Option<i64>, ApiError> {
        match self.given(key) {
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::Number(number)) if number.as_f64() == Some(0.0) => Ok(None),
            _ => self.integer(key),
        }
    }

    /// Whether an update changes any of `keys`: false if all are falsy. Falsy values next to a truthy one would have
    /// been stored unchecked by the old service (fleet.md, Q20); only those of `also_falsy` may be so.
    ///
    /// # Errors
    /// 400 naming the first key that is falsy next to a truthy one.
    pub fn changes_any(self, keys: &[&str], also_falsy: &[&str]) -> Result<bool, ApiError> {
        if !keys.iter().any(|key| self.truthy(key).is_some()) {
            return Ok(false);
        }
        let falsy = |key: &&&str| self.given(key).is_some_and(is_falsy) && !also_falsy.contains(*key);
        match keys.iter().find(falsy) {
            Some(key) => Err(ApiError::bad_request(format!("{key} must not be empty"))),
            None => Ok(true),
        }
    }
}

/// Whether a value counts as absent: `null`, `""`, `0`, `false`, `[]`, `{}`.
pub fn is_falsy(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
    }
}

/// An integer as the contract takes it: a number, its fraction cut off, or decimal digits in a string, with a sign and
/// blanks around them allowed. `None` for anything else, and beyond 64 bits.
pub fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().and_then(truncated)),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// The whole part of a number that is surely within 64 bits.
fn truncated(number: f64) -> Option<i64> {
    // 2^63 itself is beyond; what is below it in magnitude is converted exactly once its fraction is gone.
    let within = number.is_finite() && number.abs() < 9_223_372_036_854_775_807.0;
    #[expect(clippy::cast_possible_truncation, reason = "the range was checked")]
    within.then_some(number.trunc() as i64)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::*;

    #[test]
    fn integers_come_in_many_forms() {
        for (value, expected) in [
            (json!(5), Some(5)),
            (json!(" 5 "), Some(5)),
            (json!("+5"), Some(5)),
            (json!("-5"), Some(-5)),
            (json!(5.9), Some(5)),
            (json!(-5.9), Some(-5)),
            (json!("0"), Some(0)),
            (json!(u64::MAX), None),
            (json!(1e300), None),
            (json!(i64::MIN), Some(i64::MIN)),
            (json!("99999999999999999999"), None),
            (json!("5.9"), None),
            (json!("abc"), None),
            (json!(""), None),
            (json!(true), None),
            (json!([5]), None),
            (json!({}), None),
        ] {
            assert_eq!(integer(&value), expected, "{value}");
        }
    }

    #[test]
    fn falsy_values_count_as_absent() {
        let body = json!({"a": "", "b": 0, "c": false, "d": [], "e": {}, "f": null, "g": 0.0, "h": "x"});
        let body = body.as_object().unwrap();
        let fields = Fields::of(body).unwrap();
        for key in ["a", "b", "c", "d", "e", "f", "g", "missing"] {
            assert_eq!(fields.truthy(key), None, "{key}");
        }
        for key in ["a", "f", "missing"] {
            assert_eq!(fields.text(key), Ok(None), "{key}");
        }
        for key in ["b", "c", "d", "e", "g"] {
            assert_eq!(fields.text(key).unwrap_err().status().as_u16(), 400, "{key}");
        }
        for key in ["a", "b", "f", "g", "missing"] {
            assert_eq!(fields.integer_or_default(key), Ok(None), "{key}");
        }
        for key in ["c", "d", "e", "h"] {
            assert_eq!(fields.integer_or_default(key).unwrap_err().status().as_u16(), 400, "{key}");
        }
        assert_eq!(fields.text("h"), Ok(Some("x")));
        assert_eq!(fields.changes_any(&["a", "b", "missing"], &[]), Ok(false));
        assert_eq!(fields.changes_any(&["h", "f", "missing"], &[]), Ok(true));
        let refused = fields.changes_any(&["h", "b"], &[]).unwrap_err();
        assert_eq!((refused.status().as_u16(), refused.detail()), (400, Some("b must not be empty")));
        assert_eq!(fields.changes_any(&["h", "b"], &["b"]), Ok(true));
        assert!(Fields::of(&Map::new()).is_err());
    }

    #[test]
    fn wrong_types_name_their_key() {
        let body = json!({"n": 1, "z": "a\u{0}b", "i": "x"});
        let fields = Fields::any(body.as_object().unwrap());
        for refused in [fields.text("n").unwrap_err(), fields.text("z").unwrap_err()] {
            assert_eq!(refused.status().as_u16(), 400);
        }
        assert_eq!(fields.integer("i").unwrap_err().detail(), Some("i must be an integer"));
    }
}
