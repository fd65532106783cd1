//! The client of Keystone against a small one that can be told how to answer.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::sync::{Mutex, Once};
use std::time::Instant;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use chrono::{DateTime, TimeDelta};
use http::{HeaderName, Method, StatusCode, Uri};
use serde_json::{Value, json};

use super::*;

const PASSWORD: &str = "service-s3cret";
const SUBCLOUDS: &str = "/v1.0/subclouds";

/// A Keystone that answers from memory and counts.
#[derive(Default)]
struct Fake {
    tokens: Mutex<HashMap<String, Value>>,
    /// Tokens of the service user that count; each login makes another.
    own: Mutex<Vec<String>>,
    own_life: Mutex<Option<TimeDelta>>,
    /// Answers everything with this instead.
    failing: Mutex<Option<StatusCode>>,
    hangs: AtomicBool,
    logins: Mutex<Vec<Value>>,
    validations: Mutex<Vec<(Uri, HeaderMap)>>,
}

impl Fake {
    async fn start() -> (Arc<Self>, String) {
        let fake = Arc::new(Self::default());
        let router =
            Router::new().route("/v3/auth/tokens", get(validate).post(login)).with_state(Arc::clone(&fake));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (fake, url)
    }

    fn issue(&self, token: &str, roles: &[&str], life: TimeDelta) {
        self.issue_with(token, roles, life, json!({}));
    }

    fn issue_with(&self, token: &str, roles: &[&str], life: TimeDelta, more: Value) {
        let roles: Vec<Value> = roles.iter().map(|role| json!({"id": role, "name": role})).collect();
        let mut document = json!({
            "user": {"id": format!("id-of-{token}"), "name": "anna", "domain": {"id": "default", "name": "Default"}},
            "project": {"id": "p", "name": "admin", "domain": {"id": "default", "name": "Default"}},
            "roles": roles, "expires_at": text(Utc::now() + life), "issued_at": text(Utc::now()),
        });
        document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.tokens.lock().unwrap().insert(token.to_owned(), document);
    }

    fn validations(&self) -> usize {
        self.validations.lock().unwrap().len()
    }

    fn last_query(&self) -> String {
        self.validations.lock().unwrap().last().unwrap().0.query().unwrap().to_owned()
    }

    fn logins(&self) -> usize {
        self.logins.lock().unwrap().len()
    }

    async fn refusal(&self) -> Option<Response> {
        if self.hangs.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        self.failing.lock().unwrap().map(IntoResponse::into_response)
    }
}

fn text(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

async fn login(State(fake): State<Arc<Fake>>, Json(asked): Json<Value>) -> Response {
    if let Some(refusal) = fake.refusal().await {
        return refusal;
    }
    let number = fake.logins();
    fake.logins.lock().unwrap().push(asked);
    let token = format!("own-{number}");
    fake.own.lock().unwrap().push(token.clone());
    let life = fake.own_life.lock().unwrap().unwrap_or(TimeDelta::hours(1));
    let document = json!({"token": {
        "user": {"id": "s"}, "expires_at": text(Utc::now() + life), "issued_at": text(Utc::now()),
    }});
    (StatusCode::CREATED, [("x-subject-token", token)], Json(document)).into_response()
}

async fn validate(State(fake): State<Arc<Fake>>, uri: Uri, headers: HeaderMap) -> Response {
    fake.validations.lock().unwrap().push((uri.clone(), headers.clone()));
    if let Some(refusal) = fake.refusal().await {
        return refusal;
    }
    let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    if !header("x-auth-token").is_some_and(|own| fake.own.lock().unwrap().contains(&own)) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let expired_too = uri.query().unwrap_or_default().contains("allow_expired=1");
    let tokens = fake.tokens.lock().unwrap();
    let found = header("x-subject-token").and_then(|subject| tokens.get(&subject).cloned());
    let found = found.filter(|token| {
        let expires: DateTime<Utc> = token["expires_at"].as_str().unwrap().parse().unwrap();
        expired_too || expires > Utc::now()
    });
    match found {
        Some(token) => Json(json!({"token": token})).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn settings(url: &str) -> KeystoneSettings {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        // Somebody else in this process may have installed the same one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    let credentials = Credentials {
        username: "dcmanager".to_owned(),
        password: Secret::new(PASSWORD.to_owned()),
        user_domain_name: "Default".to_owned(),
        project_name: "services".to_owned(),
        project_domain_name: "Default".to_owned(),
    };
    KeystoneSettings { timeout: Duration::from_secs(5), ..KeystoneSettings::new(url, credentials) }
}

async fn ask(keystone: &Keystone, pairs: &[(&str, &str)]) -> Result<Caller, ApiError> {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        headers
            .insert(name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    keystone.identify(&Question { headers: &headers, method: &Method::GET, path: SUBCLOUDS }).await
}

async fn status(keystone: &Keystone, pairs: &[(&str, &str)]) -> u16 {
    ask(keystone, pairs).await.map_or_else(|error| error.status().as_u16(), |_| 200)
}

#[tokio::test]
async fn ac_34_35_one_good_token_is_validated_once() {
    let (fake, url) = Fake::start().await;
    fake.issue("good", &["admin", "reader"], TimeDelta::hours(1));
    let keystone = Keystone::new(settings(&url)).unwrap();
    for _ in 0..3 {
        let caller = ask(&keystone, &[("X-Auth-Token", " good ")]).await.unwrap();
        assert_eq!(caller.actor.user_id, "id-of-good");
        assert_eq!(caller.actor.roles, ["admin", "reader"]);
        assert_eq!(caller.names.project.as_deref(), Some("admin"));
    }
    assert_eq!((fake.validations(), fake.logins()), (1, 1));
    let (uri, headers) = fake.validations.lock().unwrap().pop().unwrap();
    assert_eq!(uri.query(), Some("nocatalog"));
    assert_eq!(headers["x-subject-token"], "good");
    assert_eq!(headers["openstack-identity-access-rules"], "1");
    let login = &fake.logins.lock().unwrap()[0]["auth"];
    assert_eq!(login["identity"]["password"]["user"]["password"], PASSWORD);
    assert_eq!(login["scope"]["project"], json!({"name": "services", "domain": {"name": "Default"}}));
}

#[tokio::test]
async fn ac_33_36_40_what_is_no_token_is_401_and_asked_about_once() {
    let (fake, url) = Fake::start().await;
    let keystone = Keystone::new(settings(&url)).unwrap();
    for _ in 0..3 {
        let refused = ask(&keystone, &[("X-Auth-Token", "made-up")]).await.unwrap_err();
        assert_eq!(refused.status().as_u16(), 401);
        assert_eq!(refused.detail(), Some("Failed to validate access token: Auth token is invalid"));
        let challenge = format!("Keystone uri=\"{url}\"");
        let response = refused.into_response();
        assert_eq!(response.headers()["www-authenticate"], challenge.as_str());
    }
    assert_eq!(fake.validations(), 1);
    let pretended = [("X-Identity-Status", "Confirmed"), ("X-Role", "admin"), ("X-User-Id", "u")];
    let refused = ask(&keystone, &pretended).await.unwrap_err();
    assert_eq!(refused.detail(), Some("Failed to validate access token: Authentication required"));
    for token in ["", "  ", "a b", "é", "\u{7}"] {
        let Ok(value) = HeaderValue::from_bytes(token.as_bytes()) else { continue };
        let headers = HeaderMap::from_iter([(HeaderName::from_static("x-auth-token"), value)]);
        let question = Question { headers: &headers, method: &Method::GET, path: SUBCLOUDS };
        assert_eq!(keystone.identify(&question).await.unwrap_err().status().as_u16(), 401, "{token:?}");
    }
    assert_eq!(fake.validations(), 1, "what no token looks like is not asked about");
}

#[tokio::test]
async fn ac_37_an_expired_token_is_401_and_asked_about_once() {
    let (fake, url) = Fake::start().await;
    fake.issue("old", &["admin"], TimeDelta::hours(-1));
    fake.issue("short", &["admin"], TimeDelta::milliseconds(300));
    let keystone = Keystone::new(settings(&url)).unwrap();
    for _ in 0..2 {
        assert_eq!(status(&keystone, &[("X-Auth-Token", "old")]).await, 401);
    }
    assert_eq!(fake.validations(), 1);
    assert_eq!(status(&keystone, &[("X-Auth-Token", "short")]).await, 200);
    let deadline = Instant::now() + Duration::from_secs(10);
    while status(&keystone, &[("X-Auth-Token", "short")]).await == 200 {
        assert!(Instant::now() < deadline, "an expired token is honoured out of the cache");
        tokio::task::yield_now().await;
    }
    assert_eq!(fake.validations(), 2);
}

#[tokio::test]
async fn ac_38_an_outage_is_503_is_not_kept_and_ends_at_once() {
    let (fake, url) = Fake::start().await;
    fake.issue("good", &["admin"], TimeDelta::hours(1));
    fake.issue("known", &["admin"], TimeDelta::hours(1));
    let keystone = Keystone::new(settings(&url)).unwrap();
    assert_eq!(status(&keystone, &[("X-Auth-Token", "known")]).await, 200);
    *fake.failing.lock().unwrap() = Some(StatusCode::INTERNAL_SERVER_ERROR);
    for _ in 0..2 {
        let refused = ask(&keystone, &[("X-Auth-Token", "good")]).await.unwrap_err();
        assert_eq!(refused.status().as_u16(), 503);
        assert_eq!(refused.into_response().headers()["retry-after"], "2");
    }
    assert_eq!(fake.validations(), 3);
    assert_eq!(status(&keystone, &[("X-Auth-Token", "known")]).await, 200);
    *fake.failing.lock().unwrap() = None;
    assert_eq!(status(&keystone, &[("X-Auth-Token", "good")]).await, 200);
}

#[tokio::test]
async fn a_keystone_that_is_not_there_or_says_nothing_is_an_outage() {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let keystone = Keystone::new(settings(&format!("http://{closed}"))).unwrap();
    assert_eq!(status(&keystone, &[("X-Auth-Token", "t")]).await, 503);
    assert!(keystone.check().await.is_err());
    let (fake, url) = Fake::start().await;
    fake.hangs.store(true, Ordering::Relaxed);
    let patience = Duration::from_millis(50);
    let keystone = Keystone::new(KeystoneSettings { timeout: patience, ..settings(&url) }).unwrap();
    let asks =
        (0..50).map(async |number| status(&keystone, &[("X-Auth-Token", &format!("t{number}"))]).await);
    let began = Instant::now();
    assert_eq!(futures::future::join_all(asks).await, [503; 50]);
    assert!(began.elapsed() < Duration::from_secs(4), "one after another waits for what does not come");
}

#[tokio::test]
async fn many_at_once_with_one_token_cause_one_validation_and_one_login() {
    let (fake, url) = Fake::start().await;
    fake.issue("good", &["admin"], TimeDelta::hours(1));
    let keystone = Keystone::new(settings(&url)).unwrap();
    let asks = (0..50).map(async |_| status(&keystone, &[("X-Auth-Token", "good")]).await);
    assert_eq!(futures::future::join_all(asks).await, [200; 50]);
    assert_eq!((fake.validations(), fake.logins()), (1, 1));
    let asks =
        (0..50).map(async |number| status(&keystone, &[("X-Auth-Token", &format!("t{number}"))]).await);
    assert_eq!(futures::future::join_all(asks).await, [401; 50]);
    assert_eq!((fake.validations(), fake.logins()), (51, 1));
}

#[tokio::test]
async fn the_own_token_is_renewed_when_it_is_refused_once() {
    let (fake, url) = Fake::start().await;
    fake.issue("a", &["admin"], TimeDelta::hours(1));
    fake.issue("b", &["admin"], TimeDelta::hours(1));
    let keystone = Keystone::new(settings(&url)).unwrap();
    assert_eq!(status(&keystone, &[("X-Auth-Token", "a")]).await, 200);
    fake.own.lock().unwrap().clear();
    assert_eq!(status(&keystone, &[("X-Auth-Token", "b")]).await, 200);
    assert_eq!((fake.validations(), fake.logins()), (3, 2));
    *fake.failing.lock().unwrap() = Some(StatusCode::UNAUTHORIZED);
    assert_eq!(status(&keystone, &[("X-Auth-Token", "c")]).await, 503);
}

#[tokio::test]
async fn the_own_token_is_renewed_before_it_expires() {
    let (fake, url) = Fake::start().await;
    *fake.own_life.lock().unwrap() = Some(TimeDelta::milliseconds(400));
    let keystone = Keystone::new(settings(&url)).unwrap();
    keystone.check().await.unwrap();
    keystone.check().await.unwrap();
    assert_eq!(fake.logins(), 1);
    let deadline = Instant::now() + Duration::from_secs(10);
    while fake.logins() == 1 {
        keystone.check().await.unwrap();
        assert!(Instant::now() < deadline, "the own token is not renewed");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn ac_39_41_the_token_alone_says_who_it_is() {
    let (fake, url) = Fake::start().await;
    fake.issue("good", &["reader"], TimeDelta::hours(1));
    let keystone = Keystone::new(settings(&url)).unwrap();
    let pretended =
        [("X-Storage-Token", "good"), ("X-Role", "admin"), ("X-Roles", "admin"), ("X-User-Id", "root")];
    let caller = ask(&keystone, &pretended).await.unwrap();
    assert_eq!(
        (caller.actor.user_id.as_str(), caller.actor.roles.clone()),
        ("id-of-good", vec!["reader".to_owned()])
    );
}

#[tokio::test]
async fn a_service_token_vouches_for_expired_ones_and_for_nothing_else() {
    let (fake, url) = Fake::start().await;
    fake.issue("old", &["admin"], TimeDelta::hours(-1));
    fake.issue("good", &["admin"], TimeDelta::hours(1));
    fake.issue("service", &["service"], TimeDelta::hours(1));
    fake.issue("other", &["admin"], TimeDelta::hours(1));
    let keystone = Keystone::new(settings(&url)).unwrap();
    let with = async |user, service| {
        status(&keystone, &[("X-Auth-Token", user), ("X-Service-Token", service)]).await
    };
    assert_eq!(status(&keystone, &[("X-Service-Token", "service")]).await, 401);
    assert_eq!(with("good", "made-up").await, 200);
    assert_eq!(with("old", "other").await, 401);
    assert!(!fake.last_query().contains("allow_expired"));
    assert_eq!(with("old", "service").await, 200);
    assert!(fake.last_query().contains("allow_expired=1"));
    assert_eq!(with("made-up", "service").await, 401);
    assert_eq!(status(&keystone, &[("X-Auth-Token", "old")]).await, 401);
}

#[tokio::test]
async fn a_restricted_token_is_held_to_its_rules() {
    let (fake, url) = Fake::start().await;
    let restricted = |path: &str| {
        let rule = json!({"id": "r", "service": "dcmanager", "method": "GET", "path": path});
        json!({"application_credential": {"id": "a", "access_rules": [rule]}})
    };
    fake.issue_with("list", &["admin"], TimeDelta::hours(1), restricted("/v1.0/subclouds"));
    fake.issue_with("one", &["admin"], TimeDelta::hours(1), restricted("/v1.0/subclouds/*"));
    let unrestricted = json!({"application_credential": {"id": "a", "restricted": true}});
    fake.issue_with("all", &["admin"], TimeDelta::hours(1), unrestricted);
    let keystone = Keystone::new(settings(&url)).unwrap();
    for (token, expected) in [("list", 200), ("one", 401), ("all", 200)] {
        assert_eq!(status(&keystone, &[("X-Auth-Token", token)]).await, expected, "{token}");
    }
}

#[tokio::test]
async fn nothing_secret_is_printed() {
    let (fake, url) = Fake::start().await;
    fake.issue_with("gAAAAA-user", &["admin"], TimeDelta::hours(1), json!({"user": {"id": "u"}}));
    let keystone = Keystone::new(settings(&url)).unwrap();
    assert!(!format!("{:?}", settings(&url)).contains(PASSWORD));
    assert_eq!(status(&keystone, &[("X-Auth-Token", "gAAAAA-user")]).await, 200);
    let printed = format!("{keystone:?}");
    for secret in [PASSWORD, "gAAAAA-user", "own-0"] {
        assert!(!printed.contains(secret), "{printed}");
    }
}

#[test]
fn settings_that_cannot_be_used_are_refused() {
    let refused = |settings: KeystoneSettings| Keystone::new(settings).unwrap_err().to_string();
    assert!(refused(settings("nowhere")).contains("nowhere"));
    let uri = "http://h\n".to_owned();
    assert!(
        refused(KeystoneSettings { www_authenticate_uri: uri, ..settings("http://h") }).contains("header")
    );
    let pem = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec();
    let wrong = KeystoneSettings { authorities: Some(pem), ..settings("http://h") };
    assert!(refused(wrong).starts_with("TLS"));
}
