//! The cases of subclouds.md §14.1–14.2 and access.md §16 that read.

use std::sync::Arc;

use dcm_domain::subcloud::command::{ManageSubcloud, ReportEndpoint};
use dcm_domain::value::{Endpoint, Phase, SyncStatus};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::site::platform::{FakePlatform, silent};
use crate::site::{Site, region};
use crate::{describe, keys};

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

fn shown_keys() -> Vec<&'static str> {
    let mut keys: Vec<_> = SUBCLOUD.into_iter().filter(|key| *key != "region-name").collect();
    keys.push("endpoint_sync_status");
    keys
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
async fn sc_025_028_details_of_an_online_subcloud() {
    let platform = FakePlatform::default();
    let site = Site::start_on(Arc::new(platform.clone()), |_, _| {}).await;
    let entity = site.add(1).await;
    platform.tells(|facts| {
        facts.oam_floating_ip = Ok(Some("10.10.10.2".to_owned()));
        facts.out_of_date = Ok(false);
    });
    let details = async || {
        let body = site.get("/v1.0/subclouds/1/detail").await.json();
        let text = |key: &str| body[key].as_str().unwrap().to_owned();
        (text("oam_floating_ip"), text("deploy_config_sync_status"), text("region_name"))
    };
    let told = |address: &str, status: &str| (address.to_owned(), status.to_owned(), region(1));
    assert_eq!(details().await, told("unavailable", "unknown"), "24: an offline one is not asked");
    site.online(entity).await;
    assert_eq!(details().await, told("10.10.10.2", "Deployment: configurations up-to-date"), "25");
    platform.tells(|facts| facts.out_of_date = silent());
    assert_eq!(details().await, told("10.10.10.2", "unknown"), "26");
    platform.tells(|facts| facts.oam_floating_ip = silent());
    assert_eq!(details().await, told("unavailable", "unknown"), "26");
    platform.tells(|facts| (facts.oam_floating_ip, facts.out_of_date) = (Ok(None), Ok(true)));
    assert_eq!(details().await, told("unavailable", "Deployment: configurations out-of-date"), "27, 28");
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
    for path in ["/v1.0/subclouds?subcloud_ref=%00", "/v1.0/subclouds/1/history?actor=a%00"] {
        assert_eq!(site.get(path).await.status, 400, "{path}: no text column takes NUL");
    }
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
