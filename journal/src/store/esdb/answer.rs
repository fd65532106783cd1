//! What the server's refusals and the connection's failures mean.

use tonic::{Code, Status};

use super::protocol;
use super::url::Node;

/// Key of the server's own kind of error, beside the status.
const EXCEPTION: &str = "exception";

/// Why a call has no answer.
#[derive(Clone, Debug)]
pub(super) enum Trouble {
    /// It may work when repeated. Whether it was carried out is not known.
    Passing(String),
    /// As passing, and the connection is of no use any more.
    Broken(String),
    /// The node is not the one that leads; nothing was done.
    NotLeader(Option<Node>),
    /// The stream is at another revision; nothing was done, or it was done before.
    WrongRevision,
    /// More than the server takes in one append; nothing was done.
    TooLarge,
    /// It fails again each time; nothing was done.
    Refused(String),
    /// The stream was deleted by somebody.
    Deleted,
}

impl Trouble {
    /// What a status means.
    pub(super) fn of(status: &Status) -> Self {
        let text = |key| status.metadata().get(key).and_then(|value| value.to_str().ok());
        match text(EXCEPTION) {
            Some("not-leader") => {
                let port = text("leader-endpoint-port").and_then(|port| port.parse().ok());
                let leader = text("leader-endpoint-host").zip(port);
                return Self::NotLeader(leader.map(|(host, port)| Node { host: host.to_owned(), port }));
            }
            Some("wrong-expected-version") => return Self::WrongRevision,
            Some("stream-deleted") => return Self::Deleted,
            Some("maximum-append-size-exceeded") => return Self::TooLarge,
            _ => {}
        }
        let message = match status.message() {
            "" => format!("{:?}", status.code()),
            message => message.to_owned(),
        };
        match status.code() {
            // An overloaded or starting server, and one that timed out inside.
            Code::Aborted | Code::DeadlineExceeded | Code::ResourceExhausted => Self::Passing(message),
            Code::Unavailable | Code::Unknown | Code::Internal | Code::Cancelled | Code::Ok => {
                Self::Broken(message)
            }
            Code::Unauthenticated | Code::PermissionDenied => {
                Self::Refused(format!("the user may not do this: {message}"))
            }
            _ => Self::Refused(message),
        }
    }

    /// What the answer to an append says that is none of success.
    pub(super) fn told(error: &protocol::Status) -> Self {
        let details = error.details.as_ref().map_or("", |details| details.type_url.as_str());
        let message = || error.message.clone();
        match details.rsplit(['.', '/']).next() {
            Some("WrongExpectedVersion") => Self::WrongRevision,
            Some("StreamDeleted") => Self::Deleted,
            Some("MaximumAppendSizeExceeded" | "MaximumAppendEventSizeExceeded") => Self::TooLarge,
            Some("AccessDenied") => Self::Refused(format!("the user may not do this: {}", message())),
            Some("BadRequest" | "InvalidTransaction") => Self::Refused(message()),
            Some("Timeout") => Self::Passing(format!("it timed out in the store: {}", message())),
            // Such as that another node leads: a call of its own is told which.
            _ => Self::Broken(message()),
        }
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Passing(text) | Self::Broken(text) | Self::Refused(text) => text.clone(),
            Self::NotLeader(_) => "no node leads".to_owned(),
            Self::WrongRevision => "the stream is at another revision".to_owned(),
            Self::TooLarge => TOO_LARGE.to_owned(),
            Self::Deleted => "the stream was deleted".to_owned(),
        }
    }
}

/// What an append is that the server's configuration does not allow.
pub(super) const TOO_LARGE: &str = "it is larger than the event store's MaxAppendSize";
