//! Why an operation of the bus failed.

use super::Published;

/// Why an operation other than a publish failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BusError {
    /// The bus is away, slow, or not set up yet: the same call may work later.
    #[error("the bus is unavailable: {reason}")]
    Unavailable {
        /// What was seen, without credentials.
        reason: String,
    },
    /// The call itself is wrong, or the bus refused it for good.
    #[error("the bus refuses: {reason}")]
    Invalid {
        /// What is wrong with it.
        reason: String,
    },
}

impl BusError {
    pub(super) fn unavailable(reason: impl ToString) -> Self {
        Self::Unavailable { reason: reason.to_string() }
    }

    pub(super) fn invalid(reason: impl ToString) -> Self {
        Self::Invalid { reason: reason.to_string() }
    }
}

/// Why a message was not, or perhaps not, stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The stream does not end where the publisher thought: somebody else wrote. Nothing was stored.
    #[error("the stream ends at {last}, not where the publisher expected")]
    Fenced {
        /// The last sequence of the stream when it refused.
        last: u64,
    },
    /// The bus is away, slow, or has no such stream. The message may have been stored, or may still be: ask for the
    /// end of the stream before sending it again.
    #[error("the bus is unavailable: {reason}")]
    Unavailable {
        /// What was seen, without credentials.
        reason: String,
    },
    /// The message can never be stored as it is.
    #[error("the message cannot be published: {reason}")]
    Invalid {
        /// What is wrong with it.
        reason: String,
    },
}

impl From<BusError> for PublishError {
    fn from(error: BusError) -> Self {
        match error {
            BusError::Unavailable { reason } => Self::Unavailable { reason },
            BusError::Invalid { reason } => Self::Invalid { reason },
        }
    }
}

/// A batch that was not stored whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} leading messages stored, then: {source}", stored.len())]
pub struct BatchError {
    /// The answers for the leading messages that are known to be stored. Later ones may be stored too when the cause
    /// is [`PublishError::Unavailable`].
    pub stored: Vec<Published>,
    /// Why the next message was not known to be stored.
    pub source: PublishError,
}
