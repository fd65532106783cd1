//! Move a subcloud to another management network.

use serde::Serialize;
use uuid::Uuid;

use super::deploy::request;
use super::{check_not_secondary, existing};
use crate::aggregate::{Command, Facts};
use crate::subcloud::{
    ManagementNetwork, NetworkReconfigurationRequested, NetworkTask, Rejection, RunInputs, Subcloud,
    SubcloudEvent,
};
use crate::value::{ManagementState, Phase};

/// Moves an unmanaged subcloud to addresses that all differ from its own (subclouds.md §6.4, E6). The new subnet is
/// reserved in the directory. It is `reconfiguring-network` at once; what else was sent is stored once the job
/// succeeds.
#[derive(Clone, Debug, Serialize)]
pub struct ReconfigureNetwork {
    /// The new run.
    pub run_id: Uuid,
    /// The administrator password.
    pub inputs: RunInputs,
    /// Where to, and what goes with it.
    pub task: NetworkTask,
}

impl Command<Subcloud> for ReconfigureNetwork {
    type Rejection = Rejection;
    const NAME: &'static str = "ReconfigureNetwork";

    fn decide(&self, state: Option<&Subcloud>, _: &Facts) -> Result<Vec<SubcloudEvent>, Rejection> {
        let state = existing(state)?;
        check_not_secondary(state)?;
        check_reconfiguration(state)?;
        check_addresses_differ(state, &self.task.addresses.network)?;
        if state.run.is_some() {
            return Err(Rejection::RunActive { name: state.name.to_string() });
        }
        let (run_id, task) = (self.run_id, self.task.clone());
        let mut events = request(state, run_id, vec![Phase::ReconfigureNetwork], self.inputs.clone());
        // Right behind the run it belongs to.
        events.insert(1, NetworkReconfigurationRequested { run_id, task }.into());
        Ok(events)
    }
}

/// Whether the subcloud's network may be reconfigured at all (subclouds.md §6.4 step 12).
///
/// # Errors
/// [`Rejection::ReconfigureManaged`].
pub fn check_reconfiguration(state: &Subcloud) -> Result<(), Rejection> {
    match state.management {
        ManagementState::Unmanaged => Ok(()),
        ManagementState::Managed => Err(Rejection::ReconfigureManaged),
    }
}

/// Whether each address is another than the subcloud's own, in the contract's order (subclouds.md §6.4 step 15).
///
/// # Errors
/// [`Rejection::AddressInUse`] for the first that is not.
pub fn check_addresses_differ(state: &Subcloud, to: &ManagementNetwork) -> Result<(), Rejection> {
    let held = &state.network;
    let in_use = [
        ("management_subnet", &held.subnet, &to.subnet),
        ("management_gateway_ip", &held.gateway_ip, &to.gateway_ip),
        ("management_start_ip", &held.start_ip, &to.start_ip),
        ("management_end_ip", &held.end_ip, &to.end_ip),
    ]
    .into_iter()
    .find(|(_, held, to)| held == to);
    in_use.map_or(Ok(()), |(field, ..)| Err(Rejection::AddressInUse { field }))
}
