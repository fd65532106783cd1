//! E4: show one subcloud with what its own region says (subclouds.md §6.2).

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use dcm_domain::subcloud::Subcloud;
use dcm_domain::value::Availability;

use super::reference::{Agent, Given, Place};
use super::render::{self, DetailedSubcloud, OwnSide};
use crate::app::App;
use crate::freshness::{Waited, Wanted};
use crate::openapi::ErrorBody;
use crate::platform::PlatformError;
use crate::policy::{Allowed, rule};
use crate::transport::ApiError;

/// Shows a subcloud in detail.
///
/// Of an online subcloud its own region is asked. What it does not tell, or nobody is configured to ask, is
/// `unavailable` for the address and `unknown` for the state of the configuration.
#[utoipa::path(
    get, path = "/v1.0/subclouds/{subcloud}/detail", tag = "subclouds", operation_id = "detail_subcloud",
    params(
        ("subcloud" = String, Path, description = "Id or name"),
        ("DCM-Position" = Option<String>, Header, description = "Position of a write that the answer must show"),
    ),
    responses(
        (status = 200, description = "The subcloud", body = DetailedSubcloud),
        (status = 404, description = "There is no such subcloud", body = ErrorBody),
        (status = 503, description = "The read models are not available", body = ErrorBody),
    )
)]
pub(super) async fn detail(
    State(app): State<App>,
    _: Allowed<rule::SubcloudsGet>,
    agent: Agent,
    wanted: Wanted,
    Path(subcloud): Path<String>,
) -> Result<Response, ApiError> {
    let waited = wanted.wait(&app).await?;
    row(&app, Given::new(&subcloud, Place::BeforeVerb, agent), waited).await
}

/// The details under any other second segment, which the contract does not look at.
pub(super) async fn any_view(
    State(app): State<App>,
    _: Allowed<rule::SubcloudsGet>,
    agent: Agent,
    wanted: Wanted,
    Path((subcloud, _)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let waited = wanted.wait(&app).await?;
    row(&app, Given::new(&subcloud, Place::BeforeVerb, agent), waited).await
}

async fn row(app: &App, given: Given<'_>, waited: Waited) -> Result<Response, ApiError> {
    let (position, event_time) = app.models().subclouds().position().await?;
    let row = given.row(app).await?;
    let own = own_side(app, &row.subcloud).await;
    let mut response = Json(render::detailed(&row.subcloud, (&row).into(), own)).into_response();
    waited.mark(app, &mut response, position, event_time).await;
    Ok(response)
}

/// What the subcloud's own region says of it; of one that is offline nothing is asked.
async fn own_side(app: &App, subcloud: &Subcloud) -> OwnSide {
    if subcloud.availability != Availability::Online {
        return OwnSide::default();
    }
    let (platform, region) = (app.platform(), &subcloud.region);
    let (address, out_of_date) =
        tokio::join!(platform.oam_floating_ip(region), platform.configuration_out_of_date(region));
    let told = |error: &PlatformError| {
        // Nothing configured is nothing new.
        if matches!(error, PlatformError::Failed(_)) {
            tracing::warn!(%region, %error, "a subcloud's region does not tell its details");
        }
    };
    OwnSide {
        oam_floating_ip: address.inspect_err(told).ok().flatten(),
        out_of_date: out_of_date.inspect_err(told).ok(),
    }
}
