//! compose.yaml: the split deployment is whole, and the binary takes its flags.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use dcm_tests::{repository, run_dcm};
use serde_yaml_ng::{Mapping, Value};

fn compose() -> Value {
    let text = std::fs::read_to_string(repository().join("compose.yaml")).unwrap();
    let mut document: Value = serde_yaml_ng::from_str(&text).unwrap();
    // One pass per level: a merged mapping may bring a merge of its own.
    document.apply_merge().unwrap();
    document.apply_merge().unwrap();
    document
}

fn services(document: &Value) -> &Mapping {
    document["services"].as_mapping().unwrap()
}

fn texts(list: &Value) -> Vec<String> {
    list.as_sequence().into_iter().flatten().map(|item| item.as_str().unwrap().to_owned()).collect()
}

fn keys(mapping: &Value) -> BTreeSet<String> {
    mapping.as_mapping().into_iter().flatten().map(|(key, _)| key.as_str().unwrap().to_owned()).collect()
}

/// The services that run `dcm serve`, with the flags they give it.
fn servers(document: &Value) -> BTreeMap<String, Vec<String>> {
    let commands = services(document).iter().map(|(name, service)| (name, texts(&service["command"])));
    commands
        .filter(|(_, command)| command.first().is_some_and(|word| word == "serve"))
        .map(|(name, command)| (name.as_str().unwrap().to_owned(), command[1..].to_vec()))
        .collect()
}

fn flag<'a>(flags: &'a [String], name: &str) -> &'a str {
    let at = flags.iter().position(|flag| flag == name).unwrap_or_else(|| panic!("no {name} in {flags:?}"));
    &flags[at + 1]
}

#[test]
fn two_processes_answer_and_one_does_the_background_work() {
    let document = compose();
    let mut roles: Vec<String> =
        servers(&document).values().map(|flags| flag(flags, "--roles").to_owned()).collect();
    roles.sort();
    assert_eq!(roles, ["api", "api", "relay,projector,worker,cert-mon"]);
}

#[tokio::test]
async fn the_binary_takes_the_flags_of_every_service() {
    for (service, flags) in servers(&compose()) {
        let check = ["config", "check"].into_iter().map(str::to_owned).chain(flags);
        let done = run_dcm(check).await;
        assert!(done.status.success(), "{service}: {}: {}{}", done.status, done.stdout, done.stderr);
    }
}

#[test]
fn every_process_uses_the_same_stores_and_they_are_services_here() {
    let document = compose();
    let names = keys(&document["services"]);
    for name in ["--journal", "--bus", "--read-model", "--vault", "--vault-key-file"] {
        let values: BTreeSet<String> =
            servers(&document).values().map(|flags| flag(flags, name).to_owned()).collect();
        assert_eq!(values.len(), 1, "{name} differs between processes: {values:?}");
        let value = values.first().unwrap();
        if let Some((_, address)) = value.split_once("://") {
            let host = address.rsplit('@').next().unwrap().split(['/', ':']).next().unwrap();
            assert!(names.contains(host), "{name} {value}: no service is named {host}");
        }
    }
}

/// A process that is asked for a deployment looks for files that another one deploys.
#[test]
fn every_process_finds_the_same_files_to_deploy() {
    let document = compose();
    for name in servers(&document).keys() {
        let volumes = texts(&document["services"][name.as_str()]["volumes"]);
        for shared in ["deploy", "loads", "ansible"] {
            let volume = format!("{shared}:/var/lib/dcm/{shared}");
            assert!(volumes.contains(&volume), "{name} has not {volume}: {volumes:?}");
        }
    }
}

#[test]
fn what_a_service_refers_to_is_declared() {
    let document = compose();
    let (volumes, networks, configs) =
        (keys(&document["volumes"]), keys(&document["networks"]), keys(&document["configs"]));
    for (name, service) in services(&document) {
        for volume in texts(&service["volumes"]) {
            assert!(volumes.contains(volume.split(':').next().unwrap()), "{name:?}: volume {volume}");
        }
        for network in texts(&service["networks"]) {
            assert!(networks.contains(&network), "{name:?}: network {network}");
        }
        for config in service["configs"].as_sequence().into_iter().flatten() {
            assert!(configs.contains(config["source"].as_str().unwrap()), "{name:?}: config {config:?}");
        }
        for other in keys(&service["depends_on"]) {
            assert!(services(&document).contains_key(other.as_str()), "{name:?} depends on {other}");
        }
    }
}

#[test]
fn an_api_without_authentication_is_published_on_loopback_only() {
    let document = compose();
    for (name, service) in services(&document) {
        for port in texts(&service["ports"]) {
            assert!(port.starts_with("127.0.0.1:"), "{name:?} publishes {port}");
        }
    }
}
