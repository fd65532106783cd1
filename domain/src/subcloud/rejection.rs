//! Why a command on a subcloud is refused. The text is what a client reads; the code never changes.

use crate::value::DeployStatus;

/// Why a command on a subcloud is refused. The transport maps each to the contract's status.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// There is no such subcloud (any more).
    #[error("Subcloud not found")]
    NotFound,
    /// The stream has been started already.
    #[error("Subcloud already exists")]
    AlreadyExists,
    /// Another run is active (decisions.md, "Delete while a run is active").
    #[error("Subcloud {name}: deployment in progress")]
    RunActive {
        /// The subcloud.
        name: String,
    },
    /// subclouds.md §9.3.
    #[error("Bad subcloud request: Subcloud {name} is already managed")]
    AlreadyManaged {
        /// The subcloud.
        name: String,
    },
    /// subclouds.md §9.3.
    #[error("Bad subcloud request: Subcloud {name} is already unmanaged")]
    AlreadyUnmanaged {
        /// The subcloud.
        name: String,
    },
    /// subclouds.md §9.3.
    #[error(
        "Bad subcloud request: Unable to manage {name}: its deploy status is '{status}' and must be either \
         'complete', 'rehome-pending' or one of the prestage states"
    )]
    NotManageable {
        /// The subcloud.
        name: String,
        /// Its deploy status.
        status: DeployStatus,
    },
    /// subclouds.md §9.3.
    #[error("Subcloud {name} is not online")]
    NotOnline {
        /// The subcloud.
        name: String,
    },
    /// subclouds.md §9.1, condition A.
    #[error(
        "The deploy status can only be updated to 'rehome-pending' if the current deploy status is 'complete'; \
         it is '{status}'"
    )]
    MigrateNotComplete {
        /// The deploy status it has.
        status: DeployStatus,
    },
    /// subclouds.md §9.1, condition B.
    #[error("The subcloud must be unmanaged for its deploy status to be updated to 'rehome-pending'")]
    MigrateNotUnmanaged,
    /// subclouds.md §9.2 rule 5a.
    #[error(
        "Bad subcloud request: the subcloud must also be unmanaged for its deploy status to become '{to}'"
    )]
    DeployStatusNeedsUnmanaged {
        /// The status asked for.
        to: DeployStatus,
    },
    /// subclouds.md §9.2 rule 5b.
    #[error(
        "Bad subcloud request: a subcloud can't be managed while also updating its deploy_status to '{to}'; \
         only 'complete' is possible"
    )]
    ManageWithDeployStatus {
        /// The status asked for.
        to: DeployStatus,
    },
    /// No command leads from the one status to the other.
    #[error("Bad subcloud request: the deploy status can't be changed from '{from}' to '{to}'")]
    ImpossibleDeployStatus {
        /// The status it has.
        from: DeployStatus,
        /// The status asked for.
        to: DeployStatus,
    },
    /// A rename came so late after its reservation that the name may be another's by now; trying again is safe.
    #[error("Subcloud name {name} is no longer reserved")]
    ReservationStale {
        /// The name asked for.
        name: String,
    },
    /// subclouds.md §9.4.
    #[error(
        "Bad subcloud request: bootstrap_address given without stored values: need to import bootstrap_values first"
    )]
    RehomeNeedsValues,
    /// subclouds.md §6.4 step 6.
    #[error(
        "Subcloud {name} must be unmanaged and in a valid deploy state for the subcloud rename operation"
    )]
    NotRenamable {
        /// The subcloud.
        name: String,
    },
    /// subclouds.md §6.4 step 8.
    #[error("The new name '{name}' is the same as the current one")]
    SameName {
        /// The name.
        name: String,
    },
    /// subclouds.md §6.10.
    #[error("Subcloud {name} must be unmanaged to perform this operation")]
    DeleteManaged {
        /// The subcloud.
        name: String,
    },
    /// subclouds.md §6.10.
    #[error("Subcloud {name} is online and must be powered down before it is deleted")]
    DeleteOnline {
        /// The subcloud.
        name: String,
    },
    /// subclouds.md §7.2.
    #[error("Subcloud deploy status is '{status}' and must be either {} for '{verb}'", list(.allowed))]
    WrongDeployState {
        /// The verb of the path.
        verb: &'static str,
        /// The deploy status it has.
        status: DeployStatus,
        /// The deploy statuses the verb takes.
        allowed: &'static [DeployStatus],
    },
    /// subclouds.md §7.2.
    #[error(
        "Subcloud deploy can only be completed when its status is '{}'; it is '{status}'",
        DeployStatus::BootstrapComplete
    )]
    NotCompletable {
        /// The deploy status it has.
        status: DeployStatus,
    },
    /// subclouds.md §7.2.
    #[error("Subcloud deploy status is '{status}' and must be in one of the following states to be aborted: {}", list(.allowed))]
    NotAbortable {
        /// The deploy status it has.
        status: DeployStatus,
        /// The deploy statuses that can be aborted.
        allowed: &'static [DeployStatus],
    },
    /// subclouds.md §7.3, §7.7, §7.8.
    #[error("The deploy {verb} command can only be {verbed} during initial deployment")]
    NotInitialDeployment {
        /// The verb of the path.
        verb: &'static str,
        /// `used`, `aborted` or `resumed`.
        verbed: &'static str,
    },
    /// subclouds.md §7.8.
    #[error(
        "Only deploy phase left is deploy config. Required deploy_config file was not provided and there is none stored"
    )]
    OnlyConfigureLeft,
    /// subclouds.md §6.4 step 10, §6.5, §6.6.
    #[error("Cannot perform on {status} state subcloud")]
    SecondaryState {
        /// `secondary` or `secondary-failed`.
        status: DeployStatus,
    },
    /// subclouds.md §6.5 step 4.
    #[error("Cannot re-deploy an online and/or managed subcloud: {name}")]
    NotRedeployable {
        /// The subcloud.
        name: String,
    },
    /// subclouds.md V11.
    #[error("Failed to read data install from db")]
    InstallValuesMissing,
    /// subclouds.md §6.6 steps 9 to 12.
    #[error("Prestage skipped '{name}': {obstacle}")]
    NotPrestageable {
        /// The subcloud.
        name: String,
        /// What is in the way.
        obstacle: PrestageObstacle,
    },
    /// subclouds.md §6.4 step 12.
    #[error("A subcloud must be unmanaged to perform network reconfiguration")]
    ReconfigureManaged,
    /// subclouds.md §6.4 step 15.
    #[error("{field} already in use by the subcloud")]
    AddressInUse {
        /// The form field.
        field: &'static str,
    },
    /// subclouds.md §6.7.
    #[error("Subcloud deploy status is '{status}' and must be either {} to be migrated", list(.allowed))]
    NotMigratable {
        /// The deploy status it has.
        status: DeployStatus,
        /// The deploy statuses that can be migrated.
        allowed: &'static [DeployStatus],
    },
    /// subclouds.md §6.7; fleet.md §3.4.
    #[error("Subcloud {name} has no rehome data: its saved_payload is missing")]
    RehomeDataMissing {
        /// The subcloud.
        name: String,
    },
    /// subclouds.md §6.7; fleet.md §3.4.
    #[error("The saved_payload in the rehome data of subcloud {name} is empty")]
    RehomePayloadEmpty {
        /// The subcloud.
        name: String,
    },
    /// subclouds.md §6.7; fleet.md §3.4.
    #[error("The rehome data of subcloud {name} has no bootstrap-address")]
    RehomeAddressMissing {
        /// The subcloud.
        name: String,
    },
    /// subclouds.md §7.10.
    #[error(
        "Subcloud {name} must be online, managed and have valid deploy-status for the subcloud-backup create operation"
    )]
    NotBackupable {
        /// The subcloud.
        name: String,
    },
    /// subclouds.md §7.10.
    #[error("Subcloud(s) already have a backup operation in progress: {name}")]
    BackupActive {
        /// The subcloud.
        name: String,
    },
    /// subclouds.md §7.12.
    #[error(
        "Subcloud {name} must be unmanaged and in a valid deploy state for the subcloud-backup restore operation"
    )]
    NotRestorable {
        /// The subcloud.
        name: String,
    },
    /// The run is over, or never was: the report is late.
    #[error("the run is not active")]
    RunNotActive,
    /// The report is not about what the run does now: nobody claimed it, the phase is over or not yet due, or no
    /// abort was asked for.
    #[error("the run is not at this point")]
    OutOfTurn,
    /// Another worker has it.
    #[error("the run is claimed already")]
    RunClaimed,
}

/// What of a subcloud's own state is in the way of a prestage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrestageObstacle {
    /// It cannot be reached.
    #[error("Subcloud is offline.")]
    Offline,
    /// It is not managed.
    #[error("Subcloud is not managed.")]
    Unmanaged,
    /// It is being backed up.
    #[error("Subcloud backup is in progress.")]
    Backup,
    /// Its deploy status is none of `complete`, `prestage-failed` and `prestage-complete`.
    #[error(
        "Prestage operation is only allowed while subcloud deploy status is one of: 'complete', 'prestage-failed', \
         'prestage-complete'."
    )]
    DeployStatus,
}

impl Rejection {
    /// A stable word for programs and metrics.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "subcloud-not-found",
            Self::AlreadyExists => "subcloud-exists",
            Self::RunActive { .. } => "run-active",
            Self::AlreadyManaged { .. } => "already-managed",
            Self::AlreadyUnmanaged { .. } => "already-unmanaged",
            Self::NotManageable { .. } => "not-manageable",
            Self::NotOnline { .. } => "not-online",
            Self::MigrateNotComplete { .. } => "migrate-not-complete",
            Self::MigrateNotUnmanaged => "migrate-not-unmanaged",
            Self::DeployStatusNeedsUnmanaged { .. } => "deploy-status-needs-unmanaged",
            Self::ManageWithDeployStatus { .. } => "manage-with-deploy-status",
            Self::ImpossibleDeployStatus { .. } => "impossible-deploy-status",
            Self::RehomeNeedsValues => "rehome-needs-values",
            Self::NotRenamable { .. } => "not-renamable",
            Self::ReservationStale { .. } => "reservation-stale",
            Self::SameName { .. } => "same-name",
            Self::DeleteManaged { .. } => "delete-managed",
            Self::DeleteOnline { .. } => "delete-online",
            Self::WrongDeployState { .. } => "wrong-deploy-state",
            Self::NotCompletable { .. } => "not-completable",
            Self::NotAbortable { .. } => "not-abortable",
            Self::NotInitialDeployment { .. } => "not-initial-deployment",
            Self::OnlyConfigureLeft => "only-configure-left",
            Self::SecondaryState { .. } => "secondary-state",
            Self::NotRedeployable { .. } => "not-redeployable",
            Self::InstallValuesMissing => "install-values-missing",
            Self::NotPrestageable { .. } => "not-prestageable",
            Self::ReconfigureManaged => "reconfigure-managed",
            Self::AddressInUse { .. } => "address-in-use",
            Self::NotMigratable { .. } => "not-migratable",
            Self::RehomeDataMissing { .. } => "rehome-data-missing",
            Self::RehomePayloadEmpty { .. } => "rehome-payload-empty",
            Self::RehomeAddressMissing { .. } => "rehome-address-missing",
            Self::NotBackupable { .. } => "not-backupable",
            Self::BackupActive { .. } => "backup-active",
            Self::NotRestorable { .. } => "not-restorable",
            Self::RunNotActive => "run-not-active",
            Self::OutOfTurn => "out-of-turn",
            Self::RunClaimed => "run-claimed",
        }
    }
}

fn list(statuses: &[DeployStatus]) -> String {
    statuses.iter().map(|status| format!("'{status}'")).collect::<Vec<_>>().join(", ")
}
