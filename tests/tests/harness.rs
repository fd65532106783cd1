//! The harness itself: servers start, keep their data, stay apart, and leave nothing behind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use async_nats::jetstream;
use dcm_tests::{Dcm, Nats, Postgres, WorkDir, eventually, is_running};
use serde_json::Value;
use sqlx::{Connection, PgConnection};
use tokio::io::{AsyncBufReadExt, BufReader};

const SOON: Duration = Duration::from_secs(20);

async fn count_notes(url: &str) -> Result<i64, sqlx::Error> {
    let mut connection = PgConnection::connect(url).await?;
    sqlx::query_scalar("select count(*) from note").fetch_one(&mut connection).await
}

async fn write_note(url: &str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql("create table note (text text); insert into note values ('kept')")
        .execute(&mut connection)
        .await
        .unwrap();
}

#[tokio::test]
async fn two_databases_of_the_shared_cluster_are_separate() {
    let cluster = Postgres::shared().await;
    let (one, other) = (cluster.create_database().await, cluster.create_database().await);
    write_note(&one.url).await;
    assert_eq!(count_notes(&one.url).await.unwrap(), 1);
    assert!(count_notes(&other.url).await.is_err(), "a table of one database shows in the other");
}

#[tokio::test]
async fn postgres_keeps_its_data_and_port_over_a_restart_and_a_crash() {
    let mut cluster = Postgres::start().await;
    let url = cluster.create_database().await.url;
    write_note(&url).await;
    cluster.restart().await;
    assert_eq!(count_notes(&url).await.unwrap(), 1);
    cluster.crash();
    assert!(count_notes(&url).await.is_err(), "a crashed server answers");
    cluster.start_again().await;
    assert_eq!(count_notes(&url).await.unwrap(), 1);
}

#[tokio::test]
async fn a_paused_postgres_answers_nobody_until_it_is_resumed() {
    let mut cluster = Postgres::start().await;
    let url = cluster.create_database().await.url;
    write_note(&url).await;
    let mut open = PgConnection::connect(&url).await.unwrap();
    cluster.pause();
    let mut query = Box::pin(sqlx::query_scalar::<_, i64>("select count(*) from note").fetch_one(&mut open));
    assert!(tokio::time::timeout(Duration::from_millis(300), &mut query).await.is_err(), "it answered");
    cluster.resume();
    assert_eq!(tokio::time::timeout(SOON, query).await.expect("it answers again").unwrap(), 1);
}

async fn messages(nats: &Nats) -> Result<u64, String> {
    let client = async_nats::connect(nats.url()).await.map_err(|e| e.to_string())?;
    let stream = jetstream::new(client).get_stream("KEPT").await.map_err(|e| e.to_string())?;
    Ok(stream.cached_info().state.messages)
}

#[tokio::test]
async fn nats_keeps_its_messages_over_a_restart_and_loses_them_when_wiped() {
    let mut nats = Nats::start().await;
    let url = nats.url();
    let js = jetstream::new(async_nats::connect(&url).await.unwrap());
    let config = jetstream::stream::Config {
        name: "KEPT".into(),
        subjects: vec!["kept".into()],
        ..jetstream::stream::Config::default()
    };
    js.create_stream(config).await.unwrap();
    js.publish("kept", "one".into()).await.unwrap().await.unwrap();

    nats.restart().await;
    assert_eq!(nats.url(), url);
    assert_eq!(messages(&nats).await, Ok(1));

    nats.kill();
    nats.start_again().await;
    assert_eq!(messages(&nats).await, Ok(1));

    nats.wipe().await;
    nats.start_again().await;
    assert!(messages(&nats).await.is_err(), "a wiped server still has its stream");
}

#[tokio::test]
async fn a_paused_nats_answers_nobody_until_it_is_resumed() {
    let mut nats = Nats::start().await;
    let js = jetstream::new(async_nats::connect(nats.url()).await.unwrap());
    nats.pause();
    assert!(
        tokio::time::timeout(Duration::from_millis(300), js.query_account()).await.is_err(),
        "it answered"
    );
    nats.resume();
    js.query_account().await.expect("it answers again");
}

/// Waits until the processes and directories that `held` names are gone.
async fn nothing_left(held: &Value) {
    eventually("processes and directories are gone", SOON, async || {
        let pids = held["pids"].as_array().unwrap();
        let running = pids.iter().filter(|pid| is_running(u32::try_from(pid.as_u64().unwrap()).unwrap()));
        let directories = held["directories"].as_array().unwrap();
        let existing = directories.iter().filter(|dir| Path::new(dir.as_str().unwrap()).exists());
        let left: Vec<&Value> = running.chain(existing).collect();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    })
    .await;
}

async fn hold_servers() -> (tokio::process::Child, Value) {
    let mut holder = tokio::process::Command::new(env!("CARGO_BIN_EXE_hold-servers"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines();
    let line = tokio::time::timeout(Duration::from_secs(60), lines.next_line()).await;
    let held: Value = serde_json::from_str(&line.expect("it starts in time").unwrap().unwrap()).unwrap();
    for pid in held["pids"].as_array().unwrap() {
        assert!(is_running(u32::try_from(pid.as_u64().unwrap()).unwrap()), "{held}");
    }
    (holder, held)
}

#[tokio::test]
async fn nothing_outlives_a_test_process_killed_with_sigkill() {
    let (mut holder, held) = hold_servers().await;
    holder.kill().await.unwrap();
    nothing_left(&held).await;
}

#[tokio::test]
async fn the_shared_cluster_ends_with_a_test_process_that_returns() {
    let (mut holder, held) = hold_servers().await;
    drop(holder.stdin.take());
    assert!(holder.wait().await.unwrap().success());
    nothing_left(&held).await;
}

/// A program that behaves as a server's process does: first line, arguments and variables to its log, SIGTERM.
fn server_script(dir: &WorkDir) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = dir.path().join("server");
    let script = "#!/bin/sh\necho \"$@ ${DCM_GIVEN-} ${DCM_LOG-unset}\" >&2\n\
                  case \"$*\" in *--refuse*) exit 3 ;; esac\n\
                  trap 'exit 0' TERM\necho \"${FIRST_LINE}\"\nwhile :; do sleep 0.05; done\n";
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[tokio::test]
async fn a_server_is_ready_at_its_first_line_and_drains_or_restarts_on_its_data() {
    let dir = WorkDir::new("script");
    let line = "listening on http://127.0.0.1:9";
    let serve = Dcm::serve().binary(&server_script(&dir)).env("FIRST_LINE", line).env("DCM_GIVEN", "given");
    let mut dcm = serve.flag("--demo", "3").start().await;
    assert_eq!(dcm.url(), "http://127.0.0.1:9");
    let data = dcm.data_dir();
    let expected = format!("serve --data-dir {} --listen 127.0.0.1:0 --demo 3 given unset\n", data.display());
    assert_eq!(dcm.logs(), expected);
    let first = dcm.pid();
    dcm.restart().await;
    assert!(!is_running(first));
    assert_eq!(dcm.data_dir(), data);
    assert!(dcm.terminate().await.success());
}

#[tokio::test]
async fn a_process_without_the_role_api_says_ready() {
    let dir = WorkDir::new("script");
    let serve = Dcm::serve().binary(&server_script(&dir)).roles("relay,projector").env("FIRST_LINE", "ready");
    let mut dcm = serve.start().await;
    assert!(dcm.logs().contains("--roles relay,projector"), "{}", dcm.logs());
    assert!(!dcm.logs().contains("--listen"), "{}", dcm.logs());
    let pid = dcm.pid();
    dcm.kill();
    assert!(!is_running(pid));
}

#[tokio::test]
async fn a_server_that_refuses_to_start_shows_how() {
    let dir = WorkDir::new("script");
    let refused = Dcm::serve().binary(&server_script(&dir)).arg("--refuse").try_start().await.unwrap_err();
    assert_eq!(refused.status.code(), Some(3));
    assert!(refused.stderr.contains("--refuse"), "{}", refused.stderr);
}
