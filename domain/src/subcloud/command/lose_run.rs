//! End a run that nobody works on.

use serde::Serialize;
use uuid::Uuid;

use super::finish_phase::{bounded, finished};
use super::report_progress::moved;
use super::{active, existing};
use crate::aggregate::{Command, Facts};
use crate::subcloud::phase::lost;
use crate::subcloud::{Rejection, RunKind, RunOutcome, Subcloud, SubcloudEvent};

/// Ends a run whose worker died, or that none claimed in its time (jobs.md §2, R-5).
#[derive(Clone, Copy, Debug, Serialize)]
pub struct LoseRun {
    /// The run.
    pub run_id: Uuid,
    /// Why.
    pub because: LostBecause,
}

/// Why a run is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LostBecause {
    /// The worker that claimed it is gone, and so are its processes.
    WorkerLost,
    /// No worker claimed it in its time.
    NoWorker,
}

impl LostBecause {
    /// What the run's error says.
    pub(super) fn text(self, kind: RunKind) -> String {
        match self {
            Self::WorkerLost => "worker lost".to_owned(),
            Self::NoWorker => format!("no worker for {}", kind.as_str()),
        }
    }
}

impl Command<Subcloud> for LoseRun {
    type Rejection = Rejection;
    const NAME: &'static str = "LoseRun";

    fn decide(&self, state: Option<&Subcloud>, _: &Facts) -> Result<Vec<SubcloudEvent>, Rejection> {
        let state = existing(state)?;
        let run = active(state, self.run_id)?;
        match (self.because, &run.worker) {
            (LostBecause::NoWorker, Some(_)) => return Err(Rejection::RunClaimed),
            (LostBecause::WorkerLost, None) => return Err(Rejection::OutOfTurn),
            _ => {}
        }
        let error = bounded(&self.because.text(run.kind()));
        let mut events = lost(state.deploy, &run.phases)
            .map(|to| moved(state, run.id, to, Some(&error)))
            .unwrap_or_default();
        events.push(finished(run, RunOutcome::Lost, Some(error)));
        Ok(events)
    }
}
