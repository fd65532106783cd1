//! The subclouds a strategy may be about, and which of them get a step (fleet.md §8.6).

use std::collections::BTreeMap;

use uuid::Uuid;

use super::StrategyType;
use crate::subcloud::Subcloud;
use crate::value::{Availability, BackupStatus, DeployStatus, Endpoint, ManagementState, Name, SyncStatus};

/// What the choice of steps looks at of one subcloud.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Its uuid.
    pub subcloud: Uuid,
    /// Its id: the order of execution.
    pub id: i64,
    /// Its name.
    pub name: Name,
    /// The group it belongs to.
    pub group_id: i64,
    /// Management axis.
    pub management: ManagementState,
    /// Availability axis.
    pub availability: Availability,
    /// Deploy axis.
    pub deploy: DeployStatus,
    /// Backup axis.
    pub backup: Option<BackupStatus>,
    /// Release it runs.
    pub software_version: String,
    /// Endpoint axis.
    pub endpoints: BTreeMap<Endpoint, SyncStatus>,
}

impl Candidate {
    /// What is looked at of the subcloud `uuid`.
    pub fn new(uuid: Uuid, subcloud: Subcloud) -> Self {
        Self {
            subcloud: uuid,
            id: subcloud.id,
            name: subcloud.name,
            group_id: subcloud.group_id,
            management: subcloud.management,
            availability: subcloud.availability,
            deploy: subcloud.deploy,
            backup: subcloud.backup,
            software_version: subcloud.software_version,
            endpoints: subcloud.endpoints,
        }
    }

    pub(super) fn is_managed(&self) -> bool {
        self.management == ManagementState::Managed
    }

    pub(super) fn is_online(&self) -> bool {
        self.availability == Availability::Online
    }

    /// Status of the endpoint that `kind` is about, if there is such an endpoint.
    pub(super) fn status(&self, kind: StrategyType) -> Option<SyncStatus> {
        self.endpoints.get(&kind.endpoint()?).copied()
    }

    /// The endpoint of `kind`, if its unknown status forbids the whole strategy (fleet.md §8.4 step 7).
    pub(super) fn unknown_endpoint(&self, kind: StrategyType) -> Option<Endpoint> {
        let unknown = self.is_managed() && self.is_online() && self.status(kind) == Some(SyncStatus::Unknown);
        kind.endpoint().filter(|_| unknown)
    }

    /// Whether the subcloud gets a step of a strategy of `kind` (fleet.md §8.6).
    pub(super) fn gets_step(&self, kind: StrategyType, force: bool) -> bool {
        if !self.is_managed() {
            return false;
        }
        let is_prestage = kind == StrategyType::Prestage;
        let status = self.status(kind);
        match self.is_online() {
            true if is_prestage => true,
            true if force && kind.is_forced_in_sync() => {
                status.is_some_and(|status| status != SyncStatus::Unknown)
            }
            true => status == Some(SyncStatus::OutOfSync),
            false if force && kind == StrategyType::Upgrade => {
                status.is_some_and(|status| status != SyncStatus::InSync)
            }
            false => false,
        }
    }
}
