//! Histories, and subclouds as they were.

use std::collections::BTreeSet;

use dcm_domain::subcloud::NullColumn;
use dcm_domain::value::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::site::Site;
use crate::{describe, keys};

#[tokio::test]
async fn a_history_is_filtered_and_paged() {
    let site = Site::start().await;
    let entity = site.add(1).await;
    for text in ["one", "two", "three"] {
        describe(&site, entity, text).await;
    }
    let all = site.get("/v1.0/subclouds/subcloud1/history").await.json();
    assert_eq!(keys(&all), ["events", "next"]);
    let events = all["events"].as_array().unwrap();
    assert_eq!(all["next"], Value::Null);
    assert_eq!(
        keys(&events[0]),
        [
            "id",
            "type",
            "version",
            "revision",
            "position",
            "recorded_at",
            "actor",
            "request_id",
            "correlation_id",
            "causation_id",
            "data",
            "sentence"
        ]
    );
    assert_eq!(events[0]["type"], "SubcloudAdded");
    assert_eq!(events[0]["actor"], json!({"user_id": "anna"}));
    assert!(events[0]["sentence"].as_str().unwrap().starts_with("anna added the subcloud subcloud1"));
    let revisions: Vec<_> = events.iter().map(|event| event["revision"].as_u64().unwrap()).collect();
    assert_eq!(revisions, (0..events.len() as u64).collect::<Vec<_>>());

    let mut paged = Vec::new();
    let mut path = "/v1.0/subclouds/1/history?limit=2".to_owned();
    loop {
        let page = site.get(&path).await.json();
        paged.extend(page["events"].as_array().unwrap().clone());
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/v1.0/subclouds/1/history?limit=2&marker={next}");
    }
    assert_eq!(&paged, events);

    let described = site.get("/v1.0/subclouds/1/history?type=SubcloudDescribed&actor=anna").await.json();
    assert_eq!(described["events"].as_array().unwrap().len(), 3);
    let since = described["events"][1]["recorded_at"].as_str().unwrap();
    let until = described["events"][2]["recorded_at"].as_str().unwrap();
    let between = site
        .get(&format!("/v1.0/subclouds/1/history?type=SubcloudDescribed&since={since}&until={until}"))
        .await
        .json();
    assert_eq!(between["events"].as_array().unwrap().len(), 2);
    assert_eq!(site.get("/v1.0/subclouds/1/history?actor=nobody").await.json()["events"], json!([]));
    for bad in ["limit=1001", "limit=0", "since=x", "until=x", "marker=x"] {
        let answer = site.get(&format!("/v1.0/subclouds/1/history?{bad}")).await;
        assert_eq!(answer.status, 400);
        let field = bad.split('=').next().unwrap();
        assert!(answer.json()["description"].as_str().unwrap().contains(field), "{}", answer.text);
    }
}

#[tokio::test]
async fn a_deleted_subcloud_keeps_its_history() {
    let site = Site::start().await;
    let entity = site.add(1).await;
    site.delete(entity).await;
    assert_eq!(site.get("/v1.0/subclouds/1").await.status, 404);
    for reference in ["subcloud1".to_owned(), entity.to_string()] {
        let history = site.get(&format!("/v1.0/subclouds/{reference}/history")).await;
        assert_eq!(history.status, 200, "{reference}");
        let last = history.json()["events"].as_array().unwrap().last().unwrap().clone();
        assert_eq!(last["type"], "SubcloudDeleted", "{reference}");
    }
    let again = site.add(1).await;
    let living = site.get("/v1.0/subclouds/subcloud1/history").await.json();
    assert!(living["events"].as_array().unwrap().iter().all(|event| event["type"] != "SubcloudDeleted"));
    assert_eq!(site.get(&format!("/v1.0/subclouds/{again}/history")).await.json(), living);
    assert_eq!(site.get("/v1.0/subclouds/nosuch/history").await.status, 404);
    assert_eq!(site.get(&format!("/v1.0/subclouds/{}/history", Uuid::now_v7())).await.status, 404);
}

#[tokio::test]
async fn a_subcloud_as_it_was() {
    let site = Site::start().await;
    let entity = site.add(1).await;
    describe(&site, entity, "then").await;
    let history = site.get("/v1.0/subclouds/1/history").await.json();
    let then = history["events"].as_array().unwrap().last().unwrap().clone();
    let (revision, time) = (then["revision"].clone(), then["recorded_at"].as_str().unwrap().to_owned());
    let shown = site.get("/v1.0/subclouds/1").await.json();
    describe(&site, entity, "now").await;
    site.delete(entity).await;
    for moment in [revision.to_string(), time] {
        for reference in ["subcloud1".to_owned(), entity.to_string()] {
            let past = site.get(&format!("/v1.0/subclouds/{reference}?as_of={moment}")).await;
            assert_eq!((past.status, past.json()), (200, shown.clone()), "{moment}");
        }
    }
    for (moment, status) in
        [("2001-01-01T00:00:00Z", 404), ("2101-01-01T00:00:00Z", 404), ("99", 400), ("yesterday", 400)]
    {
        let answer = site.get(&format!("/v1.0/subclouds/subcloud1?as_of={moment}")).await;
        assert_eq!(answer.status, status, "{moment}: {}", answer.text);
    }
}

#[tokio::test]
async fn a_subcloud_that_was_taken_over_was_made_when_its_row_says() {
    let site = Site::start().await;
    let at = |text: &str| Some(Timestamp::parse(text).unwrap());
    let both = site
        .import(1, |row| {
            row.created_at = at("2023-09-01T10:20:30.123456Z");
            row.updated_at = at("2023-10-02T11:12:13Z");
        })
        .await;
    let made = site.import(2, |row| row.created_at = at("2023-09-01T10:20:30Z")).await;
    let neither = site.import(3, |row| row.nulls = BTreeSet::from([NullColumn::CreatedAt])).await;
    for (id, entity, times) in [
        (1, both, (json!("2023-09-01 10:20:30.123456"), json!("2023-10-02 11:12:13"))),
        (2, made, (json!("2023-09-01 10:20:30"), Value::Null)),
        (3, neither, (Value::Null, Value::Null)),
    ] {
        let shown = site.get(&format!("/v1.0/subclouds/{id}")).await.json();
        assert_eq!((shown["created-at"].clone(), shown["updated-at"].clone()), times);
        describe(&site, entity, "now").await;
        let past = site.get(&format!("/v1.0/subclouds/{id}?as_of=0")).await.json();
        assert_eq!(past, shown, "{id}");
        let shown = site.get(&format!("/v1.0/subclouds/{id}")).await.json();
        assert_ne!(shown["updated-at"], times.1);
        assert_eq!(site.get(&format!("/v1.0/subclouds/{id}?as_of=1")).await.json(), shown, "{id}");
    }
}
