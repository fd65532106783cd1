//! The network reconfiguration of E6: its checks (subclouds.md §6.4 steps 10 to 16). The job does not exist yet.

use dcm_domain::subcloud::Subcloud;
use dcm_domain::validate::base64_password;
use dcm_domain::value::ManagementState;

use crate::transport::{ApiError, Form};

/// The fields that ask for it, in the order they are looked at.
const FIELDS: [&str; 4] =
    ["management_subnet", "management_gateway_ip", "management_start_ip", "management_end_ip"];

/// Whether the form asks for a network reconfiguration.
pub fn asked(form: &Form) -> bool {
    FIELDS.iter().any(|field| form.part(field).is_some())
}

/// Checks what must hold before the addresses of `state` can be changed as the form asks.
///
/// # Errors
/// The first refusal in the order of subclouds.md §6.4.
pub fn check(form: &Form, state: &Subcloud) -> Result<(), ApiError> {
    if state.deploy.is_secondary() {
        return Err(ApiError::bad_request(format!("Cannot perform on {} state subcloud", state.deploy)));
    }
    if form.part("management-state").is_some() {
        return Err(ApiError::unprocessable(
            "Management state and network reconfiguration must be updated separately",
        ));
    }
    if state.management != ManagementState::Unmanaged {
        return Err(ApiError::unprocessable(
            "A subcloud must be unmanaged to perform network reconfiguration",
        ));
    }
    if form.text("bootstrap_address")?.is_none_or(str::is_empty) {
        return Err(ApiError::unprocessable(
            "The bootstrap_address parameter is required for network reconfiguration",
        ));
    }
    check_addresses(form, state)?;
    base64_password("sysadmin_password", form.text("sysadmin_password")?)?;
    Ok(())
}

/// The answer to a request that passed every check.
pub fn not_available() -> ApiError {
    ApiError::unprocessable("Network reconfiguration of a subcloud is not available yet")
}

/// Steps 14 and 15.
fn check_addresses(form: &Form, state: &Subcloud) -> Result<(), ApiError> {
    let network = &state.network;
    let held = [&network.subnet, &network.gateway_ip, &network.start_ip, &network.end_ip];
    let mut given = Vec::with_capacity(FIELDS.len());
    for field in FIELDS {
        given.extend(form.text(field)?.filter(|text| !text.is_empty()));
    }
    if given.len() < FIELDS.len() {
        let options = FIELDS.map(|field| format!("--{}", field.replace('_', "-"))).join(", ");
        return Err(ApiError::unprocessable(format!(
            "The following parameters are necessary for subcloud network reconfiguration: {options}"
        )));
    }
    match FIELDS.iter().zip(held).zip(given).find(|((_, held), given)| held.as_str() == *given) {
        Some(((field, _), _)) => {
            Err(ApiError::unprocessable(format!("{field} already in use by the subcloud")))
        }
        None => Ok(()),
    }
}
