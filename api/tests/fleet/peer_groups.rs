//! Subcloud peer groups, F7 to F12, F14 and F15 (fleet.md §3).

use serde_json::{Value, json};

use crate::ask::*;
use crate::peers::*;

#[tokio::test]
async fn fl_29_readers_do_not_see_peer_groups() {
    let site = behind_a_proxy(dc_1().await);
    let reader = somebody("reader", "admin");
    assert_eq!(site.get_with(GROUPS, &reader).await.status, 403);
    assert_eq!(site.get_with(GROUPS, &somebody("admin", "admin")).await.status, 200);
    assert_eq!(site.get_with(PEERS, &reader).await.status, 200);
    assert_eq!(site.get_with(ASSOCIATIONS, &reader).await.status, 200);
}

#[tokio::test]
async fn fl_30_32_38_a_group_is_led_by_this_system_unless_told_otherwise() {
    let site = dc_1().await;
    let answer = send(&site, "POST", &format!("{GROUPS}/"), &json!({"peer-group-name": "pg1"})).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let body = answer.json();
    let expected = json!({
        "id": 1, "peer_group_name": "pg1", "group_priority": 0, "group_state": "enabled",
        "max_subcloud_rehoming": 10, "system_leader_id": LOCAL, "system_leader_name": "dc-1",
        "migration_status": null, "created-at": body["created-at"], "updated-at": null,
    });
    assert_eq!((keys(&body), &body), (keys(&expected), &expected));
    for path in ["", "/"] {
        let list = site.get(&format!("{GROUPS}{path}")).await;
        assert_eq!(list.json(), json!({"subcloud_peer_groups": [expected]}), "{}", list.text);
    }
    for path in ["1", "pg1", "1/", "pg1.json"] {
        assert_eq!(site.get(&format!("{GROUPS}/{path}")).await.json(), expected, "{path}");
    }

    // fl_32: with a leader given nobody is asked.
    let lonely = controller().await;
    let given = json!({"peer-group-name": "pg1", "system-leader-id": OTHER.replace('-', ""), "system-leader-name": "dc-2"});
    let body = send(&lonely, "POST", GROUPS, &given).await.json();
    assert_eq!(body["system_leader_id"], OTHER.replace('-', ""), "as it was sent");
    assert_eq!(body["system_leader_name"], "dc-2");
}

#[tokio::test]
async fn fl_31_without_the_local_system_a_group_needs_a_leader() {
    let site = controller().await;
    for body in [
        json!({"peer-group-name": "pg1"}),
        json!({"peer-group-name": "pg1", "system-leader-id": OTHER}),
        json!({"peer-group-name": "pg1", "system-leader-name": "dc-2"}),
    ] {
        refused(&site, "POST", GROUPS, &body).await;
    }
    assert_eq!(site.get(GROUPS).await.json(), json!({"subcloud_peer_groups": []}));
}

#[tokio::test]
async fn fl_33_names_are_unique() {
    let site = dc_1().await;
    add_group(&site, "pg1", 0).await;
    add_group(&site, "pg2", 0).await;
    assert_eq!(send(&site, "POST", GROUPS, &json!({"peer-group-name": "pg1"})).await.status, 409);
    let rename = |name: &str| json!({"peer-group-name": name});
    assert_eq!(send(&site, "PATCH", &format!("{GROUPS}/2"), &rename("pg1")).await.status, 409);
    let kept = send(&site, "PATCH", &format!("{GROUPS}/1"), &rename("pg1")).await;
    assert_eq!((kept.status, &kept.json()["updated-at"]), (200, &Value::Null), "nothing changed");
    assert_eq!(send(&site, "PATCH", &format!("{GROUPS}/1"), &rename("pg3")).await.status, 200);
    assert_eq!(send(&site, "PATCH", &format!("{GROUPS}/2"), &rename("pg1")).await.status, 200);
    assert_eq!(site.get(&format!("{GROUPS}/pg1")).await.json()["id"], 2);
    assert_eq!(site.get(&format!("{GROUPS}/pg3")).await.json()["id"], 1);
}

#[tokio::test]
async fn fl_34_37_values_of_a_new_group() {
    let site = dc_1().await;
    let long = "x".repeat(256);
    for name in [json!(null), json!(""), json!("123"), json!("none"), json!("NONE"), json!(long), json!(5)] {
        refused(&site, "POST", GROUPS, &json!({"peer-group-name": name, "group-state": "enabled"})).await;
    }
    refused(&site, "POST", GROUPS, &json!({})).await;
    for (key, value) in [
        ("group-priority", json!(-1)),
        ("group-priority", json!(65537)),
        ("group-priority", json!("abc")),
        ("group-priority", json!([1])),
        ("max-subcloud-rehoming", json!(251)),
        ("max-subcloud-rehoming", json!("abc")),
        ("group-state", json!("up")),
        ("system-leader-id", json!("not-a-uuid")),
        ("system-leader-name", json!("x".repeat(256))),
    ] {
        refused(&site, "POST", GROUPS, &with(json!({"peer-group-name": "pg1"}), key, value)).await;
    }
    for body in ["{", "[]", "1", ""] {
        let answer = site.ask("POST", GROUPS, &[("accept", "application/json")], body).await;
        assert_eq!(answer.status, 400, "{body}");
    }
    // fl_35, fl_36: the ends of the ranges, numbers as strings, and what counts as absent.
    for (key, value, shown) in [
        ("group-priority", json!(65536), json!(65536)),
        ("group-priority", json!(" 7 "), json!(7)),
        ("max-subcloud-rehoming", json!(0), json!(10)),
        ("max-subcloud-rehoming", json!("250"), json!(250)),
        ("group-state", json!(""), json!("enabled")),
    ] {
        let name = format!("pg {key} {value}");
        let answer = send(&site, "POST", GROUPS, &with(json!({"peer-group-name": name}), key, value)).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(answer.json()[key.replace('-', "_")], shown, "{}", answer.text);
    }
}

#[tokio::test]
async fn fl_39_other_views_and_unknown_groups() {
    let site = dc_1().await;
    add_group(&site, "pg1", 0).await;
    assert_eq!(site.get(&format!("{GROUPS}/pg1/whatever")).await.status, 400);
    for path in ["999", "fake", "fake/whatever", "fake/status", "fake/subclouds", "99999999999999999999"] {
        let answer = site.get(&format!("{GROUPS}/{path}")).await;
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.json()["description"], "Subcloud Peer Group not found");
    }
    assert_eq!(bare(&site, "PATCH", GROUPS).await.status, 400);
    assert_eq!(bare(&site, "DELETE", GROUPS).await.status, 400);
}

#[tokio::test]
async fn fl_40_members_and_their_states() {
    let site = dc_1().await;
    let group = add_group(&site, "pg1", 0).await;
    let managed = member(&site, 1, group).await;
    manage(&site, managed).await;
    secondary(&site, 2, group).await;
    site.add(3).await;
    let status = site.get(&format!("{GROUPS}/pg1/status")).await;
    assert_eq!(
        status.text,
        r#"{"peer_group_id":1,"peer_group_name":"pg1","total_subclouds":2,"complete":1,"waiting_for_migrate":1,"rehoming":0,"rehome_failed":0,"managed":1,"unmanaged":1}"#
    );
    let members = site.get(&format!("{GROUPS}/1/subclouds")).await.json();
    let members = members["subclouds"].as_array().unwrap();
    assert_eq!(members.len(), 2);
    assert_eq!(members[0].as_object().unwrap().len(), 27 - 2);
    assert_eq!((&members[0]["name"], &members[1]["peer_group_id"]), (&json!("subcloud1"), &json!(1)));
}

#[tokio::test]
async fn fl_41_42_43_44_updates() {
    let site = dc_1().await;
    add_group(&site, "pg1", 5).await;
    let path = format!("{GROUPS}/pg1");
    refused(&site, "PATCH", &path, &json!({"group-priority": 0})).await;
    let answer = send(&site, "PATCH", &path, &json!({"group-priority": "0"})).await;
    assert_eq!((answer.status, &answer.json()["group_priority"]), (200, &json!(0)));
    assert!(answer.json()["updated-at"].is_string());
    let both = json!({"group-priority": 0, "group-state": "disabled", "max-subcloud-rehoming": "20"});
    let answer = send(&site, "PATCH", &path, &both).await.json();
    assert_eq!((&answer["group_state"], &answer["max_subcloud_rehoming"]), (&json!("disabled"), &json!(20)));

    let complete = send(&site, "PATCH", &path, &json!({"migration_status": "Complete"})).await.json();
    assert_eq!(complete["migration_status"], "Complete");
    let reset = send(&site, "PATCH", &path, &json!({"migration_status": null})).await;
    assert_eq!((reset.status, &reset.json()["migration_status"]), (200, &Value::Null));
    send(&site, "PATCH", &path, &json!({"migration_status": "complete"})).await;
    let reset = send(&site, "PATCH", &path, &json!({"migration_status": "NONE"})).await;
    assert_eq!((reset.status, &reset.json()["migration_status"]), (200, &Value::Null));
    assert_eq!(site.get(&path).await.json(), reset.json());

    for body in [
        json!({}),
        json!({"fake": "x"}),
        json!({"migration_status": "other"}),
        json!({"group-state": "up"}),
        json!({"group-state": "enabled", "max-subcloud-rehoming": 0}),
        json!({"group-priority": 65537}),
        json!({"system-leader-id": "x"}),
        json!({"peer-group-name": "none"}),
    ] {
        refused(&site, "PATCH", &path, &body).await;
    }
    // fl_44: the group is looked for before the body is read.
    assert_eq!(send(&site, "PATCH", &format!("{GROUPS}/nosuch"), &json!({})).await.status, 404);
}

#[tokio::test]
async fn fl_50_to_52_an_audit_needs_seven_keys_and_a_worker() {
    let site = dc_1().await;
    add_group(&site, "pg1", 0).await;
    let path = format!("{GROUPS}/pg1/audit");
    let full = json!({
        "peer_uuid": OTHER, "peer_group_name": "pg1", "group_priority": 1, "group_state": "enabled",
        "system_leader_id": OTHER, "system_leader_name": "dc-2", "migration_status": "complete",
    });
    for key in keys(&full) {
        let answer = send(&site, "PATCH", &path, &with(full.clone(), key, Value::Null)).await;
        assert_eq!(answer.status, 400, "{key}");
        assert!(answer.text.contains(key), "{}", answer.text);
    }
    refused(&site, "PATCH", &path, &json!({})).await;
    let before = events(&site).await;
    let answer = send(&site, "PATCH", &path, &full).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, "1"), "{}", answer.text);
    assert!(answer.text.contains("no worker for peer-group-audit"), "{}", answer.text);
    assert_eq!(events(&site).await, before);
    assert_eq!(send(&site, "PATCH", &format!("{GROUPS}/nosuch/audit"), &full).await.status, 404);
}

#[tokio::test]
async fn fl_53_54_a_group_without_associations_is_deleted_and_its_members_stay() {
    let site = dc_1().await;
    let group = add_group(&site, "pg1", 5).await;
    let peer = add_peer(&site).await;
    let association = associate(&site, group, peer, None).await;
    for number in 1..=3 {
        member(&site, number, group).await;
    }
    let path = format!("{GROUPS}/pg1");
    let answer = bare(&site, "DELETE", &path).await;
    assert_eq!(answer.status, 400);
    assert!(answer.text.contains("a peer group which is associated with a system peer"), "{}", answer.text);
    assert_eq!(site.get(&path).await.status, 200);

    assert_eq!(bare(&site, "DELETE", &format!("{ASSOCIATIONS}/{association}")).await.status, 200);
    let answer = bare(&site, "DELETE", &path).await;
    assert_eq!((answer.status, answer.text.as_str()), (200, "null"));
    let again = bare(&site, "DELETE", &path).await;
    assert_eq!(again.status, 404);
    assert!(again.text.contains("Subcloud Peer Group not found"));
    for number in 1..=3 {
        let subcloud = site.get(&format!("/v1.0/subclouds/subcloud{number}")).await.json();
        assert_eq!(subcloud["peer_group_id"], Value::Null);
    }
    assert_eq!(add_group(&site, "pg1", 0).await, 2, "the name is free, the id is not");
}
