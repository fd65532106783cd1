//! The golden corpus: one stored event of every name and version ever written, and whole streams. What was written once
//! must be read for ever, so a file here is never changed; `corpus/DIGESTS` makes a change of one stand out.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use dcm_domain::aggregate::Aggregate;
use dcm_domain::association::{PeerGroupAssociation, PeerGroupAssociationEvent};
use dcm_domain::audit::{AuditTriggerEvent, AuditTriggers};
use dcm_domain::deploy_files::{DeployFiles, DeployFilesEvent};
use dcm_domain::directory::{Directory, DirectoryEvent};
use dcm_domain::group::{SubcloudGroup, SubcloudGroupEvent};
use dcm_domain::key_directory::{KeyDirectory, KeyDirectoryEvent};
use dcm_domain::options::{SwUpdateOptions, SwUpdateOptionsEvent};
use dcm_domain::peer_group::{SubcloudPeerGroup, SubcloudPeerGroupEvent};
use dcm_domain::strategy::{StrategyEvent, SwUpdateStrategy};
use dcm_domain::subcloud::{Subcloud, SubcloudEvent};
use dcm_domain::system_peer::{SystemPeer, SystemPeerEvent};
use dcm_domain::takeover::{TakeOver, TakeOverEvent};
use dcm_schemas::{Envelope, documents, registry, subjects};
use serde_json::Value;
use sha2::{Digest, Sha256};

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

/// Path below the corpus and text of every file in `folder`.
fn files(folder: &str, extension: &str) -> BTreeMap<String, String> {
    let entries = std::fs::read_dir(corpus().join(folder)).unwrap().map(|entry| entry.unwrap().path());
    entries
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .map(|path| {
            let below = path.strip_prefix(corpus()).unwrap().display().to_string();
            (below, std::fs::read_to_string(path).unwrap())
        })
        .collect()
}

fn events() -> BTreeMap<String, String> {
    files("", "json")
}

fn streams() -> BTreeMap<String, String> {
    files("streams", "ndjson")
}

fn read(text: &str) -> Envelope {
    serde_json::from_str(text).unwrap()
}

/// Decodes an event as its aggregate does.
fn decode(envelope: &Envelope) {
    match subjects::aggregate(&envelope.stream) {
        subjects::SUBCLOUD => drop(registry::decode::<SubcloudEvent>(envelope).unwrap()),
        subjects::DIRECTORY => drop(registry::decode::<DirectoryEvent>(envelope).unwrap()),
        subjects::SW_UPDATE_OPTIONS => drop(registry::decode::<SwUpdateOptionsEvent>(envelope).unwrap()),
        subjects::AUDIT_TRIGGERS => _ = registry::decode::<AuditTriggerEvent>(envelope).unwrap(),
        subjects::KEY_DIRECTORY => drop(registry::decode::<KeyDirectoryEvent>(envelope).unwrap()),
        subjects::DEPLOY_FILES => drop(registry::decode::<DeployFilesEvent>(envelope).unwrap()),
        subjects::SUBCLOUD_GROUP => drop(registry::decode::<SubcloudGroupEvent>(envelope).unwrap()),
        subjects::SUBCLOUD_PEER_GROUP => {
            drop(registry::decode::<SubcloudPeerGroupEvent>(envelope).unwrap());
        }
        subjects::SYSTEM_PEER => drop(registry::decode::<SystemPeerEvent>(envelope).unwrap()),
        subjects::PEER_GROUP_ASSOCIATION => {
            drop(registry::decode::<PeerGroupAssociationEvent>(envelope).unwrap());
        }
        subjects::TAKE_OVER => drop(registry::decode::<TakeOverEvent>(envelope).unwrap()),
        subjects::SW_UPDATE_STRATEGY => drop(registry::decode::<StrategyEvent>(envelope).unwrap()),
        other => panic!("no aggregate is called {other}"),
    }
}

fn fold<A: Aggregate>(events: &[Envelope]) -> A {
    let state = events.iter().fold(None, |state, envelope| {
        let event = registry::decode(envelope).unwrap();
        Some(A::evolve(state, &event).unwrap_or_else(|error| panic!("{}: {error}", envelope.revision)))
    });
    state.unwrap()
}

fn fold_any(events: &[Envelope]) {
    match subjects::aggregate(&events[0].stream) {
        subjects::SUBCLOUD => {
            let subcloud = fold::<Subcloud>(events);
            assert_eq!(subcloud.revision, events.len() as u64 - 1);
        }
        subjects::DIRECTORY => drop(fold::<Directory>(events)),
        subjects::SW_UPDATE_OPTIONS => drop(fold::<SwUpdateOptions>(events)),
        subjects::AUDIT_TRIGGERS => _ = fold::<AuditTriggers>(events),
        subjects::KEY_DIRECTORY => drop(fold::<KeyDirectory>(events)),
        subjects::DEPLOY_FILES => drop(fold::<DeployFiles>(events)),
        subjects::SUBCLOUD_GROUP => drop(fold::<SubcloudGroup>(events)),
        subjects::SUBCLOUD_PEER_GROUP => drop(fold::<SubcloudPeerGroup>(events)),
        subjects::SYSTEM_PEER => drop(fold::<SystemPeer>(events)),
        subjects::PEER_GROUP_ASSOCIATION => drop(fold::<PeerGroupAssociation>(events)),
        subjects::TAKE_OVER => drop(fold::<TakeOver>(events)),
        subjects::SW_UPDATE_STRATEGY => drop(fold::<SwUpdateStrategy>(events)),
        other => panic!("no aggregate is called {other}"),
    }
}

#[test]
fn every_event_version_ever_written_has_a_file_and_no_other_has() {
    let wanted: BTreeSet<String> =
        registry::versions().map(|(event, version)| format!("{}.v{version}.json", event.name)).collect();
    let found: BTreeSet<String> = events().into_keys().collect();
    assert_eq!(found, wanted);
}

#[test]
fn every_event_is_what_its_file_is_called_and_can_be_read() {
    for (path, text) in events() {
        let envelope = read(&text);
        assert_eq!(path, format!("{}.v{}.json", envelope.r#type, envelope.version));
        let known = registry::find(&envelope.r#type).unwrap();
        assert_eq!(known.aggregate, subjects::aggregate(&envelope.stream), "{path}");
        decode(&envelope);
    }
}

#[test]
fn a_release_of_the_first_version_did_not_migrate() {
    let text = events().remove("SubcloudUnmanaged.v1.json").unwrap();
    let event: SubcloudEvent = registry::decode(&read(&text)).unwrap();
    assert_eq!(event, dcm_domain::subcloud::SubcloudUnmanaged { migrate: false }.into());
}

#[test]
fn every_stream_has_a_whole_chain_and_folds() {
    let streams = streams();
    assert!(!streams.is_empty());
    for (path, text) in streams {
        let mut previous: Option<String> = None;
        let mut events = Vec::new();
        for (revision, line) in (0..).zip(text.lines()) {
            Envelope::verify(previous.as_deref(), line)
                .unwrap_or_else(|broken| panic!("{path} {revision}: {broken}"));
            let envelope = read(line);
            assert_eq!(envelope.body(), line, "{path} {revision}: the text is not what is written today");
            assert_eq!(envelope.revision, revision, "{path}");
            previous = Some(envelope.hash.clone());
            events.push(envelope);
        }
        assert!(events.iter().all(|event| event.stream == events[0].stream), "{path} is one stream");
        fold_any(&events);
    }
}

#[test]
fn everything_is_valid_by_the_schemas() {
    let schemas: BTreeMap<String, jsonschema::Validator> = documents::all()
        .into_iter()
        .filter(|document| document.path != "asyncapi.json")
        .map(|document| (document.path, jsonschema::validator_for(&document.content).unwrap()))
        .collect();
    let stored = events().into_values().chain(streams().into_values());
    let lines: Vec<String> =
        stored.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    assert!(lines.len() > registry::ALL.len());
    for line in lines {
        let value: Value = serde_json::from_str(&line).unwrap();
        schemas["envelope.json"].validate(&value).unwrap_or_else(|error| panic!("{error}: {line}"));
        let document = format!("events/{}.v{}.json", value["type"].as_str().unwrap(), value["version"]);
        schemas[&document]
            .validate(&value["data"])
            .unwrap_or_else(|error| panic!("{document}: {error}: {line}"));
    }
}

/// A digest in the list that differs means that a file was changed, and what is stored out there can no longer be
/// trusted to be read: add a file instead. A new file gets its line with `sha256sum`.
#[test]
fn no_file_was_changed() {
    let listed: BTreeMap<String, String> = std::fs::read_to_string(corpus().join("DIGESTS"))
        .unwrap()
        .lines()
        .map(|line| line.split_once("  ").expect("digest, two blanks, path"))
        .map(|(digest, path)| (path.to_owned(), digest.to_owned()))
        .collect();
    let found: BTreeMap<String, String> = events()
        .into_iter()
        .chain(streams())
        .map(|(path, text)| (path, hex::encode(Sha256::digest(text))))
        .collect();
    assert_eq!(found, listed);
}
