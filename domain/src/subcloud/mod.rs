//! A subcloud: one edge site, with five independent axes (deploy, backup, management, availability, endpoints).

pub mod command;
mod document;
mod event;
mod evolve;
mod imported;
mod phase;
mod rejection;
mod run;
mod state;
mod task;
mod transition;

pub use document::Document;
pub use event::{
    AlarmSummaryChanged, AvailabilityChanged, BackupRunFinished, BackupRunRequested, BackupStatusChanged,
    BootstrapDataUpdated, ChecksSkipped, CreationAbandoned, DeployAbortRequested, DeployConfigUpdated,
    DeployRunClaimed, DeployRunFinished, DeployRunRequested, DeployStatusChanged, DeployStepRecorded,
    GroupMoved, InstallDataUpdated, NetworkReconfigurationRequested, NetworkUpdated, PeerGroupChanged,
    PrestageRequested, RehomeDataUpdated, RestoreRequested, SoftwareVersionChanged, SubcloudAdded,
    SubcloudDeleted, SubcloudDescribed, SubcloudEvent, SubcloudImported, SubcloudManaged, SubcloudRenamed,
    SubcloudUnmanaged, SyncStatusChanged, SyncStatusUnknown,
};
pub use imported::{AlarmRow, ImportedSubcloud, NullColumn};
pub use phase::PhaseStatuses;
pub use rejection::{PrestageObstacle, Rejection};
pub use run::{DeployArtifacts, Run, RunInputs, RunOutcome, StepOutcome};
pub use state::{ImportedTimes, ManagementNetwork, NO_ERROR, Subcloud};
pub use task::{
    AlarmSummary, BackupRun, BackupTask, NetworkTask, PrestageTask, RestoreTask, RunKind, SkippedCheck, Task,
};
