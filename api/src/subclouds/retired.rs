//! E11 to E13: verbs that have moved (subclouds.md §6.9).

use axum::extract::{Path, State};

use super::reference::{Agent, Given, Place};
use crate::app::App;
use crate::openapi::ErrorBody;
use crate::policy::{Allowed, rule};
use crate::transport::ApiError;

/// Retired: restore a subcloud from a backup.
#[utoipa::path(
    patch, path = "/v1.0/subclouds/{subcloud}/restore", tag = "subclouds", operation_id = "restore_subcloud",
    params(("subcloud" = String, Path, description = "Id or name")),
    responses((status = 404, description = "Subcloud not found", body = ErrorBody), (status = 410, description = "It has moved", body = ErrorBody)))]
pub async fn restore(
    State(app): State<App>,
    _: Allowed<rule::SubcloudsModify>,
    agent: Agent,
    Path(subcloud): Path<String>,
) -> Result<(), ApiError> {
    gone(&app, agent, &subcloud, "/v1.0/subcloud-backup/restore").await
}

/// Retired: apply a subcloud's configuration again.
#[utoipa::path(
    patch, path = "/v1.0/subclouds/{subcloud}/reconfigure", tag = "subclouds", operation_id = "reconfigure_subcloud",
    params(("subcloud" = String, Path, description = "Id or name")),
    responses((status = 404, description = "Subcloud not found", body = ErrorBody), (status = 410, description = "It has moved", body = ErrorBody)))]
pub async fn reconfigure(
    State(app): State<App>,
    _: Allowed<rule::SubcloudsModify>,
    agent: Agent,
    Path(subcloud): Path<String>,
) -> Result<(), ApiError> {
    gone(&app, agent, &subcloud, "/v1.0/phased-subcloud-deploy/{subcloud}/configure").await
}

/// Retired: install a subcloud again.
#[utoipa::path(
    patch, path = "/v1.0/subclouds/{subcloud}/reinstall", tag = "subclouds", operation_id = "reinstall_subcloud",
    params(("subcloud" = String, Path, description = "Id or name")),
    responses((status = 404, description = "Subcloud not found", body = ErrorBody), (status = 410, description = "It has moved", body = ErrorBody)))]
pub async fn reinstall(
    State(app): State<App>,
    _: Allowed<rule::SubcloudsModify>,
    agent: Agent,
    Path(subcloud): Path<String>,
) -> Result<(), ApiError> {
    gone(&app, agent, &subcloud, "/v1.0/subclouds/{subcloud}/redeploy").await
}

/// 404 first, then 410 with the path that replaces the verb.
async fn gone(app: &App, agent: Agent, subcloud: &str, replacement: &str) -> Result<(), ApiError> {
    Given::new(subcloud, Place::BeforeVerb, agent).entity(app).await?;
    Err(ApiError::gone(format!("This API is deprecated, use PATCH {replacement} instead")))
}
