//! What callers may do while no file says otherwise (access.md §5, §16 cases 45 to 56).

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
    for (method, path) in [
        ("PATCH", "/v1.0/subclouds"),
        ("DELETE", "/v1.0/subclouds"),
        ("PATCH", "/v1.0/phased-subcloud-deploy"),
        ("PATCH", "/v1.0/phased-subcloud-deploy/1"),
        ("PATCH", "/v1.0/phased-subcloud-deploy/1/nonsense"),
    ] {
        assert_eq!(ask(&site, READER, method, path).await.status, 403, "{method} {path}");
        assert_ne!(ask(&site, ADMIN, method, path).await.status, 403, "{method} {path}");
    }
    // Any second segment shows the details.
    assert_eq!(ask(&site, READER, "GET", "/v1.0/subclouds/1/anything").await.status, 404);
    assert_eq!(ask(&site, MEMBER_OF_DEMO, "GET", "/v1.0/subclouds/1/anything").await.status, 403);
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
