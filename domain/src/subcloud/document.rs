//! An uploaded document, as events and rows may know it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

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
