//! The transport around a few sample routes, by contract case where one is pinned.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Path;
use axum::routing::{get, patch, post};
use axum::{Extension, Json, Router};
use http::{HeaderMap, Request, Response, StatusCode, header};
use proptest::prelude::*;
use serde_json::{Value, json};
use tower::ServiceExt;
use uuid::Uuid;

use super::*;

/// Groups as the contract's cases use them, and routes that show or break one layer each.
fn sample() -> Routes {
    let contract = Router::new()
        .route("/v1.0/subcloud-groups", get(async || Json(json!({"subcloud_groups": []}))).post(echo))
        .route("/v1.0/subcloud-groups/{group}", get(group).patch(fail).delete(gone))
        .route("/v1.0/subcloud-groups/{group}/subclouds", get(group))
        .route("/v1.0/subclouds", get(async || Json(json!({"subclouds": []}))))
        .route("/v1.0/subclouds/{subcloud}", get(no_subcloud))
        .route("/v1.0/who", get(who))
        .route("/v1.0/slow", post(slow))
        .route("/v1.0/panic", get(broken))
        .route("/v1.0/form", post(async |_: Form| Json(Value::Null)))
        .route("/v1.0/json", patch(async |_: JsonObject| Json(Value::Null)))
        .route("/v1.0/foreign", get(async || (StatusCode::BAD_REQUEST, "the <framework> said no")));
    let open = Router::new()
        .route("/healthz", get(async || "ok"))
        .route("/readyz", get(async || (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"lag": 1})))));
    Routes { contract, open, ..Routes::default() }
}

async fn echo(body: Bytes) -> Bytes {
    body
}

async fn group(Path(reference): Path<String>) -> Result<Json<Value>, ApiError> {
    alternatives(&reference)
        .find(|name| ["1", "Default", "a.json", "ä b/c"].contains(name))
        .map(|name| Json(json!({"name": name})))
        .ok_or_else(|| ApiError::not_found("Subcloud Group not found"))
}

async fn no_subcloud() -> ApiError {
    ApiError::not_found("Subcloud not found")
}

async fn fail() -> ApiError {
    ApiError::unprocessable("the manager says <no>")
}

async fn gone() -> ApiError {
    ApiError::forbidden()
}

async fn who(
    caller: Caller,
    Extension(id): Extension<RequestId>,
    parent: Option<Extension<Traceparent>>,
) -> Json<Value> {
    let parent = parent.map(|Extension(parent)| parent.as_str().to_owned());
    Json(json!({"actor": *caller.actor, "id": id.as_str(), "traceparent": parent}))
}

async fn slow(_: Bytes) -> Json<Value> {
    std::future::pending().await
}

#[allow(clippy::unused_async, reason = "a handler is a function that returns a future")]
async fn broken() -> Json<Value> {
    panic!("a defect")
}

fn app() -> Router {
    wrap(sample(), TransportSettings::default())
}

async fn send(app: Router, request: Request<Body>) -> (Response<Body>, String) {
    let (parts, body) = app.oneshot(request).await.unwrap().into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    (Response::from_parts(parts, Body::empty()), String::from_utf8_lossy(&body).into_owned())
}

/// Status, `Content-Type` and body of `method path` with the header `Accept`, if given.
async fn ask(method: &str, path: &str, accept: Option<&str>) -> (u16, String, String) {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(accept) = accept {
        request = request.header(header::ACCEPT, accept);
    }
    let (response, body) = send(app(), request.body(Body::empty()).unwrap()).await;
    (response.status().as_u16(), text(response.headers(), "content-type"), body)
}

async fn status(method: &str, path: &str) -> u16 {
    ask(method, path, Some("application/json")).await.0
}

fn text(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
}

fn json_of(body: &str) -> Value {
    serde_json::from_str(body).unwrap()
}

#[tokio::test]
async fn ac_001_sc_001_root_lists_one_version() {
    let request = Request::get("/").header(header::HOST, "dc.example:8119").body(Body::empty()).unwrap();
    let (response, body) = send(app(), request).await;
    assert_eq!(response.status(), 200);
    assert_eq!(
        body,
        r#"{"versions":[{"status":"CURRENT","links":[{"rel":"self","href":"http://dc.example:8119/v1.0/"}],"id":"v1.0","updated":"2017-10-2"}]}"#
    );
}

#[tokio::test]
async fn ac_002_a_query_on_root_is_ignored() {
    assert_eq!(status("GET", "/?x=1").await, 200);
    assert_eq!(ask("OPTIONS", "/", None).await.0, 200);
    assert_eq!(status("GET", "//").await, 404);
}

#[tokio::test]
async fn ac_003_to_007_sc_002_to_006_root_refuses_other_methods() {
    for method in ["POST", "PUT", "PATCH", "DELETE", "HEAD"] {
        let request = Request::builder().method(method).uri("/").body(Body::empty()).unwrap();
        let (response, body) = send(app(), request).await;
        assert_eq!(
            (response.status().as_u16(), text(response.headers(), "allow").as_str()),
            (405, "GET, OPTIONS")
        );
        assert_eq!(body.is_empty(), method == "HEAD", "{method}: {body}");
    }
}

#[tokio::test]
async fn ac_008_the_version_root_is_not_found() {
    for path in ["/v1.0", "/v1.0/", "/v1", "/v", "/v1/"] {
        let (status, _, body) = ask("GET", path, Some("application/json")).await;
        assert_eq!(
            (status, json_of(&body)),
            (404, json!({"code": 404, "title": "Not Found", "description": null}))
        );
    }
}

#[tokio::test]
async fn ac_009_other_versions_are_not_found() {
    for path in ["/v1.1/subclouds", "/v2.0/subclouds", "/v1/subclouds", "/v/subclouds", "//subclouds"] {
        assert_eq!(status("GET", path).await, 404, "{path}");
    }
    for path in ["/v1.0/subclouds", "/x1.0/subclouds", "/v10/subclouds?x=1"] {
        assert_eq!(status("GET", path).await, 200, "{path}");
    }
}

#[tokio::test]
async fn ac_010_ac_011_sc_007_sc_008_unknown_resources_are_not_found() {
    for method in ["GET", "POST", "PATCH", "PUT", "DELETE"] {
        for path in ["/v1.0/bad_method", "/unknown", "/v1.0/6e0b7a3c-2a35-4b5e-9d4c-000000000000/bad_method"]
        {
            assert_eq!(status(method, path).await, 404, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn ac_013_a_trailing_slash_is_accepted() {
    for path in ["/v1.0/subcloud-groups", "/v1.0/subcloud-groups/", "/v1.0/subcloud-groups/1/subclouds/?x"] {
        assert_eq!(status("GET", path).await, 200, "{path}");
    }
}

#[tokio::test]
async fn ac_014_json_is_dropped_where_the_literal_name_is_unknown() {
    for (path, name) in [
        ("/v1.0/subcloud-groups/Default.json", "Default"),
        ("/v1.0/subcloud-groups/a.json", "a.json"),
        ("/v1.0/subcloud-groups/a.json.json", "a.json"),
        ("/v1.0/subcloud-groups/1/subclouds.json", "1"),
        ("/v1.0/subcloud-groups/%C3%A4%20b%2Fc", "ä b/c"),
    ] {
        let (status, _, body) = ask("GET", path, None).await;
        assert_eq!((status, json_of(&body)), (200, json!({"name": name})), "{path}");
    }
    assert_eq!(status("GET", "/v1.0/subclouds.json").await, 200);
}

#[tokio::test]
async fn ac_015_other_endings_belong_to_the_name() {
    assert_eq!(status("GET", "/v1.0/subcloud-groups/Default.txt").await, 404);
    assert_eq!(status("GET", "/v1.0/subclouds.txt").await, 404);
}

#[tokio::test]
async fn ac_016_too_many_segments_are_not_found() {
    assert_eq!(status("GET", "/v1.0/subcloud-groups/1/subclouds/extra").await, 404);
    assert_eq!(status("GET", "/v1.0/subclouds/1/extra").await, 404);
}

#[tokio::test]
async fn ac_017_ac_018_sc_009_every_answer_has_a_new_request_id() {
    let mut seen = Vec::new();
    for path in ["/", "/v1.0/subclouds", "/v1.0/unknown", "/v1.0/panic", "/healthz"] {
        let request = Request::get(path).header("X-Openstack-Request-Id", "abc").body(Body::empty()).unwrap();
        let (response, _) = send(app(), request).await;
        let id = text(response.headers(), "x-openstack-request-id");
        let uuid = Uuid::parse_str(id.strip_prefix("req-").expect("prefix")).unwrap();
        assert_eq!(uuid.get_version_num(), 4);
        assert!(!seen.contains(&id));
        seen.push(id);
    }
}

#[tokio::test]
async fn ac_019_sc_018_json_errors() {
    let (status, kind, body) = ask("GET", "/v1.0/subclouds/999", Some("application/json")).await;
    assert_eq!((status, kind.as_str()), (404, "application/json"));
    assert_eq!(body, r#"{"code":404,"title":"Not Found","description":"Subcloud not found"}"#);
}

#[tokio::test]
async fn ac_020_sc_017_html_errors_for_any() {
    let (status, kind, body) = ask("GET", "/v1.0/subclouds/999", Some("*/*")).await;
    assert_eq!((status, kind.as_str()), (404, "text/html; charset=UTF-8"));
    assert!(body.contains("<h1>404 Not Found</h1>"));
    assert!(body.ends_with("\nSubcloud not found\n\n\n </body>\n</html>"), "{body}");
}

#[tokio::test]
async fn ac_021_sc_019_plain_errors_without_accept() {
    let (status, kind, body) = ask("GET", "/v1.0/subcloud-groups/9", None).await;
    assert_eq!((status, kind.as_str()), (404, "text/plain; charset=UTF-8"));
    assert!(
        body.starts_with("404 Not Found\n\n") && body.trim_end().ends_with("\n\nSubcloud Group not found")
    );
}

#[tokio::test]
async fn ac_022_ac_023_weights_decide() {
    let kind = async |accept| ask("GET", "/v1.0/subclouds/999", Some(accept)).await.1;
    assert_eq!(kind("application/json, */*;q=0.5").await, "application/json");
    assert_eq!(kind("text/html, application/json").await, "text/html; charset=UTF-8");
}

#[tokio::test]
async fn ac_024_what_cannot_be_answered_in_json_is_not_acceptable() {
    let (status, kind, _) = ask("GET", "/v1.0/subclouds", Some("text/html")).await;
    assert_eq!((status, kind.as_str()), (406, "text/html; charset=UTF-8"));
    for accept in ["text/plain", "text/*", "application/xml"] {
        assert_eq!(ask("GET", "/v1.0/subclouds", Some(accept)).await.0, 406, "{accept}");
        assert_eq!(ask("GET", "/v1.0/unknown", Some(accept)).await.0, 404, "{accept}");
        assert_eq!(ask("GET", "/healthz", Some(accept)).await.0, 200, "{accept}");
    }
    assert_eq!(ask("POST", "/", Some("text/html")).await.0, 405);
}

#[tokio::test]
async fn ac_025_refusals_of_the_policy_have_a_null_description() {
    let (_, _, body) = ask("DELETE", "/v1.0/subcloud-groups/1", Some("application/json")).await;
    assert_eq!(json_of(&body), json!({"code": 403, "title": "Forbidden", "description": null}));
}

#[tokio::test]
async fn ac_028_refusals_of_the_manager_keep_their_text() {
    let (status, _, body) = ask("PATCH", "/v1.0/subcloud-groups/1", Some("*/*")).await;
    assert_eq!((status, body.contains("the manager says &lt;no&gt;")), (422, true), "{body}");
}

#[tokio::test]
async fn a_method_a_known_path_lacks_is_405_with_allow() {
    for (method, path, allowed) in [
        ("PUT", "/v1.0/subclouds", "GET,HEAD"),
        ("OPTIONS", "/v1.0/subclouds/", "GET,HEAD"),
        ("POST", "/v1.0/subcloud-groups/1", "GET,HEAD,PATCH,DELETE"),
        ("POST", "/healthz", "GET,HEAD"),
    ] {
        let request = Request::builder().method(method).uri(path).header("accept", "application/json");
        let (response, body) = send(app(), request.body(Body::empty()).unwrap()).await;
        assert_eq!((response.status().as_u16(), text(response.headers(), "allow").as_str()), (405, allowed));
        assert_eq!(json_of(&body), json!({"code": 405, "title": "Method Not Allowed", "description": null}));
    }
}

#[tokio::test]
async fn the_caller_is_the_anonymous_administrator() {
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let request = Request::get("/v1.0/who").header("traceparent", parent).body(Body::empty()).unwrap();
    let (response, body) = send(app(), request).await;
    let expected = json!({
        "actor": {"user_id": "anonymous", "project_id": "admin", "roles": ["admin", "member", "reader"]},
        "id": text(response.headers(), "x-openstack-request-id"),
        "traceparent": parent,
    });
    assert_eq!(json_of(&body), expected);
    let request = Request::get("/v1.0/who").header("traceparent", "nonsense").body(Body::empty()).unwrap();
    assert_eq!(json_of(&send(app(), request).await.1)["traceparent"], Value::Null);
}

#[tokio::test]
async fn a_caller_outside_the_authentication_layer_is_refused() {
    let routes = Routes {
        contract: Router::new(),
        open: Router::new().route("/who", get(async |_: Caller| "")),
        ..Routes::default()
    };
    let app = wrap(routes, TransportSettings::default());
    let (response, _) = send(app.clone(), Request::get("/who").body(Body::empty()).unwrap()).await;
    assert_eq!(response.status(), 401);
    let (response, _) = send(app, Request::get("/").body(Body::empty()).unwrap()).await;
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn a_panic_is_a_500_without_its_text() {
    let (status, kind, body) = ask("GET", "/v1.0/panic", Some("application/json")).await;
    assert_eq!((status, kind.as_str()), (500, "application/json"));
    assert_eq!(json_of(&body)["description"], Value::Null);
}

#[tokio::test]
async fn errors_of_the_framework_take_the_contracts_form() {
    let (_, _, body) = ask("GET", "/v1.0/foreign", Some("application/json")).await;
    assert_eq!(json_of(&body)["description"], "the <framework> said no");
    let (status, _, body) = ask("GET", "/readyz", Some("application/json")).await;
    assert_eq!((status, json_of(&body)), (503, json!({"lag": 1})));
}

#[tokio::test]
async fn hostile_paths_are_only_unknown() {
    let long = format!("/v1.0/subclouds/{}", "a".repeat(10_000));
    for path in [
        "/v1.0/subclouds/%00",
        "/v1.0/subclouds/..",
        "/v1.0/subclouds/%2e%2e%2f",
        "/v1.0/../healthz",
        "/../..",
        "/v1.0/subclouds/%ff%fe",
        "/v1.0/subclouds/%",
        "/v1.0/subclouds/%zz",
        "/v1.0//subclouds",
        "/v1.0/{subcloud}",
        "/.json",
        "/v1.0/.json",
        "/v1.0.json",
        &long,
    ] {
        assert_eq!(status("GET", path).await, 404, "{path}");
    }
    assert_eq!(status("GET", &format!("/v1.0/subclouds/{}", "a".repeat(20_000))).await, 414);
}

fn tight() -> Router {
    let form = FormLimits { field_bytes: 4, total_bytes: 1000, parts: 2 };
    let limits = Limits {
        header_bytes: 200,
        target_bytes: 100,
        body_bytes: 50,
        request_time: Duration::from_millis(50),
        concurrent_requests: 1,
        form,
        upload_bytes: 500,
        ..Limits::default()
    };
    wrap(sample(), TransportSettings { limits, ..TransportSettings::default() })
}

#[tokio::test]
async fn uploads_may_be_larger_and_slower_than_other_bodies() {
    for (path, length, refused) in [
        ("/v1.0/subcloud-deploy/", 400, false),
        ("/v1.0/subcloud-deploy", 501, true),
        ("/v1.0/subclouds/", 400, true),
        ("/v1.0/sw-update-options/subcloud-deploy", 400, true),
    ] {
        let request = Request::post(path).header("content-length", length).body(Body::empty()).unwrap();
        let status = send(tight(), request).await.0.status();
        assert_eq!(status == 413, refused, "{path} {length}: {status}");
    }
}

#[tokio::test]
async fn sizes_over_their_limits_are_refused() {
    let headers = Request::get("/").header("x", "y".repeat(300)).body(Body::empty()).unwrap();
    assert_eq!(send(tight(), headers).await.0.status(), 431);
    let target = Request::get(format!("/?{}", "y".repeat(100))).body(Body::empty()).unwrap();
    assert_eq!(send(tight(), target).await.0.status(), 414);
    let declared = Request::post("/v1.0/subcloud-groups").header("content-length", "51");
    assert_eq!(send(tight(), declared.body(Body::empty()).unwrap()).await.0.status(), 413);
    let streamed =
        Body::from_stream(futures::stream::iter((0..9).map(|_| Ok::<_, std::io::Error>("0123456789"))));
    let streamed = Request::post("/v1.0/subcloud-groups").body(streamed).unwrap();
    assert_eq!(send(tight(), streamed).await.0.status(), 413);
    let field = Request::post("/v1.0/form").header("content-type", "application/x-www-form-urlencoded");
    let (response, body) = send(tight(), field.body(Body::from("name=12345")).unwrap()).await;
    assert_eq!((response.status().as_u16(), body.contains("field name")), (413, true), "{body}");
}

#[tokio::test]
async fn a_body_that_never_ends_is_bounded_by_time() {
    let endless = Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
    let (response, _) = send(tight(), Request::post("/v1.0/json").body(Body::empty()).unwrap()).await;
    assert_eq!(response.status(), 405);
    let request = Request::patch("/v1.0/json").body(endless).unwrap();
    let (response, body) = send(tight(), request).await;
    assert_eq!((response.status().as_u16(), text(response.headers(), "retry-after").as_str()), (503, "1"));
    assert!(body.contains("took too long"), "{body}");
}

#[tokio::test]
async fn one_request_too_many_is_turned_away_and_health_still_answers() {
    let app = tight();
    let held = app.clone().oneshot(Request::post("/v1.0/slow").body(Body::empty()).unwrap());
    let mut held = Box::pin(held);
    assert!(futures::poll!(&mut held).is_pending());
    let (response, _) = send(app.clone(), Request::get("/v1.0/subclouds").body(Body::empty()).unwrap()).await;
    assert_eq!((response.status().as_u16(), text(response.headers(), "retry-after").as_str()), (503, "1"));
    let (response, _) = send(app.clone(), Request::get("/healthz").body(Body::empty()).unwrap()).await;
    assert_eq!(response.status(), 200);
    drop(held);
    let (response, _) = send(app, Request::get("/v1.0/subclouds").body(Body::empty()).unwrap()).await;
    assert_eq!(response.status(), 200);
}

proptest! {
    #[test]
    fn any_path_is_answered_without_a_failure(path in "/[!-~]{0,80}", method in "GET|POST|PATCH|PUT|DELETE|OPTIONS") {
        let Ok(request) = Request::builder().method(method.as_str()).uri(&path).body(Body::empty()) else {
            return Ok(());
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let status = runtime.block_on(send(app(), request)).0.status();
        prop_assert!(status.is_success() || status.is_client_error() || path.contains("slow") || path.contains("panic"));
    }
}
