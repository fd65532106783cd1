//! A request's body as the audit log may show it: nothing secret, no file, bounded.

use std::fmt::{self, Write};

use dcm_domain::validate::{HIDDEN, is_secret_key};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::python::{separate, write_text, write_value};
use crate::transport::form::{Encoding, Form, Part};

/// Most bytes of a body that are shown.
const LONGEST: usize = 4096;
/// A longer text is more than a name or a number: it may be a document with passwords of its own.
const LONGEST_TEXT: usize = 255;
/// Fields that are documents, which are secret as a whole (design, invariant 9).
const DOCUMENTS: [&str; 5] =
    ["bootstrap_values", "install_values", "deploy_config", "backup_values", "restore_values"];
/// What the old service's log hid beside passwords (access.md §10).
const ALSO_HIDDEN: [&str; 2] = ["community", "private_key"];

/// A JSON body; `None` for one that says nothing.
pub fn of_json(object: &Map<String, Value>) -> Option<String> {
    let shown = || Value::Object(masked_members(object));
    (!object.is_empty()).then(|| bounded(|out| write_value(out, &shown())))
}

/// The fields of a form, as WebOb printed them; of a JSON body sent to a form's operation, the JSON.
pub fn of_form(form: &Form) -> Option<String> {
    if form.encoding() == Encoding::Json {
        return form.json_object().ok().flatten().as_ref().and_then(of_json);
    }
    (!form.is_empty()).then(|| of_fields(form.fields(), write_part))
}

/// The parts of a form that was read piece by piece, in the same form.
pub fn of_parts(parts: &[Piecewise]) -> Option<String> {
    let named = parts.iter().map(|part| (part.name.as_str(), part));
    (!parts.is_empty()).then(|| of_fields(named, |out, _, part| part.write(out)))
}

fn of_fields<'a, T>(
    fields: impl Iterator<Item = (&'a str, T)>,
    write_value: impl Fn(&mut Bounded, &str, T) -> fmt::Result,
) -> String {
    bounded(|out| {
        out.write_str("MultiDict([")?;
        for (index, (name, value)) in fields.enumerate() {
            separate(out, index)?;
            out.write_char('(')?;
            write_text(out, name)?;
            out.write_str(", ")?;
            write_value(out, name, value)?;
            out.write_char(')')?;
        }
        out.write_str("])")
    })
}

fn write_part(out: &mut Bounded, name: &str, part: &Part) -> fmt::Result {
    match part.filename() {
        Some(_) => write_file(out, part.bytes().len() as u64),
        None => write_field(out, name, part.bytes()),
    }
}

fn write_file(out: &mut impl Write, bytes: u64) -> fmt::Result {
    write!(out, "<file of {bytes} bytes>")
}

fn write_field(out: &mut impl Write, name: &str, value: &[u8]) -> fmt::Result {
    match std::str::from_utf8(value) {
        Ok(text) if !is_hidden(name) && !is_document(text) => write_text(out, text),
        _ => write_text(out, HIDDEN),
    }
}

/// A part of a form that is read piece by piece and not kept, as far as it may be shown.
pub struct Piecewise {
    name: String,
    is_file: bool,
    /// How long it was; `None` if nobody read it.
    bytes: Option<u64>,
    /// The first bytes of a field: enough to see that it is too long to be shown.
    text: Zeroizing<Vec<u8>>,
}

impl Piecewise {
    /// A part of which nothing was read yet.
    pub fn new(name: &str, is_file: bool) -> Self {
        let kept = if is_file { 0 } else { LONGEST_TEXT + 1 };
        Self { name: name.to_owned(), is_file, bytes: None, text: Zeroizing::new(Vec::with_capacity(kept)) }
    }

    /// Takes note of the next piece.
    pub fn take_in(&mut self, piece: &[u8]) {
        self.bytes = Some(self.bytes.unwrap_or_default() + piece.len() as u64);
        if !self.is_file {
            let room = (LONGEST_TEXT + 1).saturating_sub(self.text.len());
            self.text.extend_from_slice(piece.get(..piece.len().min(room)).unwrap_or_default());
        }
    }

    fn write(&self, out: &mut impl Write) -> fmt::Result {
        match self.bytes {
            None => out.write_str("<not read>"),
            Some(bytes) if self.is_file => write_file(out, bytes),
            Some(_) => write_field(out, &self.name, &self.text),
        }
    }
}

impl fmt::Debug for Piecewise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Piecewise").field("name", &self.name).finish_non_exhaustive()
    }
}

fn masked(value: &Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(masked_members(members)),
        Value::Array(items) => items.iter().map(masked).collect(),
        Value::String(text) if is_document(text) => hidden(),
        scalar => scalar.clone(),
    }
}

fn masked_members(members: &Map<String, Value>) -> Map<String, Value> {
    let shown = |(key, member): (&String, &Value)| {
        (key.clone(), if is_hidden(key) { hidden() } else { masked(member) })
    };
    members.iter().map(shown).collect()
}

fn is_hidden(key: &str) -> bool {
    let lower = key.to_lowercase();
    is_secret_key(key)
        || DOCUMENTS.contains(&lower.as_str())
        || ALSO_HIDDEN.iter().any(|word| lower.contains(word))
}

/// Whether a text may hold more than one value, a password among them.
fn is_document(text: &str) -> bool {
    text.len() > LONGEST_TEXT || text.contains('\n') || text.trim_start().starts_with(['{', '['])
}

fn hidden() -> Value {
    Value::String(HIDDEN.to_owned())
}

/// What `write` writes, up to the limit; nothing is made beyond it.
fn bounded(write: impl FnOnce(&mut Bounded) -> fmt::Result) -> String {
    let mut out = Bounded(String::new());
    let written = write(&mut out);
    let Bounded(mut text) = out;
    if written.is_err() {
        text.push_str("...");
    }
    text
}

struct Bounded(String);

impl Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            if self.0.len() + c.len_utf8() > LONGEST {
                return Err(fmt::Error);
            }
            self.0.push(c);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::*;

    fn of(value: Value) -> Option<String> {
        of_json(value.as_object().unwrap())
    }

    #[test]
    fn passwords_are_masked_at_any_depth() {
        let value = json!({
            "sysadmin_password": "x1", "a": {"b": [{"bmc_password": "x2", "c": 1}, {"api_Token": {"d": "x3"}}]},
            "snmp_community": "x4", "passwd_hash": "x5", "install_values": {"image": "x6"},
        });
        let text = of(value).unwrap();
        assert_eq!(
            text,
            "{'sysadmin_password': '***', 'a': {'b': [{'bmc_password': '***', 'c': 1}, {'api_Token': '***'}]}, \
             'snmp_community': '***', 'passwd_hash': '***', 'install_values': '***'}"
        );
    }

    #[test]
    fn texts_that_may_be_documents_are_masked() {
        for document in ["a: 1\npassword: x", "{\"password\": \"x\"}", " [1]", &"y".repeat(300)] {
            assert_eq!(of(json!({"values": document})).unwrap(), "{'values': '***'}");
        }
    }

    #[test]
    fn parts_that_are_not_kept_are_shown_as_those_of_a_form() {
        let sent = |name: &str, is_file: bool, pieces: &[&str]| {
            let mut part = Piecewise::new(name, is_file);
            pieces.iter().for_each(|piece| part.take_in(piece.as_bytes()));
            part
        };
        let parts = [
            sent("release", false, &["22", ".12", ""]),
            sent("deploy_chart", true, &["password", ": x1"]),
            sent("sysadmin_password", false, &["x2"]),
            sent("long", false, &["x3", &"y".repeat(300)]),
            sent("lines", false, &["x4", "\n"]),
            sent("empty", false, &[""]),
            sent("skipped", false, &[]),
        ];
        assert_eq!(
            of_parts(&parts).unwrap(),
            "MultiDict([('release', '22.12'), ('deploy_chart', <file of 12 bytes>), ('sysadmin_password', '***'), \
             ('long', '***'), ('lines', '***'), ('empty', ''), ('skipped', <not read>)])"
        );
        assert_eq!(of_parts(&[]), None);
        assert!(!format!("{parts:?}").contains("22.12"));
    }

    #[test]
    fn a_body_that_says_nothing_is_not_shown() {
        assert_eq!(of(json!({})), None);
        assert_eq!(of(json!({"a": []})).as_deref(), Some("{'a': []}"));
    }

    #[test]
    fn a_long_body_is_cut() {
        let text = of(json!({"n": (0..10_000).collect::<Vec<_>>()})).unwrap();
        assert!(text.len() <= LONGEST + 3 && text.starts_with("{'n': [0, 1, ") && text.ends_with("..."));
    }
}
