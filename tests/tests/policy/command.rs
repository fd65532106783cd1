//! `dcm policy`, and how a program starts with a policy: what an operator sees.

use dcm_tests::{Finished, run_dcm};
use tempfile::TempDir;

/// A data directory with this policy file.
fn data_dir(policy: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("policy.yaml"), policy).unwrap();
    dir
}

async fn dcm(dir: &TempDir, words: &[&str]) -> Finished {
    let dir = dir.path().to_str().unwrap();
    run_dcm(words.iter().copied().chain(["--data-dir", dir])).await
}

#[tokio::test]
async fn show_says_what_each_rule_is_and_who_says_so() {
    let dir = data_dir("dc_api:subclouds:get: role:member\nmine: [[role:x]]\nbad: garbage\n");
    std::fs::create_dir(dir.path().join("policy.d")).unwrap();
    std::fs::write(dir.path().join("policy.d/10"), "{\"mine\": \"@\"}").unwrap();
    let said = dcm(&dir, &["policy", "show"]).await.ok();
    let line =
        |name: &str| said.lines().find(|line| line.starts_with(&format!("{name}: "))).unwrap().to_owned();
    assert!(line("dc_api:subclouds:get").contains("\"role:member\""), "{said}");
    assert!(line("dc_api:subclouds:get").ends_with("policy.yaml)"), "{said}");
    assert!(line("mine").contains("\"@\"") && line("mine").ends_with("policy.d/10)"), "{said}");
    assert!(line("dc_api:alarm_manager:get").ends_with("(default)"), "{said}");
    assert!(said.contains("warning: \"garbage\" is not understood"), "{said}");
}

#[tokio::test]
async fn check_says_what_a_caller_may_do() {
    let dir = data_dir("dc_api:subclouds:get: role:member\n");
    let caller = ["policy", "check", "--role", "MEMBER", "--role", "reader", "--project", "admin"];
    let said = dcm(&dir, &caller).await;
    assert_eq!(said.status.code(), Some(1), "not everything is allowed: {}", said.stdout);
    assert!(said.stdout.contains("allowed dc_api:subclouds:get\n"), "{}", said.stdout);
    assert!(said.stdout.contains("denied  dc_api:subclouds:create\n"), "{}", said.stdout);
    let two = ["dc_api:subclouds:get", "dc_api:alarm_manager:get"];
    let said = dcm(&dir, &[&caller[..], &two[..]].concat()).await.ok();
    assert_eq!(said, "allowed dc_api:subclouds:get\nallowed dc_api:alarm_manager:get\n");
    let unknown = dcm(&dir, &[&caller[..], &["dc_api:nosuch"]].concat()).await;
    assert!(!unknown.status.success() && unknown.stderr.contains("dc_api:nosuch"), "{}", unknown.stderr);
}

#[tokio::test]
async fn a_broken_policy_is_not_started_with() {
    let dir = data_dir("dc_api:subclouds:get: true\n");
    for words in [&["config", "check"][..], &["policy", "show"], &["serve", "--listen", "127.0.0.1:0"]] {
        let said = dcm(&dir, words).await;
        assert!(!said.status.success(), "{words:?}: {}", said.stdout);
        let both = format!("{}{}", said.stdout, said.stderr);
        assert!(both.contains("policy.yaml") && both.contains("dc_api:subclouds:get"), "{words:?}: {both}");
    }
}
