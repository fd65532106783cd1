//! E6: update, rename, manage and unmanage a subcloud (subclouds.md §6.4, §9).

use std::sync::Arc;

use axum::extract::{FromRequest, Path, Request, State};
use axum::response::Response;
use dcm_domain::aggregate::{Command, Facts};
use dcm_domain::directory::{Directory, Rejection as DirectoryRejection};
use dcm_domain::subcloud::command::{
    Details, ManageSubcloud, MarkRehomePending, PeerGroupMembership, UnmanageSubcloud, UpdateSubcloud,
    check_migrate, check_rename,
};
use dcm_domain::subcloud::{Document, Rejection, Subcloud};
use dcm_domain::validate::{Map, rehome_payload};
use dcm_domain::value::{ManagementState, Name, Region, Secret, Timestamp};
use dcm_journal::fleet::FleetError;
use dcm_journal::repository::{Done, Meta};
use serde_json::Value;
use uuid::Uuid;

use super::creation::install_values;
use super::forms::UpdateForm;
use super::group::{GroupReference, find};
use super::network_reconfiguration::{Along, Reconfiguration};
use super::payload::check_length;
use super::reference::{self, Agent, Given, Place};
use super::render::{SubcloudBody, TimeForm};
use crate::app::App;
use crate::deploy_files::DeployFiles;
use crate::documents::Documents;
use crate::openapi::ErrorBody;
use crate::peer_groups;
use crate::policy::{Allowed, rule};
use crate::transport::{ApiError, Encoding, Form, yaml_bool};
use crate::written;

const BOOTSTRAP_ADDRESS: &str = "bootstrap-address";

/// Update a subcloud.
///
/// `management-state=unmanaged` with `migrate=true` releases it and marks it as waiting to be rehomed, so that its
/// certificate is no longer audited; `management-state=managed` takes it back. New addresses ask for a network
/// reconfiguration, which goes on in the background: the answer shows the subcloud as it was.
#[utoipa::path(
    patch, path = "/v1.0/subclouds/{subcloud}", tag = "subclouds", operation_id = "update_subcloud",
    params(("subcloud" = String, Path, description = "Id or name")),
    request_body(content = UpdateForm, content_type = "multipart/form-data"),
    responses(
        (status = 200, description = "The subcloud after the update", body = SubcloudBody, headers(
            ("DCM-Position" = String, description = "Where the journal was after the command"),
        )),
        (status = 400, description = "A field is missing or wrong, or the subcloud's state does not allow it", body = ErrorBody),
        (status = 404, description = "Subcloud not found", body = ErrorBody),
        (status = 422, description = "The subcloud's state does not allow it", body = ErrorBody),
        (status = 503, description = "It could not be stored now", body = ErrorBody),
    ))]
pub async fn update(
    State(app): State<App>,
    Allowed { meta, .. }: Allowed<rule::SubcloudsModify>,
    agent: Agent,
    Path(subcloud): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    // The body may take its time, and refusals are given on fresh state; but a subcloud that is not there comes first.
    let form = Form::from_request(request, &()).await;
    let (entity, state) = Given::new(&subcloud, Place::Last, agent).living(&app).await?;
    let form = form?;
    let mut update = Update::checked(&app, &form, &state).await?;
    written::to_the_end(async move {
        match update.reconfiguration.take() {
            Some(reconfiguration) => {
                let Update { rename, texts, install, .. } = update;
                let along = Along { rename, texts, install };
                reconfiguration.carry_out(&app, (entity, &state), along, &meta).await
            }
            None => {
                let done = update.carry_out(&app, entity, &state, &meta).await?;
                written::subcloud(&app, &done, TimeForm::T, |_| {}).await
            }
        }
    })
    .await
}

/// The subcloud, brought up to date.
///
/// # Errors
/// 404 if it is gone meanwhile.
pub async fn living(app: &App, entity: Uuid) -> Result<Arc<Subcloud>, ApiError> {
    let state = app.fleet().subcloud(entity).await?.state;
    state.filter(|subcloud| !subcloud.deleted).ok_or_else(reference::not_found)
}

/// An update that passed every check but those of the old manager (step 24).
struct Update {
    rename: Option<Name>,
    reconfiguration: Option<Reconfiguration>,
    change: Change,
    texts: Details,
    install: Option<Map>,
    rehome: Rehome,
}

impl Update {
    /// Steps 4 to 23. Nothing is written, so that a refusal leaves nothing (S-Q21 is free).
    async fn checked(app: &App, form: &Form, state: &Subcloud) -> Result<Self, ApiError> {
        if form.encoding() != Encoding::Multipart || form.is_empty() {
            return Err(ApiError::bad_request("Body required"));
        }
        let install = form.yaml_mapping("install_values")?.filter(|values| !values.is_empty());
        if form.text("force")?.is_some_and(|force| force.trim().is_empty()) {
            return Err(ApiError::bad_request("Unable to load force file contents, empty file provided"));
        }
        let rename = match form.text("name")? {
            Some(name) => Some(check_name(app, state, name).await?),
            None => None,
        };
        let reconfiguration = Reconfiguration::read(form, state)?;
        let change = Change::read(form, state)?;
        let group_id = group(app, form).await?;
        let peer_group = peer_group(app, form).await?;
        let install = checked_install(app, form, install, state).await?;
        let described = |field| {
            let text = form.text(field)?;
            check_length(field, text)?;
            Ok::<_, ApiError>(text.map(str::to_owned))
        };
        let texts = Details {
            description: described("description")?,
            location: described("location")?,
            group_id,
            peer_group,
            ..Details::default()
        };
        Ok(Self { rename, reconfiguration, change, texts, install, rehome: Rehome::read(form)? })
    }

    /// Step 24: the manager's rules, then the documents, then the events.
    async fn carry_out(
        self,
        app: &App,
        entity: Uuid,
        state: &Subcloud,
        meta: &Meta,
    ) -> Result<Done<Subcloud>, ApiError> {
        self.change.check(state)?;
        let mut documents = Documents::new(app.vault().as_ref(), entity);
        let details = match self.store(&mut documents, state).await {
            Ok(details) => details,
            Err(error) => {
                documents.discard().await;
                return Err(error);
            }
        };
        if let Some(name) = self.rename
            && let Err(error) = app.fleet().rename(entity, name, &meta.step("rename")).await
        {
            return documents.settle(Err(error)).await;
        }
        let done = self.change.run(app, entity, details, meta).await;
        documents.settle(done).await
    }

    async fn store(&self, documents: &mut Documents<'_>, state: &Subcloud) -> Result<Details, ApiError> {
        let rehome = self.rehome.store(documents, state.rehome.as_ref()).await?;
        let install = match self.install.clone() {
            Some(values) => Some(documents.install_values(values).await?),
            None => None,
        };
        Ok(Details { install, rehome, ..self.texts.clone() })
    }
}

/// Steps 6 to 9.
async fn check_name(app: &App, state: &Subcloud, name: &str) -> Result<Name, ApiError> {
    check_rename(state)?;
    let name = Name::parse_rename(name)?;
    if name == state.name {
        return Err(Rejection::SameName { name: name.to_string() }.into());
    }
    let directory = app.fleet().directory().await?;
    match is_taken(&directory, state, &name) {
        true => Err(DirectoryRejection::NameOrRegionTaken { name: name.to_string() }.into()),
        false => Ok(name),
    }
}

/// Whether another subcloud has the name as its name or region.
fn is_taken(directory: &Directory, state: &Subcloud, name: &Name) -> bool {
    let own = directory.by_id(state.id);
    let as_region = Region::parse(name.as_ref()).ok().and_then(|region| directory.by_region(&region));
    [directory.by_name(name), as_region].into_iter().flatten().any(|holder| Some(holder) != own)
}

/// Step 21: by id or by name.
async fn group(app: &App, form: &Form) -> Result<Option<i64>, ApiError> {
    let Some(given) = form.text("group_id")? else { return Ok(None) };
    let found = match !given.is_empty() && given.bytes().all(|byte| byte.is_ascii_digit()) {
        true => match given.parse() {
            Ok(id) => find(app, GroupReference::Id(id)).await?,
            Err(_) => None,
        },
        false => find(app, GroupReference::Name(given)).await?,
    };
    found.map(|group| Some(group.id)).ok_or_else(|| ApiError::bad_request("Invalid group"))
}

/// Step 22: by id or by name; `none` leaves.
async fn peer_group(app: &App, form: &Form) -> Result<Option<PeerGroupMembership>, ApiError> {
    let Some(given) = form.text("peer_group")? else { return Ok(None) };
    if given.eq_ignore_ascii_case("none") {
        return Ok(Some(PeerGroupMembership::None));
    }
    match peer_groups::reference::living(app, given, Place::BeforeVerb).await {
        Ok((_, group)) => Ok(Some(PeerGroupMembership::Of(group.id))),
        Err(missing) if missing.status() == 404 => Err(ApiError::bad_request("Invalid peer group")),
        Err(error) => Err(error),
    }
}

/// Step 23: V5 against the record's version.
async fn checked_install(
    app: &App,
    form: &Form,
    sent: Option<Map>,
    state: &Subcloud,
) -> Result<Option<Map>, ApiError> {
    if sent.is_none() {
        return Ok(None);
    }
    let files = DeployFiles::from(app.settings());
    let bmc_password = form.text("bmc_password")?.map(|text| Secret::new(text.to_owned()));
    let stored = state.install.as_ref().and_then(|install| install.shown.as_object());
    Ok(install_values(&files, sent, bmc_password.as_ref(), &state.software_version, stored).await?)
}

/// What is asked of management state and deploy status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    None,
    Manage {
        force: bool,
        migrate: bool,
    },
    Unmanage {
        migrate: bool,
    },
    MarkRehomePending,
    /// An empty management state, which is only refused by the manager's rules.
    Nonsense,
}

impl Change {
    /// Steps 17 to 20.
    fn read(form: &Form, state: &Subcloud) -> Result<Self, ApiError> {
        let asked = form.text("management-state")?;
        let migrate = form.text("migrate")? == Some("true");
        if migrate {
            let unmanaged = match asked {
                Some(asked) => asked == ManagementState::Unmanaged.as_str(),
                None => state.management == ManagementState::Unmanaged,
            };
            check_migrate(state, unmanaged)?;
        }
        let management = asked.filter(|asked| !asked.is_empty()).map(|asked| {
            ManagementState::parse(asked).ok_or_else(|| ApiError::bad_request("Invalid management-state"))
        });
        let management = management.transpose()?;
        let force = force(form, management)?;
        Ok(match (management, asked) {
            (Some(ManagementState::Managed), _) => Self::Manage { force, migrate },
            (Some(ManagementState::Unmanaged), _) => Self::Unmanage { migrate },
            (None, Some(_)) => Self::Nonsense,
            (None, None) if migrate => Self::MarkRehomePending,
            (None, None) => Self::None,
        })
    }

    /// The manager's rules on the state at hand, without a trace: nothing is put into the vault for what they refuse.
    fn check(self, state: &Subcloud) -> Result<(), ApiError> {
        let details = Details::default();
        match self {
            Self::None => decide(state, &UpdateSubcloud { details }),
            Self::Manage { force, migrate } => decide(state, &ManageSubcloud { force, migrate, details }),
            Self::Unmanage { migrate } => decide(state, &UnmanageSubcloud { migrate, details }),
            Self::MarkRehomePending => decide(state, &MarkRehomePending { details }),
            Self::Nonsense => Err(nonsense()),
        }
    }

    async fn run(
        self,
        app: &App,
        entity: Uuid,
        details: Details,
        meta: &Meta,
    ) -> Result<Done<Subcloud>, FleetError> {
        let (fleet, group) = (app.fleet(), details.group_id);
        match self {
            Self::None | Self::Nonsense => {
                fleet.run_moving(entity, group, &UpdateSubcloud { details }, meta).await
            }
            Self::Manage { force, migrate } => {
                fleet.run_moving(entity, group, &ManageSubcloud { force, migrate, details }, meta).await
            }
            Self::Unmanage { migrate } => {
                fleet.run_moving(entity, group, &UnmanageSubcloud { migrate, details }, meta).await
            }
            Self::MarkRehomePending => {
                fleet.run_moving(entity, group, &MarkRehomePending { details }, meta).await
            }
        }
    }
}

fn nonsense() -> ApiError {
    ApiError::unprocessable("Bad subcloud request: management-state: invalid value was provided")
}

/// Steps 19 and 20.
fn force(form: &Form, management: Option<ManagementState>) -> Result<bool, ApiError> {
    let Some(given) = form.text("force")? else { return Ok(false) };
    let force = yaml_bool(given).ok_or_else(|| ApiError::bad_request("Invalid force value"))?;
    match management {
        Some(ManagementState::Managed) => Ok(force),
        _ => Err(ApiError::bad_request("Invalid option: force, it is for management-state=managed alone")),
    }
}

fn decide<C: Command<Subcloud, Rejection = Rejection>>(
    state: &Subcloud,
    command: &C,
) -> Result<(), ApiError> {
    let facts = Facts { now: Timestamp::from(chrono::Utc::now()) };
    command.decide(Some(state), &facts)?;
    Ok(())
}

/// What is asked of the rehome data (subclouds.md §9.4).
struct Rehome {
    values: Option<Result<Map, ApiError>>,
    bootstrap_address: Option<String>,
}

impl Rehome {
    /// Reads both fields; what is no YAML mapping is refused later, with the manager's rules.
    fn read(form: &Form) -> Result<Self, ApiError> {
        let non_empty = |field| form.text(field).map(|text| text.filter(|text| !text.is_empty()));
        let values =
            non_empty("bootstrap_values")?.and_then(|_| form.yaml_mapping("bootstrap_values").transpose());
        Ok(Self { values, bootstrap_address: non_empty("bootstrap_address")?.map(str::to_owned) })
    }

    /// The new version of the rehome data, if there is one.
    async fn store(
        &self,
        documents: &mut Documents<'_>,
        held: Option<&Document>,
    ) -> Result<Option<Document>, ApiError> {
        if self.values.is_none() && self.bootstrap_address.is_none() {
            return Ok(None);
        }
        // What an old row had instead of a saved payload is as good as nothing, even where it is a mapping.
        let previous = match held.filter(|held| held.shown.is_object()) {
            Some(held) => documents.read(held).await?,
            None => None,
        };
        let mut payload = match &self.values {
            Some(Ok(values)) => rehome_payload(values.clone(), previous.as_ref()),
            Some(Err(unreadable)) => return Err(by_the_manager(unreadable)),
            None => previous.ok_or(Rejection::RehomeNeedsValues)?,
        };
        if let Some(address) = &self.bootstrap_address {
            payload.insert(BOOTSTRAP_ADDRESS.to_owned(), Value::String(address.clone()));
        }
        Ok(Some(documents.rehome_data(payload).await?))
    }
}

/// What the manager finds is 422 (subclouds.md §9.4, Q32).
fn by_the_manager(error: &ApiError) -> ApiError {
    ApiError::unprocessable(format!("Bad subcloud request: {}", error.detail().unwrap_or_default()))
}
