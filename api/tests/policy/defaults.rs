//! What callers may do while no file says otherwise (access.md §5, §16 cases 45 to 56).

use dcm_api::policy::rule;
use serde_json::Value;

use crate::operations::{Guard, operations};
use crate::{ADMIN, Asking, MEMBER_OF_DEMO, NOBODY, READER, ask, behind_a_proxy};

/// Kinds of callers, and which guards let them pass.
const CALLERS: &[(Asking, &[Guard])] = &[
    (ADMIN, &[Guard::Admin, Guard::Reader]),
    (Asking { roles: "admin,reader", project: Some("admin") }, &[Guard::Admin, Guard::Reader]),
    (Asking { roles: "admin,reader", project: Some("services") }, &[Guard::Admin, Guard::Reader]),
    (Asking { roles: "admin,reader", project: Some("demo") }, &[]),
    (READER, &[Guard::Reader]),
    (Asking { roles: "READER", project: Some("admin") }, &[Guard::Reader]),
    (Asking { roles: "Admin", project: Some("services") }, &[Guard::Admin]),
    (Asking { roles: "admin", project: Some("admin") }, &[Guard::Admin]),
    (Asking { roles: "member", project: Some("admin") }, &[]),
    (Asking { roles: "reader", project: None }, &[]),
    (Asking { roles: "admin,member,reader", project: None }, &[]),
    (Asking { roles: "reader", project: Some("ADMIN") }, &[]),
    (MEMBER_OF_DEMO, &[]),
    (Asking { roles: "", project: Some("admin") }, &[]),
    (NOBODY, &[]),
];

#[tokio::test]
async fn ac_45_56_each_kind_of_caller_at_each_operation() {
    let site = behind_a_proxy().await;
    for operation in operations(&site).await {
        for (who, guards) in CALLERS {
            let answer = ask(&site, *who, &operation.method, &operation.path).await;
            let allowed = operation.guard == Guard::Anyone || guards.contains(&operation.guard);
            let about = format!("{who:?} at {operation:?}: {} {}", answer.status, answer.text);
            assert_eq!(answer.status != 403, allowed, "{about}");
            assert!(answer.status != 401 && answer.status != 500, "{about}");
            if !allowed {
                let body = answer.json();
                assert_eq!(
                    (&body["title"], &body["description"]),
                    (&"Forbidden".into(), &Value::Null),
                    "{about}"
                );
            }
        }
    }
}

#[tokio::test]
async fn each_rule_guards_its_operations_and_no_others() {
    let site = behind_a_proxy().await;
    let operations = operations(&site).await;
    let mut unused = Vec::new();
    for (rule, _) in rule::ALL {
        std::fs::write(site.dir.path().join("policy.yaml"), format!("\"{rule}\": \"!\"\n")).unwrap();
        let name = rule.strip_prefix("dc_api:").unwrap();
        for operation in &operations {
            let answer = ask(&site, ADMIN, &operation.method, &operation.path).await;
            // Where another rule may allow it, this one alone forbids nothing.
            let forbidden = operation.rules == [name];
            assert_eq!(answer.status == 403, forbidden, "{rule} at {operation:?}: {}", answer.text);
        }
        if !operations.iter().any(|operation| operation.rules.contains(&name)) {
            unused.push(name);
        }
    }
    assert!(unused.is_empty(), "no operation asks for {unused:?}");
}

#[tokio::test]
async fn each_of_two_rules_allows_what_only_the_body_tells_apart() {
    let site = behind_a_proxy().await;
    for operation in operations(&site).await.iter().filter(|operation| operation.rules.len() > 1) {
        let forbidden = operation.rules.iter().map(|rule| format!("\"dc_api:{rule}\": \"!\"\n"));
        std::fs::write(site.dir.path().join("policy.yaml"), forbidden.collect::<String>()).unwrap();
        let answer = ask(&site, ADMIN, &operation.method, &operation.path).await;
        assert_eq!(answer.status, 403, "{operation:?}: {}", answer.text);
    }
    let path = "/v1.0/sw-update-strategy/actions";
    for (rule, action, status) in [("apply", "apply", 403), ("apply", "abort", 422), ("abort", "abort", 403)]
    {
        let forbidden = format!("\"dc_api:sw_update_strategy:{rule}\": \"!\"\n");
        std::fs::write(site.dir.path().join("policy.yaml"), forbidden).unwrap();
        let headers = [
            ("accept", "application/json"),
            ("x-identity-status", "Confirmed"),
            ("x-user-id", "3d76d3c1"),
            ("x-role", ADMIN.roles),
            ("x-project-name", "admin"),
        ];
        let answer = site.ask("POST", path, &headers, &format!("{{\"action\": \"{action}\"}}")).await;
        assert_eq!(answer.status, status, "{action} without {rule}: {}", answer.text);
    }
}

#[tokio::test]
async fn no_operation_forgets_its_rule() {
    let site = behind_a_proxy().await;
    for operation in operations(&site).await.iter().filter(|operation| operation.guard != Guard::Anyone) {
        let answer = ask(&site, NOBODY, &operation.method, &operation.path).await;
        assert_eq!(answer.status, 403, "{operation:?}: {}", answer.text);
        let anonymous = site.ask(&operation.method, &operation.path, &[], "").await;
        assert_eq!(anonymous.status, 401, "{operation:?}: {}", anonymous.text);
    }
}

#[tokio::test]
async fn what_has_no_reference_is_guarded_too() {
    let site = behind_a_proxy().await;
    for (method, path, status) in [
        ("PATCH", "/v1.0/subclouds", 400),
        ("DELETE", "/v1.0/subclouds", 400),
        ("PATCH", "/v1.0/phased-subcloud-deploy", 400),
        ("PATCH", "/v1.0/phased-subcloud-deploy/1", 404),
        ("PATCH", "/v1.0/phased-subcloud-deploy/1/nonsense", 404),
        ("PATCH", "/v1.0/subcloud-backup", 400),
        ("PATCH", "/v1.0/subcloud-backup/delete", 400),
        ("PATCH", "/v1.0/subcloud-backup/nonsense", 400),
        ("PATCH", "/v1.0/subcloud-groups", 400),
        ("DELETE", "/v1.0/subcloud-groups", 400),
        ("PATCH", "/v1.0/subcloud-peer-groups", 400),
        ("DELETE", "/v1.0/subcloud-peer-groups", 400),
        ("PATCH", "/v1.0/system-peers", 400),
        ("DELETE", "/v1.0/system-peers", 400),
        ("PATCH", "/v1.0/peer-group-associations", 400),
        ("DELETE", "/v1.0/peer-group-associations", 400),
        ("POST", "/v1.0/sw-update-options", 400),
        ("PATCH", "/v1.0/sw-update-options", 400),
        ("DELETE", "/v1.0/sw-update-options", 400),
    ] {
        assert_eq!(ask(&site, READER, method, path).await.status, 403, "{method} {path}");
        let refused = ask(&site, ADMIN, method, path).await;
        assert_eq!(refused.status, status, "{method} {path}");
        assert!(refused.json()["description"].is_string(), "{}", refused.text);
    }
    // Any second segment shows the details.
    assert_eq!(ask(&site, READER, "GET", "/v1.0/subclouds/1/anything").await.status, 404);
    assert_eq!(ask(&site, MEMBER_OF_DEMO, "GET", "/v1.0/subclouds/1/anything").await.status, 403);
}

#[tokio::test]
async fn sc_10_to_16_20_ac_12_who_asks_is_looked_at_first() {
    let site = behind_a_proxy().await;
    site.add(1).await;
    let list = "/v1.0/subclouds";
    assert_eq!(site.ask("GET", "/", &[], "").await.status, 200, "sc 10");
    let missing = site.get(list).await;
    assert_eq!(missing.status, 401);
    assert!(missing.text.contains("Authentication required"), "sc 11: {}", missing.text);
    let unconfirmed = [("x-auth-token", "gAAAA"), ("x-identity-status", "Invalid"), ("x-role", "admin")];
    let invalid = site.get_with(list, &unconfirmed).await;
    assert_eq!(invalid.status, 401);
    assert!(invalid.text.contains("Auth token is invalid"), "sc 12: {}", invalid.text);
    assert_eq!(site.get("/v1.0/unknown").await.status, 404, "ac 12");

    let (roles, path) = ("admin,reader", "/v1.0/subclouds/1");
    let status = async |who, method, path| ask(&site, who, method, path).await.status;
    assert_eq!(status(READER, "GET", list).await, 200, "sc 13");
    assert_eq!(status(READER, "DELETE", path).await, 403, "sc 14");
    assert_eq!(status(Asking { roles, project: Some("other") }, "GET", list).await, 403, "sc 15");
    assert_eq!(status(Asking { roles, project: Some("services") }, "GET", list).await, 200, "sc 16");
    assert_eq!(status(READER, "POST", "/v1.0/subcloud-deploy").await, 403, "sc 20");
    assert_eq!(status(READER, "GET", path).await, 200, "it is still there");
}

#[tokio::test]
async fn ac_48_56_readers_see_and_others_do_not_learn_what_exists() {
    let site = behind_a_proxy().await;
    site.add(1).await;
    for (path, status) in
        [("/v1.0/subclouds", 200), ("/v1.0/subclouds/subcloud1", 200), ("/v1.0/subclouds/x", 404)]
    {
        assert_eq!(ask(&site, READER, "GET", path).await.status, status, "{path}");
        assert_eq!(ask(&site, MEMBER_OF_DEMO, "GET", path).await.status, 403, "{path}");
    }
}

#[tokio::test]
async fn health_metrics_and_documents_are_open() {
    let site = behind_a_proxy().await;
    for path in ["/", "/healthz", "/readyz", "/metrics", "/openapi.json", "/asyncapi.json", "/docs/"] {
        assert_eq!(site.get(path).await.status, 200, "{path}");
    }
}
