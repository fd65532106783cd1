//! What the verbs of a phased deployment are made of: the stored data they fall back on (subclouds.md V11), what is
//! checked before a phase (V13, V14), and the command they all end in.

use dcm_domain::aggregate::Command;
use dcm_domain::subcloud::command::{
    DeploySubcloud, DeployVerb, Details, NewAddresses, RedeploySubcloud, WithSkippedChecks,
};
use dcm_domain::subcloud::{DeployArtifacts, Document, Rejection, RunInputs, SkippedCheck, Subcloud};
use dcm_domain::validate::{self, Map, base64_password};
use dcm_domain::value::{Secret, Subnet, canonical_ip};
use dcm_journal::fleet::FleetError;
use dcm_journal::repository::{Done, Meta};
use serde_json::Value;
use uuid::Uuid;

use crate::app::App;
use crate::checks::Checks;
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

/// Key of the address that a bootstrap connects to.
pub const BOOTSTRAP_ADDRESS: &str = "bootstrap-address";

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
    Ok(Documents::new(app.vault().as_ref(), entity).read(document).await?)
}

/// The stored install values (V11). Those that only lay beside an imported row are none, as everywhere.
///
/// # Errors
/// 503 if the vault is not available.
pub async fn stored_install(app: &App, entity: Uuid, state: &Subcloud) -> Result<Option<Map>, ApiError> {
    stored(app, entity, state.install.as_ref().filter(|_| state.has_install_values())).await
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
    /// What [`pre_bootstrap`] could not check.
    skipped: Vec<SkippedCheck>,
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
    Ok(Bootstrap { values: with_address(values, state), is_new, addresses: None, skipped: Vec::new() })
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

/// V14.
///
/// # Errors
/// 400 (V1, V4, V6, V8, and `must match the current subcloud name`); 422 (V3).
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
        let addresses = validate::network_of_existing(values, &app.settings().controller, &taken)?;
        let (network, systemcontroller_gateway_ip) = network_of(addresses);
        bootstrap.addresses = Some(NewAddresses { network, systemcontroller_gateway_ip });
    }
    validate::normalise(values)?;
    let mut checks = Checks::default();
    checks.no_patching(app, "bootstrap").await?;
    bootstrap.skipped = checks.skipped();
    check_kubernetes(app, &DeployFiles::from(app.settings()), values, target).await?;
    values.insert("software_version".to_owned(), Value::String(target.to_owned()));
    values.insert("region_name".to_owned(), Value::String(state.region.to_string()));
    Ok(bootstrap)
}

/// What a request asks for.
#[derive(Clone, Copy, Debug)]
pub enum Verb {
    /// Some phases (E16, E17, E18, E21).
    Phases(DeployVerb),
    /// All of them again (E7).
    Redeploy,
}

impl From<DeployVerb> for Verb {
    fn from(verb: DeployVerb) -> Self {
        Self::Phases(verb)
    }
}

/// A request that passed every check: what its run works with, still outside the vault.
pub struct Request {
    pub verb: Verb,
    pub password: Secret,
    pub release: Option<String>,
    pub install: Option<Map>,
    pub bootstrap: Option<Bootstrap>,
    pub bootstrap_address: Option<String>,
    pub deploy_config: Option<Secret>,
    pub inputs: RunInputs,
}

/// The same with references into the vault.
struct Stored {
    inputs: RunInputs,
    release: Option<String>,
    details: Details,
    bootstrap: Option<Document>,
    bootstrap_address: Option<String>,
    deploy_config: Option<Document>,
    addresses: Option<NewAddresses>,
    skipped: Vec<SkippedCheck>,
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
        let verb = self.verb;
        let mut documents = Documents::new(app.vault().as_ref(), entity);
        let stored = match self.store(&mut documents).await {
            Ok(stored) => stored,
            Err(error) => {
                documents.discard().await;
                return Err(error);
            }
        };
        let (addresses, skipped) = (stored.addresses.clone(), stored.skipped.clone());
        let to = Target { entity, state, addresses };
        let outcome = match verb {
            Verb::Phases(verb) => {
                let command = stored.deploy(verb);
                to.run(app, &WithSkippedChecks { command, skipped }, meta).await
            }
            Verb::Redeploy => {
                let command = stored.redeploy(state);
                to.run(app, &WithSkippedChecks { command, skipped }, meta).await
            }
        };
        documents.settle(outcome).await
    }

    async fn store(self, documents: &mut Documents<'_>) -> Result<Stored, ApiError> {
        let Self {
            password,
            release,
            install,
            bootstrap,
            deploy_config,
            mut inputs,
            mut bootstrap_address,
            verb: _,
        } = self;
        inputs.sysadmin_password = Some(documents.password(password).await?);
        let mut details = Details::default();
        if let Some(values) = install {
            details.install = Some(documents.install_values(values).await?);
        }
        let (mut stored, mut addresses, mut skipped) = (None, None, Vec::new());
        if let Some(bootstrap) = bootstrap {
            details.description = text(&bootstrap.values, "description");
            details.location = text(&bootstrap.values, "location");
            bootstrap_address =
                text(&bootstrap.values, BOOTSTRAP_ADDRESS).filter(|address| !address.is_empty());
            (addresses, skipped) = (bootstrap.addresses, bootstrap.skipped);
            stored = Some(documents.bootstrap_values(bootstrap.values).await?);
        }
        let deploy_config = match deploy_config {
            Some(text) => Some(documents.deploy_config(text).await?),
            None => None,
        };
        let bootstrap = stored;
        Ok(Stored {
            inputs,
            release,
            details,
            bootstrap,
            bootstrap_address,
            deploy_config,
            addresses,
            skipped,
        })
    }
}

impl Stored {
    fn deploy(self, verb: DeployVerb) -> DeploySubcloud {
        let Self { inputs, release, details, bootstrap, bootstrap_address, deploy_config, addresses, .. } =
            self;
        DeploySubcloud {
            verb,
            run_id: Uuid::now_v7(),
            inputs,
            release,
            details,
            bootstrap,
            bootstrap_address,
            deploy_config,
            addresses,
        }
    }

    fn redeploy(self, state: &Subcloud) -> RedeploySubcloud {
        let Self { inputs, release, details, bootstrap, bootstrap_address, deploy_config, addresses, .. } =
            self;
        RedeploySubcloud {
            run_id: Uuid::now_v7(),
            inputs,
            release: release.unwrap_or_else(|| state.software_version.clone()),
            details,
            bootstrap,
            bootstrap_address,
            deploy_config,
            addresses,
        }
    }
}

/// The subcloud a command is for, and where it moves.
struct Target<'a> {
    entity: Uuid,
    state: &'a Subcloud,
    addresses: Option<NewAddresses>,
}

impl Target<'_> {
    /// The command, between two moves of the subnet's reservation if it is refused.
    async fn run<C>(self, app: &App, command: &C, meta: &Meta) -> Result<Done<Subcloud>, FleetError>
    where
        C: Command<Subcloud, Rejection = Rejection>,
    {
        let Self { entity, state, addresses } = self;
        let fleet = app.fleet();
        let subnet = |text: &str| Subnet::parse(text).ok();
        let moved = addresses.as_ref().map(|addresses| addresses.network.subnet.as_str());
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
}
