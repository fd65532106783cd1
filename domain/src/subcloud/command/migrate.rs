//! Take a subcloud over from another controller.

use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::existing;
use crate::aggregate::{Command, Facts};
use crate::subcloud::{DeployRunRequested, Rejection, RunInputs, Subcloud, SubcloudEvent};
use crate::value::{DeployStatus, Phase, SecretRef};

/// Asks for a secondary subcloud to be rehomed here (subclouds.md §6.7, E9). The deploy status stays as it is until a
/// worker begins.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct MigrateSubcloud {
    /// The new run.
    pub run_id: Uuid,
    /// The subcloud's administrator password, if one was sent.
    pub sysadmin_password: Option<SecretRef>,
}

impl MigrateSubcloud {
    /// The deploy statuses it may start from (subclouds.md §6.7).
    pub const ALLOWED: &'static [DeployStatus] =
        &[DeployStatus::Secondary, DeployStatus::RehomeFailed, DeployStatus::RehomePrepFailed];
}

impl Command<Subcloud> for MigrateSubcloud {
    type Rejection = Rejection;
    const NAME: &'static str = "MigrateSubcloud";

    fn decide(&self, state: Option<&Subcloud>, _: &Facts) -> Result<Vec<SubcloudEvent>, Rejection> {
        let state = existing(state)?;
        if !Self::ALLOWED.contains(&state.deploy) {
            return Err(Rejection::NotMigratable { status: state.deploy, allowed: Self::ALLOWED });
        }
        check_rehome_data(state)?;
        if state.run.is_some() {
            return Err(Rejection::RunActive { name: state.name.to_string() });
        }
        let inputs = RunInputs { sysadmin_password: self.sysadmin_password, ..RunInputs::default() };
        Ok(vec![DeployRunRequested { run_id: self.run_id, phases: vec![Phase::Rehome], inputs }.into()])
    }
}

/// Whether there is what a rehoming needs: a saved payload with a bootstrap address (subclouds.md §6.7; fleet.md §3.4
/// step 4).
///
/// # Errors
/// [`Rejection::RehomeDataMissing`], [`Rejection::RehomePayloadEmpty`] or [`Rejection::RehomeAddressMissing`].
pub fn check_rehome_data(state: &Subcloud) -> Result<(), Rejection> {
    let name = || state.name.to_string();
    let rehome = state.rehome.as_ref().filter(|rehome| !rehome.shown.is_null());
    let Some(payload) = rehome.map(|rehome| &rehome.shown) else {
        return Err(Rejection::RehomeDataMissing { name: name() });
    };
    if payload.as_object().is_none_or(serde_json::Map::is_empty) {
        return Err(Rejection::RehomePayloadEmpty { name: name() });
    }
    match payload.get("bootstrap-address") {
        Some(Value::String(address)) if !address.is_empty() => Ok(()),
        _ => Err(Rejection::RehomeAddressMissing { name: name() }),
    }
}
