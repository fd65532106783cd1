//! Why a relay stops.

use dcm_journal::bus::{BusError, PublishError};
use dcm_journal::store::ReadError;
use dcm_schemas::JournalId;

/// Why a relay stopped. All but [`Fenced`](Self::Fenced) need somebody to look: the bus keeps what it has.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// Another relay wrote to the stream. Start over only while holding the lease, after a pause.
    #[error("another relay is at work on the bus")]
    Fenced,
    /// The bus was filled from another journal.
    #[error(
        "the bus holds events of journal {bus}, but this is journal {journal}: connect the bus of this journal, or have \
         the stream DCM_EVENTS refilled (dcm bus repair --rebuild)"
    )]
    OtherJournal {
        /// What the last message says.
        bus: JournalId,
        /// What the journal says.
        journal: JournalId,
    },
    /// The bus knows of events that the journal does not: the journal lost some.
    #[error(
        "the bus is ahead of the journal (event {bus}, which the journal does not have): the journal lost events, restore \
         it; or have the stream DCM_EVENTS refilled (dcm bus repair --rebuild)"
    )]
    BusAhead {
        /// Order of the last event on the bus.
        bus: u64,
    },
    /// The journal has another event where the bus has its last one.
    #[error(
        "the bus and the journal have different events at {order}: the journal was restored and written again; have the \
         stream DCM_EVENTS refilled (dcm bus repair --rebuild)"
    )]
    Diverged {
        /// Order of the event.
        order: u64,
    },
    /// The last message is none that a relay writes.
    #[error(
        "the last message of DCM_EVENTS was not written by a relay: {reason}; remove it (dcm bus repair)"
    )]
    Foreign {
        /// What is wrong with it.
        reason: String,
    },
    /// The bus takes neither the message nor the settings, now or later.
    #[error("the bus refuses the relay: {reason}")]
    Refused {
        /// What it said.
        reason: String,
    },
    /// The journal contradicts itself.
    #[error(transparent)]
    Journal(ReadError),
}

/// What interrupted a step.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The bus or the journal is away; this may pass.
    Passing(String),
    /// It will not pass by itself.
    Fatal(RelayError),
}

/// Another relay is at work; counted.
pub(super) fn fenced() -> Trouble {
    metrics::counter!("dcm_relay_fenced_total").increment(1);
    Trouble::Fatal(RelayError::Fenced)
}

impl From<RelayError> for Trouble {
    fn from(error: RelayError) -> Self {
        Self::Fatal(error)
    }
}

impl From<BusError> for Trouble {
    fn from(error: BusError) -> Self {
        match error {
            BusError::Unavailable { .. } => Self::Passing(error.to_string()),
            BusError::Invalid { reason } => Self::Fatal(RelayError::Refused { reason }),
        }
    }
}

impl From<PublishError> for Trouble {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::Fenced { .. } => fenced(),
            PublishError::Unavailable { .. } => Self::Passing(error.to_string()),
            PublishError::Invalid { reason } => Self::Fatal(RelayError::Refused { reason }),
        }
    }
}

impl From<ReadError> for Trouble {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Unavailable(_) => Self::Passing(error.to_string()),
            ReadError::Corrupt { .. } => Self::Fatal(RelayError::Journal(error)),
        }
    }
}
