//! The audit log around the whole transport, by contract case.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::io::{self, Write};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::routing::{get, post};
use axum::{Json, Router};
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;

use super::*;
use crate::transport::{ApiError, Authentication, JsonObject, Parts, Routes, TransportSettings, wrap};

const GROUPS: &str = "/v1.0/subcloud-groups";
const FORM: &str = "multipart/form-data; boundary=b";

fn app() -> Router {
    let contract = Router::new()
        .route(GROUPS, get(async || Json(json!({}))).post(async |_: JsonObject| Json(json!({"id": 1}))))
        .route(
            "/v1.0/subcloud-groups/{group}",
            get(async || "")
                .delete(async || Json(Value::Null))
                .patch(async |_: Form| ApiError::not_found("Subcloud Group not found")),
        )
        .route("/v1.0/subclouds", post(async |_: Form| Json(Value::Null)))
        .route("/v1.0/subcloud-deploy", post(upload))
        .route("/v1.0/slow", post(slow));
    let routes = Routes { contract, ..Routes::default() };
    wrap(
        routes,
        TransportSettings { authentication: Authentication::Headers, ..TransportSettings::default() },
    )
}

/// Reads an upload as its handler does: the files piece by piece, the rest not at all.
async fn upload(mut parts: Parts) -> Result<Json<Value>, ApiError> {
    while let Some(mut part) = parts.next().await? {
        if part.name == "more" {
            continue;
        }
        while part.chunk().await?.is_some() {}
    }
    Ok(Json(Value::Null))
}

async fn slow(_: JsonObject) -> Json<Value> {
    std::future::pending().await
}

/// What was logged on this thread, while it lives.
struct Log {
    written: Arc<Mutex<Vec<u8>>>,
    _guard: DefaultGuard,
}

#[derive(Clone)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Buffer {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Log {
    fn start() -> Self {
        let written = Arc::new(Mutex::new(Vec::new()));
        let lines =
            tracing_subscriber::fmt().json().flatten_event(true).with_writer(Buffer(Arc::clone(&written)));
        Self { written, _guard: tracing::subscriber::set_default(lines.finish()) }
    }

    /// The events of the audit log.
    fn events(&self) -> Vec<Value> {
        let text = String::from_utf8(self.written.lock().unwrap().clone()).unwrap();
        let events = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        events.filter(|event| event["target"] == TARGET).collect()
    }

    /// The one event there is.
    fn event(&self) -> Value {
        let mut events = self.events();
        assert_eq!(events.len(), 1, "{events:?}");
        events.remove(0)
    }

    fn line(&self) -> String {
        self.event()["message"].as_str().unwrap().to_owned()
    }
}

fn request(method: &str, path: &str, kind: &str) -> http::request::Builder {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "dc:8119")
        .header("user-agent", "python-requests/2.25.1")
        .header("accept", "application/json")
        .extension(ConnectInfo(SocketAddr::from(([192, 168, 204, 7], 4711))));
    if !kind.is_empty() {
        request = request.header("content-type", kind);
    }
    request
}

fn identified(request: http::request::Builder) -> http::request::Builder {
    request
        .header("x-identity-status", "Confirmed")
        .header("x-role", "admin,member,reader")
        .header("x-project-name", "admin")
        .header("x-tenant", "admin")
        .header("x-user-id", "3d76d3c1")
        .header("x-user-name", "anna")
        .header("x-user-domain-name", "Default")
        .header("x-tenant-id", "ca53e70c")
}

async fn sent(request: http::request::Builder, body: &str) -> (Response, String) {
    let response = app().oneshot(request.body(Body::from(body.to_owned())).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    (Response::from_parts(parts, Body::empty()), String::from_utf8(body.to_vec()).unwrap())
}

async fn send(method: &str, path: &str, kind: &str, body: &str) -> StatusCode {
    sent(identified(request(method, path, kind)), body).await.0.status()
}

#[tokio::test]
async fn ac_70_reads_are_not_logged() {
    let log = Log::start();
    for method in ["GET", "HEAD", "OPTIONS"] {
        send(method, GROUPS, "", "").await;
        send(method, "/v1.0/unknown", "", "").await;
    }
    assert_eq!(log.events(), Vec::<Value>::new());
}

#[tokio::test]
async fn ac_71_72_a_write_is_one_line_with_its_body_and_without_its_query() {
    let log = Log::start();
    let body = r#"{"name": "edge", "max_parallel_subclouds": 5, "description": null}"#;
    let path = format!("{GROUPS}/?x=hidden");
    let (response, answer) = sent(identified(request("POST", &path, "application/json")), body).await;
    let id = response.headers()["x-openstack-request-id"].to_str().unwrap();
    let event = log.event();
    let seconds = event["seconds"].as_f64().unwrap();
    assert!(seconds > 0.0);
    assert_eq!(
        event["message"],
        format!(
            "[{id} 3d76d3c1 ca53e70c] 192.168.204.7 \"POST {GROUPS}/ HTTP/1.1\" status: 200 len: {} time: \
             {seconds:.6} POST: {{'name': 'edge', 'max_parallel_subclouds': 5, 'description': None}} host:dc:8119 \
             agent:python-requests/2.25.1 user: anna tenant: admin domain: Default",
            answer.len()
        )
    );
    assert_eq!(event["level"], "INFO");
    for (field, value) in [
        ("request_id", json!(id)),
        ("user_id", json!("3d76d3c1")),
        ("project_id", json!("ca53e70c")),
        ("method", json!("POST")),
        ("path", json!("/v1.0/subcloud-groups/")),
        ("status", json!(200)),
        ("len", json!(answer.len())),
        ("user", json!("anna")),
        ("tenant", json!("admin")),
        ("domain", json!("Default")),
        ("remote", json!("192.168.204.7")),
    ] {
        assert_eq!(event[field], value, "{field}");
    }
}

#[tokio::test]
async fn ac_73_a_delete_has_no_body() {
    let log = Log::start();
    assert_eq!(send("DELETE", "/v1.0/subcloud-groups/1", "application/json", r#"{"a": 1}"#).await, 200);
    let line = log.line();
    assert!(
        line.contains("\"DELETE /v1.0/subcloud-groups/1 HTTP/1.1\" status: 200") && !line.contains("POST:")
    );
}

#[tokio::test]
async fn ac_74_refusals_are_logged_with_the_length_of_what_is_sent() {
    let log = Log::start();
    let builder = identified(request("PATCH", "/v1.0/subcloud-groups/9", FORM));
    let (response, answer) = sent(builder, "").await;
    assert_eq!(response.status(), 404);
    assert!(log.line().contains(&format!("status: 404 len: {} time: 0.", answer.len())), "{}", log.line());
    for (method, path, status) in [("POST", "/v1.0/unknown", 404), ("PUT", GROUPS, 405)] {
        let log = Log::start();
        assert_eq!(send(method, path, "", "").await.as_u16(), status);
        assert!(log.line().contains(&format!("status: {status} ")));
    }
    let log = Log::start();
    let picky = request("POST", GROUPS, "").header("accept", "text/html");
    let mut picky = picky.body(Body::empty()).unwrap();
    picky.headers_mut().insert("accept", "text/html".parse().unwrap());
    assert_eq!(app().oneshot(picky).await.unwrap().status(), 406);
    assert!(log.line().contains("status: 406 ") && log.line().contains(" time: 0 host:"));
}

#[tokio::test]
async fn ac_75_without_an_identity_the_user_is_none() {
    let log = Log::start();
    let body = r#"{"name": "edge"}"#;
    let builder = request("POST", GROUPS, "application/json").header("x-auth-token", "gAAAA");
    assert_eq!(sent(builder, body).await.0.status(), 401);
    let line = log.line();
    assert!(line.contains(" None None] 192.168.204.7 \"POST"), "{line}");
    assert!(line.contains("status: 401 ") && line.contains(" time: 0 host:"), "{line}");
    assert!(line.ends_with("user: None tenant: None domain: None") && !line.contains("gAAAA"), "{line}");
}

#[tokio::test]
async fn ac_76_78_passwords_are_absent_from_json_at_any_depth() {
    let log = Log::start();
    let body =
        r#"{"sysadmin_password": "s3cret1", "a": 1, "b": {"c": [{"bmc_password": "s3cret2"}], "d": 2}}"#;
    assert_eq!(send("PATCH", "/v1.0/subcloud-groups/1", "application/json", body).await, 404);
    let line = log.line();
    assert!(!line.contains("s3cret"), "{line}");
    let shown = "POST: {'sysadmin_password': '***', 'a': 1, 'b': {'c': [{'bmc_password': '***'}], 'd': 2}}";
    assert!(line.contains(shown), "{line}");
}

#[tokio::test]
async fn a_request_whose_client_goes_away_is_logged_as_it_goes() {
    let log = Log::start();
    let request = identified(request("POST", "/v1.0/slow", "application/json"));
    let request = request.body(Body::from(r#"{"name": "edge"}"#)).unwrap();
    let answer = app().oneshot(request);
    assert!(tokio::time::timeout(Duration::from_millis(50), answer).await.is_err());
    let event = log.event();
    assert_eq!((&event["status"], &event["len"]), (&json!(499), &Value::Null));
    let line = log.line();
    assert!(line.contains("\"POST /v1.0/slow HTTP/1.1\" status: 499 len: None time: 0."), "{line}");
    assert!(
        line.contains(" POST: {'name': 'edge'} host:") && line.contains("user: anna tenant: admin"),
        "{line}"
    );
}

#[tokio::test]
async fn an_upload_is_logged_without_its_files() {
    let part = |disposition: &str, value: &str| {
        format!("--b\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{value}\r\n")
    };
    let body = [
        part("name=\"deploy_chart\"; filename=\"chart.tgz\"", "s3cret1"),
        part("name=\"release\"", "22.12"),
        part("name=\"sysadmin_password\"", "s3cret2"),
        part("name=\"more\"", "s3cret3"),
        "--b--\r\n".to_owned(),
    ];
    let log = Log::start();
    assert_eq!(send("POST", "/v1.0/subcloud-deploy", FORM, &body.concat()).await, 200);
    let line = log.line();
    let shown = "POST: MultiDict([('deploy_chart', <file of 7 bytes>), ('release', '22.12'), ('sysadmin_password', \
                 '***'), ('more', <not read>)]) host:";
    assert!(line.contains(shown) && !line.contains("s3cret"), "{line}");
}

#[tokio::test]
async fn ac_77_passwords_in_forms_are_starred_and_files_are_not_shown() {
    let part = |disposition: &str, value: &str| {
        format!("--b\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{value}\r\n")
    };
    let body = [
        part("name=\"name\"", "edge"),
        part("name=\"sysadmin_password\"", "s3cret1"),
        part("name=\"bootstrap_values\"; filename=\"b.yml\"", "admin_password: s3cret2"),
        part("name=\"install_values\"", "bmc_password: s3cret3"),
        part("name=\"notes\"", "a: 1\nb_password: s3cret4"),
        "--b--\r\n".to_owned(),
    ];
    let log = Log::start();
    assert_eq!(send("POST", "/v1.0/subclouds", FORM, &body.concat()).await, 200);
    let line = log.line();
    assert!(!line.contains("s3cret"), "{line}");
    let shown = "POST: MultiDict([('name', 'edge'), ('sysadmin_password', '***'), ('bootstrap_values', <file of 23 \
                 bytes>), ('install_values', '***'), ('notes', '***')]) host:";
    assert!(line.contains(shown), "{line}");
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_not_shown() {
    for body in ["{\"a\": \"s3cret", "[1]", ""] {
        let log = Log::start();
        assert_eq!(send("POST", GROUPS, "application/json", body).await, 400);
        assert!(!log.line().contains("POST:"), "{body}");
    }
}

#[tokio::test]
async fn what_a_client_sends_stays_on_one_line() {
    let log = Log::start();
    let body = "{\"name\": \"a\\nb\u{2028}\"}";
    let builder = identified(request("POST", GROUPS, ""));
    let mut request = builder.body(Body::from(body)).unwrap();
    request.headers_mut().insert("user-agent", HeaderValue::from_bytes(b"evil\tagent\xff").unwrap());
    assert_eq!(app().oneshot(request).await.unwrap().status(), 200);
    let line = log.line();
    assert!(line.contains("'***'") && line.contains("agent:evil?agent\u{fffd} user:"), "{line}");
    assert!(!line.contains(['\n', '\t', '\u{2028}']), "{line}");
}

#[tokio::test]
async fn ac_79_a_log_that_cannot_be_written_changes_nothing() {
    #[derive(Clone)]
    struct Full;

    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::StorageFull.into())
        }
    }

    let lines = tracing_subscriber::fmt().with_writer(|| Full).log_internal_errors(false).finish();
    let _guard = tracing::subscriber::set_default(lines);
    let body = r#"{"name": "edge"}"#;
    let (response, answer) = sent(identified(request("POST", GROUPS, "")), body).await;
    assert_eq!((response.status().as_u16(), answer.as_str()), (200, r#"{"id":1}"#));
}
