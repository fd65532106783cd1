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
use tower::util::MapRequestLayer;
use tower::{ServiceExt, service_fn};

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
    let lookup = lookup(routes.contract, routes.streams, authentication);
    let figures = observe::Figures::default();
    let around = Arc::new(Around { figures, limits, gate: limits::Gate::new(limits), lookup });
    let contract = Arc::clone(&around);
    let unknown = service_fn(move |request| {
        let around = Arc::clone(&contract);
        async move { Ok::<_, Infallible>(work(&around, request).await) }
    });
    let open = routes
        .open
        .method_not_allowed_fallback(routing::unsupported_method)
        .fallback_service(unknown)
        .layer(from_fn_with_state(Arc::clone(&around), around_open));
    // Most requests can only be of the contract: they need not be looked up among the open routes.
    let all = service_fn(move |request: Request| {
        let versioned = routing::is_versioned(request.uri().path());
        let (around, open) = (Arc::clone(&around), (!versioned).then(|| open.clone()));
        async move {
            match open {
                // In a box: each layer around it would take its size twice, and all of that is copied.
                None => Ok(pass(&around, request, |request| Box::pin(work(&around, request))).await),
                Some(open) => open.oneshot(request).await,
            }
        }
    });
    Router::new().fallback_service(all)
}

/// What every request passes on its way in and out.
#[derive(Debug)]
struct Around {
    figures: observe::Figures,
    limits: Limits,
    gate: limits::Gate,
    lookup: routing::Lookup,
}

/// The layers around everything. One function, not a layer each: as a layer, each of them would cost an allocation and a
/// copy of the request.
async fn pass<F: Future<Output = Response>>(
    around: &Around,
    request: Request,
    work: impl FnOnce(Request) -> F,
) -> Response {
    let Around { figures, limits, .. } = around;
    observe::observe(figures, request, |request| {
        audit::audit(request, |request| {
            render::render_errors(request, |request| {
                limits::catch_panic(async move {
                    match limits::bound_head(limits, &request) {
                        Ok(()) => work(request).await,
                        Err(error) => error.into_response(),
                    }
                })
            })
        })
    })
    .await
}

/// The same as a layer of the open routes.
async fn around_open(State(around): State<Arc<Around>>, request: Request, next: Next) -> Response {
    pass(&around, request, |request| next.run(request)).await
}

/// The layers around the contract's routes.
async fn work(around: &Around, request: Request) -> Response {
    let answered = limits::bound_work(&around.gate, request, async |mut request| {
        routing::canonical_path(&mut request)?;
        around.lookup.answer(request).await
    });
    answered.await.unwrap_or_else(IntoResponse::into_response)
}

/// The contract's routes with what only happens on a known path.
fn lookup(contract: Router, streams: Router, authentication: Authentication) -> routing::Lookup {
    let contract =
        known(contract, |routes| routes.route_layer(identity::Identify::for_json(authentication.clone())));
    let streams = known(streams, |routes| routes.route_layer(identity::Identify::of_any(authentication)));
    let routes = contract.merge(streams).merge(routing::root());
    routing::Lookup::of(routes.route_layer(MapRequestLayer::new(observe::note_route)))
}

/// `routes` in their layers, if there are any. The refusal of a method is set first, so that the layers cover it too.
fn known(routes: Router, layers: impl FnOnce(Router) -> Router) -> Router {
    match routes.has_routes() {
        true => layers(routes.method_not_allowed_fallback(routing::unsupported_method)),
        false => routes,
    }
}
