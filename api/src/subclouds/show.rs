//! E3: show one subcloud (subclouds.md §6.2), now or at a moment of the past.

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;

use super::query::ShowQuery;
use super::reference::{Agent, Given, Place};
use super::render::ShownSubcloud;
use crate::app::App;
use crate::freshness::{Waited, Wanted};
use crate::history::as_of;
use crate::openapi::ErrorBody;
use crate::policy::{Allowed, authorise, rule};
use crate::transport::{ApiError, Caller};

/// Shows a subcloud.
///
/// The reference is an id or a name; for the certificate monitor and for other controllers (`User-Agent` exactly
/// `cert-mon/1.0` or `dcmanager/1.0`) an id or a region.
#[utoipa::path(
    get, path = "/v1.0/subclouds/{subcloud}", tag = "subclouds", operation_id = "show_subcloud",
    params(
        ("subcloud" = String, Path, description = "Id or name"),
        ShowQuery,
        ("DCM-Position" = Option<String>, Header, description = "Position of a write that the answer must show"),
    ),
    responses(
        (status = 200, description = "The subcloud", body = ShownSubcloud, headers(
            ("DCM-Read-Position" = String, description = "Where the read model was"),
            ("DCM-Read-Age-Ms" = u64, description = "How old the answer is"),
            ("DCM-Stale" = Option<bool>, description = "`true` if the position asked for was not reached in time"),
        )),
        (status = 404, description = "There is no such subcloud", body = ErrorBody),
        (status = 503, description = "The read models are not available", body = ErrorBody),
    )
)]
pub(super) async fn show(
    State(app): State<App>,
    _: Allowed<rule::SubcloudsGet>,
    caller: Caller,
    agent: Agent,
    wanted: Wanted,
    Path(subcloud): Path<String>,
    Query(query): Query<ShowQuery>,
) -> Result<Response, ApiError> {
    // The past is an extension with a rule of its own (design §9).
    if query.as_of.is_some() {
        authorise::<rule::HistoryGet>(&app, &caller).await?;
    }
    let given = Given::new(&subcloud, Place::Last, agent);
    let waited = wanted.wait(&app).await?;
    match query.as_of {
        // In a box: whoever asks for the present would carry the room for it.
        Some(moment) => Box::pin(as_of::show(&app, given, &moment, waited)).await,
        None => row(&app, given, waited).await,
    }
}

/// The answer for the row that is meant.
pub(super) async fn row(app: &App, given: Given<'_>, waited: Waited) -> Result<Response, ApiError> {
    let (body, read) = given.shown(app).await?;
    let mut response = ([(CONTENT_TYPE, "application/json")], Body::from(body)).into_response();
    waited.mark(app, &mut response, read.position, read.event_time).await;
    Ok(response)
}
