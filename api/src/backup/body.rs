//! The body of a backup request: a form or JSON, with the same fields (subclouds.md §7.9).

use axum::extract::{FromRequest, Request};
use dcm_domain::validate::{Map, base64_password};
use dcm_domain::value::Secret;
use http::header::CONTENT_TYPE;
use serde_json::Value;

use crate::subclouds::payload::yaml_file;
use crate::transport::{ApiError, Form, JsonObject};

const FORM: &str = "multipart/form-data";

/// Fields that are documents: a YAML file of a form, an object in JSON.
const DOCUMENTS: [&str; 2] = ["backup_values", "restore_values"];

/// A body as sent. An extractor; put it behind the policy. Prints nothing: it holds a password.
pub enum Body {
    /// A form.
    Form(Form),
    /// Anything else is read as JSON.
    Json(Map),
}

impl<S: Sync> FromRequest<S> for Body {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let kind = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        match kind.is_some_and(|kind| kind.to_ascii_lowercase().contains(FORM)) {
            true => Form::from_request(request, state).await.map(Self::Form),
            false => JsonObject::from_request(request, state).await.map(|JsonObject(body)| Self::Json(body)),
        }
    }
}

impl Body {
    /// Its fields, which must be among the `allowed` ones.
    ///
    /// # Errors
    /// 400 `Unexpected parameter received`; 400 `Unable to load <part> file contents`.
    pub fn fields(self, allowed: &[&str]) -> Result<Fields, ApiError> {
        let mut fields = Map::new();
        match self {
            Self::Form(form) => {
                let names: Vec<_> = form.fields().map(|(name, _)| name).collect();
                expected(&names, allowed)?;
                for name in names {
                    fields.insert(name.to_owned(), value_in(&form, name)?);
                }
            }
            Self::Json(body) => {
                expected(&body.keys().map(String::as_str).collect::<Vec<_>>(), allowed)?;
                fields = body;
            }
        }
        Ok(Fields(fields))
    }
}

fn expected(names: &[&str], allowed: &[&str]) -> Result<(), ApiError> {
    match names.iter().all(|name| allowed.contains(name)) {
        true => Ok(()),
        false => Err(ApiError::bad_request("Unexpected parameter received")),
    }
}

fn value_in(form: &Form, name: &str) -> Result<Value, ApiError> {
    if DOCUMENTS.contains(&name) {
        return Ok(yaml_file(form, name)?.map_or(Value::Null, Value::Object));
    }
    Ok(Value::String(form.text(name)?.unwrap_or_default().to_owned()))
}

/// The fields of a backup request. Prints nothing.
pub struct Fields(Map);

impl Fields {
    /// Whether there is no field at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text of a field that is there and not empty. Numbers and booleans count as their text (S-Q28).
    ///
    /// # Errors
    /// 400 naming the field for anything else, and for a text with NUL, which no text column takes.
    pub fn text(&self, key: &str) -> Result<Option<String>, ApiError> {
        let text = match self.0.get(key) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) => text.clone(),
            Some(Value::Bool(flag)) => flag.to_string(),
            Some(Value::Number(number)) => number.to_string(),
            Some(Value::Array(_) | Value::Object(_)) => return Err(invalid(key, "a text")),
        };
        match text.contains('\0') {
            true => Err(invalid(key, "a text without NUL")),
            false => Ok(Some(text).filter(|text| !text.is_empty())),
        }
    }

    /// A boolean: `true` or `false` in any case; false if it is absent or empty.
    ///
    /// # Errors
    /// 400 `Invalid <field> value, should be boolean`.
    pub fn flag(&self, key: &str) -> Result<bool, ApiError> {
        match self.text(key)?.map(|text| text.to_ascii_lowercase()).as_deref() {
            Some("true") => Ok(true),
            Some("false") | None => Ok(false),
            Some(_) => Err(invalid(key, "boolean")),
        }
    }

    /// A document.
    ///
    /// # Errors
    /// 400 for what is no object.
    pub fn document(&self, key: &str) -> Result<Option<Map>, ApiError> {
        match self.0.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(values)) => Ok(Some(values.clone())),
            Some(_) => Err(invalid(key, "an object")),
        }
    }

    /// The administrator password.
    ///
    /// # Errors
    /// 400 (subclouds.md §1.4).
    pub fn password(&self) -> Result<Secret, ApiError> {
        let sent = self.text("sysadmin_password")?.map(Secret::new);
        Ok(base64_password("sysadmin_password", sent.as_ref().map(Secret::expose))?)
    }
}

fn invalid(key: &str, should_be: &str) -> ApiError {
    ApiError::bad_request(format!("Invalid {key} value, should be {should_be}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::*;

    fn fields(body: &Value) -> Fields {
        Body::Json(body.as_object().unwrap().clone())
            .fields(&["a", "b"])
            .unwrap_or_else(|_| Fields(Map::new()))
    }

    #[test]
    fn scalars_come_in_many_types() {
        for (value, text) in [
            (json!("x"), Some("x")),
            (json!(true), Some("true")),
            (json!(22.12), Some("22.12")),
            (json!(7), Some("7")),
            (json!(""), None),
            (json!(null), None),
        ] {
            assert_eq!(fields(&json!({"a": value})).text("a").unwrap().as_deref(), text, "{value}");
        }
        for value in [json!([]), json!({}), json!("a\0")] {
            assert_eq!(fields(&json!({"a": value})).text("a").unwrap_err().status().as_u16(), 400, "{value}");
        }
    }

    #[test]
    fn sc_279_booleans_are_words() {
        for (value, flag) in [
            (json!("True"), Some(true)),
            (json!(true), Some(true)),
            (json!("FALSE"), Some(false)),
            (json!(""), Some(false)),
            (json!(null), Some(false)),
            (json!("Fake"), None),
            (json!(1), None),
        ] {
            assert_eq!(fields(&json!({"a": value})).flag("a").ok(), flag, "{value}");
        }
        assert!(!fields(&json!({})).flag("a").unwrap());
    }

    #[test]
    fn sc_265_no_other_field_is_taken() {
        let body = json!({"a": 1, "c": 1});
        let refused = Body::Json(body.as_object().unwrap().clone()).fields(&["a"]).err().unwrap();
        assert_eq!(refused.detail(), Some("Unexpected parameter received"));
    }
}
