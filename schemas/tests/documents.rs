//! The checked-in documents say what the code says.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::Path;

use dcm_schemas::documents;

/// Folders and files that hold generated documents only.
const GENERATED: [&str; 3] = ["events", "jobs", "notifications"];

#[test]
fn checked_in_documents_are_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let documents = documents::all();
    if std::env::var_os("DCM_UPDATE_SCHEMAS").is_some() {
        for document in &documents {
            let path = root.join(&document.path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, document.text()).unwrap();
        }
    }
    for document in &documents {
        let checked_in = std::fs::read_to_string(root.join(&document.path)).unwrap_or_default();
        assert!(
            checked_in == document.text(),
            "{} is not current: run this test with DCM_UPDATE_SCHEMAS=1 and look at what changed",
            document.path
        );
    }
    let known: BTreeSet<String> = documents.into_iter().map(|document| document.path).collect();
    for folder in GENERATED {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let path = format!("{folder}/{}", entry.unwrap().file_name().to_string_lossy());
            assert!(known.contains(&path), "{path} describes nothing any more");
        }
    }
}

#[test]
fn every_schema_is_a_valid_schema() {
    for document in documents::all().into_iter().filter(|document| document.path != "asyncapi.json") {
        jsonschema::meta::validate(&document.content)
            .unwrap_or_else(|error| panic!("{}: {error}", document.path));
        jsonschema::validator_for(&document.content).unwrap();
    }
}

#[test]
fn payloads_and_headers_in_the_asyncapi_document_are_valid_schemas() {
    let asyncapi = dcm_schemas::asyncapi::asyncapi();
    let messages = asyncapi["components"]["messages"].as_object().unwrap();
    assert!(!messages.is_empty());
    for message in messages.values() {
        for part in ["headers", "payload"] {
            jsonschema::validator_for(&message[part]).unwrap();
        }
    }
}
