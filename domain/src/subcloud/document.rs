//! An uploaded document, as events and rows may know it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::validate::json_text;
use crate::value::SecretRef;

/// One version of an uploaded document (install values, bootstrap values, deploy config, rehome data).
///
/// The document itself is secret as a whole and lives in the vault, owned by the subcloud's uuid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Document {
    /// The vault entry with the whole text.
    pub secret: SecretRef,
    /// Keyed digest of the text: tells versions apart without telling what they say.
    pub digest: String,
    /// The allow-listed part, passwords shown as `***` (decisions.md, "Passwords in answers").
    pub shown: Value,
}

impl Document {
    /// What is shown, as answers spell it: `None` for nothing, a text of an old row as it stood there, everything else
    /// as [`json_text`].
    pub fn shown_text(&self) -> Option<String> {
        match &self.shown {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            shown => Some(json_text(shown)),
        }
    }

    /// The same of rehome data, whose document is the saved payload itself; answers have it one level down
    /// (subclouds.md §9.4).
    pub fn shown_rehome_text(&self) -> Option<String> {
        let payload = self.shown_text()?;
        Some(if self.shown.is_string() { payload } else { format!("{{\"saved_payload\": {payload}}}") })
    }
}
