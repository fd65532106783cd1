//! F37: set options.

use axum::Json;
use axum::extract::{FromRequest, Path, Request, State};
use axum::response::{IntoResponse, Response};
use dcm_domain::options::{OptionValues, SetSwUpdateOptions};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::reference;
use super::render::{self, OptionsBody, OptionsForm};
use crate::app::App;
use crate::error_map::defect;
use crate::fields::{Fields, integer};
use crate::openapi::ErrorBody;
use crate::policy::{Allowed, rule};
use crate::transport::{ApiError, JsonObject};
use crate::written;

/// The longest value, in characters (fleet.md §14).
const LONGEST: usize = 255;

/// Sets the update options of a subcloud, or the default.
#[utoipa::path(
    post, path = "/v1.0/sw-update-options/{subcloud}", tag = "strategy", operation_id = "set_update_options",
    params(("subcloud" = String, Path, description = "Id or name of the subcloud; `RegionOne` for the default")),
    request_body = OptionsForm,
    responses(
        (status = 200, description = "The options", body = OptionsBody, headers(
            ("DCM-Position" = String, description = "Where the journal was after the command"),
        )),
        (status = 400, description = "A member is missing or of the wrong type", body = ErrorBody),
        (status = 403, description = "Not allowed", body = ErrorBody),
        (status = 404, description = "There is no such subcloud", body = ErrorBody),
        (status = 503, description = "It could not be stored now", body = ErrorBody),
    ))]
pub(super) async fn set(
    State(app): State<App>,
    Allowed { meta, .. }: Allowed<rule::SwUpdateOptionsUpdate>,
    Path(subcloud): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let JsonObject(body) = JsonObject::from_request(request, &()).await?;
    Fields::of(&body)?;
    let target = target(&app, &subcloud).await?;
    let values = values(&body)?;
    written::to_the_end(async move {
        let subcloud = target.as_ref().map(|target| (target.entity, target.id));
        let command = SetSwUpdateOptions { subcloud, values };
        let done = app.fleet().collections().options.run(&command, &meta).await?;
        let state = done.loaded.state.as_deref().cloned().unwrap_or_default();
        let stored = state.stored(subcloud.map(|(entity, _)| entity)).cloned();
        let body = match (target, stored) {
            (None, stored) => render::default(stored),
            (Some(target), Some(stored)) => render::own(target.name, stored),
            (Some(_), None) => {
                return Err(defect("a command left no options", &std::io::Error::other("empty stream")));
            }
        };
        Ok(written::once_shown(&app, &done, Json(body).into_response()).await)
    })
    .await
}

/// The subcloud whose options are set.
struct Target {
    entity: Uuid,
    id: i64,
    name: String,
}

/// The subcloud that is meant; `None` for the default.
async fn target(app: &App, text: &str) -> Result<Option<Target>, ApiError> {
    if reference::is_default(text) {
        return Ok(None);
    }
    let (entity, subcloud) = reference::subcloud(text).living(app).await?;
    Ok(Some(Target { entity, id: subcloud.id, name: subcloud.name.to_string() }))
}

fn values(body: &Map<String, Value>) -> Result<OptionValues, ApiError> {
    Ok(OptionValues {
        storage_apply_type: text(body, "storage-apply-type")?,
        worker_apply_type: text(body, "worker-apply-type")?,
        max_parallel_workers: number(body, "max-parallel-workers")?,
        alarm_restriction_type: text(body, "alarm-restriction-type")?,
        default_instance_action: text(body, "default-instance-action")?,
    })
}

/// The value of a member, which must be there.
fn required<'a>(body: &'a Map<String, Value>, key: &str) -> Result<&'a Value, ApiError> {
    body.get(key).ok_or_else(|| ApiError::bad_request(format!("{key} required")))
}

fn text(body: &Map<String, Value>, key: &str) -> Result<Option<String>, ApiError> {
    match required(body, key)? {
        Value::Null => Ok(None),
        Value::String(text) if !text.contains('\0') && text.chars().count() <= LONGEST => {
            Ok(Some(text.clone()))
        }
        _ => Err(ApiError::bad_request(format!("{key} must be a string of at most {LONGEST} characters"))),
    }
}

fn number(body: &Map<String, Value>, key: &str) -> Result<Option<i64>, ApiError> {
    match required(body, key)? {
        Value::Null => Ok(None),
        // What the old column took.
        value => match integer(value).filter(|number| i32::try_from(*number).is_ok()) {
            Some(number) => Ok(Some(number)),
            None => Err(ApiError::bad_request(format!("{key} must be an integer"))),
        },
    }
}
