//! The RFC 8785 form of an event, which its hash covers.
//!
//! Everything that is written is canonised twice, when it is sealed and when the journal checks the seal, so it matters what
//! that costs: the fields of an event are written in their order at once, and only the members of its free parts are
//! sorted. What holds a number with a fraction, which no event of this program has, goes through the library, whose form
//! of such numbers is the standard's.

use dcm_domain::value::{Actor, Timestamp};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::envelope::{CommandRecord, Envelope};
use crate::stream::StreamId;

/// The form of `event` without its hash; `None` if it has none.
pub(crate) fn of(event: &Envelope) -> Option<String> {
    let parts = event.command.iter().flat_map(|command| [&command.arguments, &command.facts]);
    if parts.chain([&event.data]).any(has_fractions) {
        return serde_json_canonicalizer::to_string(&Unsealed::of(event)).ok();
    }
    serde_json::to_string(&Unsealed::of(event)).ok()
}

/// An event without its hash. The fields of this and of what it holds stand in the order of their names.
#[derive(Serialize)]
struct Unsealed<'a> {
    actor: SortedActor<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    causation_id: Option<&'a Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<SortedCommand<'a>>,
    command_id: &'a Uuid,
    correlation_id: &'a Uuid,
    data: Sorted<'a>,
    id: &'a Uuid,
    recorded_at: &'a Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    revision: u64,
    stream: &'a StreamId,
    #[serde(skip_serializing_if = "Option::is_none")]
    traceparent: Option<&'a str>,
    r#type: &'a str,
    version: u32,
}

#[derive(Serialize)]
struct SortedActor<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    project_id: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    roles: &'a [String],
    user_id: &'a str,
}

#[derive(Serialize)]
struct SortedCommand<'a> {
    arguments: Sorted<'a>,
    facts: Sorted<'a>,
    fingerprint: &'a str,
    name: &'a str,
    version: u32,
}

impl<'a> Unsealed<'a> {
    fn of(event: &'a Envelope) -> Self {
        let Actor { user_id, project_id, roles } = &event.actor;
        Self {
            actor: SortedActor { project_id: project_id.as_deref(), roles, user_id },
            causation_id: event.causation_id.as_ref(),
            command: event.command.as_ref().map(SortedCommand::of),
            command_id: &event.command_id,
            correlation_id: &event.correlation_id,
            data: Sorted(&event.data),
            id: &event.id,
            recorded_at: &event.recorded_at,
            request_id: event.request_id.as_deref(),
            revision: event.revision,
            stream: &event.stream,
            traceparent: event.traceparent.as_deref(),
            r#type: &event.r#type,
            version: event.version,
        }
    }
}

impl<'a> SortedCommand<'a> {
    fn of(command: &'a CommandRecord) -> Self {
        let CommandRecord { name, version, arguments, facts, fingerprint } = command;
        Self { arguments: Sorted(arguments), facts: Sorted(facts), fingerprint, name, version: *version }
    }
}

/// A value whose members are written in the order of their names: of UTF-16 code units (RFC 8785 §3.2.3).
struct Sorted<'a>(&'a Value);

impl Serialize for Sorted<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Array(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(&Sorted(item))?;
                }
                list.end()
            }
            Value::Object(fields) => {
                let mut object = serializer.serialize_map(Some(fields.len()))?;
                for (name, value) in sorted(fields) {
                    object.serialize_entry(name, &Sorted(value))?;
                }
                object.end()
            }
            plain => plain.serialize(serializer),
        }
    }
}

fn sorted(fields: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut members: Vec<_> = fields.iter().collect();
    // Where all is ASCII, bytes and code units are the same.
    match members.iter().all(|(name, _)| name.is_ascii()) {
        true => members.sort_unstable_by(|one, other| one.0.cmp(other.0)),
        false => members.sort_unstable_by(|one, other| one.0.encode_utf16().cmp(other.0.encode_utf16())),
    }
    members
}

fn has_fractions(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64(),
        Value::Array(items) => items.iter().any(has_fractions),
        Value::Object(fields) => fields.values().any(has_fractions),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use proptest::prelude::*;
    use serde_json::{Number, json};

    use super::*;

    fn value() -> impl Strategy<Value = Value> {
        let number = prop_oneof![
            (-(1_i64 << 53)..(1_i64 << 53)).prop_map(Number::from),
            any::<f64>().prop_filter_map("no JSON number", Number::from_f64),
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            number.prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                proptest::collection::vec((any::<String>(), inner), 0..5)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_form_is_the_librarys(
            data in value(),
            command in proptest::option::of((value(), value(), any::<String>())),
            texts in proptest::collection::vec(proptest::option::of(any::<String>()), 3),
            roles in proptest::collection::vec(any::<String>(), 0..3),
            causation in proptest::option::of(any::<u128>()),
            revision in 0_u64..1 << 53,
        ) {
            let [project_id, request_id, traceparent] = <[_; 3]>::try_from(texts).unwrap();
            let event = Envelope {
                id: Uuid::from_u128(7),
                r#type: "Tested".to_owned(),
                version: 1,
                stream: "directory-subcloud".parse().unwrap(),
                revision,
                recorded_at: Timestamp::from_micros(1_700_000_000_000_001),
                actor: Actor { user_id: "é\u{1}\"".to_owned(), project_id, roles },
                request_id,
                correlation_id: Uuid::nil(),
                causation_id: causation.map(Uuid::from_u128),
                command_id: Uuid::nil(),
                traceparent,
                command: command.map(|(arguments, facts, name)| CommandRecord {
                    name,
                    version: 2,
                    arguments,
                    facts,
                    fingerprint: "f".to_owned(),
                }),
                data,
                hash: String::new(),
            };
            let mut plain = serde_json::to_value(&event).unwrap();
            plain.as_object_mut().unwrap().shift_remove("hash");
            prop_assert_eq!(of(&event), serde_json_canonicalizer::to_string(&plain).ok());
        }
    }

    #[test]
    fn members_are_in_the_order_of_code_units() {
        // U+10000 comes before U+FFFF as code units, and after it as bytes.
        let value = json!({"\u{ffff}": 1, "\u{10000}": {"b": [{"z": 1, "a": 2}], "a": null}});
        let text = serde_json::to_string(&Sorted(&value)).unwrap();
        assert_eq!(text, "{\"\u{10000}\":{\"a\":null,\"b\":[{\"a\":2,\"z\":1}]},\"\u{ffff}\":1}");
    }
}
