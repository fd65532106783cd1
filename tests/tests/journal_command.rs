//! `dcm journal` as operators use it on a store that lives, and on one that is damaged.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::ffi::OsString;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use dcm_esdb_double::Node;
use dcm_journal::conformance::CASES;
use dcm_tests::ledger::{alter, embedded};
use dcm_tests::{Dcm, Postgres, WorkDir, dcm_command, eventually, run_dcm, run_dcm_within};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sqlx::{Connection, PgConnection};
use tokio::process::{Child, Command};

/// Lines of the table of figures.
const FIGURES: usize = 4;
const LONG: Duration = Duration::from_secs(180);

/// Every case, by name, with what came of it, but for so many that the store does not promise; then the figures; and
/// nothing of it is left among the events.
async fn conforms(url: &str, not_promised: usize) {
    let words = ["journal", "conformance", "--journal", url, "--seconds", "1"];
    let table = run_dcm_within(words, LONG).await.ok();
    for case in CASES {
        let name = case.name.replace('_', " ");
        let line =
            table.lines().find(|line| line.starts_with(&name)).unwrap_or_else(|| panic!("{name}: {table}"));
        assert!(line.ends_with("passed") || line.ends_with("not promised by this store"), "{line}");
    }
    assert_eq!(table.lines().count(), CASES.len() + 1 + FIGURES, "{table}");
    let passed = CASES.len() - not_promised;
    let sum = format!("{passed} passed, 0 failed, {not_promised} not promised");
    assert!(table.lines().any(|line| line == sum), "{sum}: {table}");
    for figure in table.lines().rev().take(FIGURES) {
        let zero = ["  0 /s", "median 0.00 ms"].iter().any(|nothing| figure.contains(nothing));
        assert!(!zero && (figure.ends_with("/s") || figure.ends_with(" ms")), "{figure}");
    }
    let left = run_dcm(["journal", "verify", "--journal", url]).await.ok();
    assert!(left.starts_with("0 events in 0 streams"), "{left}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_postgresql_conforms() {
    conforms(&Postgres::shared().await.create_database().await.url, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_event_store_conforms() {
    let node = Node::start();
    // An id may be used again in another place of the same stream.
    conforms(&node.url(), 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_away_does_not_conform() {
    let finished =
        run_dcm(["journal", "conformance", "--journal", "postgres://nobody@127.0.0.1:1/none"]).await;
    assert!(!finished.status.success(), "{finished:?}");
    assert!(finished.stderr.contains("journal: ") && finished.stdout.is_empty(), "{finished:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_that_fails_leaves_the_backup_before_it() {
    let dir = WorkDir::new("export");
    let (data, backup) = (dir.path().join("data"), dir.path().join("events.ndjson"));
    let mut filling = Dcm::serve().data_dir(&data).flag("--demo", "1").start().await;
    assert!(filling.terminate().await.success(), "{}", filling.logs());
    let (here, file) = (data.display().to_string(), backup.display().to_string());
    let export = async || run_dcm(["journal", "export", &file, "--data-dir", &here]).await;
    export().await.ok();
    let whole = std::fs::read(&backup).unwrap();
    assert!(whole.len() > 1000);
    export().await.ok();
    assert_eq!(std::fs::read(&backup).unwrap(), whole, "a new one takes its place");

    alter(&embedded(&data), 3, "{}").await;
    assert!(!export().await.status.success());
    assert_eq!(std::fs::read(&backup).unwrap(), whole);
    let names = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names.collect();
    names.sort();
    assert_eq!(names, ["data", "events.ndjson"], "nothing is left of what failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_that_is_asked_to_stop_leaves_nothing() {
    let dir = WorkDir::new("export");
    let journal = Postgres::shared().await.create_database().await.url;
    run_dcm(["journal", "verify", "--journal", &journal]).await.ok();
    // Whoever reads events waits now.
    let mut holder = PgConnection::connect(&journal).await.unwrap();
    sqlx::raw_sql("begin; lock table journal_event in access exclusive mode")
        .execute(&mut holder)
        .await
        .unwrap();
    let export = begun(dir.path(), &journal).await;
    let pid = Pid::from_raw(export.id().unwrap().try_into().unwrap());
    kill(pid, Signal::SIGTERM).unwrap();
    let ended = tokio::time::timeout(LONG, export.wait_with_output()).await.unwrap().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(!ended.status.success() && said.contains("asked to stop"), "{}: {said}", ended.status);
    assert!(files(dir.path()).is_empty(), "{:?}", files(dir.path()));
}

/// An export that has made its file.
async fn begun(dir: &Path, journal: &str) -> Child {
    let mut export = Command::from(dcm_command());
    export.args(["journal", "export", "backup.ndjson", "--journal", journal]).current_dir(dir);
    let mut export = export.stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let has_begun = eventually("the export has its file or ends", LONG, async || {
        let ended = export.try_wait().unwrap().is_some();
        if ended || !files(dir).is_empty() { Ok(!ended) } else { Err("neither") }
    });
    if !has_begun.await {
        panic!("{:?}", export.wait_with_output().await.unwrap());
    }
    export
}

fn files(dir: &Path) -> Vec<OsString> {
    std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name()).collect()
}
