//! Subcloud groups, F1 to F6 (fleet.md §2).

use serde_json::{Value, json};

use crate::ask::*;
use crate::site::Site;

const PATH: &str = "/v1.0/subcloud-groups";

async fn with_edge() -> Site {
    let site = controller().await;
    let answer = send(&site, "POST", PATH, &group("edge")).await;
    assert_eq!((answer.status, &answer.json()["id"]), (200, &json!(2)), "{}", answer.text);
    site
}

async fn refused(site: &Site, method: &str, path: &str, body: &Value) {
    let answer = send(site, method, path, body).await;
    assert_eq!(answer.status, 400, "{method} {path} {body}: {}", answer.text);
    assert!(answer.json()["description"].is_string(), "{}", answer.text);
}

#[tokio::test]
async fn fl_1_2_3_the_default_group_is_always_there() {
    let site = controller().await;
    let list = site.get(PATH).await.json();
    let groups = list["subcloud_groups"].as_array().unwrap();
    assert_eq!(groups.len(), 1);
    let expected = json!({
        "id": 1,
        "name": "Default",
        "description": "Default Subcloud Group",
        "update_apply_type": "parallel",
        "max_parallel_subclouds": 2,
        "created-at": groups[0]["created-at"],
        "updated-at": null,
    });
    assert_eq!(groups[0], expected);
    for path in ["1", "Default", "Default/", "1.json", "Default.json"] {
        assert_eq!(site.get(&format!("{PATH}/{path}")).await.json(), expected, "{path}");
    }
    assert_eq!(site.get(&format!("{PATH}/")).await.json(), list);
    for path in ["999", "fake", "default", "99999999999999999999"] {
        let answer = site.get(&format!("{PATH}/{path}")).await;
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.json()["description"], "Subcloud Group not found");
    }
}

#[tokio::test]
async fn fl_4_5_6_a_group_is_added_once() {
    let site = controller().await;
    let answer = send(&site, "POST", &format!("{PATH}/"), &group("edge")).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let body = answer.json();
    let keys: Vec<_> = body.as_object().unwrap().keys().cloned().collect();
    assert_eq!(
        keys,
        [
            "id",
            "name",
            "description",
            "update_apply_type",
            "max_parallel_subclouds",
            "created-at",
            "updated-at"
        ]
    );
    assert_eq!((&body["id"], &body["updated-at"]), (&json!(2), &Value::Null));
    assert_eq!(body["created-at"].as_str().unwrap().as_bytes()[10], b' ');
    assert_eq!(site.get(&format!("{PATH}/edge")).await.json(), body, "what was answered is what is shown");
    refused(&site, "POST", PATH, &group("edge")).await;
    for body in [json!({}), json!([]), json!("x"), json!(null), json!({"other": 1})] {
        refused(&site, "POST", PATH, &body).await;
    }
    for text in ["", "{", "{'name': 'x'}"] {
        assert_eq!(site.ask("POST", PATH, &[], text).await.status, 400, "{text}");
    }
    assert_eq!(site.get(PATH).await.json()["subcloud_groups"].as_array().unwrap().len(), 2);
    let next = send(&site, "POST", PATH, &with(group("more"), "max_parallel_subclouds", json!(" 7 "))).await;
    assert_eq!((&next.json()["id"], &next.json()["max_parallel_subclouds"]), (&json!(3), &json!(7)));
}

#[tokio::test]
async fn fl_7_14_values_are_checked() {
    let site = controller().await;
    let long = "x".repeat(255);
    for (key, wrong) in [
        (
            "name",
            vec![
                json!(null),
                json!(""),
                json!("123"),
                json!(long),
                json!("Default"),
                json!(["a"]),
                json!("a\u{0}b"),
            ],
        ),
        ("description", vec![json!(null), json!(""), json!(long), json!(7), json!("a\u{0}b")]),
        ("update_apply_type", vec![json!(null), json!("something"), json!("Parallel"), json!({"a": 1})]),
        (
            "max_parallel_subclouds",
            vec![
                json!(0),
                json!(501),
                json!("abc"),
                json!(null),
                json!(-1),
                json!([1]),
                json!({}),
                json!(1e300),
            ],
        ),
    ] {
        for value in wrong {
            refused(&site, "POST", PATH, &with(group("edge"), key, value)).await;
        }
    }
    assert_eq!(site.get(PATH).await.json()["subcloud_groups"].as_array().unwrap().len(), 1);
    let longest = with(group(&"ü".repeat(254)), "description", json!("x".repeat(254)));
    assert_eq!(send(&site, "POST", PATH, &longest).await.status, 200);
}

#[tokio::test]
async fn fl_15_bounds_of_the_parallelism() {
    let site = controller().await;
    for (name, max) in [("one", 1), ("most", 500)] {
        let answer =
            send(&site, "POST", PATH, &with(group(name), "max_parallel_subclouds", json!(max))).await;
        assert_eq!((answer.status, &answer.json()["max_parallel_subclouds"]), (200, &json!(max)));
    }
    let lower = send(&site, "POST", PATH, &group("default")).await;
    assert_eq!(lower.status, 200, "only `Default` itself is kept");
}

#[tokio::test]
async fn fl_16_17_18_nothing_to_update() {
    let site = with_edge().await;
    refused(&site, "PATCH", &format!("{PATH}/edge"), &json!({})).await;
    refused(&site, "PATCH", &format!("{PATH}/999"), &json!({})).await;
    let missing = send(&site, "PATCH", &format!("{PATH}/999"), &group("other")).await;
    assert_eq!((missing.status, &missing.json()["description"]), (404, &json!("Subcloud Group not found")));
    for body in [json!({"fake": "x"}), json!({"name": null}), json!({"name": "", "description": []})] {
        let answer = send(&site, "PATCH", &format!("{PATH}/edge"), &body).await;
        assert_eq!(
            (answer.status, &answer.json()["description"]),
            (400, &json!("nothing to update")),
            "{body}"
        );
    }
    for method in ["PATCH", "DELETE"] {
        let answer = bare(&site, method, PATH).await;
        assert_eq!(answer.status, 400);
        assert!(answer.json()["description"].as_str().unwrap().contains("ID required"), "{}", answer.text);
    }
    assert_eq!(bare(&site, "PUT", PATH).await.status, 405);
    assert_eq!(bare(&site, "PATCH", &format!("{PATH}/edge/subclouds")).await.status, 405);
    assert_eq!(bare(&site, "GET", &format!("{PATH}/edge/subclouds/x")).await.status, 404);
}

#[tokio::test]
async fn fl_19_20_21_a_group_is_updated() {
    let site = with_edge().await;
    let edge = format!("{PATH}/edge");
    let answer = send(&site, "PATCH", &edge, &json!({"description": "Other", "name": null})).await;
    let body = answer.json();
    assert_eq!((answer.status, &body["description"], &body["name"]), (200, &json!("Other"), &json!("edge")));
    assert!(body["updated-at"].is_string() && site.get(&edge).await.json() == body, "{body}");
    let again = send(&site, "PATCH", &edge, &json!({"description": "Other"})).await;
    assert_eq!(again.json(), body, "it moves only when something changed");

    let default = format!("{PATH}/Default");
    for body in [json!({"name": "x"}), json!({"name": "Default"}), json!({"name": "x", "description": "y"})] {
        refused(&site, "PATCH", &default, &body).await;
    }
    let answer =
        send(&site, "PATCH", &default, &json!({"description": "d", "max_parallel_subclouds": "9"})).await;
    assert_eq!((answer.status, &answer.json()["max_parallel_subclouds"]), (200, &json!(9)));

    refused(&site, "PATCH", &edge, &json!({"max_parallel_subclouds": 0})).await;
    for body in [
        json!({"max_parallel_subclouds": 0, "description": "x"}),
        json!({"name": "", "description": "x"}),
        json!({"name": "123"}),
        json!({"name": "Default"}),
        json!({"name": ["x"]}),
        json!({"update_apply_type": "both"}),
        json!({"max_parallel_subclouds": 501}),
        json!({"description": "x".repeat(255)}),
    ] {
        refused(&site, "PATCH", &edge, &body).await;
    }
    assert_eq!(site.get(&edge).await.json(), body, "a refusal changes nothing");
}

#[tokio::test]
async fn a_group_is_renamed_and_its_old_name_is_free() {
    let site = with_edge().await;
    assert_eq!(send(&site, "POST", PATH, &group("west")).await.status, 200);
    refused(&site, "PATCH", &format!("{PATH}/edge"), &json!({"name": "west"})).await;
    let answer = send(&site, "PATCH", &format!("{PATH}/2"), &json!({"name": "east"})).await;
    assert_eq!((answer.status, &answer.json()["name"]), (200, &json!("east")), "{}", answer.text);
    assert_eq!(site.get(&format!("{PATH}/edge")).await.status, 404);
    assert_eq!(send(&site, "PATCH", &format!("{PATH}/edge"), &json!({"name": "x"})).await.status, 404);
    assert_eq!(send(&site, "PATCH", &format!("{PATH}/east"), &json!({"name": "east"})).await.status, 200);
    assert_eq!(send(&site, "POST", PATH, &group("edge")).await.json()["id"], 4);
}

#[tokio::test]
async fn fl_22_23_24_only_an_empty_group_is_deleted() {
    let site = with_edge().await;
    let entity = site.add(1).await;
    let edge = format!("{PATH}/edge");
    let answer = bare(&site, "DELETE", &format!("{PATH}/1")).await;
    assert_eq!(answer.status, 400, "{}", answer.text);
    assert_eq!(bare(&site, "DELETE", &format!("{PATH}/Default")).await.status, 400);

    move_to(&site, entity, 2).await;
    let answer = bare(&site, "DELETE", &edge).await;
    assert_eq!((answer.status, &answer.json()["description"]), (400, &json!("Subcloud Group not empty")));
    assert_eq!(site.get(&edge).await.status, 200);

    move_to(&site, entity, 1).await;
    let answer = bare(&site, "DELETE", &edge).await;
    assert_eq!((answer.status, answer.text.as_str()), (200, "null"));
    assert_eq!(bare(&site, "DELETE", &edge).await.status, 404);
    assert_eq!(site.get(&format!("{PATH}/2")).await.status, 404);
    let again = send(&site, "POST", PATH, &group("edge")).await;
    assert_eq!((again.status, &again.json()["id"]), (200, &json!(3)), "the name is free, the id is not");
}

#[tokio::test]
async fn fl_25_26_the_members_of_a_group() {
    let site = with_edge().await;
    for path in ["2/subclouds", "edge/subclouds", "edge/anything"] {
        let answer = site.get(&format!("{PATH}/{path}")).await;
        assert_eq!((answer.status, answer.json()), (200, json!({"subclouds": []})), "{path}");
    }
    assert_eq!(site.get(&format!("{PATH}/fake/subclouds")).await.status, 404);
    let (one, two) = (site.add(1).await, site.add(2).await);
    move_to(&site, two, 2).await;
    move_to(&site, one, 2).await;
    let by_id = site.get(&format!("{PATH}/2/subclouds")).await.json();
    assert_eq!(site.get(&format!("{PATH}/edge/subclouds")).await.json(), by_id);
    let names: Vec<_> = by_id["subclouds"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["subcloud1", "subcloud2"]);
    let keys: Vec<_> = by_id["subclouds"][0].as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys.len(), 25, "{keys:?}");
    assert_eq!(by_id["subclouds"][0]["group_id"], 2);
    assert_eq!(site.get(&format!("{PATH}/1/subclouds")).await.json(), json!({"subclouds": []}));
}

#[tokio::test]
async fn fl_27_readers_read() {
    let site = behind_a_proxy(with_edge().await);
    let reader = somebody("reader", "admin");
    assert_eq!(site.get_with(PATH, &reader).await.status, 200);
    let body = group("more").to_string();
    for (method, path) in
        [("POST", PATH.to_owned()), ("PATCH", format!("{PATH}/edge")), ("DELETE", format!("{PATH}/edge"))]
    {
        assert_eq!(site.ask(method, &path, &reader, &body).await.status, 403, "{method}");
    }
    let unknown = somebody("reader", "demo");
    assert_eq!(site.get_with(&format!("{PATH}/fake"), &unknown).await.status, 403, "before any lookup");
}

#[tokio::test]
async fn fl_28_any_name_works() {
    let site = controller().await;
    for name in ["get", "subclouds", "a b", "x.json", "é", "a/b"] {
        assert_eq!(send(&site, "POST", PATH, &group(name)).await.status, 200, "{name}");
        let path = format!("{PATH}/{}", name.replace(' ', "%20").replace('é', "%C3%A9").replace('/', "%2F"));
        let answer = site.get(&path).await;
        assert_eq!((answer.status, &answer.json()["name"]), (200, &json!(name)), "{}", answer.text);
    }
}
