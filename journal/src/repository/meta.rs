//! What is recorded about a command beside the events it causes.

use std::sync::Arc;

use dcm_domain::aggregate::{Aggregate, Command, Facts};
use dcm_domain::value::Actor;
use dcm_schemas::CommandRecord;
use serde_json::json;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Who asked for a command, and what it belongs to.
#[derive(Clone, Debug)]
pub struct Meta {
    /// Who asked.
    pub actor: Arc<Actor>,
    /// The HTTP request, if there was one.
    pub request_id: Option<String>,
    /// Shared by everything that follows from one outside cause.
    pub correlation_id: Uuid,
    /// The event that led to the command, if one did.
    pub causation_id: Option<Uuid>,
    /// Names the command: the same id again is the same command and gives the first answer.
    pub command_id: Uuid,
    /// W3C trace context.
    pub traceparent: Option<String>,
}

impl Meta {
    /// A new command of `actor`, with a cause of its own.
    pub fn new(actor: impl Into<Arc<Actor>>) -> Self {
        Self {
            actor: actor.into(),
            request_id: None,
            correlation_id: Uuid::now_v7(),
            causation_id: None,
            command_id: Uuid::now_v7(),
            traceparent: None,
        }
    }

    /// Another command with the same cause: its id follows from this one's and `step`, so that a repeated request
    /// repeats its steps under the same ids.
    #[must_use]
    pub fn step(&self, step: &str) -> Self {
        let command_id = derived_id(&[self.command_id.as_bytes(), step.as_bytes()]);
        Self { command_id, ..self.clone() }
    }
}

/// A UUIDv8 that follows from `parts`: the same parts give the same id.
pub fn derived_id(parts: &[&[u8]]) -> Uuid {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let digest = hash.finalize();
    let mut bytes = [0; 16];
    for (byte, from) in bytes.iter_mut().zip(digest) {
        *byte = from;
    }
    Uuid::new_v8(bytes)
}

/// Tells one request from another: name, version and arguments, in a fixed order.
pub(super) fn fingerprint<A: Aggregate, C: Command<A>>(command: &C) -> Result<String, serde_json::Error> {
    let text = serde_json::to_vec(&json!([C::NAME, C::VERSION, command]))?;
    Ok(hex::encode(Sha256::digest(text)))
}

pub(super) fn record<A: Aggregate, C: Command<A>>(
    command: &C,
    facts: &Facts,
    fingerprint: &str,
) -> Result<CommandRecord, serde_json::Error> {
    Ok(CommandRecord {
        name: C::NAME.to_owned(),
        version: C::VERSION,
        arguments: serde_json::to_value(command)?,
        facts: serde_json::to_value(facts)?,
        fingerprint: fingerprint.to_owned(),
    })
}
