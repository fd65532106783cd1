//! The envelope around every event, and the hash chain that ties the events of a stream together.

use dcm_domain::value::{Actor, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{canonical, position::Position, stream::StreamId};

/// Largest integer that RFC 8785, whose numbers are doubles, tells from its neighbours.
const MAX_EXACT_INTEGER: u64 = (1 << 53) - 1;

/// An event as it is written: what happened (`type`, `version`, `data`), where, when, by whom and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Envelope {
    /// UUIDv7, or UUIDv8 made from an idempotency key: the same key gives the same id again.
    pub id: Uuid,
    /// Event name, never changed once written (for example `SubcloudUnmanaged`).
    pub r#type: String,
    /// Version of the shape of `data`, from 1.
    pub version: u32,
    /// The aggregate's stream.
    pub stream: StreamId,
    /// Place in the stream, from 0.
    pub revision: u64,
    /// When it was recorded; never before the previous event of the stream.
    pub recorded_at: Timestamp,
    /// Who caused it.
    pub actor: Actor,
    /// The HTTP request, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Shared by everything that follows from one outside cause.
    pub correlation_id: Uuid,
    /// The event that led to this one, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation_id: Option<Uuid>,
    /// The command that was decided; shared by the events of one append.
    pub command_id: Uuid,
    /// W3C trace context of the command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// The command itself; on the first event of an append only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<CommandRecord>,
    /// The facts, in the shape that `type` and `version` name.
    pub data: Value,
    /// Hex SHA-256 that chains this event to the one before it; empty until [`Envelope::seal`].
    #[serde(default)]
    pub hash: String,
}

/// The command that led to an append, kept for audit and to know it again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CommandRecord {
    /// Command name (for example `UnmanageSubcloud`).
    pub name: String,
    /// Version of the shape of `arguments`.
    pub version: u32,
    /// What was asked; secrets as references.
    pub arguments: Value,
    /// What was looked up, drawn or timed to decide it.
    pub facts: Value,
    /// Digest of the request: the same command id with another fingerprint is another request.
    pub fingerprint: String,
}

/// An event as it is read: the envelope with its place in the journal.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// Where it stands among all events.
    pub position: Position,
    /// The event, read from `body`.
    pub envelope: Envelope,
    /// The stored JSON text, byte for byte.
    pub body: String,
}

/// Why a stored event is not the one that was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokenChain {
    /// The text is not JSON with an object at the top.
    #[error("the stored event is not a JSON object")]
    NotAnObject,
    /// The text is JSON, but not as this program writes it: it was touched.
    #[error("the stored event was rewritten")]
    Rewritten,
    /// An integer beyond ±(2^53 − 1): the hash cannot protect it, so it is never written.
    #[error("the stored event holds an integer that the hash cannot protect")]
    InexactInteger,
    /// The hash is not that of the text and the previous event.
    #[error("the stored hash {stored:?} is not the computed {computed:?}")]
    WrongHash {
        /// What the text says.
        stored: String,
        /// What follows from the text and the previous hash.
        computed: String,
    },
}

impl Envelope {
    /// The same event with its `hash` set: SHA-256 over the hex text of `previous_hash` (of the event before it in the
    /// stream; `None` at revision 0) followed by the RFC 8785 form of the event without `hash`.
    ///
    /// Should the event have no such form, `hash` stays empty, and every journal refuses it.
    #[must_use]
    pub fn seal(mut self, previous_hash: Option<&str>) -> Self {
        self.hash =
            self.canonical().map_or_else(String::new, |canonical| chain_hash(previous_hash, &canonical));
        self
    }

    /// The RFC 8785 form that the hash covers: the event without `hash`. `None` if the event holds what that form cannot
    /// tell apart, an integer beyond ±(2^53 − 1).
    pub fn canonical(&self) -> Option<String> {
        let exact = integers_are_exact(&self.data)
            && self.command.as_ref().is_none_or(|command| {
                integers_are_exact(&command.arguments) && integers_are_exact(&command.facts)
            })
            && self.revision <= MAX_EXACT_INTEGER;
        if !exact {
            return None;
        }
        canonical::of(self)
    }

    /// The text to store. Empty only if the event cannot be rendered, in which case it cannot be sealed either.
    pub fn body(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Checks a stored text against the chain, before any upcasting: that it is untouched, and follows the event with
    /// `previous_hash` (`None` at revision 0).
    ///
    /// # Errors
    /// [`BrokenChain`] says what is wrong with it.
    pub fn verify(previous_hash: Option<&str>, stored_body: &str) -> Result<(), BrokenChain> {
        let value: Value = serde_json::from_str(stored_body).map_err(|_| BrokenChain::NotAnObject)?;
        // Catches what equal values hide: escapes, exponents, white space, doubled keys.
        if !serde_json::to_string(&value).is_ok_and(|rendered| rendered == stored_body) {
            return Err(BrokenChain::Rewritten);
        }
        let Value::Object(mut event) = value else { return Err(BrokenChain::NotAnObject) };
        let stored = match event.shift_remove("hash") {
            Some(Value::String(hash)) => hash,
            _ => String::new(),
        };
        event.shift_remove("position");
        let event = Value::Object(event);
        if !integers_are_exact(&event) {
            return Err(BrokenChain::InexactInteger);
        }
        let canonical = serde_json_canonicalizer::to_string(&event).map_err(|_| BrokenChain::NotAnObject)?;
        let computed = chain_hash(previous_hash, &canonical);
        if stored == computed { Ok(()) } else { Err(BrokenChain::WrongHash { stored, computed }) }
    }
}

/// The hash of an event: hex SHA-256 of the previous event's hash (its hex text; nothing for the first event) followed by
/// `canonical`, from [`Envelope::canonical`].
pub fn chain_hash(previous_hash: Option<&str>, canonical: &str) -> String {
    let mut hasher = Sha256::new();
    hasher.update(previous_hash.unwrap_or_default());
    hasher.update(canonical);
    hex::encode(hasher.finalize())
}

fn integers_are_exact(value: &Value) -> bool {
    match value {
        Value::Number(number) => {
            number.is_f64()
                || number.as_u64().is_some_and(|n| n <= MAX_EXACT_INTEGER)
                || number.as_i64().is_some_and(|n| n.unsigned_abs() <= MAX_EXACT_INTEGER)
        }
        Value::Array(items) => items.iter().all(integers_are_exact),
        Value::Object(fields) => fields.values().all(integers_are_exact),
        Value::Null | Value::Bool(_) | Value::String(_) => true,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::*;

    fn event(revision: u64, data: Value) -> Envelope {
        Envelope {
            id: Uuid::from_u128(u128::from(revision)),
            r#type: "SubcloudRenamed".to_owned(),
            version: 1,
            stream: StreamId::of("subcloud", Uuid::from_u128(9)).unwrap(),
            revision,
            recorded_at: Timestamp::from_micros(1_700_000_000_000_001),
            actor: Actor::system("test"),
            request_id: None,
            correlation_id: Uuid::nil(),
            causation_id: None,
            command_id: Uuid::nil(),
            traceparent: None,
            command: None,
            data,
            hash: String::new(),
        }
    }

    #[test]
    fn absent_fields_are_left_out_and_the_rest_reads_back() {
        let sealed = event(0, json!({"z": 1, "a": [1.5, -3, "é\u{0}\u{1f600}"]})).seal(None);
        let body = sealed.body();
        assert!(!body.contains("request_id") && !body.contains("null"));
        assert_eq!(serde_json::from_str::<Envelope>(&body).unwrap(), sealed);
    }

    #[test]
    fn a_chain_verifies_in_its_order_only() {
        let first = event(0, json!({"name": "a"})).seal(None);
        let second = event(1, json!({"name": "b"})).seal(Some(&first.hash));
        assert_eq!(Envelope::verify(None, &first.body()), Ok(()));
        assert_eq!(Envelope::verify(Some(&first.hash), &second.body()), Ok(()));
        assert!(matches!(Envelope::verify(None, &second.body()), Err(BrokenChain::WrongHash { .. })));
    }

    #[test]
    fn the_hash_is_over_the_canonical_form() {
        let sealed = event(0, json!({"b": 1.0, "a": 2})).seal(None);
        let canonical = sealed.canonical().unwrap();
        assert!(canonical.starts_with(r#"{"actor":{"user_id":"system:test"},"command_id":"#), "{canonical}");
        assert!(canonical.contains(r#""data":{"a":2,"b":1}"#), "{canonical}");
        assert_eq!(sealed.hash, hex::encode(Sha256::digest(canonical.as_bytes())));
    }

    #[test]
    fn every_altered_byte_is_caught() {
        let data = json!({"s": "é\u{1}\n\"", "f": 1e300, "g": 0.1, "i": 9_007_199_254_740_991_u64, "n": null, "t": true});
        let body = event(0, data).seal(None).body();
        for at in 0..body.len() {
            for flip in [0x01, 0x02, 0x10, 0x20, 0x80] {
                let mut bytes = body.clone().into_bytes();
                bytes[at] ^= flip;
                let Ok(text) = String::from_utf8(bytes) else { continue };
                assert!(Envelope::verify(None, &text).is_err(), "byte {at} flipped by {flip}: {text}");
            }
        }
    }

    #[test]
    fn an_integer_the_hash_cannot_protect_stays_unsealed() {
        for number in [json!(9_007_199_254_740_992_u64), json!(i64::MIN)] {
            assert_eq!(event(0, json!({"n": [number]})).seal(None).hash, "");
        }
    }
}
