//! The receiving side: from headers and payload back to an event.

use std::str::FromStr;

use dcm_domain::value::{Actor, Timestamp};
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use super::{SPEC_VERSION, header, unescape};
use crate::{
    Position, StreamId,
    registry::{self, Unreadable},
};

/// An event as it came from the bus.
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    /// The event's id: what comes twice has the same.
    pub id: Uuid,
    /// Event name, such as `DeployStatusChanged`.
    pub name: String,
    /// Version of the shape of `data`.
    pub version: u32,
    /// The aggregate's stream.
    pub stream: StreamId,
    /// Place in the stream, from 0.
    pub revision: u64,
    /// Place in the journal.
    pub position: Position,
    /// Place of the event before it: not the last one seen means that some were missed.
    pub previous: Position,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// Who caused it.
    pub actor: Actor,
    /// The HTTP request, if there was one.
    pub request_id: Option<String>,
    /// Shared by everything that follows from one outside cause.
    pub correlation_id: Uuid,
    /// The event that led to this one, if one did.
    pub causation_id: Option<Uuid>,
    /// The command that was decided.
    pub command_id: Uuid,
    /// W3C trace context.
    pub traceparent: Option<String>,
    /// The facts, in the shape that `name` and `version` say.
    pub data: Value,
}

/// Why a message is not an event of this program's.
#[derive(Debug, thiserror::Error)]
pub enum NotAnEvent {
    /// A header is missing.
    #[error("the message has no header {0}")]
    Missing(&'static str),
    /// A header does not hold what it should.
    #[error("the message's header {0} cannot be read")]
    Malformed(&'static str),
    /// The payload is not JSON.
    #[error("the message's payload is not JSON: {0}")]
    Payload(#[from] serde_json::Error),
}

impl Received {
    /// Reads a message from its headers (names in any case) and payload.
    ///
    /// # Errors
    /// [`NotAnEvent`] if it is none, or of another generation.
    pub fn parse(headers: &[(String, String)], payload: &[u8]) -> Result<Self, NotAnEvent> {
        let headers = Reader(headers);
        if headers.text(header::SPECVERSION)? != SPEC_VERSION {
            return Err(NotAnEvent::Malformed(header::SPECVERSION));
        }
        let (name, version) = name_and_version(&unescape(headers.text(header::TYPE)?))
            .ok_or(NotAnEvent::Malformed(header::TYPE))?;
        let time = headers.text(header::TIME)?;
        Ok(Self {
            id: headers.parsed(header::ID)?,
            name,
            version,
            stream: headers.parsed(header::SUBJECT)?,
            revision: headers.parsed(header::REVISION)?,
            position: headers.parsed(header::POSITION)?,
            previous: headers.parsed(header::PREVIOUS_POSITION)?,
            recorded_at: Timestamp::parse(time).ok_or(NotAnEvent::Malformed(header::TIME))?,
            actor: headers.actor()?,
            request_id: headers.find(header::REQUEST_ID).map(unescape),
            correlation_id: headers.parsed(header::CORRELATION_ID)?,
            causation_id: headers
                .find(header::CAUSATION_ID)
                .map(|_| headers.parsed(header::CAUSATION_ID))
                .transpose()?,
            command_id: headers.parsed(header::COMMAND_ID)?,
            traceparent: headers.find(header::TRACEPARENT).map(unescape),
            data: serde_json::from_slice(payload)?,
        })
    }

    /// The domain event, brought up to the current shape.
    ///
    /// # Errors
    /// [`Unreadable`] if this program does not know it, or it is damaged.
    pub fn decode<E: DeserializeOwned>(&self) -> Result<E, Unreadable> {
        registry::decode_data(&self.name, self.version, self.data.clone())
    }
}

/// The place in the journal that a message of any kind tells; `None` if it tells none.
pub fn position(headers: &[(String, String)]) -> Option<Position> {
    Reader(headers).parsed(header::POSITION).ok()
}

/// `dcm.<aggregate>.<name>.v<version>`.
fn name_and_version(kind: &str) -> Option<(String, u32)> {
    let (rest, version) = kind.rsplit_once(".v")?;
    let name = rest.strip_prefix("dcm.")?.split_once('.')?.1;
    Some((name.to_owned(), version.parse().ok()?))
}

struct Reader<'a>(&'a [(String, String)]);

impl<'a> Reader<'a> {
    fn find(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    fn text(&self, name: &'static str) -> Result<&'a str, NotAnEvent> {
        self.find(name).ok_or(NotAnEvent::Missing(name))
    }

    fn parsed<T: FromStr>(&self, name: &'static str) -> Result<T, NotAnEvent> {
        self.text(name)?.parse().map_err(|_| NotAnEvent::Malformed(name))
    }

    fn actor(&self) -> Result<Actor, NotAnEvent> {
        let roles = self.find(header::ACTOR_ROLES).map(unescape).unwrap_or_default();
        Ok(Actor {
            user_id: unescape(self.text(header::ACTOR)?),
            project_id: self.find(header::ACTOR_PROJECT).map(unescape),
            roles: roles.split(',').filter(|role| !role.is_empty()).map(str::to_owned).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::*;
    use crate::{Envelope, JournalId, Recorded, cloudevents};

    fn recorded() -> (Recorded, Position) {
        let journal = JournalId(Uuid::from_u128(5));
        let envelope = Envelope {
            id: Uuid::from_u128(1),
            r#type: "SubcloudUnmanaged".to_owned(),
            version: 1,
            stream: StreamId::aggregate("subcloud", Uuid::from_u128(2)),
            revision: 3,
            recorded_at: Timestamp::from_micros(1_700_000_000_123_456),
            actor: Actor {
                user_id: "größe % \"x\"\r\nce-id: 1".to_owned(),
                project_id: Some("p q".to_owned()),
                roles: vec!["admin".to_owned(), "rea der".to_owned()],
            },
            request_id: Some("req 1".to_owned()),
            correlation_id: Uuid::from_u128(6),
            causation_id: Some(Uuid::from_u128(7)),
            command_id: Uuid::from_u128(8),
            traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
            command: None,
            data: json!({}),
            hash: String::new(),
        };
        let body = envelope.body();
        let position = Position { journal, order: 12 };
        (Recorded { position, envelope, body }, Position { journal, order: 11 })
    }

    #[test]
    fn an_event_survives_the_journey() {
        let (recorded, previous) = recorded();
        let headers = cloudevents::event_headers(&recorded, previous);
        let printable = |value: &str| value.chars().all(|c| c.is_ascii_graphic());
        assert!(headers.iter().all(|(_, value)| printable(value)), "{headers:?}");
        let received = Received::parse(&headers, &cloudevents::event_payload(&recorded.envelope)).unwrap();
        let envelope = recorded.envelope;
        assert_eq!((received.position, received.previous), (recorded.position, previous));
        assert_eq!(
            (received.id, received.name.as_str(), received.version),
            (envelope.id, "SubcloudUnmanaged", 1)
        );
        assert_eq!((received.stream, received.revision), (envelope.stream, 3));
        assert_eq!(received.recorded_at, envelope.recorded_at);
        assert_eq!(received.actor, envelope.actor);
        assert_eq!(received.request_id, envelope.request_id);
        assert_eq!(received.causation_id, envelope.causation_id);
        assert_eq!(received.traceparent, envelope.traceparent);
    }

    #[test]
    fn an_old_version_is_brought_up_to_date() {
        let (recorded, previous) = recorded();
        let headers = cloudevents::event_headers(&recorded, previous);
        let received = Received::parse(&headers, b"{}").unwrap();
        let event: dcm_domain::subcloud::SubcloudEvent = received.decode().unwrap();
        assert_eq!(event, dcm_domain::subcloud::SubcloudUnmanaged { migrate: false }.into());
    }

    #[test]
    fn headers_are_those_of_the_table_in_its_order() {
        let (recorded, previous) = recorded();
        let written = cloudevents::event_headers(&recorded, previous);
        let names: Vec<&str> = written.iter().map(|(name, _)| name.as_str()).collect();
        let table: Vec<&str> = cloudevents::EVENT_HEADERS.iter().map(|header| header.name).collect();
        assert_eq!(names, table);
        let kind = cloudevents::hint_type("notify", "subcloud-online");
        let written = cloudevents::hint_headers(Uuid::nil(), kind, &recorded);
        let names: Vec<&str> = written.iter().map(|(name, _)| name.as_str()).collect();
        let table: Vec<&str> = cloudevents::HINT_HEADERS.iter().map(|header| header.name).collect();
        assert_eq!(names, table);
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let (recorded, previous) = recorded();
        let headers = cloudevents::event_headers(&recorded, previous);
        for header in cloudevents::EVENT_HEADERS.iter().filter(|header| header.required) {
            let without: Vec<_> = headers.iter().filter(|(name, _)| name != header.name).cloned().collect();
            let answer = Received::parse(&without, b"{}");
            let needed = !["ce-source", "ce-datacontenttype"].contains(&header.name);
            assert_eq!(answer.is_err(), needed, "{}", header.name);
        }
        let mut wrong = headers.clone();
        wrong.iter_mut().find(|(name, _)| name == "ce-type").unwrap().1 = "com.example.v1".to_owned();
        assert!(matches!(Received::parse(&wrong, b"{}"), Err(NotAnEvent::Malformed("ce-type"))));
        assert!(matches!(Received::parse(&headers, b"{"), Err(NotAnEvent::Payload(_))));
    }
}
