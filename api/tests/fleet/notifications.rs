//! Notifications, F41 (fleet.md §12).

use serde_json::{Value, json};

use crate::ask::*;
use crate::site::{Answer, Site};

const PATH: &str = "/v1.0/notifications";

/// What was asked for, as the journal has it.
async fn asked(site: &Site) -> Vec<Value> {
    let stream = "audit-triggers".parse().unwrap();
    let events = site.journal.read_stream(&stream, 0, 100).await.unwrap();
    assert!(events.iter().all(|event| event.envelope.r#type == "AuditTriggered"));
    events.into_iter().map(|event| event.envelope.data["kind"].clone()).collect()
}

async fn notify(site: &Site, events: Value) -> Answer {
    let answer = send(site, "POST", PATH, &json!({"events": events})).await;
    assert_eq!((answer.status, answer.text.as_str()), (200, "null"));
    answer
}

#[tokio::test]
async fn fl_141_without_events() {
    let site = Site::start().await;
    for body in [json!({}), json!([]), json!({"event": "x"}), json!(1), json!({"events": null})] {
        assert_eq!(send(&site, "POST", PATH, &body).await.status, 400, "{body}");
    }
    assert_eq!(site.ask("POST", PATH, &[], "").await.status, 400);
    for method in ["GET", "PATCH", "DELETE"] {
        assert_eq!(bare(&site, method, PATH).await.status, 405, "{method}");
    }
    assert!(asked(&site).await.is_empty());
}

#[tokio::test]
async fn fl_142_any_confirmed_identity_may_notify() {
    let site = behind_a_proxy(Site::start().await);
    let body = json!({"events": ["k8s-upgrade-completed"]}).to_string();
    let answer = site.ask("POST", PATH, &somebody("", "demo"), &body).await;
    assert_eq!((answer.status, answer.text.as_str()), (200, "null"));
    assert_eq!(site.ask("POST", PATH, &[], &body).await.status, 401);
    assert_eq!(asked(&site).await, ["kubernetes"]);
}

#[tokio::test]
async fn fl_143_144_ac_084_known_events_ask_for_audits() {
    let site = Site::start().await;
    notify(&site, json!(["something-else", 7])).await;
    assert!(asked(&site).await.is_empty());
    let all = ["kube-rootca-update-completed", "platform-upgrade-completed", "k8s-upgrade-completed"];
    let answer = notify(&site, json!(all)).await;
    assert!(!answer.header("dcm-position").is_empty());
    assert_eq!(asked(&site).await, ["load", "kubernetes", "kube-rootca-update"], "in the order of the table");
    notify(&site, json!("platform-upgrade-completed")).await;
    assert_eq!(asked(&site).await.len(), 4);
}
