//! The network reconfiguration of E6 (subclouds.md §6.4 steps 10 to 16 and 24).

use axum::response::Response;
use dcm_domain::aggregate::{Command, Facts};
use dcm_domain::directory::Rejection as DirectoryRejection;
use dcm_domain::subcloud::command::{
    Details, NewAddresses, ReconfigureNetwork, check_addresses_differ, check_not_secondary,
    check_reconfiguration,
};
use dcm_domain::subcloud::{ManagementNetwork, NetworkTask, RunInputs, Subcloud};
use dcm_domain::validate::{Map, base64_password};
use dcm_domain::value::{Name, Secret, SecretRef, Subnet, Timestamp};
use dcm_journal::fleet::NetworkMove;
use dcm_journal::repository::{Done, Meta};
use serde_json::Value;
use uuid::Uuid;

use super::render::TimeForm;
use crate::app::App;
use crate::documents::{DocumentError, Documents};
use crate::transport::{ApiError, Form};
use crate::written;

/// The fields that ask for it, in the order they are looked at.
const FIELDS: [&str; 4] =
    ["management_subnet", "management_gateway_ip", "management_start_ip", "management_end_ip"];

/// What else the same request changes.
pub struct Along {
    /// The new name.
    pub rename: Option<Name>,
    /// The new texts and the new group.
    pub texts: Details,
    /// The new install values.
    pub install: Option<Map>,
}

/// A network reconfiguration that passed every check of its own.
pub struct Reconfiguration {
    network: ManagementNetwork,
    subnet: Subnet,
    bootstrap_address: String,
    password: Secret,
}

impl Reconfiguration {
    /// What the form asks for of `state`, if it asks for a network reconfiguration.
    ///
    /// # Errors
    /// The first refusal in the order of subclouds.md §6.4.
    pub fn read(form: &Form, state: &Subcloud) -> Result<Option<Self>, ApiError> {
        match FIELDS.iter().any(|field| form.part(field).is_some()) {
            true => Self::checked(form, state).map(Some),
            false => Ok(None),
        }
    }

    fn checked(form: &Form, state: &Subcloud) -> Result<Self, ApiError> {
        check_not_secondary(state)?;
        if form.part("management-state").is_some() {
            return Err(ApiError::unprocessable(
                "Management state and network reconfiguration must be updated separately",
            ));
        }
        check_reconfiguration(state)?;
        let bootstrap_address = form.text("bootstrap_address")?.filter(|address| !address.is_empty());
        let bootstrap_address = bootstrap_address.ok_or_else(|| {
            ApiError::unprocessable("The bootstrap_address parameter is required for network reconfiguration")
        })?;
        let network = addresses(form)?;
        check_addresses_differ(state, &network)?;
        let password = base64_password("sysadmin_password", form.text("sysadmin_password")?)?;
        // Of the addresses only the subnet is looked at: it is to be reserved.
        let subnet = Subnet::parse(&network.subnet)
            .map_err(|error| ApiError::bad_request(format!("management_subnet invalid: {error}")))?;
        Ok(Self { network, subnet, bootstrap_address: bootstrap_address.to_owned(), password })
    }

    /// Step 24: renames, if asked to, and asks for the run; what else came along is stored once that succeeds. The
    /// answer is the subcloud as it was before it.
    ///
    /// # Errors
    /// Those of the command, or that the subnet overlaps another subcloud's; then nothing is left but the name.
    pub async fn carry_out(
        self,
        app: &App,
        (entity, state): (Uuid, &Subcloud),
        along: Along,
        meta: &Meta,
    ) -> Result<Response, ApiError> {
        let facts = Facts { now: Timestamp::from(chrono::Utc::now()) };
        // Before anything is kept or renamed for it.
        self.command(state, along.texts.clone(), None).decide(Some(state), &facts)?;
        if app.fleet().directory().await?.overlapping(&self.subnet, Some(entity)).is_some() {
            return Err(DirectoryRejection::SubnetOverlaps.into());
        }
        let mut changed_at = app.models().subclouds().by_uuid(entity).await?.and_then(|row| row.updated_at);
        if let Some(name) = along.rename {
            let renamed = app.fleet().rename(entity, name, &meta.step("rename")).await?;
            changed_at = Some(renamed.loaded.changed_at());
        }
        let done = self.ask(app, (entity, state), (along.texts, along.install), meta).await?;
        written::subcloud(app, &done, TimeForm::T, |shown| {
            shown.insert("deploy-status".to_owned(), Value::from(state.deploy.as_str()));
            shown.insert("updated-at".to_owned(), Value::from(changed_at.map(|at| at.t_separated())));
        })
        .await
    }

    async fn ask(
        self,
        app: &App,
        (entity, state): (Uuid, &Subcloud),
        (details, install): (Details, Option<Map>),
        meta: &Meta,
    ) -> Result<Done<Subcloud>, ApiError> {
        let held = NetworkMove {
            subnet: self.subnet.clone(),
            group_id: details.group_id.filter(|group_id| *group_id != state.group_id),
        };
        let mut documents = Documents::new(app.vault().as_ref(), entity);
        let command = match self.store(&mut documents, state, details, install).await {
            Ok(command) => command,
            Err(error) => {
                documents.discard().await;
                return Err(error.into());
            }
        };
        documents.settle(app.fleet().reconfigure_network(entity, held, &command, meta).await).await
    }

    async fn store(
        mut self,
        documents: &mut Documents<'_>,
        state: &Subcloud,
        mut details: Details,
        install: Option<Map>,
    ) -> Result<ReconfigureNetwork, DocumentError> {
        let password = std::mem::replace(&mut self.password, Secret::new(String::new()));
        let password = documents.password(password).await?;
        if let Some(values) = install {
            details.install = Some(documents.install_values(values).await?);
        }
        Ok(self.command(state, details, Some(password)))
    }

    fn command(
        &self,
        state: &Subcloud,
        details: Details,
        sysadmin_password: Option<SecretRef>,
    ) -> ReconfigureNetwork {
        let addresses = NewAddresses {
            network: self.network.clone(),
            systemcontroller_gateway_ip: state.systemcontroller_gateway_ip.clone(),
        };
        let Details { description, location, group_id, install, .. } = details;
        let task = NetworkTask {
            addresses,
            bootstrap_address: self.bootstrap_address.clone(),
            description,
            location,
            group_id,
            install,
        };
        let inputs = RunInputs { sysadmin_password, ..RunInputs::default() };
        ReconfigureNetwork { run_id: Uuid::now_v7(), inputs, task }
    }
}

/// Step 14.
fn addresses(form: &Form) -> Result<ManagementNetwork, ApiError> {
    let mut given = Vec::with_capacity(FIELDS.len());
    for field in FIELDS {
        given.extend(form.text(field)?.filter(|text| !text.is_empty()).map(str::to_owned));
    }
    match <[String; 4]>::try_from(given) {
        Ok([subnet, gateway_ip, start_ip, end_ip]) => {
            Ok(ManagementNetwork { subnet, start_ip, end_ip, gateway_ip })
        }
        Err(_) => {
            let options = FIELDS.map(|field| format!("--{}", field.replace('_', "-"))).join(", ");
            Err(ApiError::unprocessable(format!(
                "The following parameters are necessary for subcloud network reconfiguration: {options}"
            )))
        }
    }
}
