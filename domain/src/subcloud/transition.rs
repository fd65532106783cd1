//! Management and deploy status of a subcloud change together; these are the rules (subclouds.md §9).

use super::{
    AvailabilityChanged, DeployStatusChanged, Rejection, Subcloud, SubcloudEvent, SubcloudManaged,
    SubcloudUnmanaged, SyncStatusUnknown,
};
use crate::value::{Availability, DeployStatus, Endpoint, ManagementState};

/// What is asked of the two axes at once.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Transition {
    /// The management state asked for.
    pub management: Option<ManagementState>,
    /// The deploy status asked for.
    pub deploy: Option<DeployStatus>,
    /// Waives the conditions of managing.
    pub force: bool,
}

impl Transition {
    /// The events of the transition, in the contract's order of rules (subclouds.md §9.2).
    pub(super) fn decide(mut self, state: &Subcloud) -> Result<Vec<SubcloudEvent>, Rejection> {
        let managing = self.management == Some(ManagementState::Managed);
        if managing && state.deploy == DeployStatus::RehomePending && self.deploy.is_none() {
            self.deploy = Some(DeployStatus::Complete);
        }
        self.check_management(state)?;
        if let Some(to) = self.deploy {
            self.check_deploy(state, to)?;
        }
        Ok(self.events(state))
    }

    fn check_management(&self, state: &Subcloud) -> Result<(), Rejection> {
        let name = || state.name.to_string();
        match (self.management, state.management) {
            (None, _) | (Some(ManagementState::Unmanaged), ManagementState::Managed) => Ok(()),
            (Some(ManagementState::Unmanaged), ManagementState::Unmanaged) => {
                Err(Rejection::AlreadyUnmanaged { name: name() })
            }
            (Some(ManagementState::Managed), ManagementState::Managed) => {
                Err(Rejection::AlreadyManaged { name: name() })
            }
            (Some(ManagementState::Managed), ManagementState::Unmanaged) if self.force => Ok(()),
            (Some(ManagementState::Managed), ManagementState::Unmanaged) => {
                let turned_back = state.deploy == DeployStatus::RehomePending
                    && self.deploy == Some(DeployStatus::Complete);
                if state.deploy != DeployStatus::Complete && !state.deploy.is_prestage() && !turned_back {
                    Err(Rejection::NotManageable { name: name(), status: state.deploy })
                } else if state.availability != Availability::Online {
                    Err(Rejection::NotOnline { name: name() })
                } else {
                    Ok(())
                }
            }
        }
    }

    /// Rule 5 of subclouds.md §9.2, and which status can follow which.
    fn check_deploy(&self, state: &Subcloud, to: DeployStatus) -> Result<(), Rejection> {
        if self.management == Some(ManagementState::Managed) && to != DeployStatus::Complete {
            return Err(Rejection::ManageWithDeployStatus { to });
        }
        let unmanaged = [self.management, Some(state.management)].contains(&Some(ManagementState::Unmanaged));
        if !unmanaged {
            return Err(Rejection::DeployStatusNeedsUnmanaged { to });
        }
        let from = state.deploy;
        let possible = match to {
            DeployStatus::Secondary => true,
            DeployStatus::RehomePending => {
                matches!(from, DeployStatus::Complete | DeployStatus::RehomePending)
            }
            DeployStatus::Complete => {
                self.management == Some(ManagementState::Managed)
                    && matches!(from, DeployStatus::Complete | DeployStatus::RehomePending)
            }
            _ => false,
        };
        match (possible, &state.run) {
            (false, _) => Err(Rejection::ImpossibleDeployStatus { from, to }),
            (true, Some(_)) if from != to => Err(Rejection::RunActive { name: state.name.to_string() }),
            (true, _) => Ok(()),
        }
    }

    fn events(&self, state: &Subcloud) -> Vec<SubcloudEvent> {
        let mut events: Vec<SubcloudEvent> = Vec::new();
        match self.management {
            Some(ManagementState::Managed) => events.push(SubcloudManaged { forced: self.force }.into()),
            Some(ManagementState::Unmanaged) => {
                let migrate = self.deploy == Some(DeployStatus::RehomePending);
                events.push(SubcloudUnmanaged { migrate }.into());
            }
            None => {}
        }
        let to = self.deploy.unwrap_or(state.deploy);
        if to != state.deploy {
            let changed = DeployStatusChanged { from: state.deploy, to, run_id: None, error: None };
            events.push(changed.into());
        }
        if to == DeployStatus::Secondary && to != state.deploy {
            events.extend(cut_off(state));
            return events;
        }
        let endpoints = self.forgotten(state, to);
        if !endpoints.is_empty() {
            events.push(SyncStatusUnknown { endpoints }.into());
        }
        events
    }

    /// The endpoints nothing is known of afterwards: of this subcloud only (subclouds.md §9.2, Q31).
    fn forgotten(&self, state: &Subcloud, to: DeployStatus) -> Vec<Endpoint> {
        match (to, self.management) {
            (DeployStatus::Secondary | DeployStatus::RehomePending, _) => state.known_endpoints(None),
            // An unmanaged subcloud's certificate is still audited.
            (_, Some(ManagementState::Unmanaged)) => state.known_endpoints(Some(Endpoint::DcCert)),
            _ => Vec::new(),
        }
    }
}

/// What becoming `secondary` brings along: nothing is known of its endpoints, and as it is no longer audited it is
/// offline, for left online it could never be deleted (M-20).
pub(super) fn cut_off(state: &Subcloud) -> Vec<SubcloudEvent> {
    let mut events: Vec<SubcloudEvent> = Vec::new();
    if state.availability == Availability::Online {
        events.push(AvailabilityChanged { from: Availability::Online, to: Availability::Offline }.into());
    }
    let endpoints = state.known_endpoints(None);
    if !endpoints.is_empty() {
        events.push(SyncStatusUnknown { endpoints }.into());
    }
    events
}
