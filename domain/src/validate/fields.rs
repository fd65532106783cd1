//! Reading single values of a payload.

use std::borrow::Cow;
use std::net::IpAddr;

use serde_json::Value;

use super::{Map, Refused};

/// How much of a client's text a refusal repeats, in characters.
const LONGEST_QUOTE: usize = 64;

/// The value of `key` if it is present in the sense of subclouds.md V1: not null, false, zero or empty.
pub(super) fn present<'a>(payload: &'a Map, key: &str) -> Option<&'a Value> {
    payload.get(key).filter(|value| match value {
        Value::Null => false,
        Value::Bool(yes) => *yes,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
    })
}

/// The text of a string or number, which is how YAML may deliver the same thing; `None` for anything else.
pub(super) fn text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        _ => None,
    }
}

/// The IP address a value spells.
pub(super) fn address(value: Option<&Value>) -> Option<IpAddr> {
    value.and_then(Value::as_str)?.parse().ok()
}

/// Puts the canonical spelling (subclouds.md V8) of the address under `key` in its place; an absent one stays absent.
pub(super) fn respell(payload: &mut Map, key: &str) -> Result<(), Refused> {
    let Some(value) = present(payload, key) else { return Ok(()) };
    let Some(address) = address(Some(value)) else {
        return Err(Refused::invalid(key, "not a valid IP address"));
    };
    payload.insert(key.to_owned(), Value::String(address.to_string()));
    Ok(())
}

/// What a refusal repeats of a client's text: its first characters, control characters replaced.
pub(super) fn quoted(text: &str) -> String {
    text.chars().take(LONGEST_QUOTE).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
