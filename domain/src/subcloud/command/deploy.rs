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
        let has_install = self.details.install.is_some() || state.has_install_values();
        let has_config = self.deploy_config.is_some() || state.deploy_config.is_some();
        let phases = phases(self.verb, state.deploy, has_install, has_config)?;
        let renewal = Renewal {
            details: &self.details,
            release: self.release.as_deref(),
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

/// What a request for phases renews beside the run itself; an absent field stays as it is.
pub(super) struct Renewal<'a> {
    pub details: &'a Details,
    /// Counts only if it will be installed (subclouds.md §7.8).
    pub release: Option<&'a str>,
    pub bootstrap: &'a Option<Document>,
    pub bootstrap_address: &'a Option<String>,
    pub deploy_config: &'a Option<Document>,
    pub addresses: &'a Option<NewAddresses>,
}

impl Renewal<'_> {
    /// The events for what really changes.
    pub(super) fn events(&self, state: &Subcloud, phases: &[Phase]) -> Vec<SubcloudEvent> {
        let mut events = self.details.events(state);
        let release = self.release.filter(|_| phases.contains(&Phase::Install));
        if let Some(to) = release.filter(|release| *release != state.software_version) {
            let (from, to) = (state.software_version.clone(), to.to_owned());
            events.push(SoftwareVersionChanged { from, to }.into());
        }
        let bootstrap = newer(&state.bootstrap, self.bootstrap);
        let bootstrap_address =
            self.bootstrap_address.clone().filter(|given| state.bootstrap_address.as_ref() != Some(given));
        if bootstrap.is_some() || bootstrap_address.is_some() {
            events.push(BootstrapDataUpdated { bootstrap, bootstrap_address }.into());
        }
        if let Some(deploy_config) = newer(&state.deploy_config, self.deploy_config) {
            events.push(DeployConfigUpdated { deploy_config }.into());
        }
        events.extend(self.addresses.as_ref().and_then(|new| new.moved(state)));
        events
    }
}

impl NewAddresses {
    /// The event of moving there, if the subcloud is not there yet.
    pub(super) fn moved(&self, state: &Subcloud) -> Option<SubcloudEvent> {
        let Self { network, systemcontroller_gateway_ip } = self.clone();
        let held =
            network == state.network && systemcontroller_gateway_ip == state.systemcontroller_gateway_ip;
        (!held).then(|| NetworkUpdated { network, systemcontroller_gateway_ip }.into())
    }
}

/// The request for a run, and the status its first phase sets at once.
pub(super) fn request(
    state: &Subcloud,
    run_id: Uuid,
    phases: Vec<Phase>,
    inputs: RunInputs,
) -> Vec<SubcloudEvent> {
    let first = phases.first().map(|phase| PhaseStatuses::of(*phase).preparing);
    let requested = DeployRunRequested { run_id, phases, inputs }.into();
    let started = first
        .filter(|to| *to != state.deploy)
        .map(|to| DeployStatusChanged { from: state.deploy, to, run_id: Some(run_id), error: None }.into());
    [requested].into_iter().chain(started).collect()
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
