//! Update options, F35 to F38 (fleet.md §10).

use serde_json::{Value, json};

use crate::ask::*;
use crate::site::Site;

const PATH: &str = "/v1.0/sw-update-options";
const KEYS: [&str; 10] = [
    "id",
    "name",
    "subcloud-id",
    "storage-apply-type",
    "worker-apply-type",
    "max-parallel-workers",
    "alarm-restriction-type",
    "default-instance-action",
    "created-at",
    "updated-at",
];

fn five() -> Value {
    json!({
        "storage-apply-type": "serial",
        "worker-apply-type": "serial",
        "max-parallel-workers": "4",
        "alarm-restriction-type": "strict",
        "default-instance-action": "stop-start",
    })
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

async fn list(site: &Site) -> Vec<Value> {
    site.get(PATH).await.json()["sw-update-options"].as_array().unwrap().clone()
}

#[tokio::test]
async fn fl_135_the_installed_default() {
    let site = Site::start().await;
    let entries = list(&site).await;
    assert_eq!(
        entries,
        [json!({
            "id": 1,
            "name": "all clouds default",
            "subcloud-id": null,
            "storage-apply-type": "parallel",
            "worker-apply-type": "parallel",
            "max-parallel-workers": 10,
            "alarm-restriction-type": "relaxed",
            "default-instance-action": "migrate",
            "created-at": null,
            "updated-at": null,
        })]
    );
    assert_eq!(keys(&entries[0]), KEYS);
    for path in ["RegionOne", "RegionOne.json", "RegionOne/"] {
        assert_eq!(site.get(&format!("{PATH}/{path}")).await.json(), entries[0], "{path}");
    }
}

#[tokio::test]
async fn fl_136_options_of_a_subcloud() {
    let site = Site::start().await;
    let one = site.add(1).await;
    site.add(2).await;
    let answer = send(&site, "POST", &format!("{PATH}/subcloud2"), &five()).await;
    let body = answer.json();
    assert_eq!((answer.status, &body["name"], &body["subcloud-id"]), (200, &json!("subcloud2"), &json!(2)));
    assert_eq!((keys(&body), &body["max-parallel-workers"]), (KEYS.to_vec(), &json!(4)));
    assert!(body["created-at"].is_string() && body["updated-at"].is_null(), "{body}");
    assert_eq!(site.get(&format!("{PATH}/subcloud2")).await.json(), body);
    assert_eq!(list(&site).await[1..], *std::slice::from_ref(&body));

    // A null leaves what is stored.
    let change = with(five(), "storage-apply-type", json!("any text"));
    let mut change = change.as_object().unwrap().clone();
    change.insert("worker-apply-type".to_owned(), Value::Null);
    let changed = send(&site, "POST", &format!("{PATH}/2"), &Value::Object(change)).await.json();
    assert_eq!((&changed["id"], &changed["storage-apply-type"]), (&body["id"], &json!("any text")));
    assert_eq!(
        (&changed["worker-apply-type"], &changed["created-at"]),
        (&json!("serial"), &body["created-at"])
    );
    assert!(changed["updated-at"].is_string(), "{changed}");

    let other = send(&site, "POST", &format!("{PATH}/1"), &five()).await.json();
    assert_eq!((&other["id"], &other["name"]), (&json!(2), &json!("subcloud1")));
    let names: Vec<_> = list(&site).await.iter().map(|entry| entry["name"].clone()).collect();
    assert_eq!(names, ["all clouds default", "subcloud1", "subcloud2"], "by the id of the subcloud");
    site.delete(one).await;
    assert_eq!(list(&site).await.len(), 2, "they go with their subcloud");
}

#[tokio::test]
async fn fl_137_a_subcloud_without_options() {
    let site = Site::start().await;
    site.add(1).await;
    for reference in ["1", "subcloud1"] {
        for method in ["GET", "DELETE"] {
            assert_eq!(bare(&site, method, &format!("{PATH}/{reference}")).await.status, 404);
        }
    }
    assert_eq!(send(&site, "POST", &format!("{PATH}/1"), &five()).await.status, 200);
    let answer = bare(&site, "DELETE", &format!("{PATH}/subcloud1")).await;
    assert_eq!((answer.status, answer.text.as_str()), (200, "null"));
    assert_eq!(bare(&site, "GET", &format!("{PATH}/1")).await.status, 404);
    assert_eq!(
        send(&site, "POST", &format!("{PATH}/1"), &five()).await.json()["id"],
        2,
        "ids are not used again"
    );
}

#[tokio::test]
async fn fl_138_the_default_is_removed_and_set_again() {
    let site = Site::start().await;
    let default = format!("{PATH}/RegionOne");
    let changed = send(&site, "POST", &default, &five()).await.json();
    assert_eq!((&changed["id"], &changed["subcloud-id"]), (&json!(1), &Value::Null));
    for _ in 0..2 {
        let answer = bare(&site, "DELETE", &default).await;
        assert_eq!((answer.status, answer.text.as_str()), (200, "null"));
    }
    let body = site.get(&default).await.json();
    assert_eq!(keys(&body), KEYS.into_iter().filter(|key| !key.ends_with("id")).collect::<Vec<_>>());
    assert_eq!((&body["storage-apply-type"], &body["created-at"]), (&json!("parallel"), &Value::Null));
    assert_eq!(list(&site).await, [body]);
    let again = send(&site, "POST", &default, &five()).await.json();
    assert_eq!((&again["name"], &again["subcloud-id"]), (&json!("all clouds default"), &json!(0)));
    assert_eq!(site.get(&default).await.json(), again);
}

#[tokio::test]
async fn fl_139_unknown_subclouds_and_wrong_bodies() {
    let site = Site::start().await;
    site.add(1).await;
    for reference in ["9", "nosuch"] {
        let path = format!("{PATH}/{reference}");
        for method in ["GET", "POST", "DELETE"] {
            assert_eq!(send(&site, method, &path, &five()).await.status, 404, "{method} {path}");
        }
    }
    for key in KEYS.into_iter().filter(|key| key.contains("-") && !key.contains("at") && !key.contains("id"))
    {
        for wrong in [Value::Null, json!([1]), json!({"a": 1}), json!(true)] {
            let answer = send(&site, "POST", &format!("{PATH}/1"), &with(five(), key, wrong)).await;
            assert_eq!(answer.status, 400);
            assert!(answer.json()["description"].as_str().unwrap().contains(key), "{}", answer.text);
        }
    }
    for body in [json!({}), json!([]), json!(1)] {
        assert_eq!(send(&site, "POST", &format!("{PATH}/1"), &body).await.status, 400, "{body}");
    }
    for method in ["POST", "PATCH", "DELETE"] {
        assert_eq!(send(&site, method, PATH, &five()).await.status, 400, "{method} without a reference");
    }
    assert_eq!(bare(&site, "PATCH", &format!("{PATH}/1")).await.status, 405);
    assert_eq!(bare(&site, "PUT", PATH).await.status, 405);
}
