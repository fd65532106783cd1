//! A subcloud: one edge site, with five independent axes (deploy, backup, management, availability, endpoints).

pub mod command;
mod document;
mod event;
mod evolve;
mod phase;
mod rejection;
mod run;
mod state;
mod transition;

pub use document::Document;
pub use event::{
    AvailabilityChanged, BackupStatusChanged, BootstrapDataUpdated, CreationAbandoned, DeployAbortRequested,
    DeployConfigUpdated, DeployRunClaimed, DeployRunFinished, DeployRunRequested, DeployStatusChanged,
    DeployStepRecorded, GroupMoved, InstallDataUpdated, NetworkUpdated, RehomeDataUpdated,
    SoftwareVersionChanged, SubcloudAdded, SubcloudDeleted, SubcloudDescribed, SubcloudEvent,
    SubcloudManaged, SubcloudRenamed, SubcloudUnmanaged, SyncStatusChanged, SyncStatusUnknown,
};
pub use phase::PhaseStatuses;
pub use rejection::Rejection;
pub use run::{DeployArtifacts, Run, RunInputs, RunOutcome, StepOutcome};
pub use state::{ManagementNetwork, NO_ERROR, Subcloud};
