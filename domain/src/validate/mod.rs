//! The shared validators of subclouds.md §5, each in its exact order with its key phrases.
//!
//! A payload is what the form and its YAML parts amount to, form fields winning: form values are strings, YAML values
//! of any type. What needs a look outside (a load image, other subclouds, a release's metadata) comes in as an
//! argument. No refusal repeats a password.

mod bootstrap;
mod fields;
mod group;
mod health;
mod install;
mod json_text;
mod kubernetes;
mod masking;
mod network;
mod password;
mod rehome;
mod release;

#[cfg(test)]
mod fuzz_tests;
#[cfg(test)]
mod samples;

pub use bootstrap::{bootstrap_keys, normalise};
pub use group::{DEFAULT_GROUP, group_id};
pub use health::{has_affecting_alarms, is_healthy};
pub use install::install_values;
pub use json_text::json_text;
pub use kubernetes::kubernetes;
pub use masking::{HIDDEN, INSTALL_VALUES, PAYLOAD, is_secret_key, masked, without_secrets};
pub use network::{Addresses, Controller, network, network_of_existing};
pub use password::base64_password;
pub use rehome::{rehome_payload, secondary_payload};
pub use release::{Releases, release};

use thiserror::Error;

/// A payload: keys in the order given, values of any JSON type.
pub type Map = serde_json::Map<String, serde_json::Value>;

/// What a refusal means to the caller; the API gives each its HTTP code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The input is at fault: 400.
    BadRequest,
    /// Well-formed, but not possible now: 422.
    Unprocessable,
    /// Taken by another: 409.
    Conflict,
    /// Something the check depends on is missing, the input may be right: 503.
    Unavailable,
}

/// Why a request is refused: the kind and the text for the client, which holds the contract's key phrase.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{text}")]
pub struct Refused {
    /// The kind of refusal.
    pub status: Status,
    /// The text for the client. Never holds a password.
    pub text: String,
}

impl Refused {
    /// A refusal of `status` with `text` for the client.
    pub fn new(status: Status, text: impl Into<String>) -> Self {
        Self { status, text: text.into() }
    }

    /// The input is at fault.
    pub fn bad_request(text: impl Into<String>) -> Self {
        Self::new(Status::BadRequest, text)
    }

    /// `<key> required`.
    fn required(key: &str) -> Self {
        Self::bad_request(format!("{key} required"))
    }

    /// `<what> invalid: <why>`.
    fn invalid(what: &str, why: impl std::fmt::Display) -> Self {
        Self::bad_request(format!("{what} invalid: {why}"))
    }
}
