//! Shapes that are no longer written but can be read. Written by hand: their types are gone.

use serde_json::{Value, json};

/// JSON Schema of a former version of an event's data.
pub(super) fn schema(name: &str, version: u32) -> Option<Value> {
    match (name, version) {
        ("SubcloudUnmanaged", 1) => Some(json!({
            "title": "SubcloudUnmanaged",
            "description": "An operator released the subcloud from management.",
            "type": "object",
        })),
        _ => None,
    }
}
