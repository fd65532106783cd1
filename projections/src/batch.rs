//! Events as projections take them: decoded once, however many read models fold them.

use std::sync::{Arc, OnceLock};

use dcm_domain::subcloud::SubcloudEvent;
use dcm_domain::value::Timestamp;
use dcm_schemas::registry::{self, Unreadable};
use dcm_schemas::{Envelope, Recorded};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::projection::ProjectError;

/// An event of the journal, with what several read models would otherwise each make of it.
#[derive(Debug)]
pub struct Event {
    recorded: Arc<Recorded>,
    subcloud: OnceLock<Result<SubcloudEvent, Arc<Unreadable>>>,
}

impl From<Arc<Recorded>> for Event {
    fn from(recorded: Arc<Recorded>) -> Self {
        Self { recorded, subcloud: OnceLock::new() }
    }
}

impl Event {
    /// As it was read.
    pub fn recorded(&self) -> &Recorded {
        &self.recorded
    }

    /// As it was written.
    pub fn envelope(&self) -> &Envelope {
        &self.recorded.envelope
    }

    /// Where it stands among all events.
    pub fn order(&self) -> u64 {
        self.recorded.position.order
    }

    /// Kind of its stream.
    pub fn kind(&self) -> &str {
        self.recorded.envelope.stream.kind()
    }

    /// Uuid of its stream, if that has one.
    pub fn uuid(&self) -> Option<Uuid> {
        self.recorded.envelope.stream.uuid()
    }

    /// When it was recorded.
    pub fn at(&self) -> Timestamp {
        self.recorded.envelope.recorded_at
    }

    /// What happened, as the domain has it.
    ///
    /// # Errors
    /// [`ProjectError::Unreadable`].
    pub fn decode<E: DeserializeOwned>(&self) -> Result<E, ProjectError> {
        registry::decode(&self.recorded.envelope).map_err(|cause| self.unreadable(cause))
    }

    /// What happened to a subcloud; decoded when it is first asked for.
    ///
    /// # Errors
    /// [`ProjectError::Unreadable`].
    pub fn subcloud(&self) -> Result<&SubcloudEvent, ProjectError> {
        let decoded =
            self.subcloud.get_or_init(|| registry::decode(&self.recorded.envelope).map_err(Arc::new));
        decoded.as_ref().map_err(|cause| ProjectError::Unreadable {
            position: self.recorded.position,
            cause: Arc::clone(cause),
        })
    }

    /// Why this event cannot be folded.
    pub fn unreadable(&self, cause: impl Into<Unreadable>) -> ProjectError {
        ProjectError::Unreadable { position: self.recorded.position, cause: Arc::new(cause.into()) }
    }
}

/// `recorded` as projections take it.
pub(crate) fn events(recorded: Vec<Recorded>) -> Vec<Event> {
    recorded.into_iter().map(|event| Event::from(Arc::new(event))).collect()
}
