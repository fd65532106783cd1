//! Messages as CloudEvents 1.0 in NATS binary mode: attributes are headers with the prefix `ce-`, the data is the
//! payload.
//!
//! Extensions are lower case letters and digits, as the specification asks. `traceparent` keeps its plain name, under
//! which tracing tools look for it.

mod header;
mod received;

use dcm_domain::value::Timestamp;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use uuid::Uuid;

use crate::{Envelope, JournalId, Position, Recorded, StreamId, subjects};

pub use header::{EVENT_HEADERS, HINT_HEADERS, Header, headers_schema};
pub use received::{NotAnEvent, Received, position};

/// Version of the specification that messages follow.
pub const SPEC_VERSION: &str = "1.0";
/// Media type of every payload.
pub const CONTENT_TYPE: &str = "application/json";

/// What the specification escapes in header values: everything but printable ASCII, and blank, `"` and `%`.
const ESCAPED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%');

/// Headers of a message, in the order of the table, each name once.
pub type Headers = Vec<(String, String)>;

/// The headers of the message for an event that follows `previous` in the journal.
pub fn event_headers(recorded: &Recorded, previous: Position) -> Headers {
    let Recorded { position, envelope, .. } = recorded;
    let mut headers = common(&Common {
        id: envelope.id,
        kind: event_type(&envelope.stream, &envelope.r#type, envelope.version),
        journal: position.journal,
        stream: &envelope.stream,
        time: envelope.recorded_at,
    });
    let mut add = |name: &str, value: String| headers.push((name.to_owned(), value));
    add(header::REVISION, envelope.revision.to_string());
    add(header::POSITION, position.to_string());
    add(header::PREVIOUS_POSITION, previous.to_string());
    add(header::ACTOR, escape(&envelope.actor.user_id));
    if let Some(project) = &envelope.actor.project_id {
        add(header::ACTOR_PROJECT, escape(project));
    }
    if !envelope.actor.roles.is_empty() {
        add(header::ACTOR_ROLES, escape(&envelope.actor.roles.join(",")));
    }
    add(header::CORRELATION_ID, envelope.correlation_id.to_string());
    if let Some(cause) = envelope.causation_id {
        add(header::CAUSATION_ID, cause.to_string());
    }
    add(header::COMMAND_ID, envelope.command_id.to_string());
    if let Some(request) = &envelope.request_id {
        add(header::REQUEST_ID, escape(request));
    }
    if let Some(trace) = &envelope.traceparent {
        add(header::TRACEPARENT, escape(trace));
    }
    headers
}

/// The headers of a message `id` that an event caused: a job hint or a notification, of type `kind`
/// (see [`hint_type`]).
pub fn hint_headers(id: Uuid, kind: String, cause: &Recorded) -> Headers {
    let Recorded { position, envelope, .. } = cause;
    let mut headers = common(&Common {
        id,
        kind,
        journal: position.journal,
        stream: &envelope.stream,
        time: envelope.recorded_at,
    });
    let mut add = |name: &str, value: String| headers.push((name.to_owned(), value));
    add(header::POSITION, position.to_string());
    add(header::CORRELATION_ID, envelope.correlation_id.to_string());
    add(header::CAUSATION_ID, envelope.id.to_string());
    if let Some(trace) = &envelope.traceparent {
        add(header::TRACEPARENT, escape(trace));
    }
    headers
}

/// The payload of an event's message: its data, in the version it was written in.
pub fn event_payload(envelope: &Envelope) -> Vec<u8> {
    envelope.data.to_string().into_bytes()
}

/// The CloudEvents type of an event, for example `dcm.subcloud.DeployStatusChanged.v1`.
pub fn event_type(stream: &StreamId, name: &str, version: u32) -> String {
    escape(&format!("dcm.{}.{name}.v{version}", subjects::aggregate(stream)))
}

/// The CloudEvents type of a job hint or notification, for example `dcm.notify.subcloud-online.v1`.
pub fn hint_type(family: &str, kind: &str) -> String {
    format!("dcm.{family}.{kind}.v1")
}

struct Common<'a> {
    id: Uuid,
    kind: String,
    journal: JournalId,
    stream: &'a StreamId,
    time: Timestamp,
}

fn common(common: &Common<'_>) -> Headers {
    let pairs = [
        (header::SPECVERSION, SPEC_VERSION.to_owned()),
        (header::ID, common.id.to_string()),
        (header::TYPE, common.kind.clone()),
        (header::SOURCE, format!("/dcm/journals/{}", common.journal)),
        (header::SUBJECT, common.stream.to_string()),
        (header::TIME, common.time.to_string()),
        (header::DATACONTENTTYPE, CONTENT_TYPE.to_owned()),
    ];
    pairs.map(|(name, value)| (name.to_owned(), value)).to_vec()
}

fn escape(text: &str) -> String {
    utf8_percent_encode(text, ESCAPED).to_string()
}

fn unescape(value: &str) -> String {
    percent_decode_str(value).decode_utf8_lossy().into_owned()
}
