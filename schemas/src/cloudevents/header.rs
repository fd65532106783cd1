//! The headers a message has: one table for those who write, read and describe messages.

use serde_json::{Map, Value, json};

pub(super) const SPECVERSION: &str = "ce-specversion";
pub(super) const ID: &str = "ce-id";
pub(super) const TYPE: &str = "ce-type";
pub(super) const SOURCE: &str = "ce-source";
pub(super) const SUBJECT: &str = "ce-subject";
pub(super) const TIME: &str = "ce-time";
pub(super) const DATACONTENTTYPE: &str = "ce-datacontenttype";
pub(super) const REVISION: &str = "ce-revision";
pub(super) const POSITION: &str = "ce-position";
pub(super) const PREVIOUS_POSITION: &str = "ce-previousposition";
pub(super) const ACTOR: &str = "ce-actor";
pub(super) const ACTOR_PROJECT: &str = "ce-actorproject";
pub(super) const ACTOR_ROLES: &str = "ce-actorroles";
pub(super) const CORRELATION_ID: &str = "ce-correlationid";
pub(super) const CAUSATION_ID: &str = "ce-causationid";
pub(super) const COMMAND_ID: &str = "ce-commandid";
pub(super) const REQUEST_ID: &str = "ce-requestid";
pub(super) const TRACEPARENT: &str = "traceparent";

const UUID: &str = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$";
const PLACE: &str = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\\.[0-9]+$";
const TEXT: &str = "^[!-~]*$";

/// One header.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    /// Its name.
    pub name: &'static str,
    /// Whether every message of its kind has it.
    pub required: bool,
    /// Regular expression that its value matches.
    pub pattern: &'static str,
    /// What it says.
    pub meaning: &'static str,
}

const fn always(name: &'static str, pattern: &'static str, meaning: &'static str) -> Header {
    Header { name, required: true, pattern, meaning }
}

const fn sometimes(name: &'static str, pattern: &'static str, meaning: &'static str) -> Header {
    Header { name, required: false, pattern, meaning }
}

const SPECVERSION_HEADER: Header = always(SPECVERSION, "^1\\.0$", "CloudEvents version.");
const SOURCE_HEADER: Header =
    always(SOURCE, "^/dcm/journals/[0-9a-f-]{36}$", "The journal that the event is recorded in.");
const STREAM_HEADER: Header = always(SUBJECT, "^[a-z0-9-]{1,200}$", "The stream of the aggregate.");
const TIME_HEADER: Header = always(TIME, "^[0-9T:.+-]+Z$", "When the event was recorded.");
const CONTENT_HEADER: Header = always(DATACONTENTTYPE, "^application/json$", "Media type of the payload.");
const CORRELATION_HEADER: Header =
    always(CORRELATION_ID, UUID, "Shared by everything that follows from one outside cause.");
const TRACE_HEADER: Header = sometimes(TRACEPARENT, TEXT, "W3C trace context of the command.");

/// The headers of an event's message.
pub const EVENT_HEADERS: &[Header] = &[
    SPECVERSION_HEADER,
    always(ID, UUID, "The event's id, and the message's: what comes twice has the same."),
    always(TYPE, "^dcm\\.[!-~]+\\.v[0-9]+$", "Aggregate, event name and version of its data."),
    SOURCE_HEADER,
    STREAM_HEADER,
    TIME_HEADER,
    CONTENT_HEADER,
    always(REVISION, "^[0-9]+$", "Place in the stream, from 0."),
    always(POSITION, PLACE, "Place in the journal; opaque but for equality."),
    always(
        PREVIOUS_POSITION,
        PLACE,
        "Position of the event before it in the journal: whoever gets every event sees a gap at once.",
    ),
    always(ACTOR, TEXT, "Opaque id of who caused it, percent-encoded."),
    sometimes(ACTOR_PROJECT, TEXT, "Opaque id of the actor's project, percent-encoded."),
    sometimes(ACTOR_ROLES, TEXT, "Roles of the actor, joined by commas, percent-encoded."),
    CORRELATION_HEADER,
    sometimes(CAUSATION_ID, UUID, "The event that led to this one."),
    always(COMMAND_ID, UUID, "The command that was decided; shared by the events of one append."),
    sometimes(REQUEST_ID, TEXT, "The HTTP request, percent-encoded."),
    TRACE_HEADER,
];

/// The headers of a job hint or notification.
pub const HINT_HEADERS: &[Header] = &[
    SPECVERSION_HEADER,
    always(ID, UUID, "The message's id, which follows from the event's: what comes twice has the same."),
    always(TYPE, "^dcm\\.(job|notify)\\.[a-z-]+\\.v[0-9]+$", "Kind of the message and version of its data."),
    SOURCE_HEADER,
    STREAM_HEADER,
    TIME_HEADER,
    CONTENT_HEADER,
    always(POSITION, PLACE, "Place in the journal of the event that caused it."),
    CORRELATION_HEADER,
    always(CAUSATION_ID, UUID, "The event that caused it."),
    TRACE_HEADER,
];

/// JSON Schema of a message's headers as an object of texts. Headers that are not in `table` may be there too, such as
/// the mark of a replayed message and those of NATS itself.
pub fn headers_schema(table: &[Header]) -> Value {
    let property = |header: &Header| {
        let schema = json!({"type": "string", "description": header.meaning, "pattern": header.pattern});
        (header.name.to_owned(), schema)
    };
    let required: Vec<&str> =
        table.iter().filter(|header| header.required).map(|header| header.name).collect();
    json!({
        "type": "object",
        "properties": table.iter().map(property).collect::<Map<String, Value>>(),
        "required": required,
    })
}
