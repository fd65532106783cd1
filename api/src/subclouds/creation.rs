//! What both ways of adding a subcloud have in common (subclouds.md §6.3 steps 13 to 22, §7.1).

use dcm_domain::directory::{Directory, Rejection as DirectoryRejection};
use dcm_domain::subcloud::command::{AddSubcloud, WithSkippedChecks, add_phases};
use dcm_domain::subcloud::{
    DeployArtifacts, DeployRunRequested, ManagementNetwork, RunInputs, SkippedCheck, Subcloud, SubcloudAdded,
};
use dcm_domain::validate::{self, Addresses, Map, Refused, secondary_payload};
use dcm_domain::value::{Name, Phase, Region, Secret, Subnet};
use dcm_journal::fleet::Claim;
use dcm_journal::repository::{Done, Meta};
use uuid::Uuid;

use super::group::{GroupReference, find};
use super::payload::{Payload, deploy_config};
use crate::app::App;
use crate::checks::Checks;
use crate::deploy_files::DeployFiles;
use crate::documents::{DocumentError, Documents};
use crate::transport::{ApiError, Form};

/// A creation that passed every check and is still to be made.
pub struct Creation {
    claim: Claim,
    /// Without id and documents.
    added: SubcloudAdded,
    bootstrap: Map,
    install: Option<Map>,
    deploy_config: Option<Secret>,
    artifacts: Option<DeployArtifacts>,
    skipped: Vec<SkippedCheck>,
}

/// What is done with the subcloud once it is there.
pub enum Start {
    /// It is created and deployed, with this administrator password (E5).
    Deploy(Secret),
    /// It runs already, and is taken over with this administrator password (E5, `migrate=true`).
    TakeOver(Secret),
    /// It is created as a copy, managed by another controller (E5, `secondary=true`).
    Secondary,
    /// It is created; each phase is asked for by itself (E15).
    CreateOnly,
}

/// A region for a subcloud that was given none: 32 hexadecimal digits.
///
/// # Errors
/// 400 `Unable to generate subcloud region` for a payload without a name (subclouds.md §6.3 step 11).
pub fn new_region(payload: &Payload) -> Result<Region, ApiError> {
    if payload.non_empty("name").is_none() {
        return Err(ApiError::bad_request("Unable to generate subcloud region: name required"));
    }
    Ok(Region::parse(&Uuid::new_v4().simple().to_string())?)
}

impl Creation {
    /// Checks everything about a creation but what belongs to one of its two endpoints alone.
    ///
    /// # Errors
    /// The first refusal in the order of subclouds.md §6.3.
    pub async fn check(app: &App, payload: Payload, form: &Form, region: Region) -> Result<Self, ApiError> {
        let Payload { ref values, .. } = payload;
        let (settings, files) = (app.settings(), DeployFiles::from(app.settings()));
        validate::bootstrap_keys(values)?;
        let release = validate::release(payload.text("release").as_deref(), &settings.releases)?;
        let directory = app.fleet().directory().await?;
        let name = payload.text("name").unwrap_or_default();
        check_unused(&directory, &name, &region)?;
        let mut checks = Checks::default();
        checks.no_patching(app, "create").await?;
        let taken = |subnet: &Subnet| directory.overlapping(subnet, None).is_some();
        let addresses = validate::network(values, &settings.controller, &taken)?;
        let group_id = group(app, values).await?;
        let install =
            install_values(&files, payload.install, payload.bmc_password.as_ref(), &release, None).await?;
        check_kubernetes(app, &files, values, &release).await?;
        let mut bootstrap = payload.values;
        validate::normalise(&mut bootstrap)?;
        let deploy_config = deploy_config(form)?;
        let artifacts = match deploy_config {
            Some(_) => Some(files.artifacts(&release).await?),
            None => None,
        };
        bootstrap.insert("region_name".to_owned(), region.to_string().into());
        bootstrap.insert("software_version".to_owned(), release.clone().into());
        let name = Name::parse(&name)?;
        let added = added(&bootstrap, name.clone(), region.clone(), release, addresses.clone(), group_id);
        let subnet = Subnet::parse(&addresses.subnet)
            .map_err(|error| Refused::bad_request(format!("management_subnet invalid: {error}")))?;
        let claim = Claim { entity: Uuid::now_v7(), name, region, subnet, group_id };
        let skipped = checks.skipped();
        Ok(Self { claim, added, bootstrap, install, deploy_config, artifacts, skipped })
    }

    /// Uuid the subcloud will have.
    pub fn entity(&self) -> Uuid {
        self.claim.entity
    }

    /// Reserves what must be unique, keeps the documents and starts the subcloud's stream.
    ///
    /// # Errors
    /// 409 or 400 if another creation came first; 503 if it could not be written.
    pub async fn begin(self, app: &App, meta: &Meta, start: Start) -> Result<Done<Subcloud>, ApiError> {
        let (claim, skipped) = (self.claim.clone(), self.skipped.clone());
        let mut documents = Documents::new(app.vault().as_ref(), claim.entity);
        match self.store(&mut documents, start).await {
            Ok((added, run)) => {
                let build = |id| {
                    let subcloud = SubcloudAdded { id, ..added };
                    WithSkippedChecks { command: AddSubcloud { subcloud, run, claimed_by: None }, skipped }
                };
                let done = app.fleet().add(claim, meta, build).await;
                documents.settle(done).await
            }
            Err(error) => {
                documents.discard().await;
                Err(error.into())
            }
        }
    }

    async fn store(
        self,
        documents: &mut Documents<'_>,
        start: Start,
    ) -> Result<(SubcloudAdded, DeployRunRequested), DocumentError> {
        let Self { mut added, bootstrap, install, deploy_config, artifacts, .. } = self;
        let mut inputs = RunInputs { artifacts, ..RunInputs::default() };
        let phases = match start {
            Start::Deploy(password) => {
                inputs.sysadmin_password = Some(documents.password(password).await?);
                add_phases(install.is_some(), deploy_config.is_some())
            }
            Start::TakeOver(password) => {
                inputs.sysadmin_password = Some(documents.password(password).await?);
                // It was first deployed elsewhere. What creates it here is the preparation of taking it over
                // (jobs.md §1.2, §1.3).
                added.initial_deployment = false;
                vec![Phase::Rehome]
            }
            Start::Secondary => {
                inputs.rehome = Some(documents.rehome_data(secondary_payload(bootstrap.clone())).await?);
                vec![Phase::Secondary]
            }
            Start::CreateOnly => vec![Phase::Create],
        };
        let mut added =
            SubcloudAdded { bootstrap: Some(documents.bootstrap_values(bootstrap).await?), ..added };
        if let Some(install) = install {
            added.install = Some(documents.install_values(install).await?);
        }
        if let Some(text) = deploy_config {
            added.deploy_config = Some(documents.deploy_config(text).await?);
        }
        Ok((added, DeployRunRequested { run_id: Uuid::now_v7(), phases, inputs }))
    }
}

/// Step 15, and that regions are unique (decisions.md, "Names").
fn check_unused(directory: &Directory, name: &str, region: &Region) -> Result<(), DirectoryRejection> {
    if Name::parse(name).is_ok_and(|name| directory.by_name(&name).is_some()) {
        return Err(DirectoryRejection::NameTaken { name: name.to_owned() });
    }
    if directory.by_region(region).is_some() {
        return Err(DirectoryRejection::RegionTaken { region: region.to_string() });
    }
    Ok(())
}

/// V4, check 15.
async fn group(app: &App, values: &Map) -> Result<i64, ApiError> {
    let id = validate::group_id(values.get("group_id"), &|_| true)?;
    let group = find(app, GroupReference::Id(id)).await?;
    Ok(validate::group_id(values.get("group_id"), &|_| group.is_some())?)
}

/// V5 with V8, if install values were sent. `stored` are the values the subcloud has.
///
/// # Errors
/// The first refusal of V5.
pub async fn install_values(
    files: &DeployFiles,
    sent: Option<Map>,
    bmc_password: Option<&Secret>,
    target_release: &str,
    stored: Option<&Map>,
) -> Result<Option<Map>, Refused> {
    let Some(sent) = sent else { return Ok(None) };
    let image = files.load_image(target_release).await;
    let bmc_password = bmc_password.map(Secret::expose);
    validate::install_values(sent, bmc_password, target_release, stored, &|_| image.clone()).map(Some)
}

/// V6.
///
/// # Errors
/// Its refusals.
pub async fn check_kubernetes(
    app: &App,
    files: &DeployFiles,
    values: &Map,
    target_release: &str,
) -> Result<(), Refused> {
    let active = &app.settings().releases.active;
    if !values.contains_key("kubernetes_version") || target_release == active {
        return Ok(());
    }
    let variables = files.variables(target_release).await;
    validate::kubernetes(values, target_release, active, &|_| variables.clone())
}

fn added(
    bootstrap: &Map,
    name: Name,
    region: Region,
    software_version: String,
    addresses: Addresses,
    group_id: i64,
) -> SubcloudAdded {
    let text = |key| super::payload::text(bootstrap, key);
    let (network, systemcontroller_gateway_ip) = network_of(addresses);
    SubcloudAdded {
        id: 0,
        name,
        region,
        description: text("description"),
        location: text("location"),
        software_version,
        network,
        systemcontroller_gateway_ip,
        group_id,
        install: None,
        bootstrap: None,
        bootstrap_address: text("bootstrap-address").filter(|address| !address.is_empty()),
        deploy_config: None,
        initial_deployment: true,
    }
}

/// The two places where a subcloud keeps the addresses that were checked.
pub fn network_of(addresses: Addresses) -> (ManagementNetwork, String) {
    let Addresses { subnet, start, end, gateway, systemcontroller_gateway } = addresses;
    (
        ManagementNetwork { subnet, start_ip: start, end_ip: end, gateway_ip: gateway },
        systemcontroller_gateway,
    )
}
