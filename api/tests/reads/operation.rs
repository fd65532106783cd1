//! Health, metrics, read models, documents.

use serde_json::{Value, json};

use crate::site::Site;

#[tokio::test]
async fn health_readiness_and_metrics() {
    let site = Site::start().await;
    site.add(1).await;
    assert_eq!(site.get("/healthz").await.text, "ok");
    let ready = site.get("/readyz").await;
    let body = ready.json();
    assert_eq!((ready.status, &body["ready"]), (200, &json!(true)), "{body}");
    assert_eq!(body["parts"], json!({"journal": "ready", "read-models": "ready", "vault": "ready"}));
    assert_eq!(body["projections"][0]["lag_events"], 0, "{body}");
    let metrics = site.get("/metrics").await;
    assert_eq!(metrics.status, 200);
    assert!(metrics.header("content-type").starts_with("text/plain"));
}

#[tokio::test]
async fn what_requests_are_answered_without_is_a_warning() {
    let site = Site::start().await;
    let ready = async || {
        let answer = site.get("/readyz").await;
        (answer.status, answer.json())
    };
    site.readiness.add_check("bus", async || Err("not connected".to_owned()));
    site.readiness.set("projector", Err("another one is at work".to_owned()));
    site.readiness.stand_by("relay");
    let (status, body) = ready().await;
    assert_eq!((status, &body["ready"]), (200, &json!(true)), "{body}");
    let warnings = json!({"bus": "not connected", "projector": "another one is at work"});
    assert_eq!(body["warnings"], warnings);
    for (part, said) in [("bus", "not connected"), ("relay", "standby"), ("journal", "ready")] {
        assert_eq!(body["parts"][part], said, "{body}");
    }
    site.readiness.set("projector", Ok(()));
    assert_eq!(ready().await.1["warnings"], json!({"bus": "not connected"}));

    // Nobody else is to come.
    site.readiness.drain();
    let (status, body) = ready().await;
    assert_eq!((status, &body["ready"], &body["parts"]["api"]), (503, &json!(false), &json!("draining")));
    assert_eq!(body["warnings"], json!({"bus": "not connected"}), "{body}");
}

#[tokio::test]
async fn read_models_are_rebuilt_and_rolled_back() {
    let site = Site::start().await;
    site.add(1).await;
    let before = site.get("/v1.0/subclouds").await.text;
    let list = site.get("/v1.0/projections").await.json();
    let names: Vec<_> =
        list["projections"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert!(names.is_sorted(), "{names:?}");
    for name in ["groups", "history", "subclouds"] {
        assert!(names.contains(&name), "{names:?}");
    }
    let rebuilt = site.ask("POST", "/v1.0/projections/subclouds/rebuild", &[], "").await;
    assert_eq!((rebuilt.status, &rebuilt.json()["version"]), (200, &json!(2)), "{}", rebuilt.text);
    assert_eq!(site.get("/v1.0/subclouds").await.text, before);
    let back = site.ask("POST", "/v1.0/projections/subclouds/rollback", &[], "").await;
    assert_eq!((back.status, &back.json()["version"]), (200, &json!(1)), "{}", back.text);
    assert_eq!(site.get("/v1.0/subclouds").await.text, before);
    assert_eq!(site.ask("POST", "/v1.0/projections/nosuch/rebuild", &[], "").await.status, 404);
    assert_eq!(site.ask("POST", "/v1.0/projections/groups/rollback", &[], "").await.status, 409);
}

#[tokio::test]
async fn read_models_are_verified() {
    let site = Site::start().await;
    site.add(1).await;
    for query in ["", "?sample=5", "?name=subclouds"] {
        let answer = site.ask("POST", &format!("/v1.0/projections/verify{query}"), &[], "").await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(answer.header("content-type"), "application/x-ndjson");
        let last: Value = serde_json::from_str(answer.text.lines().last().unwrap()).unwrap();
        assert_eq!(last["ok"], true, "{last}");
        let models = last["projections"].as_array().unwrap();
        assert_eq!(models.len(), if query.contains("name") { 1 } else { 9 });
        let found = models.iter().find(|model| model["name"] == "subclouds").unwrap();
        assert_eq!((&found["differing"], &found["differences"]), (&json!(0), &json!([])), "{last}");
        assert!(found["rows"].as_u64().unwrap() > 1, "a subcloud and its endpoints: {last}");
    }
    assert_eq!(site.ask("POST", "/v1.0/projections/verify?name=nosuch", &[], "").await.status, 404);
}

#[tokio::test]
async fn documents_are_served_offline() {
    let site = Site::start().await;
    let description = site.get("/openapi.json").await.json();
    for path in [
        "/",
        "/v1.0/subclouds",
        "/v1.0/subclouds/{subcloud}",
        "/v1.0/subclouds/{subcloud}/detail",
        "/v1.0/subclouds/{subcloud}/history",
        "/v1.0/events",
        "/v1.0/projections",
        "/healthz",
        "/readyz",
        "/metrics",
        "/asyncapi.json",
    ] {
        assert!(description["paths"][path]["get"]["operationId"].is_string(), "{path}");
    }
    for (path, operations) in description["paths"].as_object().unwrap() {
        for operation in operations.as_object().unwrap().values().filter(|_| path.starts_with("/v1.0/")) {
            for status in ["400", "401", "403", "503"] {
                assert!(operation["responses"][status].is_object(), "{path}: {status}");
            }
        }
    }
    let required = description["components"]["schemas"]["Subcloud"]["required"].as_array().unwrap();
    assert_eq!(required.len(), 24, "all but region-name: {required:?}");
    let page = site.get("/docs/").await;
    assert_eq!(page.status, 200);
    assert!(!page.text.contains("https://"), "nothing comes from elsewhere: {}", page.text);
    assert!(site.get("/docs/swagger-ui-bundle.js").await.text.len() > 100_000);
    assert_eq!(site.get("/asyncapi.json").await.json()["asyncapi"], "3.0.0");
}
