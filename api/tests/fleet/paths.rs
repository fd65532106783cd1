//! Paths with `.json` at their end (decisions.md, "Path suffixes"), on the routes as they are.

use serde_json::json;

use crate::ask::*;
use crate::peers::*;

#[tokio::test]
async fn a_word_of_a_path_is_known_with_json_too() {
    let site = dc_1().await;
    site.add(1).await;
    add_group(&site, "pg1", 0).await;
    let peer = add_peer(&site).await;
    associate(&site, 1, peer, Some(9)).await;
    let report = json!({"endpoint": "dc-cert", "status": "not-sure"});
    let nothing = json!({});
    for (method, path, body, status) in [
        ("GET", "/v1.0/subclouds", &nothing, 200),
        ("GET", "/v1.0/subclouds/subcloud1/history", &nothing, 200),
        ("PATCH", "/v1.0/subclouds/subcloud1/update_status", &report, 400),
        ("PATCH", "/v1.0/subclouds/subcloud1/migrate", &nothing, 400),
        ("GET", "/v1.0/subclouds/subcloud1/update_status", &nothing, 405),
        ("PATCH", "/v1.0/phased-subcloud-deploy/subcloud1/complete", &nothing, 400),
        ("PATCH", "/v1.0/phased-subcloud-deploy/subcloud1/nonsense", &nothing, 400),
        ("PATCH", "/v1.0/subcloud-backup/restore", &nothing, 400),
        ("PATCH", "/v1.0/subcloud-backup/delete", &nothing, 400),
        ("PATCH", "/v1.0/subcloud-backup/nonsense", &nothing, 400),
        ("GET", "/v1.0/subcloud-groups/1/subclouds", &nothing, 200),
        ("GET", "/v1.0/subcloud-peer-groups/pg1/status", &nothing, 200),
        ("GET", "/v1.0/subcloud-peer-groups/pg1/subclouds", &nothing, 200),
        ("GET", "/v1.0/subcloud-peer-groups/pg1/nonsense", &nothing, 400),
        ("PATCH", "/v1.0/subcloud-peer-groups/pg1/migrate", &nothing, 400),
        ("PATCH", "/v1.0/subcloud-peer-groups/pg1/audit", &report, 400),
        ("GET", "/v1.0/system-peers/1/subcloud-peer-groups", &nothing, 200),
        ("PATCH", "/v1.0/peer-group-associations/1/nonsense", &nothing, 404),
        ("GET", "/v1.0/sw-update-strategy/steps", &nothing, 200),
    ] {
        let bare = send(&site, method, path, body).await;
        assert_eq!(bare.status, status, "{method} {path}: {}", bare.text);
        let suffixed = send(&site, method, &format!("{path}.json"), body).await;
        assert_eq!((suffixed.status, suffixed.text), (bare.status, bare.text), "{method} {path}");
        assert_eq!(suffixed.headers.get("allow"), bare.headers.get("allow"), "{method} {path}");
    }
    let synchronised = bare(&site, "PATCH", &format!("{ASSOCIATIONS}/1/sync.json")).await;
    assert_eq!(synchronised.status, 200, "{}", synchronised.text);
}

#[tokio::test]
async fn a_name_comes_before_what_it_is_without_json() {
    let site = dc_1().await;
    for name in ["status.json", "pg1.json", "pg1"] {
        add_group(&site, name, 0).await;
    }
    for (path, id) in [("status.json", 1), ("status", 0), ("pg1.json", 2), ("pg1", 3), ("pg1.json.json", 2)] {
        let shown = site.get(&format!("{GROUPS}/{path}")).await;
        match id {
            0 => assert_eq!(shown.status, 404, "{path}"),
            id => assert_eq!(shown.json()["id"], id, "{path}"),
        }
    }
    let status = site.get(&format!("{GROUPS}/pg1.json/status.json")).await;
    assert_eq!(status.json()["peer_group_id"], 2, "{}", status.text);
}
