//! The OpenAPI document is what the server does: a property-based tester looks for any difference, and a client that is
//! generated from it works.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use dcm_tests::{Dcm, openapi_tool, repository};
use serde_json::json;
use tokio::process::Command;

/// How long one of the Python tools may take.
const PATIENCE: Duration = Duration::from_secs(900);

async fn run(command: &mut Command) -> Output {
    command.kill_on_drop(true);
    tokio::time::timeout(PATIENCE, command.output()).await.expect("it ends in time").unwrap()
}

#[track_caller]
fn ok(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    said
}

/// What a trusted proxy says of an administrator.
const IDENTITY: [(&str, &str); 5] = [
    ("X-Identity-Status", "Confirmed"),
    ("X-User-Id", "u1"),
    ("X-Roles", "admin,member,reader"),
    ("X-Tenant-Id", "p1"),
    ("X-Project-Name", "admin"),
];

/// A server that asks who is there, with something of every kind to be found.
async fn furnished() -> Dcm {
    let server = Dcm::serve()
        .flag("--auth", "headers")
        .flag("--demo", "3")
        .flag("--set", "controller.system_uuid=d9dea83f-f271-470d-9cce-44b0162a800b")
        .flag("--set", "controller.system_name=dc-1")
        .start()
        .await;
    let group = json!({
        "name": "edge", "description": "Edge sites", "update_apply_type": "parallel", "max_parallel_subclouds": 5,
    });
    let peer_group = json!({
        "peer-group-name": "pg1",
    });
    let peer = json!({
        "peer_uuid": "ac62f555-9386-42f1-b3a1-51ecb709409d", "peer_name": "dc-2",
        "manager_endpoint": "http://128.128.128.1:5000/v3", "manager_username": "admin",
        "manager_password": "c2VjcmV0", "peer_controller_gateway_address": "192.168.204.1",
    });
    for (path, body) in
        [("subcloud-groups", group), ("subcloud-peer-groups", peer_group), ("system-peers", peer)]
    {
        let request = server.http().post(&format!("/v1.0/{path}")).json(&body);
        let request = IDENTITY.iter().fold(request, |request, (name, value)| request.header(name, value));
        let _ = request.send().await.expect(200);
    }
    server
}

#[tokio::test]
async fn the_document_is_valid() {
    let document = repository().join("schemas/openapi.json");
    let validator = openapi_tool("openapi-spec-validator");
    let said = ok(&run(Command::new(validator)
        .args(["--schema", "3.1", "--subschema-errors", "all"])
        .arg(document))
    .await);
    assert!(said.trim_end().ends_with("OK"), "{said}");
}

#[tokio::test]
async fn the_document_is_what_the_server_does() {
    let server = furnished().await;
    let seed: u32 = std::env::var("DCM_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let identity =
        IDENTITY.iter().flat_map(|(name, value)| ["--header".to_owned(), format!("{name}: {value}")]);
    let output = run(Command::new(openapi_tool("schemathesis"))
        .arg("--config-file")
        .arg(repository().join("tests/openapi/schemathesis.toml"))
        .args(["run", "--continue-on-failure", "--no-color"])
        .args(["--max-examples", "40", "--seed", &seed.to_string()])
        .args(identity)
        // An endless answer, and one that takes as long as the journal is: read by tests of their own.
        .args(["--exclude-path", "/v1.0/events", "--exclude-path", "/v1.0/projections/verify"])
        .arg(format!("{}/openapi.json", server.url()))
        .current_dir(server.data_dir()))
    .await;
    eprintln!("seed {seed} (DCM_TEST_SEED)");
    eprintln!("{}", ok(&output));
    assert!(!server.logs().contains("panicked"), "{}", server.logs());
}

#[tokio::test]
async fn a_generated_client_works() {
    let server = Dcm::serve().flag("--demo", "3").start().await;
    let dir = tempfile::tempdir().unwrap();
    let document = dir.path().join("openapi.json");
    std::fs::write(&document, server.http().get("/openapi.json").send().await.expect(200).body).unwrap();
    let package = dir.path().join("client");
    ok(&run(Command::new(openapi_tool("openapi-python-client"))
        .args(["generate", "--meta", "none", "--path"])
        .arg(&document)
        .arg("--output-path")
        .arg(package.join("dc_manager_client"))
        .current_dir(dir.path())
        .env("PATH", tools_path()))
    .await);
    let said = ok(&run(Command::new(openapi_tool("python3"))
        .arg(repository().join("tests/openapi/client.py"))
        .arg(&package)
        .arg(server.url()))
    .await);
    assert_eq!(said.trim(), "ok");
}

/// The generator calls its formatter by name.
fn tools_path() -> String {
    let own = openapi_tool("python3");
    let folder = own.parent().unwrap_or(Path::new("")).display().to_string();
    format!("{folder}:{}", std::env::var("PATH").unwrap_or_default())
}
