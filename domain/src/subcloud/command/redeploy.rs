//! Deploy a subcloud again, from the start.

use serde::Serialize;
use uuid::Uuid;

use super::deploy::{Renewal, request};
use super::{Details, NewAddresses, check_not_secondary, existing};
use crate::aggregate::{Command, Facts};
use crate::subcloud::phase::redeploy_phases;
use crate::subcloud::{Document, Rejection, RunInputs, Subcloud, SubcloudEvent};
use crate::value::{Availability, ManagementState};

/// Installs, bootstraps, and configures or completes a subcloud that is neither online nor managed (subclouds.md §6.5,
/// E7). Documents that are given replace the stored ones; it is `pre-install` at once.
#[derive(Clone, Debug, Serialize)]
pub struct RedeploySubcloud {
    /// The new run.
    pub run_id: Uuid,
    /// Passwords and files of the run.
    pub inputs: RunInputs,
    /// Release to install.
    pub release: String,
    /// New install values, new texts.
    pub details: Details,
    /// New bootstrap values.
    pub bootstrap: Option<Document>,
    /// New bootstrap address.
    pub bootstrap_address: Option<String>,
    /// New deployment manager configuration.
    pub deploy_config: Option<Document>,
    /// New addresses.
    pub addresses: Option<NewAddresses>,
}

impl Command<Subcloud> for RedeploySubcloud {
    type Rejection = Rejection;
    const NAME: &'static str = "RedeploySubcloud";

    fn decide(&self, state: Option<&Subcloud>, _: &Facts) -> Result<Vec<SubcloudEvent>, Rejection> {
        let state = existing(state)?;
        check_not_secondary(state)?;
        check_redeploy(state)?;
        if state.run.is_some() {
            return Err(Rejection::RunActive { name: state.name.to_string() });
        }
        if self.details.install.is_none() && !state.has_install_values() {
            return Err(Rejection::InstallValuesMissing);
        }
        let phases = redeploy_phases(self.deploy_config.is_some() || state.deploy_config.is_some());
        let renewal = Renewal {
            details: &self.details,
            release: Some(&self.release),
            bootstrap: &self.bootstrap,
            bootstrap_address: &self.bootstrap_address,
            deploy_config: &self.deploy_config,
            addresses: &self.addresses,
        };
        let mut events = renewal.events(state, &phases);
        events.extend(request(state, self.run_id, phases, self.inputs.clone()));
        Ok(events)
    }
}

/// Whether nothing of the subcloud is in use (subclouds.md §6.5 step 4).
///
/// # Errors
/// [`Rejection::NotRedeployable`] while it is online or managed.
pub fn check_redeploy(state: &Subcloud) -> Result<(), Rejection> {
    match state.availability == Availability::Online || state.management == ManagementState::Managed {
        true => Err(Rejection::NotRedeployable { name: state.name.to_string() }),
        false => Ok(()),
    }
}
