//! Start phases of a deployment: install, bootstrap, configure, or what is left of them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::details::newer;
use super::{DeployVerb, Details, existing, phases};
use crate::aggregate::{Command, Facts};
use crate::subcloud::{
    BootstrapDataUpdated, DeployConfigUpdated, DeployRunRequested, DeployStatusChanged, Document,
    ManagementNetwork, NetworkUpdated, PhaseStatuses, Rejection, RunInputs, SoftwareVersionChanged, Subcloud,
    SubcloudEvent,
};
use crate::value::Phase;

/// Starts a run of one or more phases (subclouds.md §7.3–7.8, E16, E17, E18, E21). Documents that are given replace
/// the stored ones; the first phase's status is set at once.
#[derive(Clone, Debug, Serialize)]
pub struct DeploySubcloud {
    /// Which verb.
    pub verb: DeployVerb,
    /// The new run.
    pub run_id: Uuid,
    /// Passwords and files of the run.
    pub inputs: RunInputs,
    /// Release to install; ignored if nothing is installed.
    pub release: Option<String>,
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

/// The addresses that new bootstrap values bring.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NewAddresses {
    /// Management or admin network.
    pub network: ManagementNetwork,
    /// Gateway on the controller's side.
    pub systemcontroller_gateway_ip: String,
}

impl Command<Subcloud> for DeploySubcloud {
    type Rejection = Rejection;
    const NAME: &'static str = "DeploySubcloud";

    fn decide(&self, state: Option<&Subcloud>, _: &Facts) -> Result<Vec<SubcloudEvent>, Rejection> {
        let state = existing(state)?;
        check_deploy(state, self.verb)?;
        if state.run.is_some() {
            return Err(Rejection::RunActive { name: state.name.to_string() });
        }
        let has_install = self.details.install.is_some() || state.install.is_some();
        let has_config = self.deploy_config.is_some() || state.deploy_config.is_some();
        let phases = phases(self.verb, state.deploy, has_install, has_config)?;
        let mut events = self.changes(state, &phases);
        events.extend(self.request(state, phases));
        Ok(events)
    }
}

impl DeploySubcloud {
    fn changes(&self, state: &Subcloud, phases: &[Phase]) -> Vec<SubcloudEvent> {
        let mut events = self.details.events(state);
        // A release counts only if it will be installed (subclouds.md §7.8).
        let release = self.release.clone().filter(|_| phases.contains(&Phase::Install));
        if let Some(to) = release.filter(|release| *release != state.software_version) {
            events.push(SoftwareVersionChanged { from: state.software_version.clone(), to }.into());
        }
        let bootstrap = newer(&state.bootstrap, &self.bootstrap);
        let bootstrap_address =
            self.bootstrap_address.clone().filter(|given| state.bootstrap_address.as_ref() != Some(given));
        if bootstrap.is_some() || bootstrap_address.is_some() {
            events.push(BootstrapDataUpdated { bootstrap, bootstrap_address }.into());
        }
        if let Some(deploy_config) = newer(&state.deploy_config, &self.deploy_config) {
            events.push(DeployConfigUpdated { deploy_config }.into());
        }
        let held = NewAddresses {
            network: state.network.clone(),
            systemcontroller_gateway_ip: state.systemcontroller_gateway_ip.clone(),
        };
        if let Some(new) = self.addresses.clone().filter(|new| *new != held) {
            let NewAddresses { network, systemcontroller_gateway_ip } = new;
            events.push(NetworkUpdated { network, systemcontroller_gateway_ip }.into());
        }
        events
    }

    fn request(&self, state: &Subcloud, phases: Vec<Phase>) -> Vec<SubcloudEvent> {
        let first = phases.first().map(|phase| PhaseStatuses::of(*phase).preparing);
        let requested =
            DeployRunRequested { run_id: self.run_id, phases, inputs: self.inputs.clone() }.into();
        let started = first.filter(|to| *to != state.deploy).map(|to| {
            DeployStatusChanged { from: state.deploy, to, run_id: Some(self.run_id), error: None }.into()
        });
        [requested].into_iter().chain(started).collect()
    }
}

/// Whether the verb may start from the subcloud's deploy status (subclouds.md §7.2) and deployment (V12).
///
/// # Errors
/// [`Rejection::WrongDeployState`] or [`Rejection::NotInitialDeployment`].
pub fn check_deploy(state: &Subcloud, verb: DeployVerb) -> Result<(), Rejection> {
    if !verb.allowed().contains(&state.deploy) {
        return Err(Rejection::WrongDeployState {
            verb: verb.as_str(),
            status: state.deploy,
            allowed: verb.allowed(),
        });
    }
    match verb {
        DeployVerb::Install if !state.initial_deployment => {
            Err(Rejection::NotInitialDeployment { verb: "install", verbed: "used" })
        }
        DeployVerb::Resume if !state.initial_deployment => {
            Err(Rejection::NotInitialDeployment { verb: "resume", verbed: "resumed" })
        }
        _ => Ok(()),
    }
}
