//! What every request passes before and after its handler: identity of the request, tracing, limits, negotiation,
//! route lookup, authentication, and errors in the forms of the contract.
//!
//! Handlers return [`ApiError`] and read [`Form`] or [`JsonObject`]; [`wrap`] puts the layers around them.

mod audit;
mod error;
mod form;
mod identity;
mod limits;
mod negotiation;
mod observe;
mod render;
mod request_id;
pub(crate) mod routing;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use tower::ServiceBuilder;
use tower::util::MapRequestLayer;
use tower_http::catch_panic::CatchPanicLayer;

pub use error::ApiError;
pub use form::{
    Encoding, Form, FormLimits, JsonObject, Part, Parts, StreamedPart, YamlProblem, yaml_bool, yaml_mapping,
};
pub use identity::{
    Authentication, BelievedFor, Caller, CallerNames, Credentials, Keystone, KeystoneSettings, SetupError,
};
pub use limits::Limits;
pub use negotiation::{Accept, ErrorForm};
pub use request_id::{REQUEST_ID, RequestId, Traceparent};
pub use routing::{Encrypted, alternatives, unknown_path};

/// The routes of the program, each group under the layers it needs.
#[derive(Debug, Default)]
pub struct Routes {
    /// The contract's resources and the extensions on them, with their full paths (`/v1.0/subclouds/{subcloud}`):
    /// limited, negotiated, authenticated. Verbs are routes of their own, so that an unknown verb is an unknown path.
    pub contract: Router,
    /// Resources that answer with something else than JSON (event streams): as `contract`, without the 406 of a client
    /// that does not take JSON.
    pub streams: Router,
    /// Health, metrics and documents: answered to anyone, also under load.
    pub open: Router,
}

/// How the transport is set up.
#[derive(Clone, Debug, Default)]
pub struct TransportSettings {
    /// What one request may cost.
    pub limits: Limits,
    /// How callers are identified.
    pub authentication: Authentication,
}

/// Puts the layers of design §9 around `routes`; the result is ready to serve.
///
/// Outermost first: request id, tracing and figures, audit log, error rendering, panics, limits, route lookup (404 before anything
/// about the caller is asked), negotiation (406), authentication (401), handler. A method that a known path does not
/// have is answered 405 with `Allow`, to identified callers.
pub fn wrap(routes: Routes, settings: TransportSettings) -> Router {
    let TransportSettings { limits, authentication } = settings;
    let contract = ServiceBuilder::new()
        .layer(from_fn_with_state(limits::Gate::new(limits), limits::bound_work))
        .layer(from_fn(routing::canonical_path))
        .service(lookup(routes.contract, routes.streams, authentication));
    routes
        .open
        .method_not_allowed_fallback(routing::unsupported_method)
        .fallback_service(contract)
        .layer(from_fn_with_state(limits, limits::bound_head))
        .layer(CatchPanicLayer::custom(limits::answer_panic))
        .layer(from_fn(render::render_errors))
        .layer(from_fn(audit::audit))
        .layer(from_fn_with_state(Arc::<observe::Figures>::default(), observe::observe))
}

/// The contract's routes with what only happens on a known path.
fn lookup(contract: Router, streams: Router, authentication: Authentication) -> Router {
    let contract = known(contract, |routes| {
        routes
            .route_layer(from_fn_with_state(authentication.clone(), identity::authenticate))
            .route_layer(from_fn(negotiation::require_json))
    });
    let streams = known(streams, |routes| {
        routes.route_layer(from_fn_with_state(authentication, identity::authenticate))
    });
    let routes = contract.merge(streams).merge(routing::root());
    routing::with_json_suffix(routes.route_layer(MapRequestLayer::new(observe::note_route)))
}

/// `routes` in their layers, if there are any. The refusal of a method is set first, so that the layers cover it too.
fn known(routes: Router, layers: impl FnOnce(Router) -> Router) -> Router {
    match routes.has_routes() {
        true => layers(routes.method_not_allowed_fallback(routing::unsupported_method)),
        false => routes,
    }
}
