//! What a worker says of [`RUN`], and what that comes to.

use dcm_domain::subcloud::command::*;
use dcm_domain::subcloud::{DeployRunFinished, RunOutcome, Subcloud, SubcloudEvent};
use dcm_domain::value::{DeployStatus as S, Phase};
use uuid::Uuid;

use crate::kit::Given;
use crate::samples::{RUN, running};

pub fn claim(run_id: Uuid) -> ClaimRun {
    ClaimRun { run_id, worker: "worker-1".to_owned() }
}

pub fn start(phase: Phase) -> StartPhase {
    StartPhase { run_id: RUN, phase }
}

pub fn play(phase: Phase) -> StartPlaybook {
    StartPlaybook { run_id: RUN, phase }
}

pub fn complete(phase: Phase) -> CompletePhase {
    CompletePhase { run_id: RUN, phase }
}

pub fn fail(phase: Phase, started: bool, error: &str) -> FailPhase {
    FailPhase { run_id: RUN, phase, started, error: error.to_owned() }
}

pub fn abort_phase(phase: Phase) -> AbortPhase {
    AbortPhase { run_id: RUN, phase }
}

pub const LOST: LoseRun = LoseRun { run_id: RUN, because: LostBecause::WorkerLost };
pub const UNCLAIMED: LoseRun = LoseRun { run_id: RUN, because: LostBecause::NoWorker };

pub fn finished(outcome: RunOutcome, error: Option<&str>) -> SubcloudEvent {
    DeployRunFinished { run_id: RUN, outcome, error: error.map(str::to_owned) }.into()
}

/// The phases that can be aborted, with the status they run, are aborted, and end in.
pub const ABORTABLE: [(Phase, S, S, S, S, S); 3] = [
    (
        Phase::Install,
        S::Installing,
        S::AbortingInstall,
        S::InstallAborted,
        S::InstallFailed,
        S::InstallComplete,
    ),
    (
        Phase::Bootstrap,
        S::Bootstrapping,
        S::AbortingBootstrap,
        S::BootstrapAborted,
        S::BootstrapFailed,
        S::BootstrapComplete,
    ),
    (Phase::Configure, S::Configuring, S::AbortingConfig, S::ConfigAborted, S::ConfigFailed, S::Complete),
];

/// A claimed run of one phase whose abort was asked for.
pub fn aborting(phase: Phase, running_status: S) -> Given<Subcloud> {
    running(&[phase], running_status).after(AbortDeployment)
}
