//! Which subclouds a backup request is for (subclouds.md §7.9), and commands on several of them.

use std::sync::Arc;

use axum::http::StatusCode;
use dcm_domain::subcloud::Subcloud;
use dcm_journal::repository::Done;
use futures::{StreamExt, stream};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::body::Fields;
use crate::app::App;
use crate::subclouds::group::{self, GroupReference};
use crate::subclouds::reference::{Given, Naming, Place};
use crate::subclouds::render::{self, TimeForm, Times};
use crate::transport::ApiError;

/// How many subclouds of a group are worked on at once.
const AT_ONCE: usize = 16;

/// A subcloud that is meant.
pub struct Member {
    /// Its uuid.
    pub entity: Uuid,
    /// Its state: of one subcloud as the journal has it, of a group's members as the read model has it.
    pub state: Arc<Subcloud>,
    times: Times,
}

impl Member {
    /// SUBCLOUD, as it is now.
    pub fn shown(&self) -> Map<String, Value> {
        render::subcloud(&self.state, self.times, TimeForm::Blank)
    }
}

/// What is meant.
pub enum Target {
    /// One subcloud.
    One(Member),
    /// The members of a group, at least one.
    Group {
        /// The group as the client named it.
        name: String,
        /// Its members.
        members: Vec<Member>,
    },
}

impl Target {
    /// Everything that is meant.
    pub fn members(&self) -> &[Member] {
        match self {
            Self::One(member) => std::slice::from_ref(member),
            Self::Group { members, .. } => members,
        }
    }

    /// Says that no subcloud of the group can do what is asked for.
    pub fn none_valid(&self, operation: &str) -> ApiError {
        match self {
            Self::One(member) => ApiError::bad_request(format!(
                "Subcloud {} is not in a valid state for the subcloud-backup {operation} operation",
                member.state.name
            )),
            Self::Group { name, .. } => ApiError::bad_request(format!(
                "None of the subclouds in group {name} are in a valid state for the subcloud-backup {operation} operation"
            )),
        }
    }
}

/// What the fields `subcloud` and `group` mean.
///
/// # Errors
/// 400 for both, neither, an unknown subcloud or a group without members; 404 `Group not found`; 503.
pub async fn target(app: &App, fields: &Fields) -> Result<Target, ApiError> {
    match (fields.text("subcloud")?, fields.text("group")?) {
        (Some(_), Some(_)) => Err(ApiError::bad_request(
            "'subcloud' and 'group' parameters should not be given at the same time",
        )),
        (None, None) => Err(ApiError::bad_request("'subcloud' or 'group' parameter is required")),
        (Some(reference), None) => one(app, &reference).await.map(Target::One),
        (None, Some(name)) => Ok(Target::Group { members: members(app, &name).await?, name }),
    }
}

async fn one(app: &App, reference: &str) -> Result<Member, ApiError> {
    let not_found = || ApiError::bad_request("Subcloud not found");
    let given = Given::new(reference, Place::BeforeVerb, Naming::Names);
    let entity = given.entity(app).await.map_err(|error| match error.status() {
        StatusCode::NOT_FOUND => not_found(),
        _ => error,
    })?;
    let loaded = app.fleet().subcloud(entity).await?;
    let created_at = loaded.created_at.unwrap_or(loaded.changed_at());
    let state = loaded.state.filter(|subcloud| !subcloud.deleted).ok_or_else(not_found)?;
    let row = app.models().subclouds().by_uuid(entity).await?;
    let unseen = Times { created_at, updated_at: None };
    let times = row.as_ref().map_or(unseen, Times::from);
    Ok(Member { entity, state, times })
}

/// The members of a group, once the read models have caught up: that there are none, or none that is valid, is only
/// said on fresh state (design, invariant 4).
async fn members(app: &App, name: &str) -> Result<Vec<Member>, ApiError> {
    let not_found = || ApiError::not_found("Group not found");
    let reference = match name.bytes().all(|byte| byte.is_ascii_digit()) {
        true => GroupReference::Id(name.parse().map_err(|_| not_found())?),
        false => GroupReference::Name(name),
    };
    let head = app.journal().head().await?;
    app.models().progress().wait(head, app.settings().wait).await;
    let group = group::find(app, reference).await?.ok_or_else(not_found)?;
    let rows = app.models().subclouds().in_group(group.id).await?;
    if rows.is_empty() {
        return Err(ApiError::bad_request(format!("No subclouds present in group {name}")));
    }
    let member = |row: dcm_projections::SubcloudRow| {
        let times = Times::from(&row);
        Member { entity: row.uuid, state: Arc::new(row.subcloud), times }
    };
    Ok(rows.into_iter().map(member).collect())
}

/// What became of commands on several subclouds.
pub struct Outcome {
    /// Those that were carried out, in the order asked for.
    pub done: Vec<(Uuid, Done<Subcloud>)>,
    /// Why the first one was refused, if one was: it changed since it was looked at.
    pub refused: Option<ApiError>,
}

impl Outcome {
    /// The command that was written last, if any was: what the answer waits for.
    pub fn newest(&self) -> Option<&Done<Subcloud>> {
        self.done.iter().map(|(_, done)| done).max_by_key(|done| done.position.map(|position| position.order))
    }
}

/// Carries out `one` on each of `entities`, a few at once. A subcloud that refuses is left out.
///
/// # Errors
/// The first that is no refusal; what was carried out by then stays.
pub async fn each<F, W>(entities: Vec<Uuid>, one: F) -> Result<Outcome, ApiError>
where
    F: Fn(Uuid) -> W + Send,
    W: Future<Output = Result<Done<Subcloud>, ApiError>> + Send,
{
    let outcomes: Vec<_> =
        stream::iter(entities.clone().into_iter().map(one)).buffered(AT_ONCE).collect().await;
    let mut all = Outcome { done: Vec::new(), refused: None };
    for (entity, outcome) in entities.into_iter().zip(outcomes) {
        match outcome {
            Ok(done) => all.done.push((entity, done)),
            Err(error) if is_refusal(&error) => all.refused = all.refused.or(Some(error)),
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

fn is_refusal(error: &ApiError) -> bool {
    matches!(
        error.status(),
        StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::UNPROCESSABLE_ENTITY
    )
}
