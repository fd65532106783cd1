//! Reads over HTTP: the cases of subclouds.md §14.1–14.2 and access.md §16 that read, histories, event streams,
//! operation.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod site;

use std::time::Duration;

use dcm_domain::subcloud::command::{
    Details, ManageSubcloud, ReportEndpoint, UnmanageSubcloud, UpdateSubcloud,
};
use dcm_domain::value::{Endpoint, Phase, SyncStatus};
use serde_json::{Value, json};
use site::{Site, region};
use uuid::Uuid;

const SUBCLOUD: [&str; 25] = [
    "id",
    "name",
    "description",
    "location",
    "software-version",
    "management-state",
    "availability-status",
    "deploy-status",
    "backup-status",
    "backup-datetime",
    "error-description",
    "region-name",
    "management-subnet",
    "management-start-ip",
    "management-end-ip",
    "management-gateway-ip",
    "openstack-installed",
    "systemcontroller-gateway-ip",
    "data_install",
    "data_upgrade",
    "created-at",
    "updated-at",
    "group_id",
    "peer_group_id",
    "rehome_data",
];

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

fn shown_keys() -> Vec<&'static str> {
    let mut keys: Vec<_> = SUBCLOUD.into_iter().filter(|key| *key != "region-name").collect();
    keys.push("endpoint_sync_status");
    keys
}

async fn describe(site: &Site, entity: Uuid, text: &str) -> String {
    let details = Details { description: Some(text.to_owned()), ..Details::default() };
    site.run(entity, &UpdateSubcloud { details }).await.position.unwrap().to_string()
}

async fn report(site: &Site, entity: Uuid, endpoint: Endpoint, status: SyncStatus) {
    site.run(entity, &ReportEndpoint { endpoint, status, seen: None }).await;
}

#[tokio::test]
async fn sc_017_018_unknown_subclouds_are_404_in_both_forms() {
    let site = Site::start().await;
    let page = site.get_with("/v1.0/subclouds/999", &[("accept", "*/*")]).await;
    assert_eq!(page.status, 404);
    assert!(page.header("content-type").starts_with("text/html"));
    let body = page.text.split("<body>").nth(1).unwrap().split("</body>").next().unwrap();
    assert!(body.trim_end().ends_with("Subcloud not found"), "{body}");
    let json = site.get("/v1.0/subclouds/999").await;
    assert_eq!(json.json(), json!({"code": 404, "title": "Not Found", "description": "Subcloud not found"}));
    assert!(json.header("x-openstack-request-id").starts_with("req-"));
}

#[tokio::test]
async fn sc_021_the_list_has_every_key_in_order() {
    let site = Site::start().await;
    let (first, _) = (site.add(1).await, site.add(2).await);
    describe(&site, first, "changed last").await;
    let answer = site.get("/v1.0/subclouds/").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
    let body = answer.json();
    assert_eq!(keys(&body), ["subclouds"]);
    let names: Vec<_> = body["subclouds"].as_array().unwrap().iter().map(|entry| &entry["name"]).collect();
    assert_eq!(names, ["subcloud1", "subcloud2"]);
    let mut expected = SUBCLOUD.to_vec();
    expected.extend(["subcloud_id", "sync_status", "endpoint_sync_status"]);
    let entry = &body["subclouds"][0];
    assert_eq!(keys(entry), expected);
    assert_eq!((&entry["subcloud_id"], &entry["description"]), (&entry["id"], &json!("changed last")));
    let types: Vec<_> = entry["endpoint_sync_status"]
        .as_array()
        .unwrap()
        .iter()
        .map(|status| status["endpoint_type"].as_str().unwrap())
        .collect();
    assert_eq!(
        types,
        ["dc-cert", "firmware", "identity", "kube-rootca", "kubernetes", "load", "patching", "platform"]
    );
}

#[tokio::test]
async fn sc_022_an_empty_list() {
    let site = Site::start().await;
    let answer = site.get("/v1.0/subclouds").await;
    assert_eq!((answer.status, answer.text.as_str()), (200, r#"{"subclouds":[]}"#));
}

#[tokio::test]
async fn sc_023_one_subcloud_has_its_keys_and_values() {
    let site = Site::start().await;
    site.add(1).await;
    for path in [
        "/v1.0/subclouds/1",
        "/v1.0/subclouds/subcloud1",
        "/v1.0/subclouds/1.json",
        "/v1.0/subclouds?subcloud_ref=1",
    ] {
        let answer = site.get(path).await;
        assert_eq!(answer.status, 200, "{path}");
        let body = answer.json();
        assert_eq!(keys(&body), shown_keys(), "{path}");
        for (key, value) in [
            ("id", json!(1)),
            ("name", json!("subcloud1")),
            ("location", Value::Null),
            ("software-version", json!("18.03")),
            ("management-state", json!("unmanaged")),
            ("availability-status", json!("offline")),
            ("deploy-status", json!("complete")),
            ("error-description", json!("No errors present")),
            ("management-subnet", json!("192.168.101.0/24")),
            ("openstack-installed", json!(false)),
            ("group_id", json!(1)),
            ("peer_group_id", Value::Null),
        ] {
            assert_eq!(body[key], value, "{path} {key}");
        }
        let created = body["created-at"].as_str().unwrap();
        assert!(created.contains(' ') && !created.contains('T'), "{created}");
        assert_eq!(
            body["endpoint_sync_status"][0],
            json!({"endpoint_type": "dc-cert", "sync_status": "unknown"})
        );
    }
}

#[tokio::test]
async fn sc_024_details_without_a_region_to_ask() {
    let site = Site::start().await;
    let entity = site.add(1).await;
    for online in [false, true] {
        if online {
            site.online(entity).await;
        }
        for path in ["/v1.0/subclouds/1/detail", "/v1.0/subclouds/subcloud1/anything"] {
            let body = site.get(path).await.json();
            let mut expected = shown_keys();
            expected.extend(["oam_floating_ip", "deploy_config_sync_status", "region_name"]);
            assert_eq!(keys(&body), expected, "{path}");
            assert_eq!(
                (&body["oam_floating_ip"], &body["deploy_config_sync_status"], &body["region_name"]),
                (&json!("unavailable"), &json!("unknown"), &json!(region(1)))
            );
        }
    }
}

#[tokio::test]
async fn sc_029_030_paths_and_names_that_are_not_there() {
    let site = Site::start().await;
    site.add(1).await;
    assert_eq!(site.get("/v1.0/wrong/1").await.status, 404);
    let answer = site.get("/v1.0/subclouds/nosuch").await;
    assert_eq!((answer.status, &answer.json()["description"]), (404, &json!("Subcloud not found")));
    for path in ["/v1.0/subclouds/99999999999999999999", "/v1.0/subclouds/0", "/v1.0/subclouds/1/detail/x"] {
        assert_eq!(site.get(path).await.status, 404, "{path}");
    }
    assert_eq!(site.ask("PATCH", "/v1.0/subclouds/1/no-such-verb", &[], "").await.status, 404);
    assert_eq!(site.ask("PATCH", "/v1.0/subclouds", &[], "").await.status, 400);
    let put = site.ask("PUT", "/v1.0/subclouds", &[], "").await;
    assert_eq!(put.status, 405);
    assert!(put.header("allow").contains("GET"), "{}", put.header("allow"));
}

#[tokio::test]
async fn sc_031_032_ac_091_regions_are_for_controllers_and_cert_mon() {
    let site = Site::start().await;
    site.add(1).await;
    let by_region = format!("/v1.0/subclouds/{}", region(1));
    for agent in ["dcmanager/1.0", "cert-mon/1.0"] {
        let headers = [("user-agent", agent)];
        let found = site.get_with(&by_region, &headers).await;
        assert_eq!((found.status, &found.json()["name"]), (200, &json!("subcloud1")), "{agent}");
        assert_eq!(site.get_with(&format!("{by_region}/detail"), &headers).await.status, 200);
        assert_eq!(site.get_with("/v1.0/subclouds/subcloud1", &headers).await.status, 404, "{agent}");
        assert_eq!(site.get_with("/v1.0/subclouds/1", &headers).await.status, 200, "{agent}");
    }
    for agent in ["curl/8", "cert-mon/1.0 x", "dcmanager/1.1", "Cert-Mon/1.0"] {
        assert_eq!(site.get_with(&by_region, &[("user-agent", agent)]).await.status, 404, "{agent}");
    }
}

#[tokio::test]
async fn sc_033_ac_090_cert_mon_sees_regions_as_names() {
    let site = Site::start().await;
    let entity = site.add(1).await;
    let headers = [("user-agent", "cert-mon/1.0")];
    for deleted in [false, true] {
        let list = site.get_with("/v1.0/subclouds", &headers).await.json();
        if deleted {
            assert_eq!(list, json!({"subclouds": []}));
            continue;
        }
        let entry = &list["subclouds"][0];
        assert_eq!((&entry["name"], &entry["region-name"]), (&json!(region(1)), &json!(region(1))));
        assert_eq!(entry["endpoint_sync_status"][0]["endpoint_type"], "dc-cert");
        assert_eq!(site.get("/v1.0/subclouds").await.json()["subclouds"][0]["name"], "subcloud1");
        site.delete(entity).await;
    }
}

#[tokio::test]
async fn sc_034_035_036_the_summary_of_endpoints() {
    let site = Site::start().await;
    let entity = site.add(1).await;
    let summary = async || site.get("/v1.0/subclouds").await.json()["subclouds"][0]["sync_status"].clone();
    assert_eq!(summary().await, "unknown");
    site.online(entity).await;
    site.run(entity, &ManageSubcloud::default()).await;
    for (endpoint, expected) in Endpoint::DEFAULT.into_iter().zip((1..=8).map(|known| known == 8)) {
        report(&site, entity, endpoint, SyncStatus::InSync).await;
        assert_eq!(summary().await, if expected { "in-sync" } else { "out-of-sync" }, "{endpoint}");
    }
}

#[tokio::test]
async fn sc_037_038_039_advice_on_errors() {
    let site = Site::start().await;
    site.add_failed(1, Phase::Bootstrap, "x err_code = bmc_cred y").await;
    site.add_failed(2, Phase::Configure, "fine").await;
    site.add(3).await;
    let text = async |number: u8| {
        let body = site.get(&format!("/v1.0/subclouds/{number}")).await.json();
        body["error-description"].as_str().unwrap().to_owned()
    };
    let first = text(1).await;
    let lines: Vec<_> = first.lines().collect();
    assert_eq!((lines.len(), lines[0]), (3, "x err_code = bmc_cred y"), "{first}");
    assert!(
        lines[1].contains("Check BMC credentials") && lines[2].contains("For bootstrap failures"),
        "{first}"
    );
    let second = text(2).await;
    assert!(second.starts_with("fine\n") && second.contains("For configuration failures"), "{second}");
    assert_eq!(text(3).await, "No errors present");
    let list = site.get("/v1.0/subclouds").await.json();
    assert_eq!(list["subclouds"][0]["error-description"], json!(first));
}

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
    // A stream that follows goes on until the program stops.
    let before = site.journal.head().await.unwrap();
    let path = format!("/v1.0/events?from={head}");
    let (followed, ()) = tokio::join!(site.get(&path), async {
        describe(&site, entity, "while somebody follows").await;
        site.stop.cancel();
    });
    let followed = parse(&followed.text);
    assert!(followed.len() as u64 <= site.journal.head().await.unwrap() - before);
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
    let piece = tokio::time::timeout(site::PATIENCE, body.next()).await.unwrap().unwrap().unwrap();
    assert!(String::from_utf8_lossy(&piece).contains("event: SubcloudDescribed"));
    site.stop.cancel();
    assert!(tokio::time::timeout(site::PATIENCE, body.next()).await.unwrap().is_none());
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
    site.readiness.set("bus", Err("not connected".to_owned()));
    site.readiness.add_check("relay", async || Ok(()));
    let ready = site.get("/readyz").await;
    let body = ready.json();
    assert_eq!((ready.status, &body["ready"]), (503, &json!(false)));
    assert_eq!((&body["parts"]["bus"], &body["parts"]["relay"]), (&json!("not connected"), &json!("ready")));
    site.readiness.set("bus", Ok(()));
    assert_eq!(site.get("/readyz").await.status, 200);
    let metrics = site.get("/metrics").await;
    assert_eq!(metrics.status, 200);
    assert!(metrics.header("content-type").starts_with("text/plain"));
}

#[tokio::test]
async fn read_models_are_rebuilt_and_rolled_back() {
    let site = Site::start().await;
    site.add(1).await;
    let before = site.get("/v1.0/subclouds").await.text;
    let list = site.get("/v1.0/projections").await.json();
    let names: Vec<_> = list["projections"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["groups", "history", "subclouds"]);
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
async fn documents_are_served_offline() {
    let site = Site::start().await;
    let description = site.get("/openapi.json").await.json();
    for path in [
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
    let required = description["components"]["schemas"]["Subcloud"]["required"].as_array().unwrap();
    assert_eq!(required.len(), 24, "all but region-name: {required:?}");
    let page = site.get("/docs/").await;
    assert_eq!(page.status, 200);
    assert!(!page.text.contains("https://"), "nothing comes from elsewhere: {}", page.text);
    assert!(site.get("/docs/swagger-ui-bundle.js").await.text.len() > 100_000);
    assert_eq!(site.get("/asyncapi.json").await.json()["asyncapi"], "3.0.0");
}
