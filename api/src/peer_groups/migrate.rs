//! F13: rehome the members of a peer group here (fleet.md §3.4).

use std::time::Instant;

use axum::Json;
use axum::extract::{FromRequest, Path, Request, State};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dcm_domain::aggregate::{Command, Facts};
use dcm_domain::peer_group::command::RequestMigration;
use dcm_domain::peer_group::{MigrationMember, Rejection, SubcloudPeerGroup, SystemLeader};
use dcm_domain::reservation::USABLE_FOR;
use dcm_domain::subcloud::Subcloud;
use dcm_domain::subcloud::command::{MigrateSubcloud, check_rehome_data};
use dcm_domain::value::{DeployStatus, ManagementState, Secret, Timestamp};
use dcm_journal::fleet::FleetError;
use dcm_journal::repository::{Done, Meta};
use dcm_projections::SubcloudRow;
use futures::StreamExt;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::reference;
use super::render::MigrateBody;
use crate::app::App;
use crate::documents::Documents;
use crate::fields::Fields;
use crate::openapi::ErrorBody;
use crate::policy::{Allowed, rule};
use crate::subclouds::reference::Place;
use crate::subclouds::render::{MemberList, member};
use crate::transport::{ApiError, JsonObject};
use crate::written;

const PASSWORD: &str = "sysadmin_password";
/// Runs requested at once.
const AT_ONCE: usize = 16;

/// Rehomes the members of a peer group that are unmanaged and secondary.
///
/// One member that cannot be rehomed for want of data, or is being rehomed, stops them all. The answer shows the
/// members as they were before.
#[utoipa::path(
    patch, path = "/v1.0/subcloud-peer-groups/{group}/migrate", tag = "peers",
    operation_id = "migrate_subcloud_peer_group",
    params(("group" = String, Path, description = "Id or name")),
    request_body = MigrateBody,
    responses(
        (status = 200, description = "The subclouds that are rehomed", body = MemberList, headers(
            ("DCM-Position" = String, description = "Where the journal was after the command"),
        )),
        (status = 400, description = "The password is missing, a member is not ready, or none can be rehomed", body = ErrorBody),
        (status = 403, description = "Not allowed", body = ErrorBody),
        (status = 404, description = "There is no such peer group", body = ErrorBody),
        (status = 503, description = "It could not be stored now", body = ErrorBody),
    ))]
pub(super) async fn migrate(
    State(app): State<App>,
    Allowed { meta, .. }: Allowed<rule::SubcloudPeerGroupsModify>,
    Path(group): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let (entity, state) = reference::living(&app, &group, Place::BeforeVerb).await?;
    let JsonObject(body) = JsonObject::from_request(request, &()).await?;
    let password = password(&body)?;
    let ready = ready(&app, &state).await?;
    written::to_the_end(async move { carry_out(&app, entity, ready, password, &meta).await }).await
}

/// The password as the subclouds know it. Only that the key is there is asked for: without a usable value each member's
/// own run fails.
fn password(body: &Map<String, Value>) -> Result<Option<Secret>, ApiError> {
    let fields = Fields::of(body)?;
    if !body.contains_key(PASSWORD) {
        return Err(ApiError::bad_request("Missing required parameter sysadmin_password"));
    }
    let decoded = fields.text(PASSWORD)?.and_then(|text| STANDARD.decode(text).ok());
    Ok(decoded.and_then(|bytes| Secret::from_bytes(bytes).ok()))
}

/// Steps 4 and 5: the members that are rehomed. Everything that keeps any member from it is told at once.
async fn ready(app: &App, group: &SubcloudPeerGroup) -> Result<Vec<SubcloudRow>, ApiError> {
    // Refusals are given on what the journal has, as far as the read models follow it in time.
    let head = app.journal().head().await?;
    app.models().progress().wait(head, app.settings().wait).await;
    let rows = app.models().subclouds().in_peer_group(group.id).await?;
    let records: Vec<String> = rows.iter().filter_map(|row| hindrance(&row.subcloud)).collect();
    if !records.is_empty() {
        return Err(ApiError::bad_request(records.join("\n")));
    }
    let ready: Vec<SubcloudRow> = rows.into_iter().filter(|row| is_eligible(&row.subcloud)).collect();
    if ready.is_empty() {
        return Err(Rejection::NothingToMigrate.into());
    }
    if group.migration.is_some() {
        return Err(Rejection::MigrationUnderWay.into());
    }
    let busy: Vec<String> = ready.iter().filter_map(|row| refusal(&row.subcloud)).collect();
    match busy.is_empty() {
        true => Ok(ready),
        false => Err(ApiError::bad_request(busy.join("\n"))),
    }
}

/// Step 4: why a member, whatever its status, keeps the whole group from being migrated.
fn hindrance(subcloud: &Subcloud) -> Option<String> {
    if let Err(missing) = check_rehome_data(subcloud) {
        return Some(missing.to_string());
    }
    let moving = matches!(subcloud.deploy, DeployStatus::PreRehome | DeployStatus::Rehoming);
    moving.then(|| {
        format!("Subcloud {} is being rehomed: its deploy status is {}", subcloud.name, subcloud.deploy)
    })
}

fn is_eligible(subcloud: &Subcloud) -> bool {
    subcloud.management == ManagementState::Unmanaged && subcloud.deploy == DeployStatus::Secondary
}

/// What the member itself would refuse its run for.
fn refusal(subcloud: &Subcloud) -> Option<String> {
    let facts = Facts { now: Timestamp::from(chrono::Utc::now()) };
    let command = MigrateSubcloud { run_id: Uuid::nil(), sysadmin_password: None };
    command.decide(Some(subcloud), &facts).err().map(|refused| refused.to_string())
}

/// Step 6: the group's migration is recorded first, so that there is only one, then each member's run. A request that
/// dies in between is ended by the workers, which count runs that were never requested as ended after a while.
async fn carry_out(
    app: &App,
    entity: Uuid,
    ready: Vec<SubcloudRow>,
    password: Option<Secret>,
    meta: &Meta,
) -> Result<Response, ApiError> {
    let leader = app.platform().local_system().await.ok();
    let command = RequestMigration {
        run_id: meta.step("migration").command_id,
        members: ready.iter().map(|row| member_of(row, meta)).collect(),
        leader: leader.map(|system| SystemLeader { id: system.uuid, name: system.name }),
    };
    let began = Instant::now();
    let group = app.fleet().collections().peer_groups.run(entity, &command, meta).await?;
    let password = password.as_ref();
    let mut requests = futures::stream::iter(command.members)
        .map(|member| async move {
            // Later the member may already count as one whose run was never requested.
            if began.elapsed().as_micros() > USABLE_FOR.unsigned_abs().into() {
                return None;
            }
            request_run(app, member, password, meta).await
        })
        .buffer_unordered(AT_ONCE);
    let mut last: Option<Done<Subcloud>> = None;
    while let Some(requested) = requests.next().await {
        let order = |done: &Done<Subcloud>| done.position.map(|position| position.order);
        last = last.into_iter().chain(requested).max_by_key(order);
    }
    drop(requests);
    let body = MemberList { subclouds: ready.iter().map(member).collect() };
    let response = Json(body).into_response();
    Ok(match last {
        Some(done) => written::once_shown(app, &done, response).await,
        None => written::once_shown(app, &group, response).await,
    })
}

/// A member and its run, whose id follows from the request's.
fn member_of(row: &SubcloudRow, meta: &Meta) -> MigrationMember {
    MigrationMember {
        subcloud: row.uuid,
        run_id: meta.step(&format!("migration of {}", row.uuid)).command_id,
    }
}

/// Requests one member's run. A member that refuses it meanwhile is left out.
async fn request_run(
    app: &App,
    MigrationMember { subcloud, run_id }: MigrationMember,
    password: Option<&Secret>,
    meta: &Meta,
) -> Option<Done<Subcloud>> {
    let mut documents = Documents::new(app.vault().as_ref(), subcloud);
    let requested = async {
        let sysadmin_password = match password {
            Some(password) => Some(documents.password(Secret::new(password.expose().to_owned())).await?),
            None => None,
        };
        let step = meta.step(&format!("rehome {subcloud}"));
        let command = MigrateSubcloud { run_id, sysadmin_password };
        Ok::<Result<_, FleetError>, ApiError>(app.fleet().run(subcloud, &command, &step).await)
    }
    .await;
    let settled = match requested {
        Ok(outcome) => documents.settle(outcome).await,
        Err(error) => {
            documents.discard().await;
            Err(error)
        }
    };
    settled
        .inspect_err(|error| tracing::warn!(%subcloud, ?error, "a member is not rehomed with its group"))
        .ok()
}
