//! JSON text in the spelling of Python's `json.dumps`, in which the old service stored documents: answers show them as
//! texts, so that the spelling is part of the answer.

use std::fmt::Write as _;

use serde_json::Value;

/// `value` as text: `", "` between items, `": "` behind keys, everything outside printable ASCII escaped, keys in their
/// order.
pub fn json_text(value: &Value) -> String {
    let mut text = String::new();
    write(&mut text, value);
    text
}

fn write(text: &mut String, value: &Value) {
    match value {
        Value::Null => text.push_str("null"),
        Value::Bool(true) => text.push_str("true"),
        Value::Bool(false) => text.push_str("false"),
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(float) => text.push_str(&float_text(float)),
            None => text.push_str(&number.to_string()),
        },
        Value::String(string) => write_string(text, string),
        Value::Array(items) => {
            text.push('[');
            for (place, item) in items.iter().enumerate() {
                text.push_str(if place == 0 { "" } else { ", " });
                write(text, item);
            }
            text.push(']');
        }
        Value::Object(members) => {
            text.push('{');
            for (place, (key, member)) in members.iter().enumerate() {
                text.push_str(if place == 0 { "" } else { ", " });
                write_string(text, key);
                text.push_str(": ");
                write(text, member);
            }
            text.push('}');
        }
    }
}

fn write_string(text: &mut String, string: &str) {
    text.push('"');
    for letter in string.chars() {
        match letter {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\u{8}' => text.push_str("\\b"),
            '\u{c}' => text.push_str("\\f"),
            ' '..='~' => text.push(letter),
            _ => {
                for unit in letter.encode_utf16(&mut [0; 2]) {
                    // Writing to a string cannot fail.
                    let _ = write!(text, "\\u{unit:04x}");
                }
            }
        }
    }
    text.push('"');
}

/// A number with a fraction or an exponent: exponents from 16 up and from -5 down, with a sign and two digits at least.
fn float_text(float: f64) -> String {
    let scientific = format!("{float:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else { return scientific };
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..16).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
        }
        _ => {
            let plain = float.to_string();
            if plain.contains('.') { plain } else { format!("{plain}.0") }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::json_text;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    #[test]
    fn spells_like_the_old_service() {
        let value = json!({
            "b": [1, -2, 1.0, 0.5, 1e16, 1e15, 1.5e-5, 1e-4, -0.0], "a": {}, "e": [],
            "t": "größe \u{1f600} \u{7f}\u{1}\"\\/\n\r\t\u{8}\u{c}", "n": null, "y": true, "f": false,
        });
        let expected = concat!(
            r#"{"b": [1, -2, 1.0, 0.5, 1e+16, 1000000000000000.0, 1.5e-05, 0.0001, -0.0], "a": {}, "e": [], "#,
            r#""t": "gr\u00f6\u00dfe \ud83d\ude00 \u007f\u0001\"\\/\n\r\t\b\f", "n": null, "y": true, "f": false}"#
        );
        assert_eq!(json_text(&value), expected);
    }

    proptest! {
        #[test]
        fn reads_back(key in any::<String>(), text in any::<String>(), number in any::<i64>(), float in -1e300..1e300) {
            let value = json!({ key: [text, number, float] });
            let spelt = json_text(&value);
            prop_assert!(spelt.is_ascii());
            prop_assert_eq!(serde_json::from_str::<Value>(&spelt).unwrap(), value);
        }
    }
}
