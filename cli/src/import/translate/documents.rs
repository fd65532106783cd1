//! The JSON texts of old rows: whole into the vault, without passwords into the event, and in answers as they stood.

use dcm_domain::subcloud::Document;
use dcm_domain::validate::{HIDDEN, Map, PAYLOAD, json_text, masked, without_secrets};
use dcm_domain::value::Secret;
use dcm_journal::vault::NewEntry;
use serde_json::Value;
use uuid::Uuid;

use crate::import::ids::Ids;

/// Longest text that is shown: an event carries several, and must fit into one message of the bus.
const MOST_SHOWN: usize = 200 * 1024;
/// Words whose presence hides a text that cannot be read.
const SECRET_WORDS: [&str; 4] = ["pass", "secret", "token", "key"];
/// Largest whole number an event can hold.
const MOST_EXACT: u64 = (1 << 53) - 1;
/// The one member of rehome data.
const PAYLOAD_KEY: &str = "saved_payload";

/// How to tell versions of a document apart: [`dcm_journal::vault::Vault::digest`].
pub type DigestFn = dyn Fn(Uuid, &[u8]) -> String + Send + Sync;

/// Collects vault entries while documents are translated.
pub struct Documents<'a> {
    ids: &'a Ids,
    digest: &'a DigestFn,
    /// What is to be written before any event.
    pub entries: Vec<NewEntry>,
}

/// Where a document comes from.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    /// The entity it belongs to.
    pub owner: Uuid,
    /// Its table.
    pub table: &'static str,
    /// Id of its row.
    pub row: i64,
    /// What it is.
    pub purpose: &'static str,
}

/// A translated document, and what is to be said about it.
#[derive(Debug)]
pub struct Translated {
    /// The document.
    pub document: Document,
    /// Why answers do not show it as it stood.
    pub note: Option<&'static str>,
}

/// What answers show of a text.
struct Shown {
    value: Value,
    note: Option<&'static str>,
}

impl Shown {
    const fn new(value: Value, note: Option<&'static str>) -> Self {
        Self { value, note }
    }
}

impl<'a> Documents<'a> {
    /// No entries yet.
    pub fn new(ids: &'a Ids, digest: &'a DigestFn) -> Self {
        Self { ids, digest, entries: Vec::new() }
    }

    /// A column with a JSON text.
    pub fn json(&mut self, origin: Origin, text: &str) -> Translated {
        let parsed: Option<Value> = serde_json::from_str(text).ok();
        let Shown { value, note } = shown(text, parsed.as_ref());
        let kept = match parsed {
            Some(Value::Object(mapping)) => in_order(mapping),
            _ => text.to_owned(),
        };
        Translated { document: self.keep(origin, kept, value), note }
    }

    /// The column `rehome_data`: its document is the saved payload itself.
    pub fn rehome(&mut self, origin: Origin, text: &str) -> Translated {
        let parsed: Option<Value> = serde_json::from_str(text).ok();
        let Shown { value, note } = shown(text, parsed.as_ref());
        let payload = match (parsed, &value) {
            (Some(Value::Object(mut whole)), Value::Object(_)) if whole.len() == 1 => {
                match whole.swap_remove(PAYLOAD_KEY) {
                    Some(Value::Object(payload)) => Some(payload),
                    _ => None,
                }
            }
            _ => None,
        };
        if let Some(payload) = payload {
            let shown = without_secrets(&Value::Object(payload.clone()));
            return Translated { document: self.keep(origin, in_order(payload), shown), note };
        }
        let value = match value {
            Value::String(text) => Value::String(text),
            other => Value::String(json_text(&other)),
        };
        let note = Some("is no saved payload: it is shown, but cannot be used to rehome");
        Translated { document: self.keep(origin, text.to_owned(), value), note }
    }

    /// A bootstrap payload from a file.
    pub fn bootstrap(&mut self, origin: Origin, payload: Map) -> Document {
        let shown = masked(&Value::Object(payload.clone()), &PAYLOAD);
        let shown = if fits(&shown) { shown } else { hidden() };
        self.keep(origin, in_order(payload), shown)
    }

    /// A document of which answers show nothing, and which is there all the same.
    pub fn unseen(&mut self, origin: Origin, mapping: Map) -> Document {
        self.keep(origin, in_order(mapping), Value::Null)
    }

    /// A document that is not read at all.
    pub fn closed(&mut self, origin: Origin, text: String) -> Document {
        self.keep(origin, text, hidden())
    }

    /// A password; its vault entry.
    pub fn password(&mut self, origin: Origin, password: Secret) -> dcm_domain::value::SecretRef {
        let entry = self.ids.secret(origin.table, origin.row, origin.purpose);
        let Origin { owner, purpose, .. } = origin;
        self.entries.push(NewEntry { id: entry.0, owner, purpose, secret: password });
        entry
    }

    fn keep(&mut self, origin: Origin, text: String, shown: Value) -> Document {
        let digest = (self.digest)(origin.owner, text.as_bytes());
        let secret = self.password(origin, Secret::new(text));
        Document { secret, digest, shown }
    }
}

/// What answers show of a column's `text`, which is `parsed` if it is JSON. An object is shown as an object wherever its
/// spelling allows, since rules read it; anything else as the text it is.
fn shown(text: &str, parsed: Option<&Value>) -> Shown {
    if text.len() > MOST_SHOWN {
        return Shown::new(hidden(), Some("is too long to be shown: answers show ***"));
    }
    let Some(parsed) = parsed else {
        let lower = text.to_lowercase();
        return match SECRET_WORDS.iter().any(|word| lower.contains(word)) {
            true => Shown::new(hidden(), Some("is no JSON and may hold a password: answers show ***")),
            false => {
                Shown::new(Value::String(text.to_owned()), Some("is no JSON: answers show it as it stands"))
            }
        };
    };
    let open = without_secrets(parsed);
    let as_spelt = json_text(parsed) == text;
    match open.is_object() && fits(&open) && is_exact(&open) {
        true if as_spelt => Shown::new(open, None),
        true => Shown::new(open, Some("is spelt in another way than answers show it")),
        false if open == *parsed => Shown::new(Value::String(text.to_owned()), None),
        false => Shown::new(Value::String(json_text(&open)), None),
    }
}

/// In one order, so that the same values have the same digest however they came together.
fn in_order(mapping: Map) -> String {
    let mut values = Value::Object(mapping);
    values.sort_all_objects();
    values.to_string()
}

fn fits(value: &Value) -> bool {
    value.to_string().len() <= MOST_SHOWN
}

/// Whether an event can hold its numbers.
fn is_exact(value: &Value) -> bool {
    match value {
        Value::Number(number) => {
            number.is_f64()
                || number.as_u64().is_some_and(|n| n <= MOST_EXACT)
                || number.as_i64().is_some_and(|n| n.unsigned_abs() <= MOST_EXACT)
        }
        Value::Array(items) => items.iter().all(is_exact),
        Value::Object(members) => members.values().all(is_exact),
        Value::Null | Value::Bool(_) | Value::String(_) => true,
    }
}

fn hidden() -> Value {
    Value::String(HIDDEN.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    const ORIGIN: Origin = Origin { owner: Uuid::nil(), table: "subclouds", row: 1, purpose: "data_install" };

    fn translated(text: &str, rehome: bool) -> (Option<String>, Option<&'static str>, String) {
        let ids = Ids::of("test");
        let mut documents = Documents::new(&ids, &|_, _| String::new());
        let done = if rehome { documents.rehome(ORIGIN, text) } else { documents.json(ORIGIN, text) };
        let shown = match rehome {
            true => done.document.shown_rehome_text(),
            false => done.document.shown_text(),
        };
        (shown, done.note, documents.entries[0].secret.expose().to_owned())
    }

    #[test]
    fn what_python_wrote_is_shown_as_it_was_without_passwords() {
        let text = r#"{"image": "x.iso", "bmc_password": "cHc=", "n": 1.0, "deep": [{"api_Token": "t", "u": "gr\u00f6"}]}"#;
        let (shown, note, kept) = translated(text, false);
        let expected = r#"{"image": "x.iso", "bmc_password": "***", "n": 1.0, "deep": [{"api_Token": "***", "u": "gr\u00f6"}]}"#;
        assert_eq!((shown.as_deref(), note), (Some(expected), None));
        assert!(kept.contains("cHc=") && kept.starts_with(r#"{"bmc_password""#), "{kept}");
    }

    #[test]
    fn texts_that_are_no_objects_are_shown_as_they_stand() {
        for text in [r#"[1,  2]"#, "null", r#""x""#, "7", r#"{"big": 9007199254740993}"#] {
            assert_eq!(translated(text, false).0.as_deref(), Some(text), "{text}");
        }
        assert_eq!(translated("broken {", false).0.as_deref(), Some("broken {"));
        assert_eq!(translated("{'bmc_password': 'x'}", false).0.as_deref(), Some("***"));
        let (shown, note, _) = translated(r#"{"a":1}"#, false);
        assert_eq!(shown.as_deref(), Some(r#"{"a": 1}"#));
        assert!(note.is_some());
    }

    #[test]
    fn rehome_data_is_its_payload() {
        let text = r#"{"saved_payload": {"name": "edge", "admin_password": "cHc=", "bootstrap-address": "10.0.0.1"}}"#;
        let (shown, note, kept) = translated(text, true);
        assert_eq!((shown.as_deref(), note), (Some(text.replace("cHc=", "***").as_str()), None));
        assert_eq!(kept, r#"{"admin_password":"cHc=","bootstrap-address":"10.0.0.1","name":"edge"}"#);
        for text in [r#"{"saved_payload": null}"#, "{}", r#"{"saved_payload": {}, "more": 1}"#, "[]", "null"]
        {
            let (shown, note, kept) = translated(text, true);
            assert_eq!((shown.as_deref(), kept.as_str()), (Some(text), text));
            assert!(note.is_some());
        }
    }
}
