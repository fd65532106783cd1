//! Waiting for a write, and saying how fresh an answer is.

use std::time::Duration;

use uuid::Uuid;

use crate::describe;
use crate::site::Site;

#[tokio::test]
async fn reads_say_where_they_were_read() {
    let site = Site::start().await;
    let entity = site.add(1).await;
    let position = describe(&site, entity, "new").await;
    for path in
        ["/v1.0/subclouds", "/v1.0/subclouds/1", "/v1.0/subclouds/1/detail", "/v1.0/subclouds/1/history"]
    {
        let answer = site.get_with(path, &[("dcm-position", position.as_str())]).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.header("dcm-read-position"), position, "{path}");
        assert_eq!((answer.header("dcm-read-age-ms"), answer.header("dcm-stale")), ("0", ""), "{path}");
    }
}

#[tokio::test]
async fn a_read_that_waits_in_vain_says_that_it_is_stale() {
    let site = Site::start_waiting(Duration::from_millis(100)).await;
    let entity = site.add(1).await;
    let before = site.get("/v1.0/subclouds/1").await.header("dcm-read-position").to_owned();
    site.stop_projector().await;
    let position = describe(&site, entity, "unseen").await;
    for path in ["/v1.0/subclouds", "/v1.0/subclouds/1"] {
        let answer = site.get_with(path, &[("dcm-position", position.as_str())]).await;
        assert_eq!((answer.status, answer.header("dcm-stale")), (200, "true"), "{path}");
        assert_eq!(answer.header("dcm-read-position"), before, "{path}");
        assert!(answer.header("dcm-read-age-ms").parse::<u64>().unwrap() < 60_000, "{path}");
    }
    let ready = site.get("/readyz").await.json();
    assert!(ready["projections"][0]["lag_events"].as_u64().unwrap() >= 1, "{ready}");
}

#[tokio::test]
async fn positions_that_are_none_are_refused_by_name() {
    let site = Site::start().await;
    for position in ["7", "x.7", &format!("{}.7", Uuid::now_v7())] {
        for (path, header, field) in [
            ("/v1.0/subclouds", "dcm-position", "DCM-Position"),
            ("/v1.0/events?follow=false", "last-event-id", "Last-Event-ID"),
        ] {
            let answer = site.get_with(path, &[(header, position), ("accept", "application/json")]).await;
            assert_eq!(answer.status, 400);
            assert!(answer.json()["description"].as_str().unwrap().contains(field), "{}", answer.text);
        }
        assert_eq!(site.get(&format!("/v1.0/events?follow=false&from={position}")).await.status, 400);
    }
}
