//! The documents that describe what crosses the border, as they are checked in beside this crate. A test keeps them
//! current; `DCM_UPDATE_SCHEMAS=1` makes it write them.

use serde_json::Value;

use crate::{Envelope, asyncapi, hint, json_schema, registry};

/// A generated document.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Where it is, below this crate's folder.
    pub path: String,
    /// What it says.
    pub content: Value,
}

impl Document {
    /// The text of its file.
    pub fn text(&self) -> String {
        format!("{:#}\n", self.content)
    }
}

/// Every generated document: one JSON Schema per event name and version, of the envelope, of each job hint and
/// notification, and the AsyncAPI description of all messages.
pub fn all() -> Vec<Document> {
    let events = registry::versions().filter_map(|(event, version)| {
        let id = format!("urn:dcm:event:{}:v{version}", event.name);
        let path = format!("events/{}.v{version}.json", event.name);
        event.schema(version).map(|schema| document(path, schema, &id))
    });
    let hints = hint::ALL.iter().map(|kind| {
        let folder = match kind.family {
            hint::Family::Job => "jobs",
            hint::Family::Notify => "notifications",
        };
        let id = format!("urn:dcm:{}:{}:v1", kind.family.as_str(), kind.kind);
        document(format!("{folder}/{}.json", kind.kind), (kind.schema)(), &id)
    });
    let envelope = document("envelope.json".to_owned(), json_schema::of::<Envelope>(), "urn:dcm:envelope:v1");
    let description = Document { path: "asyncapi.json".to_owned(), content: asyncapi::asyncapi() };
    events.chain(hints).chain([envelope, description]).collect()
}

fn document(path: String, schema: Value, id: &str) -> Document {
    Document { path, content: json_schema::as_document(schema, id) }
}
