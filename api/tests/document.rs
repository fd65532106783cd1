//! The description of the API: the checked-in one is current, and says what a reader needs of each operation.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

fn document() -> Value {
    serde_json::to_value(dcm_api::description()).unwrap()
}

/// Calls `visit` with name (`GET /path`) and description of each operation.
fn each_operation(document: &Value, mut visit: impl FnMut(&str, &Value)) {
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            visit(&format!("{} {path}", method.to_uppercase()), operation);
        }
    }
}

#[test]
fn the_checked_in_document_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas/openapi.json");
    let text = format!("{}\n", serde_json::to_string_pretty(&document()).unwrap());
    if std::env::var_os("DCM_UPDATE_SCHEMAS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let checked_in = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        checked_in == text,
        "schemas/openapi.json is not current: run this test with DCM_UPDATE_SCHEMAS=1 and look at what changed"
    );
}

#[test]
fn every_operation_is_described() {
    let document = document();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let tags: BTreeSet<&str> =
        document["tags"].as_array().unwrap().iter().map(|tag| tag["name"].as_str().unwrap()).collect();
    let mut ids = BTreeSet::new();
    each_operation(&document, |name, operation| {
        assert!(operation["summary"].as_str().is_some_and(|text| text.len() > 5), "{name} has no summary");
        let id = operation["operationId"].as_str().unwrap_or_else(|| panic!("{name} has no id"));
        assert!(ids.insert(id.to_owned()), "{id} is the id of two operations");
        let used = operation["tags"].as_array().unwrap();
        assert!(used.len() == 1 && tags.contains(used[0].as_str().unwrap()), "{name}: {used:?}");
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            assert!(parameter["description"].is_string(), "{name}: {} is not described", parameter["name"]);
        }
    });
    assert!(ids.len() > 80, "only {} operations", ids.len());
}

#[test]
fn every_status_is_exact_and_described() {
    let document = document();
    each_operation(&document, |name, operation| {
        for (status, answer) in operation["responses"].as_object().unwrap() {
            assert!(status.parse::<u16>().is_ok(), "{name}: {status}");
            let answer = match answer["$ref"].as_str() {
                Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap(),
                None => answer,
            };
            assert!(answer["description"].as_str().is_some_and(|text| !text.is_empty()), "{name}: {status}");
            assert!(answer["headers"]["X-Openstack-Request-Id"].is_object(), "{name}: {status}");
        }
    });
}

#[test]
fn resources_name_the_ways_to_identify_oneself() {
    let document = document();
    let schemes = document["components"]["securitySchemes"].as_object().unwrap();
    each_operation(&document, |name, operation| {
        let ways = operation["security"].as_array().unwrap();
        assert_eq!(!ways.is_empty(), name.contains("/v1.0/"), "{name}");
        for way in ways.iter().flat_map(|way| way.as_object().unwrap().keys()) {
            assert!(schemes.contains_key(way), "{name}: {way}");
        }
    });
}
