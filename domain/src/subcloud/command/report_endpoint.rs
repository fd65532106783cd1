//! Report what was learnt of one endpoint.

use serde::Serialize;

use super::existing;
use crate::aggregate::{Command, Facts};
use crate::subcloud::{Rejection, Subcloud, SubcloudEvent, SyncStatusChanged, SyncStatusUnknown};
use crate::value::{Availability, DeployStatus, Endpoint, ManagementState, SyncStatus};

/// An audit's finding. What may not be applied is ignored without an error (subclouds.md §10.2).
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ReportEndpoint {
    /// Which endpoint.
    pub endpoint: Endpoint,
    /// What was found.
    pub status: SyncStatus,
    /// The revision of the subcloud the audit looked at: the finding is late if management or deploy status
    /// changed since (design, late reports). `None` if the reporter cannot know.
    pub seen: Option<u64>,
}

impl Command<Subcloud> for ReportEndpoint {
    type Rejection = Rejection;
    const NAME: &'static str = "ReportEndpoint";

    fn decide(&self, state: Option<&Subcloud>, _: &Facts) -> Result<Vec<SubcloudEvent>, Rejection> {
        let state = existing(state)?;
        let Some(from) = state.endpoints.get(&self.endpoint).copied() else { return Ok(Vec::new()) };
        if from == self.status || !self.applies(state) {
            return Ok(Vec::new());
        }
        Ok(vec![match self.status {
            SyncStatus::Unknown => SyncStatusUnknown { endpoints: vec![self.endpoint] }.into(),
            to => SyncStatusChanged { endpoint: self.endpoint, from, to }.into(),
        }])
    }
}

impl ReportEndpoint {
    fn applies(&self, state: &Subcloud) -> bool {
        if self.seen.is_some_and(|seen| seen < state.status_revision) {
            return false;
        }
        let unreported = matches!(state.deploy, DeployStatus::Secondary | DeployStatus::RehomePending);
        match self.status {
            SyncStatus::Unknown => true,
            _ if unreported => false,
            SyncStatus::OutOfSync => true,
            SyncStatus::InSync => {
                state.availability == Availability::Online
                    && (state.management == ManagementState::Managed || self.endpoint == Endpoint::DcCert)
            }
        }
    }
}
