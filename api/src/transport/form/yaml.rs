//! Safe YAML 1.1: a client's document becomes plain JSON values, or one of three complaints.
//!
//! The parser speaks YAML 1.2. What is added here are the words of YAML 1.1 that existing documents use, and the refusal
//! of tags that stand for more than data; the differences that are left are in `docs/compatibility.md`.
//!
//! The parser resolves aliases by repeating what they name, so a small document can stand for an enormous one. The
//! values are therefore built here under a budget of nodes and bytes, and nesting is bounded before parsing.

mod tags;

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_yaml_ng::Deserializer;

/// Longest document, in bytes.
const MAX_BYTES: usize = 1024 * 1024;
/// Most scalars, sequences and mappings after aliases are resolved.
const MAX_NODES: usize = 200_000;
/// Most text after aliases are resolved, in bytes.
const MAX_TEXT: usize = 4 * MAX_BYTES;
/// Deepest nesting of brackets; the parser refuses more than 128 levels of any kind itself, but only after scanning.
const MAX_BRACKETS: usize = 256;
/// How far back from a word its tag is looked for, in bytes: a bound for documents that repeat one word by aliases.
const LOOK_BEHIND: usize = 256;

/// Why a document gives no mapping; the texts of subclouds.md §1.4.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum YamlProblem {
    /// Nothing in it, or `null`.
    #[error("empty file provided")]
    Empty,
    /// Not YAML, not safe, or beyond the bounds; the line counts from 0.
    #[error("problem on line: {0}")]
    Line(usize),
    /// A list or a scalar.
    #[error("not a mapping")]
    NotAMapping,
}

/// The mapping that `document` is.
pub fn mapping(document: &[u8]) -> Result<Map<String, Value>, YamlProblem> {
    match value(document)? {
        Value::Object(mapping) => Ok(mapping),
        Value::Null => Err(YamlProblem::Empty),
        _ => Err(YamlProblem::NotAMapping),
    }
}

/// A YAML 1.1 boolean as the field `force` takes it (subclouds.md §6.4): `true`, `yes`, `on`, `1` and their
/// opposites, each lower, upper or title case. `None` for anything else.
pub fn yaml_bool(text: &str) -> Option<bool> {
    match text.trim() {
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "1" => Some(true),
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" | "0" => Some(false),
        _ => None,
    }
}

fn value(document: &[u8]) -> Result<Value, YamlProblem> {
    let text = std::str::from_utf8(document)
        .map_err(|error| YamlProblem::Line(line_at(document, error.valid_up_to())))?;
    if text.len() > MAX_BYTES {
        return Err(YamlProblem::Line(line_at(document, MAX_BYTES)));
    }
    if let Some(at) = too_deep(document) {
        return Err(YamlProblem::Line(line_at(document, at)));
    }
    if let Some(strict) = tags::refused(text) {
        parsed(&strict)?;
    }
    parsed(text)
}

fn parsed(text: &str) -> Result<Value, YamlProblem> {
    let mut documents = Deserializer::from_str(text);
    let Some(first) = documents.next() else {
        return Ok(Value::Null);
    };
    let reading = Reading { document: text, nodes: Cell::new(MAX_NODES), text: Cell::new(MAX_TEXT) };
    let value = Node(&reading).deserialize(first).map_err(|error| {
        let line = error.location().map_or(0, |location| location.line().saturating_sub(1));
        // The parser puts the end of an unfinished last line on a line of its own.
        YamlProblem::Line(line.min(line_at(text.as_bytes(), text.len())))
    })?;
    match documents.next() {
        None => Ok(value),
        Some(_) => Err(YamlProblem::Line(last_document_line(text))),
    }
}

/// Where brackets nest too deeply. Quotes and comments are not looked at: real documents stay far below the bound.
fn too_deep(document: &[u8]) -> Option<usize> {
    let mut depth = 0_usize;
    document.iter().position(|byte| {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > MAX_BRACKETS
    })
}

/// The 0-based line of the byte at `at`.
fn line_at(document: &[u8], at: usize) -> usize {
    document.iter().take(at).filter(|byte| **byte == b'\n').count()
}

/// The 0-based line on which the last of several documents begins.
fn last_document_line(text: &str) -> usize {
    text.lines().enumerate().filter(|(_, line)| line.starts_with("---")).last().map_or(0, |(at, _)| at)
}

/// A document that is being read, and what its values may still cost.
struct Reading<'a> {
    document: &'a str,
    nodes: Cell<usize>,
    text: Cell<usize>,
}

impl Reading<'_> {
    fn node<E: Error>(&self) -> Result<(), E> {
        spend(&self.nodes, 1)
    }

    fn string<E: Error>(&self, text: &str) -> Result<String, E> {
        spend(&self.text, text.len())?;
        if text.contains('\0') {
            return Err(E::custom("an escape stands for NUL, which no text column takes"));
        }
        Ok(text.to_owned())
    }

    /// What the words say that YAML 1.1 knows beside `true` and `false`: `None` for any other text, and for a word in
    /// quotes or with a tag. `text` is a part of the document.
    fn word(&self, text: &str) -> Option<bool> {
        let truth = match text {
            "yes" | "Yes" | "YES" | "on" | "On" | "ON" => true,
            "no" | "No" | "NO" | "off" | "Off" | "OFF" => false,
            _ => return None,
        };
        self.is_plain(text).then_some(truth)
    }

    /// The parser does not tell how a scalar is written, but gives the part of the document that it is.
    fn is_plain(&self, text: &str) -> bool {
        let document = self.document.as_bytes();
        let begin = text.as_ptr().addr().wrapping_sub(document.as_ptr().addr());
        let end = begin.wrapping_add(text.len());
        let (Some(before), Some(after)) = (document.get(..begin), document.get(end..)) else { return false };
        !matches!(after.first(), Some(b'"' | b'\'')) && !is_tagged(before)
    }
}

/// Whether what follows `before` has a tag: it stands before it, and an anchor may stand between.
fn is_tagged(before: &[u8]) -> bool {
    let near = before.rchunks(LOOK_BEHIND).next().unwrap_or_default();
    near.rsplit(u8::is_ascii_whitespace)
        .filter(|token| !token.is_empty())
        .map(|token| token.rsplit(|byte| b"[{,".contains(byte)).next().unwrap_or_default())
        .take_while(|token| token.starts_with(b"!") || token.starts_with(b"&"))
        .any(|token| token.starts_with(b"!") && !token.ends_with(b":"))
}

fn spend<E: Error>(left: &Cell<usize>, cost: usize) -> Result<(), E> {
    left.set(left.get().checked_sub(cost).ok_or_else(|| E::custom("document expands beyond its limit"))?);
    Ok(())
}

/// Builds one value.
#[derive(Clone, Copy)]
struct Node<'a>(&'a Reading<'a>);

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.0.node()?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an untagged YAML value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        // JSON has no infinity: such a number stays the text it prints as.
        Ok(Number::from_f64(value).map_or_else(|| Value::String(value.to_string()), Value::Number))
    }

    fn visit_i128<E: Error>(self, value: i128) -> Result<Value, E> {
        Ok(Value::String(value.to_string()))
    }

    fn visit_u128<E: Error>(self, value: u128) -> Result<Value, E> {
        Ok(Value::String(value.to_string()))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        self.0.string(value).map(Value::String)
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<Value, E> {
        match self.0.word(value) {
            Some(truth) => Ok(Value::Bool(truth)),
            None => self.visit_str(value),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let (mut own, mut merged) = (Map::new(), Map::new());
        while let Some(key) = entries.next_key_seed(Key(self.0))? {
            let value = entries.next_value_seed(self)?;
            if key == "<<" {
                merge(&mut merged, value)?;
            } else {
                own.insert(key, value);
            }
        }
        for (key, value) in merged {
            own.entry(key).or_insert(value);
        }
        Ok(Value::Object(own))
    }
}

/// Takes in what the merge key `<<` names: a mapping, or a list of them of which the earlier ones win.
fn merge<E: Error>(into: &mut Map<String, Value>, named: Value) -> Result<(), E> {
    let mappings = match named {
        Value::Array(mappings) => mappings,
        one => vec![one],
    };
    for mapping in mappings {
        let Value::Object(mapping) = mapping else {
            return Err(E::custom("a merge key names something that is not a mapping"));
        };
        for (key, value) in mapping {
            into.entry(key).or_insert(value);
        }
    }
    Ok(())
}

/// Builds a mapping's key: scalars become their text.
struct Key<'a>(&'a Reading<'a>);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = String;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        self.0.node()?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Key<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a scalar as key")
    }

    fn visit_unit<E: Error>(self) -> Result<String, E> {
        Ok("null".to_owned())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<String, E> {
        self.0.string(value)
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<String, E> {
        match self.0.word(value) {
            Some(truth) => Ok(truth.to_string()),
            None => self.visit_str(value),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use std::time::{Duration, Instant};

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> Result<Value, YamlProblem> {
        mapping(text.as_bytes()).map(Value::Object)
    }

    #[test]
    fn a_mapping_becomes_json() {
        let document = "name: edge-7\n1: one\ntrue: t\nnull: n\n1.5: f\nlist: [1, -2, 0.5, yep, ~, .inf]\n\
                        nested: {a: 'x', a: y}\nbig: 123456789012345678901234567890\n";
        let expected = json!({"name": "edge-7", "1": "one", "true": "t", "null": "n", "1.5": "f",
            "list": [1, -2, 0.5, "yep", null, "inf"], "nested": {"a": "y"}});
        let Value::Object(mut read) = read(document).unwrap() else { panic!("no mapping") };
        assert!(read.remove("big").is_some());
        assert_eq!(Value::Object(read), expected);
    }

    #[test]
    fn aliases_and_merge_keys_are_resolved() {
        let document = "base: &b {a: 1, b: 2}\nother: &o {b: 3, c: 4}\none: {<<: *b, b: 9}\ntwo: {<<: [*b, *o]}\nref: *b\n";
        let read = read(document).unwrap();
        assert_eq!(read["one"], json!({"a": 1, "b": 9}));
        assert_eq!(read["two"], json!({"a": 1, "b": 2, "c": 4}));
        assert_eq!(read["ref"], json!({"a": 1, "b": 2}));
        assert!(matches!(self::read("a: {<<: 1}"), Err(YamlProblem::Line(_))));
    }

    #[test]
    fn what_is_not_a_mapping_is_named() {
        for empty in ["", "\n", "# only a comment\n", "null", "~", "---\n", "--- \n...\n"] {
            assert_eq!(read(empty), Err(YamlProblem::Empty), "{empty:?}");
        }
        for other in ["- a\n", "text", "3", "[]"] {
            assert_eq!(read(other), Err(YamlProblem::NotAMapping), "{other:?}");
        }
        assert_eq!(read("a: 1\nb: [1\nc: 2\n"), Err(YamlProblem::Line(2)));
        assert_eq!(read("a: 1\nb: *nowhere\n"), Err(YamlProblem::Line(1)));
        assert_eq!(read("a: 1\n---\nb: 2\n"), Err(YamlProblem::Line(1)));
        assert_eq!(mapping(b"a: 1\nb: \xff\n"), Err(YamlProblem::Line(1)));
        for refused in ["a: !run x", "a: !run [x]", "? [complex, key]\n: 1\n"] {
            assert!(matches!(read(refused), Err(YamlProblem::Line(_))), "{refused}");
        }
    }

    #[test]
    fn the_words_of_yaml_1_1_are_booleans_unless_they_are_quoted() {
        for (words, truth) in [
            (["yes", "Yes", "YES", "on", "On", "ON"], true),
            (["no", "No", "NO", "off", "Off", "OFF"], false),
        ] {
            for word in words {
                let document =
                    format!("a: {word}\nb: [{word}, {word}]\nc: {{d: {word}}}\nü: &w {word} # yes\ne: *w\n");
                let expected =
                    json!({"a": truth, "b": [truth, truth], "c": {"d": truth}, "ü": truth, "e": truth});
                assert_eq!(read(&document), Ok(expected), "{word}");
                let document = format!(
                    "a: '{word}'\nb: [\"{word}\"]\nc: !!str {word}\nd: [!!str &w {word}, &v !!str {word}]\ne: *w\n\
                     f: |-\n  {word}\ng: >-\n  {word}\nh: {word} {word}\n"
                );
                let both = format!("{word} {word}");
                let expected = json!({"a": word, "b": [word], "c": word, "d": [word, word], "e": word, "f": word,
                    "g": word, "h": both});
                assert_eq!(read(&document), Ok(expected), "{word}");
            }
        }
        assert_eq!(read("yes: 1\n'no': 2\n"), Ok(json!({"true": 1, "no": 2})));
        for text in ["y", "n", "Y", "N", "yEs", "oN", "nO", "yes.", "tRUE"] {
            assert_eq!(read(&format!("a: {text}")), Ok(json!({"a": text})), "{text}");
        }
    }

    #[test]
    fn documents_made_to_explode_are_refused_quickly() {
        let laughs = (1..12).fold("l0: &l0 [ha,ha,ha,ha,ha,ha,ha,ha,ha]\n".to_owned(), |text, n| {
            let aliases = vec![format!("*l{}", n - 1); 9].join(",");
            format!("{text}l{n}: &l{n} [{aliases}]\n")
        });
        let long_scalar = format!("a: &a {}\nb: [{}]\n", "x".repeat(400_000), vec!["*a"; 100_000].join(","));
        let self_reference = "a: &a [*a]\n".to_owned();
        let deep = |open: &str| format!("a: {}", open.repeat(100_000));
        let closed = format!("a: {}{}", "[".repeat(100_000), "]".repeat(100_000));
        let indented = (0..1000).fold(String::new(), |text, n| format!("{text}{}a:\n", " ".repeat(n)));
        for document in [
            laughs,
            long_scalar,
            self_reference,
            deep("["),
            deep("{"),
            deep("{a: "),
            closed,
            indented,
            "- ".repeat(100_000),
            "? ".repeat(100_000),
            "a: ".repeat(100_000),
            "!a ".repeat(100_000),
            "&a ".repeat(100_000),
            "[a]: ".repeat(50_000),
            "x".repeat(MAX_BYTES + 1),
        ] {
            let started = Instant::now();
            let result = read(&document);
            let name: String = document.chars().take(20).collect();
            assert!(matches!(result, Err(YamlProblem::Line(_))), "{name}: {result:?}");
            assert!(started.elapsed() < Duration::from_secs(5), "{name}: {:?}", started.elapsed());
        }
    }

    #[test]
    fn force_is_a_yaml_boolean() {
        for (text, expected) in [
            ("true", Some(true)),
            ("yes", Some(true)),
            ("ON", Some(true)),
            (" 1\n", Some(true)),
            ("False", Some(false)),
            ("no", Some(false)),
            ("off", Some(false)),
            ("0", Some(false)),
            ("", None),
            ("maybe", None),
            ("tRuE", None),
            ("2", None),
            ("t", None),
        ] {
            assert_eq!(yaml_bool(text), expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = mapping(&bytes);
        }

        #[test]
        fn anything_that_looks_like_yaml_is_read_or_refused(text in "[a-c&*!<>|?:,{}\\[\\] \\n\"'#%-]{0,80}") {
            let _ = mapping(text.as_bytes());
        }
    }
}
