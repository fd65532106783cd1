//! What the form of a create or deploy request amounts to: the bootstrap file, plain fields over it, and the passwords
//! taken out of both (subclouds.md §1.4).

use dcm_domain::validate::Map;
use dcm_domain::value::Secret;
use serde_json::Value;

use crate::transport::{ApiError, Form};

/// Fields that are no part of the payload: each is a file with a use of its own.
const FILES: [&str; 3] = ["bootstrap_values", "install_values", "deploy_config"];

/// Plain fields that are no bootstrap values, or need no other check than their own.
const OF_THE_REQUEST: [&str; 4] = ["bootstrap-address", "sysadmin_password", "bmc_password", "release"];

/// Most characters of a description or location.
const LONGEST_TEXT: usize = 255;

/// The fields of a create or deploy request. Prints nothing: its values may be secret.
pub struct Payload {
    /// Bootstrap values and plain fields; no password of the request itself.
    pub values: Map,
    /// Whether a bootstrap file was sent.
    pub has_bootstrap_file: bool,
    /// The name the bootstrap file gives, which a plain field may override.
    pub name_in_file: Option<String>,
    /// Whether a plain field overrides bootstrap values other than `bootstrap-address`.
    pub has_overrides: bool,
    /// The install values, unless they say nothing.
    pub install: Option<Map>,
    /// The administrator password as sent, in base64.
    pub sysadmin_password: Option<Secret>,
    /// The BMC password as sent, in base64.
    pub bmc_password: Option<Secret>,
}

impl Payload {
    /// Reads bootstrap values, then install values, then lets the plain fields override the former.
    ///
    /// # Errors
    /// 400 `Unable to load <part>` for a YAML part that cannot be read or is no file (S-Q5), 400 for a field that is
    /// not UTF-8, and for a description or location that is too long.
    pub fn read(form: &Form) -> Result<Self, ApiError> {
        Self::read_parts(form, |_| true)
    }

    /// As [`Payload::read`], looking only at the YAML parts that are `wanted`.
    ///
    /// # Errors
    /// As [`Payload::read`].
    pub fn read_parts(form: &Form, wanted: impl Fn(&str) -> bool) -> Result<Self, ApiError> {
        let part = |name| if wanted(name) { yaml_file(form, name) } else { Ok(None) };
        let bootstrap = part("bootstrap_values")?;
        let install = part("install_values")?.filter(|values| !values.is_empty());
        let has_bootstrap_file = bootstrap.is_some();
        let mut values = bootstrap.unwrap_or_default();
        let name_in_file = text(&values, "name");
        let plain = form.fields().filter(|(name, part)| part.filename().is_none() && !FILES.contains(name));
        let mut has_overrides = false;
        for (name, _) in plain {
            let text = form.text(name)?.unwrap_or_default();
            values.insert(name.to_owned(), Value::String(text.to_owned()));
            has_overrides |= !OF_THE_REQUEST.contains(&name);
        }
        for key in ["description", "location"] {
            check_length(key, text(&values, key).as_deref())?;
        }
        let sysadmin_password = take_password(&mut values, "sysadmin_password");
        let bmc_password = take_password(&mut values, "bmc_password");
        Ok(Self {
            values,
            has_bootstrap_file,
            name_in_file,
            has_overrides,
            install,
            sysadmin_password,
            bmc_password,
        })
    }

    /// The text of a field; numbers, as YAML has them, count as their digits.
    pub fn text(&self, key: &str) -> Option<String> {
        text(&self.values, key)
    }

    /// The text of a field that is there and not empty.
    pub fn non_empty(&self, key: &str) -> Option<String> {
        self.text(key).filter(|text| !text.is_empty())
    }
}

/// Refuses a description or location of more than 255 characters (subclouds.md §3.1): it enters events and every list.
///
/// # Errors
/// 400 naming the field.
pub fn check_length(key: &str, text: Option<&str>) -> Result<(), ApiError> {
    match text {
        Some(text) if text.chars().count() > LONGEST_TEXT => {
            Err(ApiError::bad_request(format!("{key} must have at most {LONGEST_TEXT} characters")))
        }
        _ => Ok(()),
    }
}

/// The text of `key`; numbers, as YAML has them, count as their digits.
pub fn text(values: &Map, key: &str) -> Option<String> {
    match values.get(key)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The deployment manager configuration, if one was sent.
///
/// # Errors
/// 400 `No deploy_config file uploaded` for a part that is no file (subclouds.md V10), 400 as well for one that is no
/// text.
pub fn deploy_config(form: &Form) -> Result<Option<Secret>, ApiError> {
    let Some(part) = form.part("deploy_config") else { return Ok(None) };
    if part.filename().is_none_or(str::is_empty) {
        return Err(ApiError::bad_request("No deploy_config file uploaded"));
    }
    Secret::from_bytes(part.bytes().to_vec())
        .map(Some)
        .map_err(|_| ApiError::bad_request("Failed to upload deploy_config file: it must be UTF-8 text"))
}

/// The YAML mapping in the file `name`, if it was sent.
///
/// # Errors
/// 400 `Unable to load <name> file contents` for what cannot be read, or is no file (S-Q5).
pub fn yaml_file(form: &Form, name: &str) -> Result<Option<Map>, ApiError> {
    let Some(part) = form.part(name) else { return Ok(None) };
    if part.filename().is_none() {
        return Err(ApiError::bad_request(format!(
            "Unable to load {name} file contents, it must be sent as a file"
        )));
    }
    form.yaml_mapping(name)
}

/// Takes a password out of the payload. One that is no text counts as empty, which no password is.
fn take_password(values: &mut Map, key: &str) -> Option<Secret> {
    match values.shift_remove(key)? {
        Value::String(text) => Some(Secret::new(text)),
        Value::Number(number) => Some(Secret::new(number.to_string())),
        _ => Some(Secret::new(String::new())),
    }
}
