//! `dcm doctor` and `dcm config check`: what an operator asks before and when something is down.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::ffi::OsString;

use dcm_tests::{Finished, Postgres, Stores, ansible_playbook, repository, run_dcm};

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
