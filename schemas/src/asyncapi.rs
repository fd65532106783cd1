//! The AsyncAPI 3.0 description of every message, made of the same tables that messages are made of.

use serde_json::{Map, Value, json};

use crate::{
    cloudevents::{self, EVENT_HEADERS, HINT_HEADERS},
    hint::{self, Family, HintType},
    json_schema,
    registry::{self, EventType},
};

/// The description of the bus, as a JSON document.
pub fn asyncapi() -> Value {
    let mut parts = Parts::default();
    for event in registry::ALL {
        parts.event(event);
    }
    for kind in hint::ALL {
        parts.hint(kind);
    }
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "DC Manager messages",
            "version": env!("CARGO_PKG_VERSION"),
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": cloudevents::CONTENT_TYPE,
        "channels": parts.channels,
        "operations": parts.operations,
        "components": {"messages": parts.messages},
    })
}

const DESCRIPTION: &str = "Messages on NATS JetStream: copies of every recorded event (stream DCM_EVENTS), \
    notifications (DCM_NOTIFY) and job hints (DCM_JOBS, a work queue). They are CloudEvents 1.0 in binary mode and come \
    at least once; what comes twice has the same ce-id. A message with the header Dcm-Replayed: true refills a stream \
    that was lost: it is news to nobody, and nothing should be started because of it.";

#[derive(Default)]
struct Parts {
    channels: Map<String, Value>,
    operations: Map<String, Value>,
    messages: Map<String, Value>,
}

impl Parts {
    fn event(&mut self, event: &EventType) {
        let mut names = Vec::new();
        for version in 1..=event.version {
            let Some(payload) = event.schema(version) else { continue };
            let name = format!("{}.v{version}", event.name);
            let kind = format!("dcm.{}.{name}", event.aggregate);
            let summary = summary(&payload);
            self.message(&name, &kind, &summary, cloudevents::headers_schema(EVENT_HEADERS), payload);
            names.push(name);
        }
        let mut channel = channel(&event.address(), &names);
        if let (Some((name, meaning)), Value::Object(fields)) = (event.parameter(), &mut channel) {
            fields.insert("parameters".to_owned(), json!({name: {"description": meaning}}));
        }
        let id = format!("event.{}", event.name);
        self.operation(format!("send.{id}"), "send", &id, &names);
        self.channels.insert(id, channel);
    }

    fn hint(&mut self, hint: &HintType) {
        let id = format!("{}.{}", hint.family.as_str(), hint.kind);
        let name = format!("{id}.v1");
        let kind = cloudevents::hint_type(hint.family.as_str(), hint.kind);
        let headers = cloudevents::headers_schema(HINT_HEADERS);
        self.message(&name, &kind, hint.meaning, headers, (hint.schema)());
        let names = [name];
        self.operation(format!("send.{id}"), "send", &id, &names);
        // Hints are for the program's own workers.
        if hint.family == Family::Job {
            self.operation(format!("receive.{id}"), "receive", &id, &names);
        }
        self.channels.insert(id, channel(&hint.subject(), &names));
    }

    fn message(&mut self, name: &str, kind: &str, summary: &str, headers: Value, payload: Value) {
        let message = json!({
            "name": kind,
            "title": name,
            "summary": summary,
            "contentType": cloudevents::CONTENT_TYPE,
            "headers": headers,
            "payload": json_schema::as_part(payload),
        });
        self.messages.insert(name.to_owned(), message);
    }

    fn operation(&mut self, id: String, action: &str, channel: &str, messages: &[String]) {
        let channel_ref = format!("#/channels/{channel}");
        let messages: Vec<Value> = messages
            .iter()
            .map(|message| json!({"$ref": format!("{channel_ref}/messages/{message}")}))
            .collect();
        let operation = json!({"action": action, "channel": {"$ref": channel_ref}, "messages": messages});
        self.operations.insert(id, operation);
    }
}

fn channel(address: &str, messages: &[String]) -> Value {
    let messages: Map<String, Value> = messages
        .iter()
        .map(|name| (name.clone(), json!({"$ref": format!("#/components/messages/{name}")})))
        .collect();
    json!({"address": address, "messages": messages})
}

fn summary(schema: &Value) -> String {
    let description = schema.get("description").and_then(Value::as_str).unwrap_or_default();
    description.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

    use super::*;

    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    if let (true, Some(target)) = (name == "$ref", value.as_str()) {
                        found.push(target);
                    }
                    references(value, found);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = asyncapi();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > registry::ALL.len() * 2);
        for target in found {
            let pointer = target.strip_prefix('#').unwrap_or_else(|| panic!("{target} is outside"));
            assert!(document.pointer(pointer).is_some(), "{target}");
        }
    }

    #[test]
    fn channels_are_complete_and_their_parameters_declared() {
        let document = asyncapi();
        let channels = document["channels"].as_object().unwrap();
        assert_eq!(channels.len(), registry::ALL.len() + hint::ALL.len());
        for channel in channels.values() {
            let address = channel["address"].as_str().unwrap();
            let open = address.split_once('{').map(|(_, rest)| rest.split_once('}').unwrap().0);
            let declared = channel["parameters"].as_object().map(|p| p.keys().next().unwrap().as_str());
            assert_eq!(open, declared, "{address}");
        }
        let unmanaged = &channels["event.SubcloudUnmanaged"]["messages"];
        assert!(
            unmanaged["SubcloudUnmanaged.v1"].is_object() && unmanaged["SubcloudUnmanaged.v2"].is_object()
        );
    }
}
