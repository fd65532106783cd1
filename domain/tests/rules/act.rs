//! What may be asked of a subcloud in a random history.

use dcm_domain::subcloud::command::DeployVerb;
use dcm_domain::value::{DeployStatus as S, Endpoint, Phase, SyncStatus};
use uuid::Uuid;

/// A request, with everything it refers to.
#[derive(Clone, Debug)]
pub enum Act {
    Add { run: Uuid, secondary: bool, install: bool, config: bool, initial: bool },
    Abandon,
    Manage { force: bool, migrate: bool },
    Unmanage { migrate: bool },
    Migrate,
    Change { to: S, managed: Option<bool>, force: bool },
    Update { group: i64 },
    Rename { to: u8 },
    Delete,
    Deploy { verb: DeployVerb, run: Uuid, install: bool, config: bool },
    Redeploy { run: Uuid, install: bool, config: bool },
    Prestage { run: Uuid },
    Reconfigure { run: Uuid, net: u8 },
    TakeOver { run: Uuid },
    CompleteDeployment,
    Abort,
    Availability { online: bool },
    Report { endpoint: Endpoint, status: SyncStatus, seen: Option<u64> },
    Claim { run: Uuid },
    Start { run: Uuid, phase: Phase },
    Play { run: Uuid, phase: Phase },
    Complete { run: Uuid, phase: Phase },
    Fail { run: Uuid, phase: Phase, started: bool },
    AbortPhase { run: Uuid, phase: Phase },
    Step { run: Uuid, phase: Phase },
    Lose { run: Uuid, worker_lost: bool },
}
