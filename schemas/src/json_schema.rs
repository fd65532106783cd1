//! JSON Schemas of the types that cross the process border.

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::Value;

/// The JSON Schema (2020-12) of what a reader accepts as `T`, without references, so that it can stand alone or inside
/// another document.
pub fn of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

/// The schema as part of another document: without the words that only a document's top may have, and with what it is
/// about first.
pub(crate) fn as_part(schema: Value) -> Value {
    let Value::Object(mut words) = schema else { return schema };
    words.shift_remove("$schema");
    words.shift_remove("$id");
    let mut part = serde_json::Map::new();
    for first in ["title", "description"] {
        part.extend(words.shift_remove_entry(first));
    }
    part.extend(words);
    Value::Object(part)
}

/// The schema as a document of its own, named `id`.
pub(crate) fn as_document(schema: Value, id: &str) -> Value {
    let mut document = serde_json::Map::new();
    document.insert("$schema".to_owned(), "https://json-schema.org/draft/2020-12/schema".into());
    document.insert("$id".to_owned(), id.into());
    if let Value::Object(words) = as_part(schema) {
        document.extend(words);
    }
    Value::Object(document)
}
