//! E2: list subclouds (subclouds.md §6.1).

use axum::body::Body;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;

use super::query::ListQuery;
use super::reference::{Agent, Given, Place};
use super::render::SubcloudList;
use super::show;
use crate::app::App;
use crate::freshness::{NEXT_MARKER, Wanted, set};
use crate::openapi::ErrorBody;
use crate::policy::{Allowed, rule};
use crate::transport::ApiError;

/// Lists subclouds.
///
/// By id; none left out, unless a page is asked for. For the certificate monitor (`User-Agent: cert-mon/1.0`) names are region names.
#[utoipa::path(
    get, path = "/v1.0/subclouds", tag = "subclouds", operation_id = "list_subclouds",
    params(
        ListQuery,
        ("DCM-Position" = Option<String>, Header, description = "Position of a write that the answer must show"),
    ),
    responses(
        (status = 200, description = "The subclouds", body = SubcloudList, headers(
            ("DCM-Read-Position" = String, description = "Where the read model was"),
            ("DCM-Read-Age-Ms" = u64, description = "How old the answer is"),
            ("DCM-Next-Marker" = Option<i64>, description = "The `marker` of the next page, if there is one"),
            ("DCM-Stale" = Option<bool>, description = "`true` if the position asked for was not reached in time"),
        )),
        (status = 404, description = "There is no subcloud that `subcloud_ref` names", body = ErrorBody),
        (status = 503, description = "The read models are not available", body = ErrorBody),
    )
)]
pub(super) async fn list(
    State(app): State<App>,
    _: Allowed<rule::SubcloudsGet>,
    agent: Agent,
    wanted: Wanted,
    Query(query): Query<ListQuery>,
) -> Result<Response, ApiError> {
    let waited = wanted.wait(&app).await?;
    if let Some(reference) = query.subcloud_ref.as_ref().filter(|reference| !reference.is_empty()) {
        return show::row(&app, Given::new(reference, Place::BeforeVerb, agent), waited).await;
    }
    let page = query.page()?;
    let list = match agent {
        Agent::CertMon => app.list_by_region().list(page).await?,
        Agent::Peer | Agent::Other => app.list().list(page).await?,
    };
    let mut response = ([(CONTENT_TYPE, "application/json")], Body::from(list.body)).into_response();
    if let Some(next) = list.next {
        set(&mut response, NEXT_MARKER, &next.to_string());
    }
    waited.mark(&app, &mut response, list.position, list.event_time).await;
    Ok(response)
}
