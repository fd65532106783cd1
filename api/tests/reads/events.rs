//! The journal as a stream of events.

use dcm_domain::subcloud::command::{ManageSubcloud, UnmanageSubcloud};
use serde_json::Value;

use crate::describe;
use crate::site::{PATIENCE, Site};

#[tokio::test]
async fn the_journal_as_a_stream_of_events() {
    let site = Site::start().await;
    let entity = site.add(1).await;
    site.run(entity, &ManageSubcloud { force: true, ..ManageSubcloud::default() }).await;
    site.run(entity, &UnmanageSubcloud { migrate: true, ..UnmanageSubcloud::default() }).await;
    let answer = site.get_with("/v1.0/events?follow=false", &[("accept", "text/event-stream")]).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "text/event-stream"));
    let events = parse(&answer.text);
    assert_eq!(events.len() as u64, site.journal.head().await.unwrap());
    for (order, (id, name, data)) in (1..).zip(&events) {
        assert_eq!(*id, format!("{}.{order}", site.journal.id()));
        assert_eq!(data["type"], name.as_str());
    }
    let (fourth, rest) = (&events[3].0, &events[4..]);
    let path = format!("/v1.0/events?follow=false&from={fourth}");
    assert_eq!(parse(&site.get(&path).await.text), rest);
    let first = events[0].0.as_str();
    let again =
        site.get_with(&format!("/v1.0/events?follow=false&from={first}"), &[("last-event-id", fourth)]).await;
    assert_eq!(parse(&again.text), rest);
    let head = events.last().unwrap().0.as_str();
    assert_eq!(site.get(&format!("/v1.0/events?follow=false&from={head}")).await.text, "");
}

#[tokio::test]
async fn followed_events_arrive_as_they_happen() {
    use futures::StreamExt;
    use tower::ServiceExt;

    let site = Site::start().await;
    let entity = site.add(1).await;
    let head = site.get("/v1.0/subclouds/1").await.header("dcm-read-position").to_owned();
    let request =
        http::Request::get(format!("/v1.0/events?from={head}")).body(axum::body::Body::empty()).unwrap();
    let mut body = site.router.clone().oneshot(request).await.unwrap().into_body().into_data_stream();
    describe(&site, entity, "new").await;
    let piece = tokio::time::timeout(PATIENCE, body.next()).await.unwrap().unwrap().unwrap();
    assert!(String::from_utf8_lossy(&piece).contains("event: SubcloudDescribed"));
    site.stop.cancel();
    assert!(tokio::time::timeout(PATIENCE, body.next()).await.unwrap().is_none());
}

fn parse(stream: &str) -> Vec<(String, String, Value)> {
    let field = |event: &str, name: &str| {
        let line = event.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        line.unwrap_or_else(|| panic!("{name} in {event}")).to_owned()
    };
    stream
        .split("\n\n")
        .filter(|event| !event.is_empty() && !event.starts_with(':'))
        .map(|event| {
            (field(event, "id"), field(event, "event"), serde_json::from_str(&field(event, "data")).unwrap())
        })
        .collect()
}
