//! What the unmodified `dcmanager` command line sends and reads, sent by the library it uses, against a real Keystone.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use dcm_domain::subcloud::command::ReportEndpoint;
use dcm_domain::value::{Actor, Endpoint, Name, SyncStatus};
use dcm_journal::fleet::{Fleet, Reference};
use dcm_journal::repository::Meta;
use dcm_tests::{Keystone, Serve, client_python, repository};
use tokio::process::Command;

/// How long all flows together may take.
const PATIENCE: Duration = Duration::from_secs(180);

#[tokio::test]
async fn the_command_lines_flows_work_as_it_sends_them() {
    let keystone = Keystone::start().await;
    // A peer group that names no leader is led by this system.
    let serve = keystone
        .serve()
        .flag("--demo", "3")
        .flag("--set", "controller.system_uuid=d9dea83f-f271-470d-9cce-44b0162a800b")
        .flag("--set", "controller.system_name=dc-1");
    fill(&serve).await;
    let server = serve.start().await;
    let token = keystone.token("admin").await;
    let files = tempfile::tempdir().unwrap();
    let mut script = Command::new(client_python());
    script
        .arg(repository().join("tests/clients/dcmanager_flows.py"))
        .arg(format!("{}/v1.0", server.url()))
        .arg(&token)
        .arg(files.path())
        .kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, script.output()).await.expect("it ends in time").unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{errors}\n{}", server.logs());
    // Each flow prints its name once it is through.
    let flows: Vec<&str> = said.lines().collect();
    assert_eq!((flows.len(), flows.last()), (18, Some(&"errors_are_printed")), "{said}");
    assert!(!server.logs().contains(&token), "the log shows the token");
}

/// Fills the demo fleet, and has `subcloud2` and `subcloud3` need every update: audits that would find so do not exist.
async fn fill(serve: &Serve) {
    let mut server = serve.start().await;
    let ended = server.terminate().await;
    assert!(ended.success(), "{ended}\n{}", server.logs());
    let journal = dcm_journal::store::open("embedded:", &serve.data_path()).await.unwrap();
    let fleet = Fleet::new(&journal).unwrap();
    for name in ["subcloud2", "subcloud3"] {
        let reference = Reference::Name(Name::parse(name).unwrap());
        let entity = fleet.resolve(&reference).await.unwrap().unwrap();
        for endpoint in [
            Endpoint::Firmware,
            Endpoint::KubeRootca,
            Endpoint::Kubernetes,
            Endpoint::Load,
            Endpoint::Patching,
        ] {
            let report = ReportEndpoint { endpoint, status: SyncStatus::OutOfSync, seen: None };
            fleet.run(entity, &report, &Meta::new(Actor::system("test"))).await.unwrap();
        }
    }
}
