//! Why a command on the strategy is refused.

use crate::value::{Endpoint, Name};

use super::{StrategyState, StrategyType};

/// Why a command on the strategy is refused (fleet.md §8.4, §8.5, §8.7).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// Step 1; one in `deleting` counts too.
    #[error("a strategy of type '{0}' already exists")]
    Exists(StrategyType),
    /// Step 4.
    #[error("the subcloud {0} does not exist")]
    UnknownSubcloud(String),
    /// Step 4.
    #[error("the subcloud {name} does not require it: its {endpoint} endpoint is in-sync")]
    AlreadyInSync {
        /// The subcloud.
        name: Name,
        /// Its endpoint.
        endpoint: Endpoint,
    },
    /// Step 7.
    #[error("the {endpoint} sync status of the subcloud {name} is unknown")]
    UnknownSyncStatus {
        /// The subcloud.
        name: Name,
        /// Its endpoint.
        endpoint: Endpoint,
    },
    /// Step 8.
    #[error("{0}")]
    RootCa(&'static str),
    /// Step 10; the strategy was made nevertheless, and is on its way out.
    #[error("there are no steps to apply")]
    NoSteps,
    /// §8.5, global check 1.
    #[error("a platform upgrade of the system controller is in progress")]
    UpgradeInProgress,
    /// §8.5, global check 2.
    #[error("sysadmin_password is required")]
    PasswordRequired,
    /// §8.5, global check 3.
    #[error("sysadmin_password cannot be decoded, it must be base64 of UTF-8")]
    PasswordUndecodable,
    /// §8.5, checks of the one subcloud that was named.
    #[error("the subcloud {name} cannot be prestaged: {reason}")]
    NotPrestageable {
        /// The subcloud.
        name: Name,
        /// The first check it fails.
        reason: &'static str,
    },
    /// What the decision depends on did not answer; says what and why.
    #[error("{0}")]
    PlatformFailed(String),
    /// §8.7: there is no strategy, or none of the type that was asked for.
    #[error("the strategy does not exist")]
    NotFound,
    /// §8.7.
    #[error("the strategy of type '{kind}' is '{state}'")]
    WrongState {
        /// What it updates.
        kind: StrategyType,
        /// Where it stands.
        state: StrategyState,
    },
    /// A worker has it already.
    #[error("it is being worked on")]
    Claimed,
}
