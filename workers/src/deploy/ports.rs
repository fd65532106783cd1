//! What the run protocol needs of its surroundings: somebody who carries out phases, a look at the processes of its
//! host, and the list of open runs.

use async_trait::async_trait;
use dcm_journal::lease::{Holder, process_alive};
use dcm_projections::{BackupRunRow, ReadModels, RunRow};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::phase::{PhaseWork, Stopped};
use crate::playbook::{ProcessIdentity, group_alive};

/// Carries out the phases of runs on this host.
#[async_trait]
pub(crate) trait Hands: Send + Sync {
    /// Prepares a phase whose start was reported, and records its steps; `None` if that was all of it.
    ///
    /// # Errors
    /// [`Stopped`]: the phase failed before its playbook, or a step was refused.
    async fn prepare(&self, phase: &PhaseWork<'_>) -> Result<Option<Box<dyn Play>>, Stopped>;

    /// Removes what was laid out for the playbooks of a run; what cannot be removed is left to the sweep.
    async fn clear(&self, run_id: Uuid);
}

/// A playbook that is ready to start. Dropped, it runs nothing.
#[async_trait]
pub(crate) trait Play: Send {
    /// By what a successor can tell whether it is still alive.
    fn identity(&self) -> &ProcessIdentity;

    /// Runs it to its end. Cancelling `abort` ends it early; dropping the future ends it too.
    async fn run(self: Box<Self>, abort: CancellationToken) -> Ending;
}

/// How a playbook ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// By itself, and well.
    Succeeded,
    /// Because it was told to.
    Aborted,
    /// Otherwise; the text says how and shows no secret.
    Failed(String),
}

/// The processes of this host.
pub(crate) trait Processes: Send + Sync {
    /// Whether the process of a holder that shares this boot runs.
    fn lives(&self, holder: &Holder) -> bool;

    /// Whether a playbook, or anything it started on this host, runs.
    fn group_lives(&self, process: &ProcessIdentity) -> bool;
}

/// The processes that the kernel shows.
#[derive(Debug)]
pub(super) struct Kernel;

impl Processes for Kernel {
    fn lives(&self, holder: &Holder) -> bool {
        process_alive(holder.pid, holder.start_time)
    }

    fn group_lives(&self, process: &ProcessIdentity) -> bool {
        group_alive(process)
    }
}

/// Where the runs that have not ended are found. It may be behind: what is found is asked of the aggregate.
#[async_trait]
pub(crate) trait OpenRuns: Send + Sync {
    /// The open runs of the deploy axis, the oldest first.
    async fn open_runs(&self, limit: u32) -> Result<Vec<RunRow>, sqlx::Error>;

    /// The open backup runs.
    async fn open_backup_runs(&self, limit: u32) -> Result<Vec<BackupRunRow>, sqlx::Error>;
}

/// The read model's list.
pub(super) struct Rows(pub std::sync::Arc<ReadModels>);

#[async_trait]
impl OpenRuns for Rows {
    async fn open_runs(&self, limit: u32) -> Result<Vec<RunRow>, sqlx::Error> {
        self.0.subclouds().open_runs(limit).await
    }

    async fn open_backup_runs(&self, limit: u32) -> Result<Vec<BackupRunRow>, sqlx::Error> {
        self.0.subclouds().open_backup_runs(limit).await
    }
}
