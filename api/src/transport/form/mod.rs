//! Request bodies: forms in both encodings, YAML parts, JSON objects (subclouds.md §1.4).

mod buffer;
mod heads;
mod read;
#[cfg(test)]
mod tests;
mod yaml;

use std::fmt;

use serde_json::{Map, Value};

use self::buffer::SecretBytes;
use self::read::shown;
use super::error::ApiError;

pub use read::{Parts, StreamedPart};
pub use yaml::{YamlProblem, mapping as yaml_mapping, yaml_bool};

/// Bounds on a form; sizes in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FormLimits {
    /// One field's value.
    pub field_bytes: usize,
    /// The whole body as sent.
    pub total_bytes: usize,
    /// How many fields, those with the same name included.
    pub parts: usize,
}

/// Longest JSON body, in bytes; as long as a YAML document.
const LONGEST_JSON: usize = 1024 * 1024;
/// Most values in a JSON body.
const MOST_JSON_VALUES: usize = 200_000;

impl Default for FormLimits {
    fn default() -> Self {
        Self { field_bytes: 16 * 1024 * 1024, total_bytes: 64 * 1024 * 1024, parts: 512 }
    }
}

/// How a body was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// `multipart/form-data`.
    Multipart,
    /// `application/x-www-form-urlencoded`.
    UrlEncoded,
    /// `application/json`: on form endpoints "no fields" (subclouds.md §1.4).
    Json,
    /// Any other type, or none; the body was not read.
    Other,
}

/// A request body as an ordered set of fields; the last field of a name counts. An extractor. Values never print.
#[derive(Clone, PartialEq, Eq)]
pub struct Form {
    encoding: Encoding,
    fields: Vec<(String, Part)>,
    /// The body as sent, if it is JSON.
    json: SecretBytes,
}

/// One field: its bytes, and what was said about them. Wiped when dropped; prints as `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Part {
    bytes: SecretBytes,
    filename: Option<String>,
    content_type: Option<String>,
}

impl Part {
    /// The value.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.as_slice()
    }

    /// The file's name as the client gave it (never a path to use); plain fields have none.
    pub fn filename(&self) -> Option<&str> {
        self.filename.as_deref()
    }

    /// The part's own media type, if one was sent.
    pub fn content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }
}

impl Form {
    fn empty(encoding: Encoding) -> Self {
        Self { encoding, fields: Vec::new(), json: SecretBytes::default() }
    }

    /// How the body was sent.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// Whether there is no field at all.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The fields in the order they were first sent.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &Part)> {
        self.fields.iter().map(|(name, part)| (name.as_str(), part))
    }

    /// The field `name`.
    pub fn part(&self, name: &str) -> Option<&Part> {
        self.fields().find_map(|(known, part)| (known == name).then_some(part))
    }

    /// The text of field `name`, an empty one included.
    ///
    /// # Errors
    /// 400 naming the field if it is not UTF-8, or contains NUL, which no text column takes.
    pub fn text(&self, name: &str) -> Result<Option<&str>, ApiError> {
        let Some(part) = self.part(name) else { return Ok(None) };
        let refused = |why| ApiError::bad_request(format!("field {} must {why}", shown(name)));
        match std::str::from_utf8(part.bytes()) {
            Ok(text) if text.contains('\0') => Err(refused("not contain NUL")),
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(refused("be UTF-8")),
        }
    }

    /// The YAML mapping in field `name`, file or plain, with keys as text, aliases and merge keys resolved.
    ///
    /// Values are ordinary memory from here on: what is secret among them goes into a `Secret` at once.
    ///
    /// # Errors
    /// 400 `Unable to load <name> file contents` with `empty file provided`, `problem on line: <0-based line>` or
    /// `not a mapping` (subclouds.md §1.4); 400 as well for documents that are nested or expand beyond reason.
    pub fn yaml_mapping(&self, name: &str) -> Result<Option<Map<String, Value>>, ApiError> {
        self.part(name)
            .map(|part| {
                yaml::mapping(part.bytes()).map_err(|why| {
                    ApiError::bad_request(format!("Unable to load {} file contents, {why}", shown(name)))
                })
            })
            .transpose()
    }

    /// The JSON object of a JSON body; `None` for other encodings.
    ///
    /// # Errors
    /// As [`JsonObject::parse`].
    pub fn json_object(&self) -> Result<Option<Map<String, Value>>, ApiError> {
        match self.encoding {
            Encoding::Json => JsonObject::parse(&self.json).map(|JsonObject(object)| Some(object)),
            _ => Ok(None),
        }
    }
}

/// A body that must be a JSON object, whatever its content type. An extractor.
///
/// Prints its keys alone: a value may be secret.
#[derive(Clone, PartialEq)]
pub struct JsonObject(pub Map<String, Value>);

impl JsonObject {
    /// Reads `body`; nesting beyond 128 levels is malformed.
    ///
    /// # Errors
    /// 400 `Request body is malformed` if it is not JSON, 400 `Invalid request body format` if it is not an object
    /// (subclouds.md §7.9); 413 if it holds more values than anybody means.
    fn parse(body: &SecretBytes) -> Result<Self, ApiError> {
        // Each value takes some seventy bytes, however short it is written.
        let values = body.as_slice().iter().filter(|byte| matches!(byte, b',' | b'[' | b'{')).count();
        if values > MOST_JSON_VALUES {
            return Err(ApiError::too_large(format!("request body has more than {MOST_JSON_VALUES} values")));
        }
        match serde_json::from_slice(body.as_slice()) {
            Ok(Value::Object(object)) => Ok(Self(object)),
            Ok(_) => Err(ApiError::bad_request("Invalid request body format")),
            Err(_) => Err(ApiError::bad_request("Request body is malformed")),
        }
    }
}

impl fmt::Debug for JsonObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.fields()).finish()
    }
}
