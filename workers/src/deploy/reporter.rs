//! How a worker reports: each report is a command on the subcloud, repeated until the journal has answered.

use std::sync::Arc;
use std::time::Duration;

use dcm_domain::aggregate::Command;
use dcm_domain::subcloud::{Rejection, Subcloud};
use dcm_domain::value::Actor;
use dcm_journal::fleet::{Fleet, FleetError};
use dcm_journal::repository::{Done, Meta, Unavailable};
use uuid::Uuid;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
const ROLE: &str = "deploy-worker";

/// The report was refused: somebody else has ended the run, or it is not at that point.
#[derive(Debug, thiserror::Error)]
#[error("the report was refused: {0}")]
pub(crate) struct Refused(#[source] pub(super) FleetError);

impl Refused {
    /// Whether the run is not at the point that was reported on.
    pub(super) fn is_out_of_turn(&self) -> bool {
        matches!(self.0, FleetError::Subcloud(Rejection::OutOfTurn))
    }
}

/// Reports on one run.
pub(super) struct Reporter {
    fleet: Arc<Fleet>,
    entity: Uuid,
    run_id: Uuid,
}

/// Who reports, and under which id: the same step of the same run is the same command.
pub(crate) fn meta(run_id: Uuid, step: &str) -> Meta {
    let run = Meta { command_id: run_id, correlation_id: run_id, ..Meta::new(Actor::system(ROLE)) };
    run.step(step)
}

impl Reporter {
    pub(super) fn new(fleet: &Arc<Fleet>, entity: Uuid, run_id: Uuid) -> Self {
        Self { fleet: Arc::clone(fleet), entity, run_id }
    }

    /// Reports `command` as `step`, however long the journal is away; the caller stops it when the lease is lost.
    pub(super) async fn report<C>(&self, step: &str, command: &C) -> Result<Done<Subcloud>, Refused>
    where
        C: Command<Subcloud, Rejection = Rejection>,
    {
        let meta = meta(self.run_id, step);
        let mut patience = Patience::new(self.run_id);
        loop {
            match self.fleet.run(self.entity, command, &meta).await {
                Err(FleetError::Unavailable(cause)) => patience.wait(&cause).await,
                outcome => return outcome.map_err(Refused),
            }
        }
    }

    /// The subcloud as it is now, however long the journal is away; `None` if it is gone.
    pub(super) async fn subcloud(&self) -> Option<Arc<Subcloud>> {
        let mut patience = Patience::new(self.run_id);
        loop {
            match self.fleet.subcloud(self.entity).await {
                Ok(loaded) => return loaded.state.filter(|subcloud| !subcloud.deleted),
                Err(cause) => patience.wait(&cause).await,
            }
        }
    }
}

/// Waits longer each time; says so once.
struct Patience {
    run_id: Uuid,
    pause: Duration,
}

impl Patience {
    fn new(run_id: Uuid) -> Self {
        Self { run_id, pause: FIRST_PAUSE }
    }

    async fn wait(&mut self, cause: &Unavailable) {
        if self.pause == FIRST_PAUSE {
            tracing::warn!(run_id = %self.run_id, %cause, "the journal does not answer; asking again");
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }
}
