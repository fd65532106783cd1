//! Paths as the contract reads them (access.md §8, decisions.md "Path suffixes").

use axum::body::Body;
use axum::extract::{MatchedPath, Request};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, Uri, header};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::error::ApiError;
use super::negotiation::Accept;
use crate::openapi::ErrorBody;

/// The version segment that routes are written with.
const VERSION: &str = "v1.0";
const SUFFIX: &str = ".json";

/// The request came over TLS. A request extension, set by whoever serves the router.
#[derive(Clone, Copy, Debug)]
pub struct Encrypted;

/// The names a reference in the **last** path segment may mean, in the order to try them: as it stands, then without
/// `.json` (decisions.md "Path suffixes"). No other ending has a meaning.
pub fn alternatives(reference: &str) -> impl Iterator<Item = &str> {
    let stripped = reference.strip_suffix(SUFFIX).filter(|name| !name.is_empty());
    [Some(reference), stripped].into_iter().flatten()
}

/// Before route lookup: refuses paths no name can match and brings the rest into the routes' spelling.
///
/// 404 for bytes that are not UTF-8 and for control characters, which no name has; 400 for NUL in the query, which no
/// text column takes. A version segment whose second character is `1` and whose last is `0` becomes `v1.0`; one
/// trailing slash is dropped.
pub fn canonical_path(request: &mut Request) -> Result<(), ApiError> {
    if request.uri().query().is_some_and(|query| percent_decode_str(query).any(|byte| byte == 0)) {
        return Err(ApiError::bad_request("the query must not contain NUL"));
    }
    if let Some(path) = canonical(request.uri().path())? {
        *request.uri_mut() = with_path(request.uri(), &path)?;
    }
    Ok(())
}

/// The path in the routes' spelling; `None` if it is in it already.
fn canonical(path: &str) -> Result<Option<String>, ApiError> {
    let decoded = percent_decode_str(path).decode_utf8().map_err(|_| ApiError::unknown_path())?;
    if decoded.chars().any(char::is_control) {
        return Err(ApiError::unknown_path());
    }
    let Some((version, rest)) = path.strip_prefix('/').and_then(|path| path.split_once('/')) else {
        return Ok(None);
    };
    if !is_version(version) {
        return Ok(None);
    }
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let canonical = format!("/{VERSION}/{rest}");
    Ok((canonical != path).then_some(canonical))
}

/// Whether a path begins with a version, as all of the contract's do but `/`, and no open one does.
pub fn is_versioned(path: &str) -> bool {
    let segment = path.strip_prefix('/').and_then(|path| path.split_once('/'));
    segment.is_some_and(|(version, _)| is_version(version))
}

fn is_version(segment: &str) -> bool {
    segment.chars().nth(1) == Some('1') && segment.ends_with('0')
}

fn with_path(uri: &Uri, path: &str) -> Result<Uri, ApiError> {
    let target = uri.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    let target: PathAndQuery = target.parse().map_err(|_| ApiError::unknown_path())?;
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(target);
    Uri::from_parts(parts).map_err(|_| ApiError::unknown_path())
}

/// Routes, and which of them a path has; 404 for a path that none of them has. A path that ends in `.json` is tried as it
/// stands, then without it. Where any word can stand at its end, a route's own word comes before the literal one:
/// `1/status.json` is `1/status`, though `1/{view}` would take it too.
#[derive(Debug)]
pub struct Lookup {
    routes: Router,
    /// The same routes; each answers with itself.
    found: Router,
}

impl Lookup {
    /// Of `routes`, of which there is one at least.
    pub fn of(routes: Router) -> Self {
        Self { found: routes.clone().route_layer(from_fn(tell_route)), routes: routes.fallback(unknown_path) }
    }

    /// The answer of the route that a request has.
    ///
    /// # Errors
    /// 404 for a path that no route can have.
    pub async fn answer(&self, mut request: Request) -> Result<Response, ApiError> {
        if let Some(bare) = without_suffix(request.uri())? {
            let literal = request.uri().clone();
            if self.is_meant(bare.clone(), literal).await {
                *request.uri_mut() = bare;
            }
        }
        let Ok(response) = self.routes.clone().oneshot(request).await;
        Ok(response)
    }

    /// Whether the path that is left without `.json` is what `literal` means.
    async fn is_meant(&self, bare: Uri, literal: Uri) -> bool {
        match (self.route(literal).await, self.route(bare).await) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(literal), Some(bare)) => takes_any_word(&literal) && !takes_any_word(&bare),
        }
    }

    async fn route(&self, uri: Uri) -> Option<MatchedPath> {
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = uri;
        let Ok(response) = self.found.clone().oneshot(request).await;
        response.extensions().get().cloned()
    }
}

/// Whether a route ends in a parameter.
fn takes_any_word(route: &MatchedPath) -> bool {
    route.as_str().ends_with('}')
}

/// Layer on routes: the answer is the route that was found, whatever its methods.
async fn tell_route(route: MatchedPath, _: Request, _: Next) -> Extension<MatchedPath> {
    Extension(route)
}

/// The same without `.json` at the end of its path, if there is one.
fn without_suffix(uri: &Uri) -> Result<Option<Uri>, ApiError> {
    let path = uri.path().strip_suffix(SUFFIX).filter(|path| !path.ends_with('/'));
    path.map(|path| with_path(uri, path)).transpose()
}

/// 404 for a path that no route has.
pub async fn unknown_path() -> ApiError {
    ApiError::unknown_path()
}

/// 405 for a method that a known path does not have; the router adds `Allow`.
pub async fn unsupported_method() -> ApiError {
    ApiError::bare(http::StatusCode::METHOD_NOT_ALLOWED)
}

/// `GET /`: the version document (access.md §8); no identity is asked for.
pub fn root() -> Router {
    let document = get(versions).options(versions).layer(from_fn(for_json));
    Router::new().route("/", document.head(refuse_on_root).fallback(refuse_on_root))
}

async fn for_json(request: Request, next: Next) -> Result<Response, ApiError> {
    Accept::require_json(request.headers())?;
    Ok(next.run(request).await)
}

async fn refuse_on_root() -> Response {
    ApiError::method_not_allowed("GET, OPTIONS").into_response()
}

/// Lists the versions of the API.
///
/// No identity is asked for. `OPTIONS` answers the same.
#[utoipa::path(
    get, path = "/", tag = "operation", operation_id = "list_versions",
    responses(
        (status = 200, description = "The version document", body = Value),
        (status = 406, description = "The client does not take JSON", body = ErrorBody),
    )
)]
pub(crate) async fn versions(
    uri: Uri,
    headers: HeaderMap,
    encrypted: Option<Extension<Encrypted>>,
) -> Json<Value> {
    let base = application_url(&uri, &headers, encrypted.is_some());
    Json(json!({"versions": [{
        "status": "CURRENT",
        "links": [{"rel": "self", "href": format!("{base}/{VERSION}/")}],
        "id": VERSION,
        "updated": "2017-10-2",
    }]}))
}

/// Where the client found the service: its `Host` header, if that is a well-formed authority.
fn application_url(uri: &Uri, headers: &HeaderMap, encrypted: bool) -> String {
    let host = headers.get(header::HOST).and_then(|host| Authority::try_from(host.as_bytes()).ok());
    let authority = host.as_ref().or(uri.authority()).map_or("localhost", Authority::as_str);
    format!("{}://{authority}", if encrypted { "https" } else { "http" })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use axum::routing::patch;
    use proptest::prelude::*;

    use super::*;

    /// What `method path` is answered by routes of which some take any word.
    async fn asked(method: &str, path: &str) -> String {
        let routes = Router::new()
            .route("/a", get("a"))
            .route("/a/{name}", get("name"))
            .route("/a/{name}/status", get("status"))
            .route("/a/{name}/install", patch("install"))
            .route("/a/{name}/{view}", get("view").patch("other"));
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let response = Lookup::of(routes).answer(request).await.unwrap();
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 1000).await.unwrap();
        if status == 200 { String::from_utf8(body.to_vec()).unwrap() } else { status.to_string() }
    }

    #[tokio::test]
    async fn a_routes_own_word_comes_before_the_literal_one() {
        for (method, path, answer) in [
            ("GET", "/a.json", "a"),
            ("GET", "/a/x.json", "name"),
            ("GET", "/a/x/status", "status"),
            ("GET", "/a/x/status.json", "status"),
            ("GET", "/a/x.json/status.json", "status"),
            ("GET", "/a/x/status.json.json", "view"),
            ("GET", "/a/x/statuses.json", "view"),
            ("PATCH", "/a/x/install.json", "install"),
            ("PATCH", "/a/x/other.json", "other"),
            ("PATCH", "/a/x/status.json", "405"),
            ("GET", "/a/x/.json", "view"),
            ("GET", "/a/.json", "name"),
            ("GET", "/b.json", "404"),
            ("GET", "/.json", "404"),
        ] {
            assert_eq!(asked(method, path).await, answer, "{method} {path}");
        }
    }

    #[test]
    fn the_literal_name_comes_first() {
        let names = |reference| alternatives(reference).collect::<Vec<_>>();
        assert_eq!(names("Default"), ["Default"]);
        assert_eq!(names("Default.json"), ["Default.json", "Default"]);
        assert_eq!(names("Default.txt"), ["Default.txt"]);
        assert_eq!(names("a.json.json"), ["a.json.json", "a.json"]);
        assert_eq!(names(".json"), [".json"]);
    }

    #[test]
    fn spellings_of_the_version() {
        let spelled = |path: &str| canonical(path).unwrap().unwrap_or_else(|| path.to_owned());
        for path in ["/v1.0/subclouds", "/x1.0/subclouds", "/v10/subclouds", "/v1.0/subclouds/"] {
            assert_eq!(spelled(path), "/v1.0/subclouds");
        }
        for path in
            ["/", "/v1.0", "//", "/v", "/v1.1/subclouds", "/v2.0/subclouds/", "/1/a", "/é/a", "/healthz/"]
        {
            assert_eq!(spelled(path), path);
        }
        assert_eq!(spelled("/v1.0/"), "/v1.0/");
        assert_eq!(spelled("/v1.0/subclouds//"), "/v1.0/subclouds/");
    }

    #[test]
    fn bytes_no_name_has_are_unknown_paths() {
        for path in ["/v1.0/subclouds/%ff", "/v1.0/subclouds/%00", "/v1.0/subclouds/a%0ab", "/%c3%28/x"] {
            assert_eq!(canonical(path), Err(ApiError::unknown_path()), "{path}");
        }
    }

    #[test]
    fn a_host_that_is_no_authority_is_not_echoed() {
        let mut headers = HeaderMap::new();
        assert_eq!(application_url(&Uri::from_static("/"), &headers, false), "http://localhost");
        headers.insert(header::HOST, "a b<script>".parse().unwrap());
        assert_eq!(application_url(&Uri::from_static("/"), &headers, false), "http://localhost");
        headers.insert(header::HOST, "dc.example:8119".parse().unwrap());
        assert_eq!(application_url(&Uri::from_static("/"), &headers, false), "http://dc.example:8119");
        assert_eq!(application_url(&Uri::from_static("/"), &headers, true), "https://dc.example:8119");
    }

    proptest! {
        #[test]
        fn any_path_is_spelled_or_refused_and_spelling_is_stable(path in "/[ -~é]{0,60}") {
            if let Ok(Some(once)) = canonical(&path) && !once.ends_with('/') {
                prop_assert_eq!(canonical(&once), Ok(None));
            }
        }
    }
}
