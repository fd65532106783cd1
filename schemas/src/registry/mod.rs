//! The event registry: which names and versions exist, and how old shapes become current ones.
//!
//! Names and versions never change once written. A changed shape is a new version with an upcaster here and an old
//! event in the corpus.

mod old;
mod table;
mod tagged;
mod upcast;

use dcm_domain::aggregate::Unfoldable;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tagged::Tagged;

use crate::Envelope;

pub use table::{ALL, EventType, find, schema, versions};

/// Why a stored event cannot be used: commands on its stream and projections stop there, and say so.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// Written by a newer program.
    #[error("event {name} version {version} is not known to this program")]
    Unknown {
        /// Event name.
        name: String,
        /// Version of its shape.
        version: u32,
    },
    /// The data is not of the shape that name and version promise.
    #[error("event {name} version {version} is damaged: {cause}")]
    Damaged {
        /// Event name.
        name: String,
        /// Version of its shape.
        version: u32,
        /// What is wrong with it.
        cause: serde_json::Error,
    },
    /// It cannot follow what came before it in its stream.
    #[error(transparent)]
    Unfoldable(#[from] Unfoldable),
}

/// Name, current version and data of a domain event.
#[derive(Clone, Debug, PartialEq)]
pub struct Encoded {
    /// Event name.
    pub name: String,
    /// Current version of its shape.
    pub version: u32,
    /// Its facts.
    pub data: Value,
}

/// The version that new events of this name are written with.
pub fn current_version(name: &str) -> u32 {
    upcast::STEPS.iter().filter(|step| step.name == name).map(|step| step.from + 1).max().unwrap_or(1)
}

/// Takes a domain event apart for its envelope.
///
/// # Errors
/// If the event is not tagged with `type` and `data`: a defect of its type.
pub fn encode<E: Serialize>(event: &E) -> Result<Encoded, serde_json::Error> {
    #[derive(serde::Deserialize)]
    struct Tagged {
        r#type: String,
        data: Value,
    }
    let Tagged { r#type: name, data } = serde_json::from_value(serde_json::to_value(event)?)?;
    Ok(Encoded { version: current_version(&name), name, data })
}

/// The domain event in an envelope, brought up to the current shape.
///
/// # Errors
/// [`Unreadable`] if the program does not know it, or it is damaged.
pub fn decode<E: DeserializeOwned>(envelope: &Envelope) -> Result<E, Unreadable> {
    let (name, version) = (envelope.r#type.as_str(), envelope.version);
    match version == current_version(name) {
        // Nearly always: nothing has to be changed, and so nothing has to be copied.
        true => E::deserialize(Tagged { name, data: &envelope.data })
            .map_err(|cause| unreadable(name, version, cause)),
        false => decode_data(name, version, envelope.data.clone()),
    }
}

/// The domain event of that name, version and data, brought up to the current shape.
///
/// # Errors
/// [`Unreadable`] if the program does not know it, or it is damaged.
pub fn decode_data<E: DeserializeOwned>(name: &str, version: u32, data: Value) -> Result<E, Unreadable> {
    let data = upcast::to_current(name, version, data)
        .ok_or_else(|| Unreadable::Unknown { name: name.to_owned(), version })?;
    E::deserialize(Tagged { name, data: &data }).map_err(|cause| unreadable(name, version, cause))
}

/// An unknown variant is an event of a newer program; anything else is damage.
fn unreadable(name: &str, version: u32, cause: serde_json::Error) -> Unreadable {
    match cause.to_string().starts_with("unknown variant") {
        true => Unreadable::Unknown { name: name.to_owned(), version },
        false => Unreadable::Damaged { name: name.to_owned(), version, cause },
    }
}
