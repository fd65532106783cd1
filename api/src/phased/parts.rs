//! What the verbs of a phased deployment are made of: the stored data they fall back on (subclouds.md V11), what is
//! checked before a phase (V13, V14), and the command they all end in.

use dcm_domain::subcloud::command::{DeploySubcloud, DeployVerb, Details, NewAddresses};
use dcm_domain::subcloud::{DeployArtifacts, Document, RunInputs, Subcloud};
use dcm_domain::validate::{self, Map, base64_password};
use dcm_domain::value::{Secret, Subnet, canonical_ip};
use dcm_journal::fleet::FleetError;
use dcm_journal::repository::{Done, Meta};
use serde_json::Value;
use uuid::Uuid;

use crate::app::App;
use crate::deploy_files::DeployFiles;
use crate::documents::Documents;
use crate::subclouds::creation::{check_kubernetes, install_values, network_of};
use crate::subclouds::payload::{Payload, text};
use crate::transport::ApiError;

/// Keys of install values that a stored version must have (subclouds.md V5.6, V11).
const MANDATORY: [&str; 7] = [
    "bootstrap_interface",
    "bootstrap_address",
    "bootstrap_address_prefix",
    "install_type",
    "bmc_username",
    "bmc_address",
    "bmc_password",
];

const BOOTSTRAP_ADDRESS: &str = "bootstrap-address";

/// The administrator password of the run.
///
/// # Errors
/// 400 (subclouds.md §1.4).
pub fn password(payload: &Payload) -> Result<Secret, ApiError> {
    let sent = payload.sysadmin_password.as_ref().map(Secret::expose);
    Ok(base64_password("sysadmin_password", sent)?)
}

/// V2 on `release`, or on the subcloud's own version without that field.
///
/// # Errors
/// 400 for a release that is not supported.
pub fn release(app: &App, requested: Option<&str>, state: &Subcloud) -> Result<String, ApiError> {
    let wanted = requested.unwrap_or(&state.software_version);
    Ok(validate::release(Some(wanted), &app.settings().releases)?)
}

/// The stored mapping behind `document`, if there is one.
///
/// # Errors
/// 503 if the vault is not available.
pub async fn stored(app: &App, entity: Uuid, document: Option<&Document>) -> Result<Option<Map>, ApiError> {
    let Some(document) = document else { return Ok(None) };
    Ok(Some(Documents::new(app.vault().as_ref(), entity).read(document).await?))
}

/// Install values to install with: those sent, after V5, or the stored ones (V11).
///
/// # Errors
/// 400: V5; `Failed to read data install from db`; `Failed to get <key> from data_install`.
pub async fn install(
    app: &App,
    payload: &mut Payload,
    target: &str,
    held: Option<Map>,
) -> Result<Map, ApiError> {
    let files = DeployFiles::from(app.settings());
    let sent = payload.install.take();
    if let Some(values) =
        install_values(&files, sent, payload.bmc_password.as_ref(), target, held.as_ref()).await?
    {
        return Ok(values);
    }
    let values = held.ok_or_else(|| ApiError::bad_request("Failed to read data install from db"))?;
    match MANDATORY.iter().find(|key| !values.contains_key(**key)) {
        Some(key) => Err(ApiError::bad_request(format!("Failed to get {key} from data_install"))),
        None => Ok(values),
    }
}

/// V13: the values are for the target release, with its image.
///
/// # Errors
/// 400 without a load image.
pub async fn pre_install(app: &App, mut values: Map, target: &str) -> Result<Map, ApiError> {
    let image = DeployFiles::from(app.settings()).load_image(target).await?;
    values.insert("software_version".to_owned(), Value::String(target.to_owned()));
    values.insert("image".to_owned(), Value::String(image));
    Ok(values)
}

/// The deployment manager's files, for a configuration that was sent or is stored (V11, V9 with the record's version).
///
/// # Errors
/// 400 `Required deploy_config file was not provided`, or V9's.
pub async fn artifacts(
    files: &DeployFiles,
    sent: Option<&Secret>,
    state: &Subcloud,
) -> Result<DeployArtifacts, ApiError> {
    if sent.is_none() && state.deploy_config.is_none() {
        return Err(ApiError::bad_request("Required deploy_config file was not provided"));
    }
    Ok(files.artifacts(&state.software_version).await?)
}

/// The bootstrap address that was sent, checked; without one there must be stored data to take it from (S-Q25).
///
/// # Errors
/// 400 with neither, or for what is no address.
pub fn bootstrap_address(payload: &Payload, state: &Subcloud) -> Result<Option<String>, ApiError> {
    let Some(sent) = payload.non_empty(BOOTSTRAP_ADDRESS) else {
        return match state.bootstrap.is_some() || state.bootstrap_address.is_some() {
            true => Ok(None),
            false => Err(ApiError::bad_request(
                "bootstrap-address required: it was not provided and there are no stored bootstrap values",
            )),
        };
    };
    canonical_ip(&sent)
        .map(Some)
        .ok_or_else(|| ApiError::bad_request("bootstrap-address invalid: not a valid IP address"))
}

/// Bootstrap values to bootstrap with.
pub struct Bootstrap {
    /// What was sent over what is stored.
    pub values: Map,
    /// Whether something but the address is new, and so to be checked.
    is_new: bool,
    /// The addresses that new values bring; [`pre_bootstrap`] finds them.
    addresses: Option<NewAddresses>,
}

/// Merges what was sent with what is stored: a new file replaces all but the address, plain fields replace their own
/// (subclouds.md §7.4; S-Q24).
///
/// # Errors
/// 400 `Required bootstrap-values file was not provided` with neither.
pub fn bootstrap(payload: &mut Payload, held: Option<Map>, state: &Subcloud) -> Result<Bootstrap, ApiError> {
    let mut sent = std::mem::take(&mut payload.values);
    sent.shift_remove("release");
    let values = match (held, payload.has_bootstrap_file) {
        (_, true) => sent,
        (Some(held), false) => {
            let mut values = held;
            values.insert("name".to_owned(), Value::String(state.name.to_string()));
            values.extend(sent);
            values
        }
        (None, false) => {
            return Err(ApiError::bad_request("Required bootstrap-values file was not provided"));
        }
    };
    let is_new = payload.has_bootstrap_file || payload.has_overrides;
    Ok(Bootstrap { values: with_address(values, state), is_new, addresses: None })
}

/// The stored bootstrap address, where the request has none.
fn with_address(mut values: Map, state: &Subcloud) -> Map {
    if text(&values, BOOTSTRAP_ADDRESS).is_none_or(|address| address.is_empty())
        && let Some(address) = &state.bootstrap_address
    {
        values.insert(BOOTSTRAP_ADDRESS.to_owned(), Value::String(address.clone()));
    }
    values
}

/// V14. V3 asks the patching service of the system controller; none is configured, so nothing is being patched.
///
/// # Errors
/// 400 (V1, V4, V6, V8, and `must match the current subcloud name`).
pub async fn pre_bootstrap(
    app: &App,
    mut bootstrap: Bootstrap,
    (entity, state): (Uuid, &Subcloud),
    target: &str,
) -> Result<Bootstrap, ApiError> {
    let values = &mut bootstrap.values;
    if bootstrap.is_new {
        if text(values, "name").as_deref() != Some(state.name.as_ref()) {
            return Err(ApiError::bad_request(
                "The bootstrap-values name must match the current subcloud name",
            ));
        }
        validate::bootstrap_keys(values)?;
        let directory = app.fleet().directory().await?;
        let taken = |subnet: &Subnet| directory.overlapping(subnet, Some(entity)).is_some();
        let addresses = validate::network(values, &app.settings().controller, &taken)?;
        let (network, systemcontroller_gateway_ip) = network_of(addresses);
        bootstrap.addresses = Some(NewAddresses { network, systemcontroller_gateway_ip });
    }
    validate::normalise(values)?;
    check_kubernetes(app, &DeployFiles::from(app.settings()), values, target).await?;
    values.insert("software_version".to_owned(), Value::String(target.to_owned()));
    values.insert("region_name".to_owned(), Value::String(state.region.to_string()));
    Ok(bootstrap)
}

/// A request that passed every check: what its run works with, still outside the vault.
pub struct Request {
    pub verb: DeployVerb,
    pub password: Secret,
    pub release: Option<String>,
    pub install: Option<Map>,
    pub bootstrap: Option<Bootstrap>,
    pub bootstrap_address: Option<String>,
    pub deploy_config: Option<Secret>,
    pub inputs: RunInputs,
}

impl Request {
    /// Keeps password and documents, moves the subnet's reservation, and asks for the run.
    ///
    /// # Errors
    /// Those of the command; then nothing is left.
    pub async fn carry_out(
        self,
        app: &App,
        entity: Uuid,
        state: &Subcloud,
        meta: &Meta,
    ) -> Result<Done<Subcloud>, ApiError> {
        let mut documents = Documents::new(app.vault().as_ref(), entity);
        let command = match self.store(&mut documents).await {
            Ok(command) => command,
            Err(error) => {
                documents.discard().await;
                return Err(error);
            }
        };
        let outcome = run(app, entity, state, &command, meta).await;
        documents.settle(outcome).await
    }

    async fn store(self, documents: &mut Documents<'_>) -> Result<DeploySubcloud, ApiError> {
        let Self {
            verb,
            password,
            release,
            install,
            bootstrap,
            deploy_config,
            mut inputs,
            mut bootstrap_address,
        } = self;
        inputs.sysadmin_password = Some(documents.password(password).await?);
        let mut details = Details::default();
        if let Some(values) = install {
            details.install = Some(documents.install_values(values).await?);
        }
        let (mut stored, mut addresses) = (None, None);
        if let Some(bootstrap) = bootstrap {
            details.description = text(&bootstrap.values, "description");
            details.location = text(&bootstrap.values, "location");
            bootstrap_address =
                text(&bootstrap.values, BOOTSTRAP_ADDRESS).filter(|address| !address.is_empty());
            addresses = bootstrap.addresses;
            stored = Some(documents.bootstrap_values(bootstrap.values).await?);
        }
        let deploy_config = match deploy_config {
            Some(text) => Some(documents.deploy_config(text).await?),
            None => None,
        };
        Ok(DeploySubcloud {
            verb,
            run_id: Uuid::now_v7(),
            inputs,
            release,
            details,
            bootstrap: stored,
            bootstrap_address,
            deploy_config,
            addresses,
        })
    }
}

/// The command, between two moves of the subnet's reservation if it is refused.
async fn run(
    app: &App,
    entity: Uuid,
    state: &Subcloud,
    command: &DeploySubcloud,
    meta: &Meta,
) -> Result<Done<Subcloud>, FleetError> {
    let fleet = app.fleet();
    let subnet = |text: &str| Subnet::parse(text).ok();
    let moved = command.addresses.as_ref().map(|addresses| addresses.network.subnet.as_str());
    let moved = moved.filter(|text| *text != state.network.subnet).and_then(subnet);
    if let Some(moved) = moved.clone() {
        fleet.change_subnet(entity, moved, meta).await?;
    }
    let outcome = fleet.run(entity, command, meta).await;
    if let (Some(_), Err(FleetError::Subcloud(_)), Some(held)) =
        (moved, &outcome, subnet(&state.network.subnet))
    {
        fleet.change_subnet(entity, held, &meta.step("back")).await?;
    }
    outcome
}
