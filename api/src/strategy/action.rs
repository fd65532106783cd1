//! F32, F33: start the strategy, or ask it to start no further step (fleet.md §8.7).

use axum::extract::{Query, State};
use axum::response::Response;
use dcm_domain::strategy::command::{AbortStrategy, ApplyStrategy};
use utoipa::ToSchema;

use super::refusal::{TypeQuery, answer, refused};
use super::render::StrategyBody;
use crate::app::App;
use crate::fields::Fields;
use crate::openapi::ErrorBody;
use crate::policy::{AllowedEither, authorise, rule};
use crate::transport::{ApiError, Caller, JsonObject};
use crate::written;

/// What is to be done with the strategy.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes a body that is read member by member")]
pub(super) struct ActionBody {
    /// `apply` or `abort`.
    action: Action,
}

/// An action on the strategy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ToSchema)]
#[schema(as = StrategyAction, rename_all = "lowercase")]
enum Action {
    /// Start it.
    Apply,
    /// Start no further step.
    Abort,
}

/// Start the update strategy, or ask it to start no further step.
///
/// `apply` needs the state `initial`, `abort` needs `applying`. Each has a policy rule of its own.
#[utoipa::path(
    post, path = "/v1.0/sw-update-strategy/actions", tag = "strategy", operation_id = "act_on_strategy",
    params(TypeQuery),
    request_body(content = ActionBody),
    responses(
        (status = 200, description = "The strategy in its new state", body = StrategyBody, headers(
            ("DCM-Position" = String, description = "Where the journal was after the command"),
        )),
        (status = 400, description = "The action is missing or unknown", body = ErrorBody),
        (status = 422, description = "There is no such strategy, or it is in another state", body = ErrorBody),
        (status = 503, description = "It could not be stored now", body = ErrorBody),
    ))]
pub(super) async fn act(
    State(app): State<App>,
    caller: Caller,
    AllowedEither { meta, .. }: AllowedEither<rule::SwUpdateStrategyApply, rule::SwUpdateStrategyAbort>,
    Query(query): Query<TypeQuery>,
    JsonObject(body): JsonObject,
) -> Result<Response, ApiError> {
    let action = action(Fields::of(&body)?)?;
    let verb = match action {
        Action::Apply => authorise::<rule::SwUpdateStrategyApply>(&app, &caller).await.map(|()| "apply")?,
        Action::Abort => authorise::<rule::SwUpdateStrategyAbort>(&app, &caller).await.map(|()| "abort")?,
    };
    let kind = query.kind(verb)?;
    written::to_the_end(async move {
        let strategies = app.fleet().strategies();
        let done = match action {
            Action::Apply => strategies.run(&ApplyStrategy { kind }, &meta).await,
            Action::Abort => strategies.run(&AbortStrategy { kind }, &meta).await,
        };
        let done = done.map_err(|error| refused(verb, kind.map(|kind| kind.as_str()), error))?;
        answer(&app, &done).await
    })
    .await
}

fn action(body: Fields<'_>) -> Result<Action, ApiError> {
    match body.text("action")? {
        Some("apply") => Ok(Action::Apply),
        Some("abort") => Ok(Action::Abort),
        Some(_) => Err(ApiError::bad_request("action must be apply or abort")),
        None => Err(ApiError::bad_request("action required")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::*;

    #[test]
    fn fl_127_actions() {
        let read = |body: serde_json::Value| {
            let body = body.as_object().unwrap().clone();
            Fields::of(&body).and_then(action).map_err(|error| error.detail().unwrap().to_owned())
        };
        assert_eq!(read(json!({"action": "apply"})), Ok(Action::Apply));
        assert_eq!(read(json!({"action": "abort"})), Ok(Action::Abort));
        assert_eq!(read(json!({})).unwrap_err(), "Body required");
        for missing in [json!({"x": 1}), json!({"action": null}), json!({"action": ""})] {
            assert_eq!(read(missing).unwrap_err(), "action required");
        }
        assert_eq!(read(json!({"action": "resume"})).unwrap_err(), "action must be apply or abort");
        assert_eq!(read(json!({"action": 1})).unwrap_err(), "action must be a string");
    }
}
