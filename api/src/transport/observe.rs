//! Who a request is, and what becomes of it: its id, its spans, its log line, its figures. One layer around all others.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::response::Response;
use dcm_journal::trace;
use http::{HeaderValue, Method, StatusCode};
use metrics::{Counter, Gauge, Histogram};
use tracing::{Instrument, Span, field};

use super::request_id::{REQUEST_ID, RequestId, Traceparent};

/// The route of a path that no route has.
const NO_ROUTE: &str = "none";
/// Bytes of a path that a log line shows.
const SHOWN: usize = 256;

/// Where route lookup notes the route that it found. A request extension; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Route(Arc<OnceLock<MatchedPath>>);

impl Route {
    /// As it is written in the program, such as `/v1.0/subclouds/{subcloud}`: names and ids are not in it.
    fn template(&self) -> &str {
        self.0.get().map_or(NO_ROUTE, MatchedPath::as_str)
    }
}

/// Layer on routes: tells [`observe`] which of them was found.
pub fn note_route(request: Request) -> Request {
    let extensions = request.extensions();
    if let (Some(route), Some(found)) = (extensions.get::<Route>(), extensions.get::<MatchedPath>()) {
        // A path is looked up once more without `.json`; only one of the look-ups gets here.
        let _ = route.0.set(found.clone());
    }
    request
}

/// Names the request, continues the caller's trace, and measures until the head of the answer is there.
pub async fn observe<F: Future<Output = Response>>(
    figures: &Figures,
    mut request: Request,
    work: impl FnOnce(Request) -> F,
) -> Response {
    let begun = Instant::now();
    let id = RequestId::generate();
    let parent = Traceparent::from_headers(request.headers());
    // Open routes are found before this layer, all others behind it.
    let open = request.extensions().get::<MatchedPath>().cloned();
    let traced = match &open {
        // Probes come all the time, and nobody follows them.
        Some(_) => Span::none(),
        None => traced(request.method(), &id, parent.as_ref()),
    };
    let logged = logged(&request, &id, parent.as_ref(), &traced);
    let method = request.method().clone();
    let route = Route::default();
    let probe = open.is_some();
    if let Some(open) = open {
        let _ = route.0.set(open);
    }
    let extensions = request.extensions_mut();
    if let Some(parent) = parent {
        extensions.insert(parent);
    }
    extensions.insert(id.clone());
    extensions.insert(route.clone());

    let in_flight = InFlight::enter(&figures.in_flight);
    let mut response = work(request).instrument(logged.clone()).await;
    drop(in_flight);

    let (status, seconds) = (response.status(), begun.elapsed().as_secs_f64());
    figures.count(&method, route.template(), status, seconds);
    conclude(&traced, &method, route.template(), status);
    // A line for every read would cost more than the read; whatever may change something is told.
    let quiet = probe || method.is_safe() && !status.is_server_error();
    logged.in_scope(|| match quiet {
        true => tracing::debug!(status = status.as_u16(), ms = shown_ms(seconds), "answered"),
        false => tracing::info!(status = status.as_u16(), ms = shown_ms(seconds), "answered"),
    });
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

/// The span that is exported. Paths, queries and bodies are not in it: they hold names, and could hold secrets.
fn traced(method: &Method, id: &RequestId, parent: Option<&Traceparent>) -> Span {
    let span = tracing::info_span!(
        target: trace::TARGET,
        parent: None,
        "request",
        otel.kind = "server",
        otel.status_code = field::Empty,
        http.request.method = known(method).1,
        http.route = field::Empty,
        http.response.status_code = field::Empty,
        dcm.request_id = id.as_str(),
    );
    if let Some(parent) = parent {
        trace::continue_from(&span, parent.as_str());
    }
    span
}

/// The span that log lines show, inside the exported one.
fn logged(request: &Request, id: &RequestId, parent: Option<&Traceparent>, traced: &Span) -> Span {
    let path = request.uri().path();
    let path = path.get(..path.floor_char_boundary(SHOWN)).unwrap_or(path);
    let own = trace::trace_id(traced);
    tracing::info_span!(
        parent: traced,
        "http.request",
        method = %request.method(),
        path,
        request_id = id.as_str(),
        trace_id = own.as_deref().or_else(|| parent.and_then(|parent| trace::trace_of(parent.as_str()))),
    )
}

/// Completes the exported span.
fn conclude(traced: &Span, method: &Method, route: &str, status: StatusCode) {
    if traced.is_disabled() {
        return;
    }
    trace::rename(traced, format!("{} {route}", known(method).1));
    traced.record("http.route", route);
    traced.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        traced.record("otel.status_code", "ERROR");
    }
}

/// Milliseconds with two digits behind the point.
fn shown_ms(seconds: f64) -> f64 {
    (seconds * 100_000.0).round() / 100.0
}

/// Counts a request while it is in work, also one whose client goes away.
struct InFlight<'a>(&'a Gauge);

impl<'a> InFlight<'a> {
    fn enter(gauge: &'a Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

/// The figures of all requests. Handles are looked up once per route, not once per request.
#[derive(Debug)]
pub struct Figures {
    in_flight: Gauge,
    routes: RwLock<HashMap<Box<str>, Arc<OfRoute>>>,
}

impl Default for Figures {
    fn default() -> Self {
        Self { in_flight: metrics::gauge!("dcm_http_in_flight_requests"), routes: RwLock::default() }
    }
}

/// The figures of one route, by method.
#[derive(Debug, Default)]
struct OfRoute([OnceLock<OfMethod>; METHODS.len()]);

#[derive(Debug)]
struct OfMethod {
    seconds: Histogram,
    by_class: [Counter; CLASSES.len()],
}

/// Methods with figures of their own; the last stands for all others, which anybody can make up.
const METHODS: [&str; 8] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "other"];
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// Place and name of a method among [`METHODS`].
fn known(method: &Method) -> (usize, &'static str) {
    let known = METHODS.iter().enumerate().find(|(_, known)| **known == method.as_str());
    known.map_or((METHODS.len() - 1, "other"), |(place, known)| (place, known))
}

impl Figures {
    fn count(&self, method: &Method, route: &str, status: StatusCode, seconds: f64) {
        let (place, method) = known(method);
        let of_route = self.of_route(route);
        let Some(slot) = of_route.0.get(place) else { return };
        let figures = slot.get_or_init(|| OfMethod::new(method, route));
        figures.seconds.record(seconds);
        let class = usize::from(status.as_u16() / 100).saturating_sub(1);
        if let Some(counter) = figures.by_class.get(class) {
            counter.increment(1);
        }
    }

    fn of_route(&self, route: &str) -> Arc<OfRoute> {
        // The map is whole at every panic, so a poisoned lock is as good as any.
        if let Some(known) = self.routes.read().unwrap_or_else(PoisonError::into_inner).get(route) {
            return Arc::clone(known);
        }
        let mut routes = self.routes.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(routes.entry(route.into()).or_default())
    }
}

impl OfMethod {
    fn new(method: &'static str, route: &str) -> Self {
        let seconds = metrics::histogram!(
            "dcm_http_request_seconds", "method" => method, "route" => route.to_owned()
        );
        let by_class = CLASSES.map(|class| {
            metrics::counter!(
                "dcm_http_requests_total",
                "method" => method, "route" => route.to_owned(), "status" => class
            )
        });
        Self { seconds, by_class }
    }
}
