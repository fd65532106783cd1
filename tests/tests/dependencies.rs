//! What may depend on what: the crates of the workspace on each other, and the workspace on the rest of the world.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use dcm_tests::repository;
use serde_json::Value;

/// Crate, and the crates of the workspace it may depend on (architecture.md, the table of folders).
const MAY_DEPEND_ON: [(&str, &[&str]); 9] = [
    ("dcm-domain", &[]),
    ("dcm-schemas", &["dcm-domain"]),
    ("dcm-journal", &["dcm-domain", "dcm-schemas"]),
    ("dcm-projections", &["dcm-domain", "dcm-schemas", "dcm-journal"]),
    ("dcm-workers", &["dcm-domain", "dcm-schemas", "dcm-journal", "dcm-projections"]),
    ("dcm-api", &["dcm-domain", "dcm-schemas", "dcm-journal", "dcm-projections"]),
    ("dcm", &["dcm-domain", "dcm-schemas", "dcm-journal", "dcm-projections", "dcm-workers", "dcm-api"]),
    (
        "dcm-tests",
        &[
            "dcm-domain",
            "dcm-schemas",
            "dcm-journal",
            "dcm-projections",
            "dcm-workers",
            "dcm-api",
            "dcm",
            "dcm-esdb-double",
        ],
    ),
    ("dcm-esdb-double", &[]),
];

/// Crates that do I/O, read clocks by themselves or draw random numbers: none of them in the domain.
const IMPURE: [&str; 11] = [
    "async-nats",
    "axum",
    "futures",
    "getrandom",
    "nix",
    "rand",
    "reqwest",
    "rustls",
    "sqlx",
    "tokio",
    "tracing",
];

fn cargo_metadata(args: &[&str]) -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--locked"])
        .args(args)
        .current_dir(repository())
        .output()
        .unwrap();
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn deny() -> toml::Table {
    std::fs::read_to_string(repository().join("deny.toml")).unwrap().parse().unwrap()
}

fn strings(array: &toml::Value) -> BTreeSet<String> {
    array.as_array().unwrap().iter().map(|item| item.as_str().unwrap().to_owned()).collect()
}

/// Name of every crate of the workspace with the names of what its manifest asks for at run time.
fn manifests() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = cargo_metadata(&["--no-deps"]);
    let packages = metadata["packages"].as_array().unwrap();
    let needs = |package: &Value| {
        let dependencies = package["dependencies"].as_array().unwrap().iter();
        dependencies
            .filter(|dependency| dependency["kind"] != "dev")
            .map(|dependency| dependency["name"].as_str().unwrap().to_owned())
            .collect()
    };
    packages.iter().map(|package| (package["name"].as_str().unwrap().to_owned(), needs(package))).collect()
}

#[test]
fn dependencies_between_the_crates_point_one_way() {
    let manifests = manifests();
    let known: BTreeMap<&str, &[&str]> = MAY_DEPEND_ON.into_iter().collect();
    assert_eq!(
        manifests.keys().map(String::as_str).collect::<Vec<_>>(),
        known.keys().copied().collect::<Vec<_>>(),
        "a crate came or went: give it a row in the table"
    );
    for (name, needs) in &manifests {
        let own = needs.iter().filter(|need| manifests.contains_key(*need));
        let upward: Vec<_> = own.filter(|need| !known[name.as_str()].contains(&need.as_str())).collect();
        assert!(upward.is_empty(), "{name} may not depend on {upward:?}");
    }
}

#[test]
fn the_domain_asks_for_nothing_impure() {
    let impure: Vec<String> = manifests()
        .remove("dcm-domain")
        .unwrap()
        .into_iter()
        .filter(|need| IMPURE.contains(&need.as_str()))
        .collect();
    assert!(impure.is_empty(), "the domain does no I/O, but asks for {impure:?}");
}

#[test]
fn the_lock_file_holds_no_banned_crate_and_no_second_source() {
    let lock: toml::Table =
        std::fs::read_to_string(repository().join("Cargo.lock")).unwrap().parse().unwrap();
    let banned: BTreeSet<String> = deny()["bans"]["deny"]
        .as_array()
        .unwrap()
        .iter()
        .map(|ban| ban["crate"].as_str().unwrap().to_owned())
        .collect();
    let packages = lock["package"].as_array().unwrap();
    let present: Vec<&str> = packages.iter().map(|package| package["name"].as_str().unwrap()).collect();
    let found: Vec<_> = present.iter().filter(|name| banned.contains(**name)).collect();
    assert!(found.is_empty(), "deny.toml bans {found:?}");

    let sources: BTreeSet<&str> =
        packages.iter().filter_map(|package| package.get("source")?.as_str()).collect();
    assert!(
        sources.len() == 1 && sources.iter().all(|source| source.starts_with("registry+")),
        "one registry and nothing else: {sources:?}"
    );
}

#[test]
fn every_compiled_crate_has_an_allowed_licence() {
    let deny = deny();
    let allowed = strings(&deny["licenses"]["allow"]);
    let targets = strings(&deny["graph"]["targets"]);
    let target = targets.iter().find(|target| target.starts_with(std::env::consts::ARCH));
    let metadata = cargo_metadata(&["--filter-platform", target.expect("deny.toml names this platform")]);
    let compiled: BTreeSet<&str> = metadata["resolve"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| node["id"].as_str().unwrap())
        .collect();
    let refused: Vec<String> = metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|package| compiled.contains(package["id"].as_str().unwrap()))
        .filter(|package| !package["license"].as_str().is_some_and(|licence| permits(licence, &allowed)))
        .map(|package| format!("{}: {}", package["name"], package["license"]))
        .collect();
    assert!(refused.is_empty(), "licences outside deny.toml: {refused:#?}");
}

/// Whether a licence expression can be satisfied with allowed licences alone. `/` is the old way to write `OR`.
fn permits(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = words.as_slice();
    let permitted = any_of(&mut rest, allowed);
    assert!(rest.is_empty(), "cannot read the licence expression `{expression}`");
    permitted
}

fn any_of(words: &mut &[&str], allowed: &BTreeSet<String>) -> bool {
    let mut permitted = all_of(words, allowed);
    while let ["OR", rest @ ..] = *words {
        *words = rest;
        permitted |= all_of(words, allowed);
    }
    permitted
}

fn all_of(words: &mut &[&str], allowed: &BTreeSet<String>) -> bool {
    let mut permitted = one(words, allowed);
    while let ["AND", rest @ ..] = *words {
        *words = rest;
        permitted &= one(words, allowed);
    }
    permitted
}

fn one(words: &mut &[&str], allowed: &BTreeSet<String>) -> bool {
    match *words {
        ["(", rest @ ..] => {
            *words = rest;
            let permitted = any_of(words, allowed);
            assert_eq!(words.first(), Some(&")"), "unbalanced parentheses in a licence expression");
            *words = &words[1..];
            permitted
        }
        [licence, "WITH", exception, rest @ ..] => {
            *words = rest;
            allowed.contains(&format!("{licence} WITH {exception}"))
        }
        [licence, rest @ ..] => {
            *words = rest;
            allowed.contains(*licence)
        }
        [] => panic!("a licence expression ends too early"),
    }
}

#[test]
fn licence_expressions_are_read_as_written() {
    let allowed = BTreeSet::from(["MIT".to_owned(), "ISC".to_owned()]);
    for (expression, permitted) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("GPL-3.0 OR MIT", true),
        ("GPL-3.0/MIT", true),
        ("GPL-3.0 AND MIT", false),
        ("(GPL-3.0 OR MIT) AND ISC", true),
        ("MIT AND (GPL-3.0 OR Zlib)", false),
        ("Zlib OR MIT AND ISC", true),
        ("MIT WITH some-exception", false),
    ] {
        assert_eq!(permits(expression, &allowed), permitted, "{expression}");
    }
}
