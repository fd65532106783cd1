//! Report whether a subcloud can be reached.

use serde::Serialize;

use super::existing;
use crate::aggregate::{Command, Facts};
use crate::subcloud::{AvailabilityChanged, Rejection, Subcloud, SubcloudEvent, SyncStatusUnknown};
use crate::value::{Availability, DeployStatus};

/// The subcloud was found online or offline; going offline, nothing is known of its endpoints any more
/// (jobs.md §3.3, S-5). A `secondary` subcloud is not audited: that it came online is a late report, and ignored (M-20).
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ReportAvailability {
    /// What was found.
    pub to: Availability,
}

impl Command<Subcloud> for ReportAvailability {
    type Rejection = Rejection;
    const NAME: &'static str = "ReportAvailability";

    fn decide(&self, state: Option<&Subcloud>, _: &Facts) -> Result<Vec<SubcloudEvent>, Rejection> {
        let state = existing(state)?;
        let late = self.to == Availability::Online && state.deploy == DeployStatus::Secondary;
        if late || state.availability == self.to {
            return Ok(Vec::new());
        }
        let mut events = vec![AvailabilityChanged { from: state.availability, to: self.to }.into()];
        let endpoints = state.known_endpoints(None);
        if self.to == Availability::Offline && !endpoints.is_empty() {
            events.push(SyncStatusUnknown { endpoints }.into());
        }
        Ok(events)
    }
}
