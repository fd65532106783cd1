//! F34: delete the strategy (fleet.md §8.7).

use axum::extract::{Query, State};
use axum::response::Response;
use dcm_domain::strategy::SwUpdateStrategy;
use dcm_domain::strategy::command::DeleteStrategy;
use dcm_journal::repository::Done;

use super::cert_file;
use super::refusal::{TypeQuery, answer, refused};
use super::render::StrategyBody;
use crate::app::App;
use crate::openapi::ErrorBody;
use crate::policy::{Allowed, rule};
use crate::transport::ApiError;
use crate::written;

/// Delete the update strategy.
///
/// It must not be under way. It goes to `deleting` at once, and is gone some seconds later.
#[utoipa::path(
    delete, path = "/v1.0/sw-update-strategy", tag = "strategy", operation_id = "delete_strategy",
    params(TypeQuery),
    responses(
        (status = 200, description = "The strategy, `deleting`", body = StrategyBody, headers(
            ("DCM-Position" = String, description = "Where the journal was after the command"),
        )),
        (status = 422, description = "There is no such strategy, or it is under way", body = ErrorBody),
        (status = 503, description = "It could not be stored now", body = ErrorBody),
    ))]
pub(super) async fn delete(
    State(app): State<App>,
    asker: Allowed<rule::SwUpdateStrategyDelete>,
    Query(query): Query<TypeQuery>,
) -> Result<Response, ApiError> {
    let kind = query.kind("delete")?;
    written::to_the_end(async move {
        let done = app.fleet().strategies().run(&DeleteStrategy { kind }, &asker.meta).await;
        let done = done.map_err(|error| refused("delete", kind.map(|kind| kind.as_str()), error))?;
        forget(&app, &done).await;
        answer(&app, &done).await
    })
    .await
}

/// Removes what only a strategy that is carried out needs: its certificate file and its secrets. What cannot be removed
/// now is left to the sweep, or overwritten by the next file of that name.
pub(super) async fn forget(app: &App, done: &Done<SwUpdateStrategy>) {
    let Some(strategy) = done.loaded.state.as_deref().and_then(|state| state.current.as_ref()) else {
        return;
    };
    if let Some(path) = strategy.cert_file() {
        cert_file::remove(&app.settings().dirs.certs, path).await;
    }
    if let Err(error) = app.vault().delete_owner(strategy.uuid).await {
        tracing::warn!(%error, "secrets of a deleted strategy are left to the sweep");
    }
}
