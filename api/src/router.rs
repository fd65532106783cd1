//! Every route of the program, under the transport's layers.

use axum::Router;
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::SwaggerUi;

use crate::app::App;
use crate::openapi::{Description, complete};
use crate::transport::{Routes, TransportSettings, wrap};
use crate::{
    alarms, associations, backup, deploy, events, groups, history, notifications, ops, options, peer_groups,
    phased, strategy, subclouds, system_peers,
};

/// The whole API over `app`, ready to be served.
pub fn router(app: App, settings: TransportSettings) -> Router {
    let description = description();
    let (contract, _) = contract().split_for_parts();
    let (streams, _) = events::routes().split_for_parts();
    let (open, _) = ops::open_routes().split_for_parts();
    let documents = Router::from(SwaggerUi::new("/docs").url("/openapi.json", description));
    let routes = Routes {
        contract: contract.with_state(app.clone()),
        streams: streams.with_state(app.clone()),
        open: open.with_state(app).merge(documents),
    };
    wrap(routes, settings)
}

/// The OpenAPI document: every operation the program has.
pub fn description() -> OpenApi {
    let all = OpenApiRouter::with_openapi(Description::openapi())
        .merge(contract())
        .merge(events::routes())
        .merge(ops::open_routes());
    let mut document = all.into_openapi();
    complete(&mut document);
    document
}

/// The contract's resources and the extensions on them.
fn contract() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(subclouds::routes())
        .merge(phased::routes())
        .merge(backup::routes())
        .merge(deploy::routes())
        .merge(strategy::routes())
        .merge(groups::routes())
        .merge(options::routes())
        .merge(peer_groups::routes())
        .merge(system_peers::routes())
        .merge(associations::routes())
        .merge(alarms::routes())
        .merge(notifications::routes())
        .merge(history::routes())
        .merge(ops::routes())
}
