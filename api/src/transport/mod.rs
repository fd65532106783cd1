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

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tower::service_fn;
use tower::util::MapRequestLayer;

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
    let gate = limits::Gate::new(limits);
    let lookup = lookup(routes.contract, routes.streams, authentication);
    let contract = service_fn(move |request| {
        let (gate, lookup) = (gate.clone(), Arc::clone(&lookup));
        async move { Ok::<_, Infallible>(work(&gate, &lookup, request).await) }
    });
    routes
        .open
        .method_not_allowed_fallback(routing::unsupported_method)
        .fallback_service(contract)
        .layer(from_fn_with_state(Arc::new(Around { figures: observe::Figures::default(), limits }), around))
}

/// What every request passes on its way in and out.
#[derive(Debug)]
struct Around {
    figures: observe::Figures,
    limits: Limits,
}

/// The layers around everything. One function, not a layer each: as a layer, each of them would cost an allocation and a
/// copy of the request.
async fn around(State(around): State<Arc<Around>>, request: Request, next: Next) -> Response {
    let Around { figures, limits } = &*around;
    observe::observe(figures, request, |request| {
        audit::audit(request, |request| {
            render::render_errors(request, |request| {
                limits::catch_panic(async move {
                    match limits::bound_head(limits, &request) {
                        Ok(()) => next.run(request).await,
                        Err(error) => error.into_response(),
                    }
                })
            })
        })
    })
    .await
}

/// The layers around the contract's routes.
async fn work(gate: &limits::Gate, lookup: &routing::Lookup, request: Request) -> Response {
    let answered = limits::bound_work(gate, request, async |mut request| {
        routing::canonical_path(&mut request)?;
        lookup.answer(request).await
    });
    answered.await.unwrap_or_else(IntoResponse::into_response)
}

/// The contract's routes with what only happens on a known path.
fn lookup(contract: Router, streams: Router, authentication: Authentication) -> Arc<routing::Lookup> {
    let contract = known(contract, |routes| {
        routes.route_layer(from_fn_with_state(authentication.clone(), identity::authenticate_for_json))
    });
    let streams = known(streams, |routes| {
        routes.route_layer(from_fn_with_state(authentication, identity::authenticate))
    });
    let routes = contract.merge(streams).merge(routing::root());
    Arc::new(routing::Lookup::of(routes.route_layer(MapRequestLayer::new(observe::note_route))))
}

/// `routes` in their layers, if there are any. The refusal of a method is set first, so that the layers cover it too.
fn known(routes: Router, layers: impl FnOnce(Router) -> Router) -> Router {
    match routes.has_routes() {
        true => layers(routes.method_not_allowed_fallback(routing::unsupported_method)),
        false => routes,
    }
}
