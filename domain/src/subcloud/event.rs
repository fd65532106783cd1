//! What can happen to a subcloud. Names and shapes never change once written; a changed shape is a new version.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    AlarmSummary, BackupTask, Document, ImportedSubcloud, ManagementNetwork, NetworkTask, PrestageTask,
    RestoreTask, RunInputs, RunOutcome, SkippedCheck, StepOutcome,
};
use crate::value::{
    Availability, BackupStatus, DeployStatus, Endpoint, Name, Phase, Region, SyncStatus, Timestamp,
};

/// An event of a subcloud's stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
#[expect(missing_docs, reason = "each variant is named after, and documented at, its one field type")]
pub enum SubcloudEvent {
    SubcloudAdded(Box<SubcloudAdded>),
    CreationAbandoned(CreationAbandoned),
    SubcloudDeleted(SubcloudDeleted),
    SubcloudDescribed(SubcloudDescribed),
    SubcloudRenamed(SubcloudRenamed),
    GroupMoved(GroupMoved),
    PeerGroupChanged(PeerGroupChanged),
    InstallDataUpdated(InstallDataUpdated),
    BootstrapDataUpdated(BootstrapDataUpdated),
    DeployConfigUpdated(DeployConfigUpdated),
    RehomeDataUpdated(RehomeDataUpdated),
    NetworkUpdated(NetworkUpdated),
    SoftwareVersionChanged(SoftwareVersionChanged),
    SubcloudManaged(SubcloudManaged),
    SubcloudUnmanaged(SubcloudUnmanaged),
    DeployStatusChanged(DeployStatusChanged),
    SyncStatusUnknown(SyncStatusUnknown),
    SyncStatusChanged(SyncStatusChanged),
    AvailabilityChanged(AvailabilityChanged),
    BackupStatusChanged(BackupStatusChanged),
    DeployRunRequested(Box<DeployRunRequested>),
    DeployRunClaimed(DeployRunClaimed),
    DeployStepRecorded(DeployStepRecorded),
    DeployAbortRequested(DeployAbortRequested),
    DeployRunFinished(DeployRunFinished),
    ChecksSkipped(ChecksSkipped),
    PrestageRequested(PrestageRequested),
    RestoreRequested(RestoreRequested),
    NetworkReconfigurationRequested(Box<NetworkReconfigurationRequested>),
    BackupRunRequested(BackupRunRequested),
    BackupRunFinished(BackupRunFinished),
    AlarmSummaryChanged(AlarmSummaryChanged),
    SubcloudImported(Box<SubcloudImported>),
}

impl SubcloudEvent {
    /// Whether the event changes what a subcloud's row shows, and so its `updated-at`
    /// (decisions.md: it moves only when something changed; endpoint rows are rows of their own).
    pub fn changes_row(&self) -> bool {
        !matches!(
            self,
            Self::SyncStatusUnknown(_)
                | Self::SyncStatusChanged(_)
                | Self::DeployRunRequested(_)
                | Self::DeployRunClaimed(_)
                | Self::DeployStepRecorded(_)
                | Self::DeployAbortRequested(_)
                | Self::DeployRunFinished(_)
                | Self::BootstrapDataUpdated(_)
                | Self::DeployConfigUpdated(_)
                | Self::ChecksSkipped(_)
                | Self::PrestageRequested(_)
                | Self::RestoreRequested(_)
                | Self::NetworkReconfigurationRequested(_)
                | Self::BackupRunRequested(_)
                | Self::BackupRunFinished(BackupRunFinished { error: None, .. })
                | Self::AlarmSummaryChanged(_)
        )
    }
}

macro_rules! event {
    ($(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $field:ident: $kind:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
        pub struct $name { $($(#[$fdoc])* pub $field: $kind),* }

        impl From<$name> for SubcloudEvent {
            fn from(event: $name) -> Self {
                Self::$name(event.into())
            }
        }
    };
}

event!(
    /// A subcloud was added: unmanaged, offline, `not-deployed`, every default endpoint `unknown`.
    SubcloudAdded {
        /// The small integer the directory handed out.
        id: i64,
        /// Unique name.
        name: Name,
        /// Keystone region.
        region: Region,
        /// Free text.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<String>,
        /// Free text.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        location: Option<String>,
        /// Release to deploy.
        software_version: String,
        /// Management or admin network.
        network: ManagementNetwork,
        /// Gateway on the controller's side.
        systemcontroller_gateway_ip: String,
        /// Group it belongs to.
        group_id: i64,
        /// Install values, if it is installed from here.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        install: Option<Document>,
        /// Bootstrap values.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bootstrap: Option<Document>,
        /// Address the bootstrap playbook connects to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bootstrap_address: Option<String>,
        /// Deployment manager configuration.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        deploy_config: Option<Document>,
        /// Whether it is first deployed from here.
        initial_deployment: bool,
    }
);
event!(
    /// A creation that never got this far was given up; the stream can no longer be started.
    CreationAbandoned {
        /// The id that was handed out for it.
        id: i64,
        /// The name that was reserved for it.
        name: Name,
        /// The region that was reserved for it.
        region: Region,
        /// Why, in a sentence.
        reason: String,
    }
);
event!(
    /// The subcloud was deleted; only its history remains.
    SubcloudDeleted {
        /// The name it had last.
        name: Name,
    }
);
event!(
    /// Description or location changed; an absent field stayed as it was.
    SubcloudDescribed {
        /// New description.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        description: Option<String>,
        /// New location.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        location: Option<String>,
    }
);
event!(
    /// The subcloud got another name; its region stays.
    SubcloudRenamed {
        /// The name it had.
        from: Name,
        /// The name it has now.
        to: Name,
    }
);
event!(
    /// The subcloud went to another group.
    GroupMoved {
        /// Group id before.
        from: i64,
        /// Group id now.
        to: i64,
    }
);
event!(
    /// The subcloud joined, changed or left a peer group.
    PeerGroupChanged {
        /// Peer group id before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<i64>,
        /// Peer group id now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<i64>,
    }
);
event!(
    /// Install values were replaced.
    InstallDataUpdated {
        /// The new version.
        install: Document,
    }
);
event!(
    /// Bootstrap values or the bootstrap address were replaced; an absent field stayed as it was.
    BootstrapDataUpdated {
        /// The new version.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bootstrap: Option<Document>,
        /// The new address.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bootstrap_address: Option<String>,
    }
);
event!(
    /// The deployment manager configuration was replaced.
    DeployConfigUpdated {
        /// The new version.
        deploy_config: Document,
    }
);
event!(
    /// What another controller needs to rehome the subcloud was replaced.
    RehomeDataUpdated {
        /// The new version.
        rehome: Document,
    }
);
event!(
    /// The subcloud is reached over other addresses.
    NetworkUpdated {
        /// Management or admin network.
        network: ManagementNetwork,
        /// Gateway on the controller's side.
        systemcontroller_gateway_ip: String,
    }
);
event!(
    /// The subcloud is meant to run another release.
    SoftwareVersionChanged {
        /// Release before.
        from: String,
        /// Release now.
        to: String,
    }
);
event!(
    /// An operator took the subcloud under management.
    SubcloudManaged {
        /// Whether the usual conditions were waived.
        forced: bool,
    }
);
event!(
    /// An operator released the subcloud from management.
    SubcloudUnmanaged {
        /// Whether this is the first step of a migration to another controller.
        migrate: bool,
    }
);
event!(
    /// The deploy status changed.
    DeployStatusChanged {
        /// Status before.
        from: DeployStatus,
        /// Status now.
        to: DeployStatus,
        /// The run that caused it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        run_id: Option<Uuid>,
        /// The new error text (at most 2048 characters); absent if it stayed as it was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    }
);
event!(
    /// Nothing is known of these endpoints any more.
    SyncStatusUnknown {
        /// The endpoints that were known before.
        endpoints: Vec<Endpoint>,
    }
);
event!(
    /// Something new was learnt of one endpoint.
    SyncStatusChanged {
        /// Which endpoint.
        endpoint: Endpoint,
        /// Status before.
        from: SyncStatus,
        /// Status now.
        to: SyncStatus,
    }
);
event!(
    /// The subcloud was reached again, or can no longer be reached.
    AvailabilityChanged {
        /// Availability before.
        from: Availability,
        /// Availability now.
        to: Availability,
    }
);
event!(
    /// The backup status changed.
    BackupStatusChanged {
        /// Status before; absent if there was no backup yet.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<BackupStatus>,
        /// Status now.
        to: BackupStatus,
        /// When the backup was stored, for the two complete states.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stored_at: Option<Timestamp>,
    }
);
event!(
    /// Long work was asked for; it waits for a worker.
    DeployRunRequested {
        /// The run.
        run_id: Uuid,
        /// What to do, in order.
        phases: Vec<Phase>,
        /// What to work with.
        inputs: RunInputs,
    }
);
event!(
    /// A worker took the run; from now on it alone reports on it.
    DeployRunClaimed {
        /// The run.
        run_id: Uuid,
        /// The worker.
        worker: String,
    }
);
event!(
    /// One step of a phase was done or skipped.
    DeployStepRecorded {
        /// The run.
        run_id: Uuid,
        /// The phase the step belongs to.
        phase: Phase,
        /// Name of the step.
        step: String,
        /// What became of it.
        outcome: StepOutcome,
    }
);
event!(
    /// An operator asked the run to stop.
    DeployAbortRequested {
        /// The run.
        run_id: Uuid,
    }
);
event!(
    /// The run ended. Exactly one such event per run.
    DeployRunFinished {
        /// The run.
        run_id: Uuid,
        /// How it ended.
        outcome: RunOutcome,
        /// What went wrong, if anything did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    }
);
event!(
    /// Checks of a request were left out, because nothing that could answer them is configured.
    ChecksSkipped {
        /// Which, and why.
        checks: Vec<SkippedCheck>,
    }
);
event!(
    /// What the prestage run that was just requested is to do.
    PrestageRequested {
        /// The run.
        run_id: Uuid,
        /// What to do.
        task: PrestageTask,
    }
);
event!(
    /// What the restore run that was just requested is to do.
    RestoreRequested {
        /// The run.
        run_id: Uuid,
        /// What to do.
        task: RestoreTask,
    }
);
event!(
    /// What the network reconfiguration that was just requested is to do.
    NetworkReconfigurationRequested {
        /// The run.
        run_id: Uuid,
        /// What to do.
        task: NetworkTask,
    }
);
event!(
    /// A backup was asked for; it waits for a worker.
    BackupRunRequested {
        /// The run.
        run_id: Uuid,
        /// What to do.
        task: BackupTask,
    }
);
event!(
    /// The backup run ended. Exactly one such event per run.
    BackupRunFinished {
        /// The run.
        run_id: Uuid,
        /// How it ended.
        outcome: RunOutcome,
        /// What went wrong, if anything did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    }
);
event!(
    /// The counts of a subcloud's alarms changed (fleet.md §11).
    AlarmSummaryChanged {
        /// The counts now.
        summary: AlarmSummary,
    }
);
event!(
    /// The subcloud was taken over from an existing installation, as its row there said.
    SubcloudImported {
        /// The row.
        row: ImportedSubcloud,
    }
);
