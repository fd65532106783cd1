//! `dcm doctor` and `dcm config check`: what an operator asks before and when something is down; and the change of the
//! vault's key.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::ffi::OsString;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use dcm_tests::{Finished, Postgres, Serve, Site, Stores, WorkDir, ansible_playbook, repository, run_dcm};

async fn dcm(words: &[&str], stores: Option<&Stores>, rest: &[String]) -> Finished {
    let words = words.iter().map(|word| (*word).to_owned());
    let stores = stores.map(Stores::arguments).unwrap_or_default();
    run_dcm(words.chain(stores).chain(rest.iter().cloned()).map(OsString::from)).await
}

/// What lets the worker's part of the check pass.
fn worker() -> Vec<String> {
    [
        format!("deploy.ansible_playbook={}", ansible_playbook().display()),
        format!("dirs.playbooks={}", repository().join("examples/site/playbooks").display()),
    ]
    .into_iter()
    .flat_map(|setting| ["--set".to_owned(), setting])
    .collect()
}

#[tokio::test]
async fn the_doctor_finds_embedded_stores_well() {
    let said = dcm(&["doctor"], None, &worker()).await.ok();
    for what in ["journal", "vault", "read models", "bus", "ansible-playbook"] {
        assert!(said.lines().any(|line| line.starts_with("ok") && line.contains(what)), "{what}: {said}");
    }
}

#[tokio::test]
async fn the_doctor_names_the_server_that_is_down() {
    let mut cluster = Postgres::start().await;
    let mut stores = Stores::on(&cluster).await;
    let worker = worker();
    let ask = async |stores: &Stores| dcm(&["doctor"], Some(stores), &worker).await;
    ask(&stores).await.ok();

    stores.nats.stop().await;
    let found = ask(&stores).await;
    assert_eq!(found.status.code(), Some(1), "{}", found.stdout);
    let down =
        |said: &str| said.lines().find(|line| line.starts_with("down:")).unwrap_or_default().to_owned();
    assert_eq!(down(&found.stdout), "down: bus", "{}", found.stdout);

    stores.nats.start_again().await;
    ask(&stores).await.ok();

    cluster.stop().await;
    let found = ask(&stores).await;
    assert_eq!(found.status.code(), Some(1), "{}", found.stdout);
    for what in ["journal", "vault"] {
        assert!(down(&found.stdout).contains(what), "{what} is not named: {}", found.stdout);
    }
    assert!(!down(&found.stdout).contains("bus"), "{}", found.stdout);
}

#[tokio::test]
async fn the_doctor_names_a_program_that_is_missing() {
    let found =
        dcm(&["doctor"], None, &["--set".into(), "deploy.ansible_playbook=/nowhere/ansible".into()]).await;
    assert_eq!(found.status.code(), Some(1));
    assert!(found.stdout.contains("ansible-playbook: /nowhere/ansible"), "{}", found.stdout);
}

#[tokio::test]
async fn a_configuration_is_checked_without_starting() {
    assert!(dcm(&["config", "check"], None, &[]).await.ok().contains("fine"));
    let wrong = |flags: &[&str]| flags.iter().map(|flag| (*flag).to_owned()).collect::<Vec<_>>();
    for (flags, key) in [
        (wrong(&["--roles", "api"]), "roles"),
        (wrong(&["--listen", "0.0.0.0:1"]), "listen"),
        (wrong(&["--bus", "amqp://x"]), "bus"),
        (wrong(&["--journal", "postgres://h/d"]), "vault_key_file"),
        (wrong(&["--set", "deploy.nonsense=1"]), "nonsense"),
    ] {
        let found = dcm(&["config", "check"], None, &flags).await;
        assert_eq!(found.status.code(), Some(1), "{flags:?}");
        let said = format!("{}{}", found.stdout, found.stderr);
        assert!(said.contains(key), "{flags:?}: {said}");
        // What a check refuses does not start either.
        let refused = dcm(&["serve"], None, &flags).await;
        assert!(!refused.status.success() && refused.stderr.contains(key), "{flags:?}: {}", refused.stderr);
    }
}

#[tokio::test]
async fn a_vault_that_was_sealed_anew_needs_the_new_key_alone() {
    let dir = WorkDir::new("reseal");
    let serve = Serve::new().data_dir(dir.path());
    let mut running = serve.start().await;
    let site = Site::new("subcloud1", 1).without_install().without_config();
    let _ = running.http().post_form("/v1.0/subclouds/", &site.add_form()).await.expect(200);
    assert!(running.terminate().await.success());

    let file = dir.path().join("vault.key");
    let old = std::fs::read_to_string(&file).unwrap();
    let new = format!("new {}\n", STANDARD.encode([7_u8; 32]));
    let reseal = async || {
        let place = ["--data-dir".to_owned(), dir.path().display().to_string()];
        dcm(&["vault", "reseal"], None, &place).await.ok()
    };
    std::fs::write(&file, format!("{}\n{new}", old.trim_end())).unwrap();
    let first = reseal().await;
    assert!(!first.starts_with("0 entries"), "{first}");
    std::fs::write(&file, &new).unwrap();
    let again = reseal().await;
    assert!(again.starts_with("0 entries"), "{again}");

    let mut with_new = serve.start().await;
    let _ = with_new.http().get("/v1.0/subclouds/subcloud1").send().await.expect(200);
    assert!(with_new.terminate().await.success());
    std::fs::write(&file, &old).unwrap();
    let refused = serve.try_start().await.expect_err("the old key opens nothing any more");
    assert!(refused.stderr.contains("lacks key `new`"), "{}", refused.stderr);
}
