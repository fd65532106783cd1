//! The YAML that playbooks read: every scalar as JSON, and text that looks like a template tagged, so that nobody's
//! description is ever evaluated.
//!
//! JSON scalars are read alike by every version of YAML (`yes`, `1:30` and `2001-01-01` stay text). `!unsafe` is
//! ansible's own tag for text that is no template.

use serde_json::Value;
use zeroize::Zeroizing;

/// What begins an expression, a statement and a comment of a template.
const TEMPLATE: [&str; 3] = ["{{", "{%", "{#"];
/// Plain words that YAML 1.1 does not read as text.
const NO_TEXT: [&str; 11] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"];

/// `value` as a document; mappings in blocks, everything else in one line.
pub(super) fn document(value: &Value) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::from("---\n"));
    block(value, 0, &mut text);
    text
}

fn block(value: &Value, depth: usize, text: &mut String) {
    let Some(mapping) = value.as_object().filter(|mapping| !mapping.is_empty()) else {
        flow(value, text);
        text.push('\n');
        return;
    };
    for (name, value) in mapping {
        text.push_str(&"  ".repeat(depth));
        key(name, text);
        let nested = value.as_object().is_some_and(|mapping| !mapping.is_empty());
        text.push_str(if nested { ":\n" } else { ": " });
        block(value, depth + 1, text);
    }
}

fn flow(value: &Value, text: &mut String) {
    match value {
        Value::String(string) => {
            if TEMPLATE.iter().any(|mark| string.contains(mark)) {
                text.push_str("!unsafe ");
            }
            quoted(string, text);
        }
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push_str(", ");
                }
                flow(item, text);
            }
            text.push(']');
        }
        Value::Object(mapping) => {
            text.push('{');
            for (index, (name, value)) in mapping.iter().enumerate() {
                if index > 0 {
                    text.push_str(", ");
                }
                quoted(name, text);
                text.push_str(": ");
                flow(value, text);
            }
            text.push('}');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => text.push_str(&value.to_string()),
    }
}

fn key(name: &str, text: &mut String) {
    let word = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || matches!(character, '_' | '-' | '.'));
    if word && !NO_TEXT.contains(&name.to_ascii_lowercase().as_str()) {
        text.push_str(name);
    } else {
        quoted(name, text);
    }
}

/// A JSON string in which everything is escaped that YAML does not take as it is.
fn quoted(string: &str, text: &mut String) {
    text.push('"');
    for character in string.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            ' '..='~' => text.push(character),
            '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}'
                if !matches!(character, '\u{2028}' | '\u{2029}') =>
            {
                text.push(character);
            }
            other => {
                let code = u32::from(other);
                let escape = if code <= 0xffff { format!("\\u{code:04x}") } else { format!("\\U{code:08x}") };
                text.push_str(&escape);
            }
        }
    }
    text.push('"');
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::{Value, json};

    use super::document;

    #[test]
    fn reads_back_as_it_was() {
        let value = json!({
            "plain": "edge1", "yes": "yes", "time": "12:30:45", "date": "2001-01-01", "version": "24.09",
            "hostile": "a\"b\\c\nd\u{7f}\u{85}\u{2028}\u{1f600}é: # - ! & *", "blank key": null,
            "number": 5, "truth": true, "empty": {}, "list": ["a", {"b": [1, "no"]}],
            "deep": {"deeper": {"deepest": [""]}},
        });
        let read: Value = serde_yaml_ng::from_str(&document(&value)).unwrap();
        assert_eq!(read, value);
    }

    #[test]
    fn only_templates_are_tagged() {
        let value = json!({"a": "{{ x }}", "b": [{"c": "{% y %}"}, "{#"], "d": "{ z }"});
        let text = document(&value);
        assert_eq!(
            *text,
            "---\na: !unsafe \"{{ x }}\"\nb: [{\"c\": !unsafe \"{% y %}\"}, !unsafe \"{#\"]\nd: \"{ z }\"\n"
        );
    }
}
