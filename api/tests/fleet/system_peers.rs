//! System peers, F16 to F21 (fleet.md §5).

use serde_json::{Value, json};

use crate::ask::*;
use crate::peers::*;

#[tokio::test]
async fn fl_55_57_65_a_peer_is_added_and_found() {
    let site = dc_1().await;
    let answer = send(&site, "POST", &format!("{PEERS}/"), &peer()).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let body = answer.json();
    let expected = json!({
        "id": 1, "peer-uuid": OTHER, "peer-name": "dc-2", "manager-endpoint": "http://128.128.128.1:5000/v3",
        "manager-username": "admin", "peer-controller-gateway-address": "192.168.204.1",
        "administrative-state": "enabled", "heartbeat-interval": 60, "heartbeat-failure-threshold": 3,
        "heartbeat-failure-policy": "alarm", "heartbeat-maintenance-timeout": 600, "heartbeat-status": "created",
        "created-at": body["created-at"], "updated-at": null,
    });
    assert_eq!((keys(&body), &body), (keys(&expected), &expected));
    assert_eq!(site.get(PEERS).await.json(), json!({"system_peers": [expected]}));
    for path in ["1", "dc-2", OTHER, "1/", &format!("{OTHER}.json")] {
        assert_eq!(site.get(&format!("{PEERS}/{path}")).await.json(), expected, "{path}");
    }
    // A UUID is looked for as it is stored.
    assert_eq!(site.get(&format!("{PEERS}/{}", OTHER.replace('-', ""))).await.status, 404);

    for body in ["{", "", "not json", "[]", "{}", "1", "null"] {
        let answer = site.ask("POST", PEERS, &[("accept", "application/json")], body).await;
        assert_eq!(answer.status, 400, "{body}");
    }
}

#[tokio::test]
async fn the_last_five_have_defaults() {
    let site = dc_1().await;
    let mut body = peer();
    for key in ["administrative_state", "heartbeat_interval", "heartbeat_failure_threshold"] {
        body = with(body, key, Value::Null);
    }
    body["heartbeat_failure_policy"] = json!("");
    body["heartbeat_maintenance_timeout"] = json!(null);
    let answer = send(&site, "POST", PEERS, &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let shown = answer.json();
    assert_eq!(shown["administrative-state"], "enabled");
    assert_eq!(shown["heartbeat-interval"], 60);
    assert_eq!(shown["heartbeat-failure-threshold"], 3);
    assert_eq!(shown["heartbeat-failure-policy"], "alarm");
    assert_eq!(shown["heartbeat-maintenance-timeout"], 600);
}

#[tokio::test]
async fn fl_56_uuid_and_name_are_unique() {
    let site = dc_1().await;
    add_peer(&site).await;
    let third = "00000000-0000-4000-8000-000000000003";
    let same_uuid = with(peer(), "peer_name", json!("dc-3"));
    let same_name = with(peer(), "peer_uuid", json!(third));
    for body in [&same_uuid, &same_name] {
        assert_eq!(send(&site, "POST", PEERS, body).await.status, 409, "{body}");
    }
    let other = with(same_uuid, "peer_uuid", json!(third));
    assert_eq!(send(&site, "POST", PEERS, &other).await.status, 200);
    for body in [json!({"peer_name": "dc-2"}), json!({"peer_uuid": OTHER})] {
        assert_eq!(send(&site, "PATCH", &format!("{PEERS}/dc-3"), &body).await.status, 409, "{body}");
    }
}

#[tokio::test]
async fn fl_58_64_values_of_a_new_peer() {
    let site = dc_1().await;
    let long = "x".repeat(255);
    for (key, value) in [
        ("peer_uuid", json!("123")),
        ("peer_uuid", json!(format!("{{{OTHER}}}"))),
        ("peer_name", json!("123")),
        ("peer_name", json!(long)),
        ("peer_name", json!(7)),
        ("manager_endpoint", json!("ftp://x")),
        ("manager_endpoint", json!("")),
        ("manager_username", json!("")),
        ("manager_username", json!(long)),
        ("manager_password", json!("")),
        ("manager_password", json!(long)),
        ("peer_controller_gateway_address", json!("123")),
        ("peer_controller_gateway_address", json!("10.0.0.0/24")),
        ("heartbeat_interval", json!(9)),
        ("heartbeat_interval", json!(601)),
        ("heartbeat_interval", json!(0)),
        ("heartbeat_failure_threshold", json!(0)),
        ("heartbeat_failure_threshold", json!(31)),
        ("heartbeat_maintenance_timeout", json!(299)),
        ("heartbeat_maintenance_timeout", json!(36001)),
        ("heartbeat_failure_policy", json!("fake")),
        ("administrative_state", json!("fake")),
    ] {
        refused(&site, "POST", PEERS, &with(peer(), key, value)).await;
    }
    for key in keys(&peer()).into_iter().take(6) {
        refused(&site, "POST", PEERS, &with(peer(), key, Value::Null)).await;
    }
    let strange = with(peer(), "peer_controller_gateway_address", json!("fd00::1"));
    assert_eq!(
        send(&site, "POST", PEERS, &with(strange, "heartbeat_interval", json!("600"))).await.status,
        200
    );
}

#[tokio::test]
async fn fl_66_67_68_updates() {
    let site = dc_1().await;
    add_peer(&site).await;
    let id = format!("{PEERS}/1");
    for (key, value) in [
        ("peer_name", json!("dc-two")),
        ("peer_uuid", json!("ac62f555938642f1b3a151ecb709409d")),
        ("manager_endpoint", json!("https://10.10.10.1:5000/v3")),
        ("manager_username", json!("root")),
        ("peer_controller_gateway_address", json!("192.168.205.1")),
        ("administrative_state", json!("disabled")),
        ("heartbeat_interval", json!(10)),
        ("heartbeat_failure_threshold", json!(30)),
        ("heartbeat_failure_policy", json!("rehome")),
        ("heartbeat_maintenance_timeout", json!(36000)),
    ] {
        let answer = send(&site, "PATCH", &id, &json!({key: value})).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(answer.json()[key.replace('_', "-")], value);
        assert_eq!(site.get(&id).await.json(), answer.json());
    }
    assert_eq!(send(&site, "PATCH", &id, &json!({"manager_password": "bmV3"})).await.status, 200);
    assert_eq!(site.get(&format!("{PEERS}/dc-two")).await.status, 200);
    for body in [
        json!({"fake": 1}),
        json!({}),
        json!({"heartbeat_interval": 0}),
        json!({"heartbeat_interval": 0, "peer_name": "x"}),
        json!({"manager_password": ""}),
        json!({"manager_password": "x".repeat(255)}),
        json!({"peer_uuid": "x"}),
    ] {
        refused(&site, "PATCH", &id, &body).await;
    }
    for path in ["999", "nosuch", "00000000-0000-4000-8000-000000000003"] {
        let path = format!("{PEERS}/{path}");
        assert_eq!(site.get(&path).await.status, 404);
        assert_eq!(bare(&site, "DELETE", &path).await.status, 404);
        assert_eq!(send(&site, "PATCH", &path, &json!({"peer_name": "x"})).await.status, 404);
        assert_eq!(send(&site, "PATCH", &path, &json!({})).await.status, 400, "the body comes first");
    }
    assert_eq!(bare(&site, "PATCH", PEERS).await.status, 400);
}

#[tokio::test]
async fn the_password_is_checked_between_user_name_and_gateway() {
    let site = dc_1().await;
    add_peer(&site).await;
    let without = json!({"manager_password": "x".repeat(255), "peer_controller_gateway_address": "123"});
    for (method, path, mut body) in [
        ("POST", PEERS.to_owned(), with(peer(), "peer_name", json!("dc-3"))),
        ("PATCH", format!("{PEERS}/1"), json!({})),
    ] {
        body.as_object_mut().unwrap().extend(without.as_object().unwrap().clone());
        for (key, value, named) in [
            ("manager_username", json!("x".repeat(255)), "manager_username"),
            ("manager_username", json!("admin"), "manager_password"),
            ("manager_password", json!(PASSWORD), "peer_controller_gateway_address"),
        ] {
            body[key] = value;
            let answer = send(&site, method, &path, &body).await;
            assert_eq!(answer.status, 400, "{}", answer.text);
            assert_eq!(answer.json()["description"], format!("Invalid peer {named}"), "{method} {body}");
        }
    }
}

#[tokio::test]
async fn the_same_password_again_changes_nothing() {
    let site = dc_1().await;
    add_peer(&site).await;
    let id = format!("{PEERS}/1");
    let row = async || site.models.system_peers().by_id(1).await.unwrap().unwrap();
    let (before, head) = (row().await, events(&site).await);
    let answer = send(&site, "PATCH", &id, &json!({"manager_password": PASSWORD})).await;
    assert_eq!((answer.status, &answer.json()["updated-at"]), (200, &Value::Null), "{}", answer.text);
    assert_eq!((row().await, events(&site).await), (before.clone(), head));

    let both = json!({"manager_password": PASSWORD, "manager_username": "root"});
    assert_eq!(send(&site, "PATCH", &id, &both).await.status, 200);
    assert_eq!(row().await.state.manager_password, before.state.manager_password);
    let changed = send(&site, "PATCH", &id, &json!({"manager_password": "bmV3"})).await;
    assert!(changed.json()["updated-at"].is_string(), "{}", changed.text);
    assert_ne!(row().await.state.manager_password, before.state.manager_password);
    let kept = site.app.vault().list(before.uuid).await.unwrap();
    let kept: Vec<_> = kept.iter().map(|info| Some(info.entry)).collect();
    assert_eq!(kept, [row().await.state.manager_password]);
}

#[tokio::test]
async fn fl_69_70_71_peers_with_and_without_associations() {
    let site = dc_1().await;
    let (one, other) = (add_group(&site, "pg1", 0).await, add_group(&site, "pg2", 3).await);
    add_group(&site, "pg3", 0).await;
    let peer = add_peer(&site).await;
    associate(&site, one, peer, Some(9)).await;
    let disabled = associate(&site, other, peer, None).await;
    for path in ["1/subcloud-peer-groups", "dc-2/subcloud-peer-groups", "1/whatever"] {
        let groups = site.get(&format!("{PEERS}/{path}")).await.json();
        let names: Vec<_> = groups["subcloud_peer_groups"].as_array().unwrap().iter().collect();
        assert_eq!(names.len(), 2, "{path}");
        assert_eq!(
            (&names[0]["peer_group_name"], &names[1]["peer_group_name"]),
            (&json!("pg1"), &json!("pg2"))
        );
    }
    assert_eq!(bare(&site, "DELETE", &format!("{PEERS}/1")).await.status, 400);
    assert_eq!(bare(&site, "DELETE", &format!("{ASSOCIATIONS}/{disabled}")).await.status, 200);
    assert_eq!(bare(&site, "DELETE", &format!("{PEERS}/1")).await.status, 400);

    let site = dc_1().await;
    add_peer(&site).await;
    let entity = site.models.system_peers().by_id(1).await.unwrap().unwrap().uuid;
    assert_eq!(site.app.vault().list(entity).await.unwrap().len(), 1);
    let answer = bare(&site, "DELETE", &format!("{PEERS}/{OTHER}")).await;
    assert_eq!((answer.status, answer.text.as_str()), (200, "null"));
    assert_eq!(bare(&site, "DELETE", &format!("{PEERS}/{OTHER}")).await.status, 404);
    assert_eq!(site.app.vault().list(entity).await.unwrap().len(), 0);
}
