//! Peer group associations, F22 to F27 (fleet.md §7).

use std::sync::Arc;

use dcm_api::platform::{LocalSystem, PlatformError};
use serde_json::{Value, json};

use crate::ask::*;
use crate::peers::*;
use crate::site::platform::{FakePlatform, silent};
use crate::site::{PATIENCE, Site};

#[tokio::test]
async fn fl_72_78_an_owned_group_is_copied_at_once() {
    let site = dc_1().await;
    let (group, peer) = (add_group(&site, "pg1", 0).await, add_peer(&site).await);
    let sent = json!({"peer_group_id": group.to_string(), "system_peer_id": peer, "peer_group_priority": 99});
    let answer = send(&site, "POST", &format!("{ASSOCIATIONS}/"), &sent).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let body = answer.json();
    let expected = json!({
        "id": 1, "peer-group-id": 1, "system-peer-id": 1, "peer-group-priority": 99, "sync-status": "syncing",
        "sync-message": null, "created-at": body["created-at"], "updated-at": null,
    });
    assert_eq!((keys(&body), &body), (keys(&expected), &expected));
    assert_eq!(site.get(&format!("{ASSOCIATIONS}/1")).await.json(), expected);
    let list = site.get(ASSOCIATIONS).await.json();
    assert_eq!(list, json!({"peer_group_associations": [with(expected, "sync-message", Value::Null)]}));
    let row = site.models.associations().by_pair(1, 1).await.unwrap().unwrap();
    assert!(row.state.sync_run.is_some());
}

#[tokio::test]
async fn fl_73_74_75_76_77_what_may_be_associated() {
    let site = dc_1().await;
    let (owned, copy) = (add_group(&site, "pg1", 0).await, add_group(&site, "pg2", 5).await);
    let peer = add_peer(&site).await;
    let body = |group: Value, peer: Value, priority: Value| json!({"peer_group_id": group, "system_peer_id": peer, "peer_group_priority": priority});
    for sent in [
        body(json!(owned), json!(peer), Value::Null),
        body(json!(owned), json!(peer), json!(0)),
        body(json!(owned), json!(peer), json!(65537)),
        body(json!(owned), json!(peer), json!(-1)),
        body(json!(owned), json!(peer), json!("abc")),
        body(json!(copy), json!(peer), json!(7)),
        body(json!(999), json!(peer), json!(1)),
        body(json!("pg1"), json!(peer), json!(1)),
        body(json!(owned), json!(999), json!(1)),
        body(json!(owned), json!("dc-2"), json!(1)),
        body(Value::Null, json!(peer), json!(1)),
        body(json!([1]), json!(peer), json!(1)),
        json!({}),
        json!([]),
    ] {
        refused(&site, "POST", ASSOCIATIONS, &sent).await;
    }
    let answer = send(&site, "POST", ASSOCIATIONS, &body(json!(copy), json!(peer), Value::Null)).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(
        (&answer.json()["sync-status"], &answer.json()["peer-group-priority"]),
        (&json!("disabled"), &Value::Null)
    );
    let row = site.models.associations().by_pair(copy, peer).await.unwrap().unwrap();
    assert_eq!(row.state.sync_run, None);
    refused(&site, "POST", ASSOCIATIONS, &body(json!(copy), json!(peer), Value::Null)).await;
    assert_eq!(associate(&site, owned, peer, Some(65536)).await, 2, "no refusal cost an id");
}

#[tokio::test]
async fn fl_79_references_are_ids() {
    let site = dc_1().await;
    for (id, status) in [("abc", 400), ("999", 404), ("99999999999999999999", 404), ("-1", 400)] {
        let path = format!("{ASSOCIATIONS}/{id}");
        assert_eq!(site.get(&path).await.status, status, "{id}");
        assert_eq!(bare(&site, "DELETE", &path).await.status, status, "{id}");
        assert_eq!(bare(&site, "PATCH", &format!("{path}/sync")).await.status, status, "{id}");
        let priority = json!({"peer_group_priority": 1});
        assert_eq!(send(&site, "PATCH", &path, &priority).await.status, status, "{id}");
    }
    assert_eq!(bare(&site, "DELETE", ASSOCIATIONS).await.status, 400);
}

#[tokio::test]
async fn fl_80_84_86_ac_086_what_the_peer_has_to_be_told_needs_a_worker() {
    let site = dc_1().await;
    let (group, peer) = (add_group(&site, "pg1", 0).await, add_peer(&site).await);
    let path = format!("{ASSOCIATIONS}/{}", associate(&site, group, peer, Some(9)).await);
    for body in [
        json!({}),
        json!({"peer_group_priority": 0}),
        json!({"fake": 1}),
        json!({"peer_group_priority": 65537}),
        json!({"peer_group_priority": "abc"}),
    ] {
        refused(&site, "PATCH", &path, &body).await;
    }
    let before = events(&site).await;
    let answer = send(&site, "PATCH", &path, &json!({"peer_group_priority": "10"})).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, "1"));
    assert!(answer.text.contains("no worker for peer-sync"), "{}", answer.text);
    let answer = bare(&site, "DELETE", &path).await;
    assert_eq!(answer.status, 503);
    assert!(answer.text.contains("no worker for peer-group-removal"), "{}", answer.text);
    assert_eq!(events(&site).await, before);
}

#[tokio::test]
async fn fl_81_85_a_copy_is_only_removed() {
    let site = dc_1().await;
    let (group, peer) = (add_group(&site, "pg1", 5).await, add_peer(&site).await);
    let path = format!("{ASSOCIATIONS}/{}", associate(&site, group, peer, None).await);
    refused(&site, "PATCH", &path, &json!({"peer_group_priority": 10})).await;
    assert_eq!(bare(&site, "PATCH", &format!("{path}/sync")).await.status, 400);
    let answer = bare(&site, "DELETE", &path).await;
    assert_eq!((answer.status, answer.text.as_str()), (200, "null"));
    assert_eq!(site.get(&path).await.status, 404);
    assert_eq!(associate(&site, group, peer, None).await, 2);
}

#[tokio::test]
async fn fl_82_83_only_the_leader_synchronises() {
    let site = dc_1().await;
    let (group, peer) = (add_group(&site, "pg1", 0).await, add_peer(&site).await);
    let path = format!("{ASSOCIATIONS}/{}", associate(&site, group, peer, Some(9)).await);
    let first = site.models.associations().by_id(1).await.unwrap().unwrap().state.sync_run;
    assert_eq!(bare(&site, "PATCH", &format!("{path}/whatever")).await.status, 404);
    for _ in 0..2 {
        let answer = bare(&site, "PATCH", &format!("{path}/sync")).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let body = answer.json();
        assert_eq!((&body["sync-status"], &body["sync-message"]), (&json!("syncing"), &json!("None")));
        assert!(body["updated-at"].is_string());
        assert_eq!(site.get(&path).await.json(), body);
    }
    assert_ne!(site.models.associations().by_id(1).await.unwrap().unwrap().state.sync_run, first);
    let elsewhere = json!({"system-leader-id": OTHER});
    assert_eq!(send(&site, "PATCH", &format!("{GROUPS}/pg1"), &elsewhere).await.status, 200);
    let before = events(&site).await;
    assert_eq!(bare(&site, "PATCH", &format!("{path}/sync")).await.status, 400);
    assert_eq!(events(&site).await, before);
}

#[tokio::test]
async fn where_it_is_not_known_which_system_this_is_nothing_is_synchronised() {
    let platform = FakePlatform::default();
    let site = Site::start_on(Arc::new(platform.clone()), |settings, _| settings.wait = PATIENCE).await;
    let led = json!({"peer-group-name": "pg1", "system-leader-id": LOCAL, "system-leader-name": "dc-1"});
    assert_eq!(send(&site, "POST", GROUPS, &led).await.status, 200);
    add_peer(&site).await;
    let path = format!("{ASSOCIATIONS}/{}/sync", associate(&site, 1, 1, Some(9)).await);
    let before = events(&site).await;
    for (local_system, said) in [
        (Err(PlatformError::NotConfigured("local system")), "controller.system_uuid"),
        (silent(), "local system information"),
    ] {
        platform.tells(|facts| facts.local_system = local_system);
        let answer = bare(&site, "PATCH", &path).await;
        assert_eq!((answer.status, answer.header("retry-after")), (503, "5"), "{}", answer.text);
        assert!(answer.text.contains(said) && !answer.text.contains("refused"), "{}", answer.text);
    }
    assert_eq!(events(&site).await, before);
    let known = LocalSystem { uuid: LOCAL.to_owned(), name: "dc-1".to_owned() };
    platform.tells(|facts| facts.local_system = Ok(known));
    assert_eq!(bare(&site, "PATCH", &path).await.status, 200);
}
