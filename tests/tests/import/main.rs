//! Taking over a running installation: `dcm import dcmanager` from a database made as contract/database.md says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "how long it took is for the reader of the log")]

mod compare;
mod fleet;
mod gate;
mod in_process;

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use dcm_domain::value::{Name, Region};
use dcm_journal::fleet::Reference;
use dcm_tests::{Http, Postgres, Serve, Stores, WorkDir, dcm_command, eventually, run_dcm};
use serde_json::{Value, json};

use crate::fleet::{ENCODED, Fleet, PASSWORD};
use crate::gate::Gate;

/// How long workers may take to end what was under way.
const RECOVERED: Duration = Duration::from_secs(180);
/// How long 5000 subclouds may take.
const IN_TIME: Duration = Duration::from_secs(60);

async fn source(fleet: &Fleet) -> String {
    let database = Postgres::shared().await.create_database().await;
    fleet.fill(&database.url).await;
    database.url
}

/// The same, changed by a statement.
async fn changed_source(fleet: &Fleet, statement: &'static str) -> String {
    let from = source(fleet).await;
    change(&from, statement).await;
    from
}

async fn change(from: &str, statement: &'static str) {
    let mut database = <sqlx::PgConnection as sqlx::Connection>::connect(from).await.unwrap();
    sqlx::raw_sql(statement).execute(&mut database).await.unwrap();
}

fn arguments(from: &str, target: &[String], more: &[&str]) -> Vec<String> {
    let head = ["import", "dcmanager", "--json", "--from", from].map(str::to_owned);
    head.into_iter().chain(target.iter().cloned()).chain(more.iter().map(|arg| (*arg).to_owned())).collect()
}

/// Imports and gives the report.
async fn import(from: &str, target: &[String], more: &[&str]) -> Value {
    serde_json::from_str(&run_dcm(arguments(from, target, more)).await.ok()).unwrap()
}

fn embedded(dir: &Path) -> Vec<String> {
    vec!["--data-dir".to_owned(), dir.display().to_string()]
}

/// Flags of an import into the stores of a split deployment.
fn split(stores: &Stores) -> Vec<String> {
    let wanted = ["--journal", "--vault", "--vault-key-file"];
    stores
        .arguments()
        .chunks(2)
        .filter(|pair| wanted.contains(&pair[0].as_str()))
        .flatten()
        .cloned()
        .collect()
}

fn kinds(report: &Value) -> Vec<&str> {
    let mut kinds: Vec<&str> =
        report["findings"].as_array().unwrap().iter().map(|found| found["kind"].as_str().unwrap()).collect();
    kinds.dedup();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

async fn head(url: &str, dir: &Path) -> u64 {
    dcm_journal::store::open(url, dir).await.unwrap().head().await.unwrap()
}

/// Nothing of the old database's passwords stands anywhere in the clear.
fn no_password_below(dir: &Path) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let Ok(bytes) = std::fs::read(&path) else { continue };
        for secret in [PASSWORD, ENCODED] {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{} holds a password", path.display());
        }
    }
}

/// Where each transitory status of a row ends (jobs.md §2, M-26, M-28); the rest of the fleet stays as it was.
fn after_recovery(fleet: &Fleet) -> Vec<(Value, &str, Option<&str>)> {
    let deploy = |status| match status {
        "not-deployed" | "creating" => "create-failed",
        "pre-install" => "pre-install-failed",
        "installing" | "aborting-install" => "install-failed",
        "pre-bootstrap" => "pre-bootstrap-failed",
        "bootstrapping" | "aborting-bootstrap" => "bootstrap-failed",
        "pre-config" | "pre-deploy" => "pre-config-failed",
        "configuring" | "aborting-config" | "deploying" => "config-failed",
        "migrating-data" => "data-migration-failed",
        "pre-restore" => "restore-prep-failed",
        "restoring" => "restore-failed",
        "pre-rehome" => "rehome-prep-failed",
        "rehoming" => "rehome-failed",
        "prestaging-packages" | "prestaging-images" => "prestage-failed",
        "reconfiguring-network" => "network-reconfiguration-failed",
        other => other,
    };
    let backup = |status| match status {
        "initial" | "validating" => "validate-failed",
        "pre-backup" => "backup-prep-failed",
        "backing-up" => "failed",
        other => other,
    };
    let ends = |row: &'_ Value| {
        let ended = deploy(row["deploy_status"].as_str().unwrap().to_owned().leak());
        let stored = row["backup_status"].as_str().map(|status| backup(status.to_owned().leak()));
        (row["id"].clone(), ended, stored)
    };
    fleet.subclouds.iter().map(ends).collect()
}

/// Waits until workers have ended what was under way, and only that.
async fn recovered(http: &Http, fleet: &Fleet) {
    let expected = after_recovery(fleet);
    eventually("what was under way has ended", RECOVERED, async || {
        let list = http.get_json("/v1.0/subclouds").await;
        let off = list["subclouds"].as_array().unwrap().iter().zip(&expected).find(
            |(shown, (id, deploy, backup))| {
                assert_eq!(shown["id"], *id);
                shown["deploy-status"] != *deploy || shown["backup-status"] != json!(backup)
            },
        );
        match off {
            None => Ok(()),
            Some((shown, expected)) => Err(format!("{shown} instead of {expected:?}")),
        }
    })
    .await;
    eventually("migrating and syncing have ended", RECOVERED, async || {
        let group = http.get_json("/v1.0/subcloud-peer-groups/3").await;
        let association = http.get_json("/v1.0/peer-group-associations/3").await;
        match (&group["migration_status"], &association["sync-status"]) {
            (group, sync) if group != "migrating" && sync != "syncing" => Ok(()),
            still => Err(format!("{still:?}")),
        }
    })
    .await;
    // The error text is left alone, and the history says who ended it.
    let history = http.get_json("/v1.0/subclouds/1/history").await;
    let events = history["events"].as_array().unwrap();
    let types: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["SubcloudImported", "DeployStatusChanged"]);
    assert_eq!(events[1]["actor"]["user_id"], "system:recovery");
    assert_eq!(events[1]["data"].get("error"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_read_answers_as_the_rows_say_embedded() {
    let fleet = Fleet::in_every_state();
    let (from, dir) = (source(&fleet).await, WorkDir::new("import"));
    let target = embedded(dir.path());
    let report = import(&from, &target, &[]).await;
    assert_eq!(report["outcome"], "imported");
    assert_eq!(report["tables"]["subclouds"], json!({"rows": fleet.subclouds.len(), "deleted": 1}));
    assert_eq!(report["unknown_tables"], json!(["migrate_version", "subcloud_backup_archive"]));
    assert_eq!(report["unknown_columns"], json!(["subclouds.prestage_status"]));
    let expected = ["dangling", "document", "duplicate", "left-out", "null", "odd", "overlap", "transitory"];
    assert_eq!(kinds(&report), expected);
    no_password_below(dir.path());
    let written = head("embedded:", dir.path()).await;
    {
        let api = in_process::open(dir.path()).await;
        compare::compare(&api.http, &fleet).await;
        let found = api.fleet.resolve(&Reference::Id(1)).await.unwrap().unwrap();
        let state = api.fleet.subcloud(found).await.unwrap().state.unwrap();
        let kept = api.vault.get(&state.install.as_ref().unwrap().secret, found).await.unwrap();
        assert!(kept.expose().contains(ENCODED) && kept.expose().contains(PASSWORD));
        let name = Name::imported("Größe {{ 1 }}").unwrap();
        assert!(api.fleet.resolve(&Reference::Name(name)).await.unwrap().is_some());
        let region = Region::imported("Region with blanks").unwrap();
        assert!(api.fleet.resolve(&Reference::Region(region)).await.unwrap().is_some());
    }
    let again = import(&from, &target, &[]).await;
    assert_eq!(again["outcome"], "already-imported");
    let serve = Serve::new().data_dir(dir.path());
    let mut dcm = serve.start().await;
    recovered(&dcm.http(), &fleet).await;
    assert!(dcm.terminate().await.success());
    assert!(head("embedded:", dir.path()).await > written);
    let after = head("embedded:", dir.path()).await;
    assert_eq!(import(&from, &target, &[]).await["outcome"], "already-imported");
    assert_eq!(head("embedded:", dir.path()).await, after);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_read_answers_as_the_rows_say_on_postgresql() {
    let fleet = Fleet::in_every_state();
    let from = source(&fleet).await;
    let stores = Stores::new().await;
    let target = split(&stores);
    assert_eq!(import(&from, &target, &[]).await["outcome"], "imported");
    let process = |roles: &str| {
        stores
            .arguments()
            .chunks(2)
            .fold(Serve::new().roles(roles), |serve, pair| serve.flag(&pair[0], &pair[1]))
    };
    let background = process("relay,projector").start().await;
    let dcm = process("api").start().await;
    let http = dcm.http();
    eventually("the read models show the import", Duration::from_secs(60), async || {
        let list = http.get_json("/v1.0/subclouds").await;
        let shown = list["subclouds"].as_array().unwrap().len();
        if shown == fleet.subclouds.len() { Ok(()) } else { Err(shown) }
    })
    .await;
    compare::compare(&http, &fleet).await;
    let worker = process("worker").start().await;
    recovered(&http, &fleet).await;
    for mut process in [worker, dcm, background] {
        assert!(process.terminate().await.success());
    }
}

#[tokio::test]
async fn a_dry_run_reports_and_writes_nothing() {
    let fleet = Fleet::plain(3);
    let (from, dir) = (source(&fleet).await, WorkDir::new("import"));
    let report = import(&from, &embedded(dir.path()), &["--dry-run"]).await;
    assert_eq!((&report["outcome"], &report["tables"]["subclouds"]["rows"]), (&json!("dry-run"), &json!(3)));
    let files = std::fs::read_dir(dir.path()).unwrap();
    assert_eq!(files.filter(|file| !file.as_ref().unwrap().path().is_dir()).count(), 0);
    let text = run_dcm(["import", "dcmanager", "--dry-run", "--from", &from]).await.ok();
    assert!(text.contains("subclouds") && text.contains("dry run: nothing was written"), "{text}");
    assert!(!text.contains(PASSWORD) && !text.contains(ENCODED));
}

#[tokio::test]
async fn the_files_beside_the_database_are_taken_over_too() {
    let fleet = Fleet::plain(2);
    let (from, dir, files) = (source(&fleet).await, WorkDir::new("import"), WorkDir::new("overrides"));
    let write = |name: &str, text: &str| {
        let path = files.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("site1.yml", &format!("name: site1\nsystem_mode: simplex\nadmin_password: {PASSWORD}\n"));
    write("site1_deploy_config.yml", &format!("secret: {PASSWORD}\n"));
    write(
        "site1_inventory.yml",
        "all: {vars: {initial_deployment: false}, hosts: {site1: {ansible_host: 10.9.9.9}}}\n",
    );
    write("site2_inventory.yml", "[broken");
    let overrides = files.path().display().to_string();
    let report = import(&from, &embedded(dir.path()), &["--overrides-dir", &overrides]).await;
    assert_eq!(report["files"], json!({"bootstrap values": 1, "deploy configs": 1, "inventories": 1}));
    assert!(kinds(&report).contains(&"file"));
    no_password_below(dir.path());
    let api = in_process::open(dir.path()).await;
    let found = api.fleet.resolve(&Reference::Id(1)).await.unwrap().unwrap();
    let state = api.fleet.subcloud(found).await.unwrap().state.unwrap();
    assert_eq!((state.initial_deployment, state.bootstrap_address.as_deref()), (false, Some("10.9.9.9")));
    for document in [&state.bootstrap, &state.deploy_config] {
        let kept = api.vault.get(&document.as_ref().unwrap().secret, found).await.unwrap();
        assert!(kept.expose().contains(PASSWORD));
    }
    let other = api.fleet.resolve(&Reference::Id(2)).await.unwrap().unwrap();
    assert!(api.fleet.subcloud(other).await.unwrap().state.unwrap().initial_deployment);
}

#[tokio::test]
async fn what_cannot_be_taken_over_is_named_and_nothing_is_written() {
    let dir = WorkDir::new("import");
    let target = embedded(dir.path());
    let cluster = Postgres::shared().await;
    let refused = async |from: &str, said: &[&str]| {
        let ended = run_dcm(arguments(from, &target, &[])).await;
        assert!(!ended.status.success(), "{ended:?}");
        let text = format!("{}{}", ended.stdout, ended.stderr);
        assert!(said.iter().all(|said| text.contains(said)), "{said:?}: {text}");
        assert!(!text.contains(PASSWORD) && !text.contains(ENCODED));
        assert_eq!(head("embedded:", dir.path()).await, 0);
    };
    refused(&cluster.create_database().await.url, &["no table subclouds", "no table system_peer"]).await;
    let two = Fleet::plain(2);
    let change = async |statement| changed_source(&two, statement).await;
    let from = change("alter table subclouds drop column region_name").await;
    refused(&from, &["no column subclouds.region_name"]).await;
    let from = change("update subclouds set deploy_status = 'exploded' where id = 2").await;
    refused(&from, &["subclouds row 2, column deploy_status", "exploded"]).await;
    let from = change("update subclouds set name = null where id = 1").await;
    refused(&from, &["subclouds row 1, column name"]).await;
    refused("postgres://postgres:geheim@127.0.0.1:1/nowhere", &["source database"]).await;
    refused("mysql://localhost/dcmanager", &["--from"]).await;
}

/// A null in every column that has none here.
const NULLS: &str = "
    update subclouds set management_state = null, availability_status = null, deploy_status = null where id = 2;
    update subcloud_status set sync_status = null where subcloud_id = 2;
    update subcloud_alarms set critical_alarms = null, cloud_status = null where name = 'site2';
    update subcloud_group set name = null, description = null, update_apply_type = null,
        max_parallel_subclouds = null, created_at = null where id = 9;
    update subcloud_peer_group set peer_group_name = null, group_priority = null, group_state = null,
        max_subcloud_rehoming = null where id = 2;
    update system_peer set peer_uuid = null, manager_username = null, manager_password = null,
        heartbeat_interval = null where id = 2;
    update peer_group_association set peer_group_id = null, system_peer_id = null, sync_status = null where id = 2;
    update sw_update_strategy set state = null, max_parallel_subclouds = null, stop_on_failure = null;
    update strategy_steps set stage = null, state = null, details = null where id = 11";

#[tokio::test]
async fn nulls_are_taken_over_and_reported() {
    let dir = WorkDir::new("import");
    let from = changed_source(&Fleet::plain(4), NULLS).await;
    let report = import(&from, &embedded(dir.path()), &[]).await;
    assert_eq!(report["outcome"], "imported");
    let nulls = |table: &str| {
        let all = report["findings"].as_array().unwrap();
        all.iter().filter(|found| found["kind"] == "null" && found["table"] == table).count()
    };
    for (table, count) in [
        ("subclouds", 3),
        ("subcloud_status", 9),
        ("subcloud_alarms", 2),
        ("subcloud_group", 5),
        ("subcloud_peer_group", 4),
        ("system_peer", 3),
        ("peer_group_association", 3),
        ("sw_update_strategy", 3),
        ("strategy_steps", 3),
    ] {
        assert_eq!(nulls(table), count, "{table}: {}", report["findings"]);
    }
    let api = in_process::open(dir.path()).await;
    let shown = api.http.get_json("/v1.0/subclouds/2").await;
    let axes = ["management-state", "availability-status", "deploy-status"].map(|key| &shown[key]);
    assert_eq!(axes, ["unmanaged", "offline", "not-deployed"]);
    let endpoints = shown["endpoint_sync_status"].as_array().unwrap();
    assert_eq!(endpoints.len(), 9);
    assert!(endpoints.iter().all(|endpoint| endpoint["sync_status"] == "unknown"));
    let alarms = api.http.get_json("/v1.0/alarms").await;
    let alarms = alarms["alarm_summary"].as_array().unwrap();
    let alarms = alarms.iter().find(|row| row["region_name"] == "site2").unwrap();
    assert_eq!((&alarms["critical_alarms"], &alarms["cloud_status"]), (&json!(-1), &json!("disabled")));
    let group = api.http.get_json("/v1.0/subcloud-groups/9").await;
    assert_eq!((&group["name"], &group["max_parallel_subclouds"]), (&json!(""), &json!(0)));
    let strategy = api.http.get_json("/v1.0/sw-update-strategy").await;
    assert_eq!((&strategy["state"], &strategy["type"]), (&json!("initial"), &json!("prestage")));
}

#[tokio::test]
async fn a_strategy_of_no_type_is_left_out() {
    let dir = WorkDir::new("import");
    let from = changed_source(&Fleet::plain(4), "update sw_update_strategy set type = null").await;
    let report = import(&from, &embedded(dir.path()), &[]).await;
    assert_eq!(report["outcome"], "imported");
    let left_out: Vec<_> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|found| found["kind"] == "left-out")
        .map(|found| found["table"].as_str().unwrap())
        .collect();
    assert_eq!(left_out, ["sw_update_strategy", "strategy_steps"]);
    let api = in_process::open(dir.path()).await;
    let shown = api.http.get("/v1.0/sw-update-strategy").send().await;
    assert_eq!(shown.status, 404, "{}", shown.body);
}

#[tokio::test]
async fn a_journal_that_holds_anything_else_is_refused() {
    let dir = WorkDir::new("import");
    let mut dcm = Serve::new().data_dir(dir.path()).start().await;
    assert!(dcm.terminate().await.success());
    let before = head("embedded:", dir.path()).await;
    let from = source(&Fleet::plain(1)).await;
    let ended = run_dcm(arguments(&from, &embedded(dir.path()), &[])).await;
    assert!(!ended.status.success() && ended.stderr.contains("wants an empty journal"), "{ended:?}");
    assert_eq!(head("embedded:", dir.path()).await, before);
}

#[tokio::test]
async fn an_import_that_was_killed_goes_on_where_it_stopped() {
    let fleet = Fleet::plain(1500);
    let from = source(&fleet).await;
    let stores = Stores::new().await;
    let (target, dir) = (split(&stores), WorkDir::new("import"));
    // The journal's tables are there before the import, to hold it up at a certain event.
    let journal = dcm_journal::store::open(&target[1], dir.path()).await.unwrap();
    let mut gate = Gate::shut(&target[1]).await;
    let mut running = dcm_command()
        .args(arguments(&from, &target, &[]))
        .current_dir(dir.path())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    eventually("the import is held up", Duration::from_secs(180), async || {
        assert_eq!(running.try_wait().unwrap(), None, "it ended before it was killed");
        if gate.holds_somebody_up().await { Ok(()) } else { Err(()) }
    })
    .await;
    running.kill().unwrap();
    running.wait().unwrap();
    gate.open().await;
    let half = journal.head().await.unwrap();
    assert!(half > 0, "it was killed before it wrote anything");
    println!("killed after {half} events");
    let serve = stores
        .arguments()
        .chunks(2)
        .fold(Serve::new().roles("api"), |serve, pair| serve.flag(&pair[0], &pair[1]));
    let refused = serve.try_start().await.expect_err("half a fleet is served by nobody");
    assert!(refused.stderr.contains("was interrupted"), "{}", refused.stderr);
    only_goes_on_with_what_it_began_with(&from, &target).await;
    assert_eq!(journal.head().await.unwrap(), half, "what was refused wrote nothing");
    assert_eq!(import(&from, &target, &[]).await["outcome"], "imported");
    let (mut after, mut subclouds) = (0, 0);
    loop {
        let page = journal.read_all(after, 1000).await.unwrap();
        let Some(last) = page.last() else { break };
        after = last.position.order;
        let ours = page.iter().filter(|event| event.envelope.stream.kind() == "subcloud");
        subclouds += ours.inspect(|event| assert_eq!(event.envelope.revision, 0)).count();
    }
    assert_eq!(subclouds, fleet.subclouds.len());
    let api = serve.start().await;
    let background = stores.arguments();
    let background = background
        .chunks(2)
        .fold(Serve::new().roles("relay,projector"), |serve, pair| serve.flag(&pair[0], &pair[1]));
    let background = background.start().await;
    let http = api.http();
    eventually("every subcloud is shown", Duration::from_secs(60), async || {
        let shown = http.get_json("/v1.0/subclouds").await["subclouds"].as_array().unwrap().len();
        if shown == fleet.subclouds.len() { Ok(()) } else { Err(shown) }
    })
    .await;
    drop((api, background));
    let again = import(&from, &target, &[]).await;
    assert_eq!((&again["outcome"], again.get("warnings")), (&json!("already-imported"), None));
    let files = files_of_site1();
    let others = import(&from, &target, &["--overrides-dir", &files.path().display().to_string()]).await;
    assert_eq!(others["outcome"], "already-imported");
    assert!(others["warnings"][0].as_str().unwrap().contains("not taken over"), "{others}");
    change(&from, "update subclouds set location = 'moved' where id = 2").await;
    let text = run_dcm(arguments(&from, &target, &[]).into_iter().filter(|arg| arg != "--json")).await.ok();
    assert!(text.contains("warning: ") && text.contains("already imported: nothing was written"), "{text}");
}

/// Bootstrap values of one subcloud.
fn files_of_site1() -> WorkDir {
    let files = WorkDir::new("overrides");
    std::fs::write(files.path().join("site1.yml"), "name: site1\nsystem_mode: simplex\n").unwrap();
    files
}

/// An import that began without files is neither continued with some, nor with other rows.
async fn only_goes_on_with_what_it_began_with(from: &str, target: &[String]) {
    let files = files_of_site1();
    let directory = files.path().display().to_string();
    let refused = async |more: &[&str]| {
        let ended = run_dcm(arguments(from, target, more)).await;
        assert!(!ended.status.success() && ended.stderr.contains("since this import began"), "{ended:?}");
    };
    refused(&["--overrides-dir", &directory]).await;
    change(from, "update subclouds set location = 'moved' where id = 2").await;
    refused(&[]).await;
    change(from, "update subclouds set location = '2 Road' where id = 2").await;
}

#[tokio::test]
async fn five_thousand_subclouds_are_taken_over_in_time() {
    let from = source(&Fleet::plain(5000)).await;
    let dir = WorkDir::new("import");
    let began = Instant::now();
    let report = import(&from, &embedded(dir.path()), &[]).await;
    assert_eq!(report["outcome"], "imported");
    let took = began.elapsed();
    println!("5000 subclouds with their endpoints in {took:?}: {}", report["subclouds_per_second"]);
    assert!(took < IN_TIME, "{took:?}");
}
