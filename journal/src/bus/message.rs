//! What travels on the bus, and the streams it travels in.

use bytes::Bytes;
use uuid::Uuid;

use super::subject;

/// Header of a message that was published again to refill an empty stream. Effects ignore such messages
/// (design, "Bus").
pub const REPLAYED_HEADER: &str = "Dcm-Replayed";

/// Header of a message whose data the bus cannot carry, with the size of the data in bytes. The payload is `null`; the
/// data is in the journal, at the position that the message tells.
pub const DATA_OMITTED_HEADER: &str = "Dcm-Data-Omitted";

/// Room for the headers that a bus adds to a message: its id, and where it is expected to be stored.
const BUS_HEADERS: usize = 512;

/// The four streams of the bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Every event, written by the relay alone, kept until a limit is reached.
    Events,
    /// The legacy notifications.
    Notify,
    /// Hints that a run wants a worker: each goes to one consumer and is removed once settled.
    Jobs,
    /// Dead letters: messages no consumer could handle, with the cause.
    Dead,
}

impl Stream {
    /// All streams, in a fixed order.
    pub const ALL: [Self; 4] = [Self::Events, Self::Notify, Self::Jobs, Self::Dead];

    /// The JetStream name, such as `DCM_EVENTS`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Events => "DCM_EVENTS",
            Self::Notify => "DCM_NOTIFY",
            Self::Jobs => "DCM_JOBS",
            Self::Dead => "DCM_DEAD",
        }
    }

    /// The filter that all subjects of the stream match, such as `dcm.v1.event.>`.
    pub fn subjects(self) -> &'static str {
        match self {
            Self::Events => "dcm.v1.event.>",
            Self::Notify => "dcm.v1.notify.>",
            Self::Jobs => "dcm.v1.job.>",
            Self::Dead => "dcm.v1.dead.>",
        }
    }

    /// The stream of that JetStream name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stream| stream.name() == name)
    }

    /// Whether of all messages of one subject only the last is kept: a dead letter that is written again replaces the
    /// first.
    pub(super) fn keeps_last_of_subject(self) -> bool {
        self == Self::Dead
    }

    /// Whether a settled message is removed and every message belongs to exactly one consumer.
    pub fn is_work_queue(self) -> bool {
        self == Self::Jobs
    }
}

/// A message, before it is published and as it is received.
///
/// Header names are unique, made of visible ASCII without `:`; names that begin with `Nats-` belong to the bus.
/// Header values are printable ASCII without spaces at the ends. Received headers are sorted by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Where it goes: a literal subject of the stream it is published to.
    pub subject: String,
    /// What makes it the same message when sent again (`Nats-Msg-Id`).
    pub id: Uuid,
    /// Name and value of each header.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub payload: Bytes,
}

impl Message {
    /// The value of a header, the name compared without regard to case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Whether the message refills a stream instead of announcing something new.
    pub fn is_replayed(&self) -> bool {
        self.header(REPLAYED_HEADER).is_some_and(|value| value == "true")
    }

    /// The most bytes it takes on the wire: headers as lines, what a bus adds to them, and payload.
    pub fn size(&self) -> usize {
        let line = |(name, value): &(String, String)| name.len() + value.len() + ": \r\n".len();
        BUS_HEADERS + self.headers.iter().map(line).sum::<usize>() + self.payload.len()
    }

    /// Says why the message cannot be published to `stream`, if it cannot.
    pub(super) fn check(&self, stream: Stream) -> Result<(), String> {
        if !subject::is_literal(&self.subject) || !subject::covers(stream.subjects(), &self.subject) {
            return Err(format!("subject {:?} is not one of {}", self.subject, stream.name()));
        }
        for (index, (name, value)) in self.headers.iter().enumerate() {
            if !is_header_name(name) {
                return Err(format!("header name {name:?} cannot be sent"));
            }
            if !is_header_value(value) {
                return Err(format!("the value of header {name} is not printable ASCII"));
            }
            if self.headers.iter().take(index).any(|(other, _)| other.eq_ignore_ascii_case(name)) {
                return Err(format!("header {name} is given twice"));
            }
        }
        Ok(())
    }

    /// The message as a receiver sees it.
    pub(super) fn with_sorted_headers(mut self) -> Self {
        self.headers.sort();
        self
    }
}

/// Whether a header belongs to the bus and not to its users.
pub(super) fn is_bus_header(name: &str) -> bool {
    name.get(..5).is_some_and(|prefix| prefix.eq_ignore_ascii_case("nats-"))
}

fn is_header_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_graphic() && c != ':') && !is_bus_header(name)
}

fn is_header_value(value: &str) -> bool {
    value.trim() == value && value.chars().all(|c| c.is_ascii_graphic() || c == ' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(subject: &str, headers: &[(&str, &str)]) -> Message {
        let headers = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        Message { subject: subject.to_owned(), id: Uuid::nil(), headers, payload: Bytes::new() }
    }

    #[test]
    fn a_message_stays_in_its_stream() {
        assert!(message("dcm.v1.event.a", &[]).check(Stream::Events).is_ok());
        assert!(message("dcm.v1.event.a", &[]).check(Stream::Jobs).is_err());
        assert!(message("dcm.v1.event", &[]).check(Stream::Events).is_err());
        assert!(message("dcm.v1.event.*", &[]).check(Stream::Events).is_err());
    }

    #[test]
    fn headers_that_would_not_survive_are_refused() {
        for (name, value) in [
            ("", "v"),
            ("a b", "v"),
            ("a:", "v"),
            ("é", "v"),
            ("Nats-Msg-Id", "v"),
            ("a", "x\r\nb: y"),
            ("a", " x"),
        ] {
            assert!(message("dcm.v1.event.a", &[(name, value)]).check(Stream::Events).is_err(), "{name:?}");
        }
        assert!(message("dcm.v1.event.a", &[("a", "1"), ("A", "2")]).check(Stream::Events).is_err());
        assert!(message("dcm.v1.event.a", &[("ce-type", "a b")]).check(Stream::Events).is_ok());
    }

    #[test]
    fn replayed_is_read_from_the_header() {
        assert!(message("dcm.v1.event.a", &[("dcm-replayed", "true")]).is_replayed());
        assert!(!message("dcm.v1.event.a", &[]).is_replayed());
    }
}
