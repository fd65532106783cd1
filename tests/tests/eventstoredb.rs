//! The whole program with its journal on EventStoreDB, as a server of the tests' own speaks it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "what came of it is for the reader of the log")]

use std::time::Duration;

use dcm_esdb_double::Node;
use dcm_tests::load::{Addresses, Load};
use dcm_tests::story::{after_runs, history, of_type};
use dcm_tests::{Dcm, Form, Http, Postgres, Site, Split, WorkDir, agree, eventually, run_dcm, show};
use serde_json::{Value, json};

const FLEET: u32 = 3;
/// How long something takes at most that takes a few seconds.
const SOON: Duration = Duration::from_secs(60);

/// Stores with the journal at `url`, and the demo fleet in them.
async fn filled(url: String) -> Split {
    let split = Split::on(Postgres::shared().await).await.with_journal(url);
    let mut filling = split.serve("api", "api").flag("--demo", FLEET.to_string()).start().await;
    assert!(filling.terminate().await.success(), "{}", filling.logs());
    split
}

async fn manage(http: &Http, fields: &[(&str, &str)]) -> Value {
    let form = fields.iter().fold(Form::new(), |form, (name, value)| form.field(name, value));
    http.patch_form("/v1.0/subclouds/subcloud1", &form).await.expect(200).json()
}

/// Waits until `/readyz` says that all is well and nothing is behind.
async fn nothing_is_behind(http: &Http) {
    eventually("nothing is behind", SOON, async || {
        let answer = http.get("/readyz").send().await;
        let body = answer.json();
        let lags = body["projections"].as_array().unwrap().iter();
        let behind = lags.filter(|lag| lag["lag_events"] != 0).count();
        if answer.status == 200 && behind == 0 { Ok(()) } else { Err(answer.body) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_story_and_a_deployment() {
    let node = Node::start();
    node.faults.demand("dcm:hunter2");
    let split = filled(format!("esdb://dcm:hunter2@{}?tls=false", node.address)).await;
    let api = split.serve("api", "api").start().await;
    let background = split.serve("background", "relay,projector").start().await;
    let worker = split.serve("worker", "worker").start().await;
    let http = api.http();

    let away = manage(&http, &[("migrate", "true"), ("management-state", "unmanaged")]).await;
    assert_eq!(
        (&away["management-state"], &away["deploy-status"]),
        (&json!("unmanaged"), &json!("rehome-pending"))
    );
    assert_eq!(show(&http, "subcloud1").await["deploy-status"], "rehome-pending");
    let back = manage(&http, &[("management-state", "managed")]).await;
    assert_eq!(back["deploy-status"], "complete");

    let told = history(&http, "subcloud1").await;
    let left = of_type(&told, "SubcloudUnmanaged");
    assert_eq!(left.len(), 1);
    let then = format!("/v1.0/subclouds/subcloud1?as_of={}", left[0]["revision"]);
    assert_eq!(http.get_json(&then).await["management-state"], "unmanaged");

    let site = Site::new("edge1", 1);
    let added = http.post_form("/v1.0/subclouds", &site.add_form()).await.expect(200).json();
    assert_eq!(added["deploy-status"], "not-deployed");
    assert_eq!(after_runs(&http, "edge1", 1).await["deploy-status"], "complete");

    nothing_is_behind(&http).await;
    agree(&split).await;
    for mut process in [api, background, worker] {
        assert!(process.terminate().await.success(), "{}", process.logs());
        assert!(!process.logs().contains("hunter2"), "a password is logged");
    }
    the_journal_is_taken_elsewhere(&split).await;
}

/// Verified, exported, imported and copied from store to store, it stays the same to the byte.
async fn the_journal_is_taken_elsewhere(split: &Split) {
    let dir = WorkDir::new("elsewhere");
    let file = |name: &str| dir.path().join(name).display().to_string();
    let other = Node::start();
    let (here, there) = (split.journal(), Postgres::shared().await.create_database().await.url);
    let embedded = file("embedded");
    let (first, second, third) = (file("1.ndjson"), file("2.ndjson"), file("3.ndjson"));
    let dcm = async |words: &[&str]| {
        run_dcm(["journal"].iter().chain(words).copied()).await.ok();
    };
    dcm(&["verify", "--journal", &here]).await;
    dcm(&["export", &first, "--journal", &here]).await;
    dcm(&["import", &first, "--data-dir", &embedded]).await;
    dcm(&["copy", "--data-dir", &embedded, "--to", &there]).await;
    dcm(&["copy", "--journal", &there, "--to", &other.url()]).await;
    dcm(&["verify", "--journal", &other.url()]).await;
    dcm(&["export", &second, "--journal", &there]).await;
    dcm(&["export", &third, "--journal", &other.url()]).await;
    let events = events_of(&first);
    assert!(events.len() > FLEET as usize);
    assert_eq!(events, events_of(&second));
    assert_eq!(events, events_of(&third));
}

/// The events of an export, byte for byte: their orders are each store's own.
fn events_of(file: &str) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap();
    let event = |line: &str| line.split_once("\"event\":").map(|(_, event)| event.to_owned());
    text.lines().filter_map(event).collect()
}

/// Waits until so many more requests are acknowledged.
async fn goes_on(load: &Load, more: usize) {
    let before = load.account().acknowledged.len();
    eventually("the load goes on", SOON, async || match load.account().acknowledged.len() {
        now if now >= before + more => Ok(()),
        now => Err(now),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn outages_lose_and_double_nothing_that_was_acknowledged() {
    let mut node = Node::start();
    let split = filled(node.url()).await;
    let mut api = split.serve("api", "api").start().await;
    let mut background = split.serve("background", "relay,projector,worker").start().await;
    let addresses = Addresses::new(vec![api.url().to_owned()]);
    let fleet: Vec<String> = (1..=FLEET).map(|number| format!("subcloud{number}")).collect();
    let load = Load::start(&addresses, &fleet, 1);
    goes_on(&load, 20).await;
    for _ in 0..3 {
        node.restart();
        goes_on(&load, 10).await;
    }
    api.kill();
    api.restart().await;
    addresses.moved(0, api.url());
    goes_on(&load, 10).await;
    background.kill();
    node.restart();
    goes_on(&load, 10).await;
    background.restart().await;
    goes_on(&load, 10).await;
    // It lives, and answers nobody: what is asked of it meanwhile has no known outcome.
    node.faults.stall(true);
    let before = load.account().unknown.len();
    eventually("requests stay without an answer", SOON, async || match load.account().unknown.len() {
        now if now > before => Ok(()),
        now => Err(now),
    })
    .await;
    node.faults.stall(false);
    goes_on(&load, 10).await;
    node.faults.slow_down(Duration::from_millis(200));
    goes_on(&load, 5).await;
    node.faults.slow_down(Duration::ZERO);
    // Nobody listens while a process ends and another starts.
    node.stop();
    background.kill();
    node.restart();
    background.restart().await;
    goes_on(&load, 10).await;
    let account = load.finish().await;
    println!("{} acknowledged, {} unknown", account.acknowledged.len(), account.unknown.len());
    nothing_is_behind(&api.http()).await;
    account.compare(&agree(&split).await);
    for process in [&mut api, &mut background] {
        none_panicked(process);
        assert!(process.terminate().await.success(), "{}", process.logs());
    }
}

fn none_panicked(process: &Dcm) {
    let logs = process.logs();
    assert!(!logs.contains("panicked at"), "a task panicked:\n{logs}");
}
