//! F31: create a strategy (fleet.md §8.2 to §8.6).

use axum::extract::State;
use axum::response::Response;
use dcm_domain::strategy::command::CreateStrategy;
use dcm_domain::strategy::{
    Asked, Candidate, PlatformFacts, Rejection, StrategyRequest, StrategyState, StrategyType,
    SwUpdateStrategy,
};
use dcm_journal::repository::{CommandError, Done, Meta};
use uuid::Uuid;

use super::body::{CreateBody, Draft};
use super::delete::forget;
use super::refusal::{answer, refused};
use super::render::StrategyBody;
use crate::app::App;
use crate::openapi::ErrorBody;
use crate::platform::PlatformError;
use crate::policy::{Allowed, rule};
use crate::transport::{ApiError, JsonObject};
use crate::written;

/// Create the update strategy.
///
/// There may be none yet. Each subcloud that needs the update gets a step; if none does, the answer is 422 and what was
/// created is deleted by itself.
#[utoipa::path(
    post, path = "/v1.0/sw-update-strategy", tag = "strategy", operation_id = "create_strategy",
    request_body(content = CreateBody),
    responses(
        (status = 200, description = "The strategy, `initial`", body = StrategyBody, headers(
            ("DCM-Position" = String, description = "Where the journal was after the command"),
        )),
        (status = 400, description = "A field is missing or wrong", body = ErrorBody),
        (status = 422, description = "There is a strategy already, or it cannot be carried out", body = ErrorBody),
        (status = 503, description = "It could not be stored now, or the platform does not answer", body = ErrorBody),
    ))]
pub(super) async fn create(
    State(app): State<App>,
    asker: Allowed<rule::SwUpdateStrategyCreate>,
    JsonObject(body): JsonObject,
) -> Result<Response, ApiError> {
    let draft = Draft::read(&app, body).await?;
    written::to_the_end(async move {
        let done = make(&app, draft, &asker.meta).await?;
        answer(&app, &done).await
    })
    .await
}

/// Makes the strategy. What it needs beside itself is put in its place first, once nothing is against it.
async fn make(app: &App, draft: Draft, meta: &Meta) -> Result<Done<SwUpdateStrategy>, ApiError> {
    let Draft { request, password, cert_file } = draft;
    let kind = request.work.kind();
    let told = |error| refused("create", Some(kind.as_str()), error);
    let command = command(app, request).await?;
    let strategies = app.fleet().strategies();
    strategies.check(&command).await.map_err(told)?;
    if let Some(file) = &cert_file {
        file.copy().await?;
    }
    if let Some((entry, secret)) = password {
        app.vault().put_as(entry.0, command.uuid, "sysadmin_password", secret).await?;
    }
    let done = match strategies.run(&command, meta).await {
        Ok(done) => done,
        Err(error) => {
            discard(app, &command, &error).await;
            return Err(told(error));
        }
    };
    match has_steps(&done) {
        true => Ok(done),
        false => {
            forget(app, &done).await;
            written::wait(app, &done).await;
            Err(told(CommandError::Rejected(Rejection::NoSteps)))
        }
    }
}

fn has_steps(done: &Done<SwUpdateStrategy>) -> bool {
    let current = done.loaded.state.as_deref().and_then(|state| state.current.as_ref());
    current.is_some_and(|strategy| strategy.state != StrategyState::Deleting)
}

/// Removes the secret of a strategy that another one came before. A copied certificate stays: the other one may be the
/// owner of a file of that name. If the outcome is not known, the sweep decides later.
async fn discard(app: &App, command: &CreateStrategy, error: &CommandError<Rejection>) {
    if matches!(error, CommandError::Unavailable(_)) {
        return;
    }
    if let Err(error) = app.vault().delete_owner(command.uuid).await {
        tracing::warn!(%error, "the secret of a strategy that was not made is left to the sweep");
    }
}

/// The command with the facts it is decided on: the fleet as the journal has it by now, and what the platform says.
async fn command(app: &App, request: StrategyRequest) -> Result<CreateStrategy, ApiError> {
    let head = app.journal().head().await?;
    app.models().progress().wait(head, app.settings().wait).await;
    let rows = app.models().subclouds().all().await?;
    let candidates = rows.into_iter().map(|row| Candidate::new(row.uuid, row.subcloud)).collect();
    let platform = PlatformFacts {
        active_release: app.settings().releases.active.clone(),
        loads: match request.release {
            Some(_) => asked(app.platform().loads().await),
            None => Asked::NotAsked,
        },
        upgrading: match request.work.kind() {
            StrategyType::Prestage => asked(app.platform().upgrade_in_progress().await),
            _ => Asked::NotAsked,
        },
    };
    Ok(CreateStrategy { uuid: Uuid::now_v7(), request, platform, candidates })
}

fn asked<T>(answer: Result<T, PlatformError>) -> Asked<T> {
    match answer {
        Ok(known) => Asked::Known(known),
        Err(missing @ PlatformError::NotConfigured(_)) => Asked::NotConfigured(missing.to_string()),
        Err(failed @ PlatformError::Failed(_)) => Asked::Failed(failed.to_string()),
    }
}
