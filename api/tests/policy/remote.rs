//! Rules that a server decides (access.md §6).

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{READER, ask, behind_a_proxy};

const LIST: &str = "/v1.0/subclouds";

/// The fields of a form.
type Asked = Vec<(String, String)>;

/// A server that gives one answer, and remembers what it was asked.
#[derive(Clone)]
struct Judge {
    answer: Arc<Mutex<&'static str>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

async fn judged(State(judge): State<Judge>, body: String) -> &'static str {
    let form = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    judge.asked.lock().unwrap().push(form);
    *judge.answer.lock().unwrap()
}

#[tokio::test]
async fn a_server_allows_with_exactly_true() {
    // Another test of this program may have done it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let judge = Judge { answer: Arc::new(Mutex::new("True")), asked: Arc::default() };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = Router::new().route("/judge", post(judged)).with_state(judge.clone());
    let server = tokio::spawn(async move { axum::serve(listener, routes).await });

    let site = behind_a_proxy().await;
    let rule = |text: String| {
        std::fs::write(site.dir.path().join("policy.yaml"), format!("dc_api:subclouds:get: {text}\n"))
            .unwrap();
    };
    let status = async || ask(&site, READER, "GET", LIST).await.status;
    rule(format!("http://{address}/judge"));
    assert_eq!(status().await, 200);
    let asked = judge.asked.lock().unwrap().pop().unwrap();
    let field = |name: &str| {
        let value = &asked.iter().find(|(known, _)| known == name).unwrap().1;
        serde_json::from_str::<Value>(value).unwrap()
    };
    assert_eq!(field("rule"), json!("dc_api:subclouds:get"));
    assert_eq!(field("target"), json!({}));
    assert_eq!(field("credentials"), json!({"project_name": "admin", "roles": ["reader"]}));
    for answer in ["False", "", "true", "True\n", "Truer"] {
        *judge.answer.lock().unwrap() = answer;
        assert_eq!(status().await, 403, "{answer:?}");
    }

    // It is asked only if it matters, and once.
    judge.asked.lock().unwrap().clear();
    rule(format!("role:reader or http://{address}/judge"));
    assert_eq!(status().await, 200);
    assert_eq!(judge.asked.lock().unwrap().len(), 0);
    rule(format!("not (http://{address}/judge or http://{address}/judge)"));
    assert_eq!(status().await, 200);
    assert_eq!(judge.asked.lock().unwrap().len(), 1);

    // Without an answer nothing is decided.
    rule(format!("not http://{address}/judge"));
    server.abort();
    assert!(server.await.unwrap_err().is_cancelled());
    let answer = ask(&site, READER, "GET", LIST).await;
    assert_eq!(answer.status, 503, "{}", answer.text);
    assert!(
        !answer.header("retry-after").is_empty() && !answer.text.contains("127.0.0.1"),
        "{}",
        answer.text
    );
}
