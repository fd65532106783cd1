//! JSON values in Python's spelling, as the audit log has always shown them.

use std::fmt::{self, Write};

use serde_json::Value;

/// Writes `value` as Python's `repr` would: `{'name': 'edge', 'on': True, 'x': None}`.
///
/// # Errors
/// Those of `out`.
pub fn write_value(out: &mut impl Write, value: &Value) -> fmt::Result {
    match value {
        Value::Null => out.write_str("None"),
        Value::Bool(true) => out.write_str("True"),
        Value::Bool(false) => out.write_str("False"),
        Value::Number(number) => write!(out, "{number}"),
        Value::String(text) => write_text(out, text),
        Value::Array(items) => {
            out.write_char('[')?;
            for (index, item) in items.iter().enumerate() {
                separate(out, index)?;
                write_value(out, item)?;
            }
            out.write_char(']')
        }
        Value::Object(members) => {
            out.write_char('{')?;
            for (index, (key, member)) in members.iter().enumerate() {
                separate(out, index)?;
                write_text(out, key)?;
                out.write_str(": ")?;
                write_value(out, member)?;
            }
            out.write_char('}')
        }
    }
}

/// Writes a comma and a blank before every item but the first.
///
/// # Errors
/// Those of `out`.
pub fn separate(out: &mut impl Write, index: usize) -> fmt::Result {
    if index > 0 { out.write_str(", ") } else { Ok(()) }
}

/// Writes `text` in quotes: single ones, unless it has only those in it.
///
/// # Errors
/// Those of `out`.
pub fn write_text(out: &mut impl Write, text: &str) -> fmt::Result {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.write_char(quote)?;
    for c in text.chars() {
        match c {
            '\n' => out.write_str("\\n")?,
            '\r' => out.write_str("\\r")?,
            '\t' => out.write_str("\\t")?,
            '\\' => out.write_str("\\\\")?,
            c if c == quote => write!(out, "\\{c}")?,
            c if c.is_control() => write!(out, "\\x{:02x}", u32::from(c))?,
            '\u{2028}' | '\u{2029}' => write!(out, "\\u{:04x}", u32::from(c))?,
            c => out.write_char(c)?,
        }
    }
    out.write_char(quote)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::*;

    #[test]
    fn values_read_as_python_prints_them() {
        let value = json!({
            "name": "edge", "n": 5, "f": 1.5, "on": true, "off": false, "none": null, "list": [1, "a", {}, []],
            "quotes": ["it's", "say \"x\"", "both ' and \""], "escapes": "a\n\t\\\r\u{7f}\u{1b}é\u{2028}",
        });
        let mut text = String::new();
        write_value(&mut text, &value).unwrap();
        assert_eq!(
            text,
            r#"{'name': 'edge', 'n': 5, 'f': 1.5, 'on': True, 'off': False, 'none': None, 'list': [1, 'a', {}, []], "#
                .to_owned()
                + r#"'quotes': ["it's", 'say "x"', 'both \' and "'], 'escapes': 'a\n\t\\\r\x7f\x1bé\u2028'}"#
        );
    }
}
