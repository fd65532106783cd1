//! Folding: the state of a subcloud after each event.

use std::collections::BTreeSet;

use super::{
    BackupRun, CreationAbandoned, DeployStatusChanged, ImportedSubcloud, ImportedTimes, ManagementNetwork,
    NO_ERROR, PhaseStatuses, Run, Subcloud, SubcloudAdded, SubcloudEvent, Task,
};
use crate::aggregate::{Aggregate, Unfoldable};
use crate::value::{Availability, DeployStatus, Endpoint, ManagementState, Phase, SyncStatus};

impl Aggregate for Subcloud {
    type Event = SubcloudEvent;

    const KIND: &'static str = "subcloud";

    fn evolve(state: Option<Self>, event: &SubcloudEvent) -> Result<Self, Unfoldable> {
        match (state, event) {
            (None, SubcloudEvent::SubcloudAdded(added)) => Ok(Self::added(added)),
            (None, SubcloudEvent::CreationAbandoned(abandoned)) => Ok(Self::abandoned(abandoned)),
            (None, SubcloudEvent::SubcloudImported(imported)) => Ok(Self::imported(&imported.row)),
            (Some(state), event) if !state.deleted => state.after(event),
            (_, event) => Err(unfoldable(event)),
        }
    }
}

fn unfoldable(event: &SubcloudEvent) -> Unfoldable {
    let event = serde_json::to_value(event)
        .ok()
        .and_then(|event| event.get("type").and_then(|name| name.as_str()).map(str::to_owned))
        .unwrap_or_default();
    Unfoldable { aggregate: Subcloud::KIND, event }
}

impl Subcloud {
    fn added(added: &SubcloudAdded) -> Self {
        Self {
            revision: 0,
            id: added.id,
            name: added.name.clone(),
            region: added.region.clone(),
            description: added.description.clone(),
            location: added.location.clone(),
            software_version: added.software_version.clone(),
            management: ManagementState::Unmanaged,
            availability: Availability::Offline,
            deploy: DeployStatus::NotDeployed,
            backup: None,
            backup_datetime: None,
            error_description: NO_ERROR.to_owned(),
            network: added.network.clone(),
            systemcontroller_gateway_ip: added.systemcontroller_gateway_ip.clone(),
            group_id: added.group_id,
            peer_group_id: None,
            openstack_installed: false,
            data_upgrade: None,
            install: added.install.clone(),
            bootstrap: added.bootstrap.clone(),
            bootstrap_address: added.bootstrap_address.clone(),
            deploy_config: added.deploy_config.clone(),
            rehome: None,
            initial_deployment: added.initial_deployment,
            endpoints: Endpoint::DEFAULT
                .into_iter()
                .map(|endpoint| (endpoint, SyncStatus::Unknown))
                .collect(),
            run: None,
            backup_run: None,
            audit_fail_count: 0,
            first_identity_sync_complete: false,
            alarms: None,
            imported: None,
            nulls: BTreeSet::new(),
            alarm_row: None,
            status_revision: 0,
            deleted: false,
        }
    }

    fn imported(row: &ImportedSubcloud) -> Self {
        Self {
            revision: 0,
            id: row.id,
            name: row.name.clone(),
            region: row.region.clone(),
            description: row.description.clone(),
            location: row.location.clone(),
            software_version: row.software_version.clone(),
            management: row.management,
            availability: row.availability,
            deploy: row.deploy,
            backup: row.backup,
            backup_datetime: row.backup_datetime,
            error_description: row.error_description.clone(),
            network: row.network.clone(),
            systemcontroller_gateway_ip: row.systemcontroller_gateway_ip.clone(),
            group_id: row.group_id,
            peer_group_id: row.peer_group_id,
            openstack_installed: row.openstack_installed,
            data_upgrade: row.data_upgrade.clone(),
            install: row.install.clone(),
            bootstrap: row.bootstrap.clone(),
            bootstrap_address: row.bootstrap_address.clone(),
            deploy_config: row.deploy_config.clone(),
            rehome: row.rehome.clone(),
            initial_deployment: row.initial_deployment,
            endpoints: row.endpoints.clone(),
            run: None,
            backup_run: None,
            audit_fail_count: row.audit_fail_count,
            first_identity_sync_complete: row.first_identity_sync_complete,
            alarms: row.alarms.clone(),
            imported: Some(ImportedTimes { created_at: row.created_at, updated_at: row.updated_at }),
            nulls: row.nulls.clone(),
            alarm_row: row.alarm_row.clone(),
            status_revision: 0,
            deleted: false,
        }
    }

    /// A stream that was closed before it began: it is as good as deleted.
    fn abandoned(abandoned: &CreationAbandoned) -> Self {
        let network = ManagementNetwork {
            subnet: String::new(),
            start_ip: String::new(),
            end_ip: String::new(),
            gateway_ip: String::new(),
        };
        let nothing = SubcloudAdded {
            id: abandoned.id,
            name: abandoned.name.clone(),
            region: abandoned.region.clone(),
            description: None,
            location: None,
            software_version: String::new(),
            network,
            systemcontroller_gateway_ip: String::new(),
            group_id: 0,
            install: None,
            bootstrap: None,
            bootstrap_address: None,
            deploy_config: None,
            initial_deployment: true,
        };
        Self { deleted: true, ..Self::added(&nothing) }
    }

    fn after(mut self, event: &SubcloudEvent) -> Result<Self, Unfoldable> {
        use SubcloudEvent as E;
        self.revision += 1;
        match event {
            E::SubcloudAdded(_) | E::SubcloudImported(_) | E::CreationAbandoned(_) => {
                return Err(unfoldable(event));
            }
            E::SubcloudDeleted(_) => self.deleted = true,
            E::SubcloudDescribed(described) => {
                replace(&mut self.description, &described.description);
                replace(&mut self.location, &described.location);
            }
            E::SubcloudRenamed(renamed) => self.name = renamed.to.clone(),
            E::GroupMoved(moved) => self.group_id = moved.to,
            E::PeerGroupChanged(changed) => self.peer_group_id = changed.to,
            E::InstallDataUpdated(updated) => self.install = Some(updated.install.clone()),
            E::BootstrapDataUpdated(updated) => {
                replace(&mut self.bootstrap, &updated.bootstrap);
                replace(&mut self.bootstrap_address, &updated.bootstrap_address);
            }
            E::DeployConfigUpdated(updated) => self.deploy_config = Some(updated.deploy_config.clone()),
            E::RehomeDataUpdated(updated) => self.rehome = Some(updated.rehome.clone()),
            E::NetworkUpdated(updated) => {
                self.network = updated.network.clone();
                self.systemcontroller_gateway_ip = updated.systemcontroller_gateway_ip.clone();
            }
            E::SoftwareVersionChanged(changed) => self.software_version = changed.to.clone(),
            E::SubcloudManaged(_) => self.manage(ManagementState::Managed),
            E::SubcloudUnmanaged(_) => self.manage(ManagementState::Unmanaged),
            E::DeployStatusChanged(changed) => {
                self.deploy = changed.to;
                if changed.from != changed.to {
                    self.status_revision = self.revision;
                }
                self.leave_phase(changed);
                if let Some(error) = &changed.error {
                    self.error_description = error.clone();
                }
            }
            E::SyncStatusUnknown(unknown) => {
                for endpoint in &unknown.endpoints {
                    self.endpoints.insert(*endpoint, SyncStatus::Unknown);
                }
            }
            E::SyncStatusChanged(changed) => {
                self.endpoints.insert(changed.endpoint, changed.to);
            }
            E::AvailabilityChanged(changed) => self.availability = changed.to,
            E::BackupStatusChanged(changed) => {
                self.backup = Some(changed.to);
                self.backup_datetime = changed.stored_at.or(self.backup_datetime);
            }
            E::DeployRunRequested(requested) => {
                if requested.phases.contains(&Phase::Install) {
                    self.begin_anew();
                }
                self.run = Some(Run {
                    id: requested.run_id,
                    phases: requested.phases.clone(),
                    inputs: requested.inputs.clone(),
                    worker: None,
                    abort_requested: false,
                    task: None,
                });
            }
            E::DeployRunClaimed(claimed) => self.active_run(event)?.worker = Some(claimed.worker.clone()),
            E::DeployAbortRequested(_) => self.active_run(event)?.abort_requested = true,
            E::DeployStepRecorded(_) | E::ChecksSkipped(_) => {}
            E::PrestageRequested(asked) => {
                self.active_run(event)?.task = Some(Task::Prestage(asked.task.clone()));
            }
            E::RestoreRequested(asked) => {
                self.active_run(event)?.task = Some(Task::Restore(asked.task.clone()));
            }
            E::NetworkReconfigurationRequested(asked) => {
                self.active_run(event)?.task = Some(Task::Network(Box::new(asked.task.clone())));
            }
            E::BackupRunRequested(asked) => {
                self.backup_run = Some(BackupRun { id: asked.run_id, task: asked.task.clone() });
            }
            E::BackupRunFinished(finished) => {
                self.backup_run = None;
                // The status alone does not tell why (jobs.md §6.2, BackupFailed*).
                if let Some(error) = &finished.error {
                    self.error_description = error.clone();
                }
            }
            E::AlarmSummaryChanged(changed) => self.alarms = Some(changed.summary.clone()),
            E::DeployRunFinished(_) => self.run = None,
        }
        Ok(self)
    }

    fn manage(&mut self, to: ManagementState) {
        self.management = to;
        self.status_revision = self.revision;
    }

    /// What is to be installed is deployed from here, and its identities are to be synchronised again (subclouds.md
    /// §6.5; jobs.md §1.3).
    fn begin_anew(&mut self) {
        self.initial_deployment = true;
        self.first_identity_sync_complete = false;
    }

    /// A run whose phase reached its end is at the next one.
    fn leave_phase(&mut self, changed: &DeployStatusChanged) {
        let Some(run) = self.run.as_mut().filter(|run| changed.run_id == Some(run.id)) else { return };
        if run.phases.first().is_some_and(|phase| PhaseStatuses::of(*phase).done == changed.to) {
            // A subcloud that was taken over was first deployed elsewhere (jobs.md §1.9).
            self.initial_deployment &= run.phases.remove(0) != Phase::Rehome;
        }
    }

    fn active_run(&mut self, event: &SubcloudEvent) -> Result<&mut Run, Unfoldable> {
        self.run.as_mut().ok_or_else(|| unfoldable(event))
    }
}

fn replace<T: Clone>(held: &mut Option<T>, given: &Option<T>) {
    if given.is_some() {
        held.clone_from(given);
    }
}
