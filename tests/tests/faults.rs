//! Processes killed, paused and cut off under load: what was acknowledged is there once, rows and bus say what the
//! journal says, every run ends once, no playbook outlives its worker.
//!
//! `DCM_TEST_SEED` repeats the moments of a run that failed (each prints its seed); `DCM_TEST_KILLS` is how many
//! processes the longest test kills.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "a run that failed is repeated by what it printed")]

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_nats::jetstream::{self, consumer::pull};
use dcm_projections::ReadModels;
use dcm_tests::ledger::{alter, count_runs, embedded};
use dcm_tests::load::{Addresses, Load};
use dcm_tests::story::{after_runs, history, of_type};
use dcm_tests::{
    Dcm, Http, Ledger, Needles, Postgres, Serve, Site, Split, WorkDir, eventually, files_below, heard,
    on_the_example_site, playbook_processes,
};
use futures::StreamExt;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use uuid::Uuid;

/// Subclouds of the load.
const FLEET: usize = 4;
/// How long a playbook may outlive its worker.
const OUTLIVES: Duration = Duration::from_secs(10);
/// How long everything may take to come to rest: leases run out, runs without a worker are ended.
const REST: Duration = Duration::from_secs(120);
/// How long a take-over may take.
const TAKE_OVER: Duration = Duration::from_secs(60);

/// One test at a time: each is a load for the whole machine.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

fn seed() -> u64 {
    let given =
        std::env::var("DCM_TEST_SEED").ok().map(|text| text.parse().expect("DCM_TEST_SEED is a number"));
    let seed = given.unwrap_or_else(|| rand::rng().random());
    println!("DCM_TEST_SEED={seed}");
    seed
}

fn kills() -> usize {
    std::env::var("DCM_TEST_KILLS").map_or(12, |text| text.parse().expect("DCM_TEST_KILLS is a number"))
}

fn fleet() -> Vec<String> {
    (1..=FLEET).map(|number| format!("subcloud{number}")).collect()
}

/// Waits for a random moment.
async fn a_while(random: &mut StdRng, most: u64) {
    tokio::time::sleep(Duration::from_millis(random.random_range(0..most))).await;
}

/// A quicker end for runs whose worker is gone.
fn settings(serve: Serve) -> Serve {
    serve.flag("--set", "deploy.lease_secs=5").flag("--set", "deploy.claim_within_secs=30")
}

// ---- deployments beside the load ----

/// Adds one subcloud after the other and lets each be deployed, until it is told to stop.
async fn deployments(
    line: u8,
    password: String,
    addresses: Addresses,
    mut stop: watch::Receiver<bool>,
) -> Vec<String> {
    let mut acknowledged = Vec::new();
    for number in 0..20_u8 {
        if *stop.borrow() {
            break;
        }
        let site = Site::new(&format!("deployed-{line}-{number}"), line * 100 + number).without_config();
        let mut site = match number % 2 {
            0 => site.without_install().bootstrap_does(json!({"print_password": true, "hang": 2})),
            _ => site.install_does(json!({"print_password": true})),
        };
        site.sysadmin_password.clone_from(&password);
        let http = Http::new(addresses.first());
        let added = http.post("/v1.0/subclouds/").form(&site.add_form()).try_send().await;
        let Ok(added) = added else { continue };
        if added.status != 200 {
            assert_eq!(added.status, 503, "{}", added.body);
            continue;
        }
        acknowledged.push(added.header("x-openstack-request-id").unwrap().to_owned());
        // The next one comes when this one is done, or the load is over.
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            () = rests(&addresses, site.name()) => {}
        }
    }
    acknowledged
}

/// Waits until a subcloud's row shows a deploy status at which nothing goes on; whoever serves it may die meanwhile.
async fn rests(addresses: &Addresses, subcloud: &str) {
    let deadline = Instant::now() + REST;
    let mut looks = tokio::time::interval(Duration::from_millis(200));
    loop {
        looks.tick().await;
        let answer =
            Http::new(addresses.first()).get(&format!("/v1.0/subclouds/{subcloud}")).try_send().await;
        let status = answer.ok().filter(|answer| answer.status == 200).map(|answer| answer.json());
        let status =
            status.and_then(|row| row["deploy-status"].as_str().map(str::to_owned)).unwrap_or_default();
        if status == "complete" || status.ends_with("-failed") {
            return;
        }
        assert!(Instant::now() < deadline, "{subcloud} stays {status:?}");
    }
}

/// A password as nobody else has it.
fn password() -> String {
    format!("%it's \"{}\"", Uuid::new_v4().simple())
}

/// The password of deployments whose workers were killed is nowhere, once the directories of their runs are swept.
async fn no_password(password: &str, directories: &[&Path], logs: &str) {
    let needles = Needles::of(&[("password", password)]);
    assert_eq!(needles.search("logs", logs.as_bytes()), []);
    eventually("nothing holds the password", TAKE_OVER, async || {
        let found: Vec<_> = directories.iter().flat_map(|directory| needles.search_tree(directory)).collect();
        if found.is_empty() { Ok(()) } else { Err(found) }
    })
    .await;
}

/// Watches what was running below the directory of a worker that has just been killed; fails if any of it is there
/// after its time.
fn nothing_outlives_its_worker(dir: &Path) -> std::thread::JoinHandle<()> {
    let dir = dir.to_owned();
    let runs: HashSet<String> = playbook_processes(&dir).into_iter().map(|process| process.run).collect();
    let deadline = Instant::now() + OUTLIVES;
    println!("  {} playbooks were running", runs.len());
    std::thread::spawn(move || {
        loop {
            let mut left = playbook_processes(&dir);
            left.retain(|process| runs.contains(&process.run));
            if left.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "{left:#?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    })
}

/// Checks deploy status and error; what an operator may do about it can follow (subclouds.md §2.3).
#[track_caller]
fn failed(row: &Value, status: &str, error: &str) {
    assert_eq!(row["deploy-status"], status, "{row}");
    let text = row["error-description"].as_str().unwrap();
    assert_eq!(text.lines().next(), Some(error), "{row}");
}

/// Waits until a playbook that works below `dir` does what it was told to do for long.
async fn hangs(dir: &Path) {
    eventually("the playbook hangs", REST, async || {
        let all = playbook_processes(dir);
        if all.iter().any(|process| process.command.starts_with("sleep ")) { Ok(()) } else { Err(all) }
    })
    .await;
}

fn nothing_outlived(watched: Vec<std::thread::JoinHandle<()>>) {
    for watch in watched {
        watch.join().expect("no playbook outlives its worker");
    }
}

// ---- an outside subscriber ----

/// A durable consumer that collects ids of events, and goes on where it was when it is started again.
struct Subscriber {
    url: String,
    seen: Arc<Mutex<HashSet<Uuid>>>,
    task: JoinHandle<()>,
}

impl Subscriber {
    fn start(url: String) -> Self {
        let seen = Arc::default();
        Self { task: follow(url.clone(), Arc::clone(&seen)), url, seen }
    }

    /// Drops it in the middle of whatever it does, and starts it again.
    fn restart(&mut self) {
        self.task.abort();
        self.task = follow(self.url.clone(), Arc::clone(&self.seen));
    }

    async fn has_seen(&self, all: &[Uuid]) {
        eventually("every event reaches the subscriber", TAKE_OVER, async || {
            let seen = self.seen.lock().unwrap();
            let missing = all.iter().filter(|id| !seen.contains(id)).count();
            if missing == 0 { Ok(()) } else { Err(missing) }
        })
        .await;
    }
}

fn follow(url: String, seen: Arc<Mutex<HashSet<Uuid>>>) -> JoinHandle<()> {
    tokio::spawn(async move {
        let js = jetstream::new(async_nats::connect(url).await.expect("connect to NATS"));
        let config = pull::Config { durable_name: Some("outside".into()), ..pull::Config::default() };
        let stream = js.get_stream("DCM_EVENTS").await.expect("the stream is there");
        let consumer = stream.get_or_create_consumer("outside", config).await.expect("a durable consumer");
        let mut messages = consumer.messages().await.expect("messages");
        while let Some(message) = messages.next().await {
            let Ok(message) = message else { continue };
            let id =
                message.headers.as_ref().and_then(|headers| headers.get("ce-id")).expect("an event's id");
            seen.lock().unwrap().insert(id.as_str().parse().expect("a uuid"));
            message.ack().await.expect("acknowledge");
        }
    })
}

/// The bus holds every event once and in the journal's order.
async fn the_bus_holds_the_journal(url: &str, ledger: &Ledger) {
    let all = heard(url, "DCM_EVENTS", |all| all.len() >= ledger.events.len()).await;
    let heard: Vec<Uuid> = all.iter().map(|message| message.header("ce-id").parse().unwrap()).collect();
    assert_eq!(heard, ledger.ids(), "bus and journal differ");
}

// ---- at rest ----

/// Waits until every run has ended and the read model is at the journal's end.
async fn comes_to_rest(journal: &str, read_model: &str, dir: &Path) -> (Ledger, Arc<ReadModels>) {
    eventually("every run ends", REST, async || {
        let (requested, ended) = count_runs(journal).await;
        if requested == ended { Ok(()) } else { Err((requested, ended)) }
    })
    .await;
    let models = ReadModels::open(read_model, dir, Ledger::read(journal).await.journal).await.unwrap();
    let ledger = eventually("the read models catch up", REST, async || {
        let ledger = Ledger::read(journal).await;
        let (position, _) = models.subclouds().position().await.unwrap();
        if position == ledger.events.len() as u64 { Ok(ledger) } else { Err((position, ledger.events.len())) }
    })
    .await;
    (ledger, models)
}

fn every_run_ended_once(ledger: &Ledger) {
    let ends = ledger.ends_of_runs();
    let not_once: Vec<_> = ends.iter().filter(|(_, ends)| **ends != 1).collect();
    assert!(not_once.is_empty(), "{not_once:?}");
}

/// Subclouds that were acknowledged were added once each.
fn added_once(requests: &[String], ledger: &Ledger) {
    let envelopes = ledger.envelopes();
    for request in requests {
        let added = envelopes.iter().filter(|event| {
            event.r#type == "SubcloudAdded" && event.request_id.as_deref() == Some(request.as_str())
        });
        assert_eq!(added.count(), 1, "{request}");
    }
}

// ---- the split service ----

/// A process of the split service.
struct Part {
    name: &'static str,
    dcm: Dcm,
}

/// Fills the demo fleet, before there is a worker that would take its runs for itself.
async fn fill(serve: Serve) {
    let mut filling = serve.flag("--demo", FLEET.to_string()).start().await;
    assert!(filling.terminate().await.success(), "{}", filling.logs());
}

async fn parts(split: &Split, names: &[(&'static str, &'static str)]) -> Vec<Part> {
    fill(settings(split.serve("api-a", "api"))).await;
    let mut parts = Vec::new();
    for (name, roles) in names {
        parts.push(Part { name, dcm: settings(split.serve(name, roles)).start().await });
    }
    parts
}

fn none_has_ended(parts: &mut [Part]) {
    for part in parts {
        assert_eq!(part.dcm.exited(), None, "{} has ended:\n{}", part.name, part.dcm.logs());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_processes_lose_nothing_that_was_acknowledged() {
    let _alone = ALONE.lock().await;
    let seed = seed();
    let mut random = StdRng::seed_from_u64(seed);
    let split = Split::on(Postgres::shared().await).await;
    let names = [
        ("api-a", "api"),
        ("api-b", "api"),
        ("relay-1", "relay"),
        ("relay-2", "relay"),
        ("projector", "projector"),
        ("worker-1", "worker"),
        ("worker-2", "worker"),
        ("cert-mon", "cert-mon"),
    ];
    let mut parts = parts(&split, &names).await;
    let addresses = Addresses::new(vec![parts[0].dcm.url().to_owned(), parts[1].dcm.url().to_owned()]);
    let mut subscriber = Subscriber::start(split.stores.nats.url());
    let load = Load::start(&addresses, &fleet(), seed);
    let (stop, stopping) = watch::channel(false);
    let password = password();
    let mut lines = JoinSet::new();
    for line in 0..2 {
        lines.spawn(deployments(line, password.clone(), addresses.clone(), stopping.clone()));
    }
    // Each in its turn, so that none is spared; but for cert-mon, which only adds to the load.
    let mut victims: Vec<usize> = (0..parts.len() - 1).collect();
    victims.shuffle(&mut random);
    let mut outlived = Vec::new();
    for kill in 0..kills() {
        a_while(&mut random, 2500).await;
        let victim = victims[kill % victims.len()];
        let part = &mut parts[victim];
        println!("kill {kill}: {}", part.name);
        part.dcm.kill();
        if part.name.starts_with("worker") {
            outlived.push(nothing_outlives_its_worker(&part.dcm.data_dir()));
        }
        if random.random_bool(0.3) {
            subscriber.restart();
        }
        a_while(&mut random, 1000).await;
        part.dcm.restart().await;
        if victim < 2 {
            addresses.moved(victim, part.dcm.url());
        }
    }
    a_while(&mut random, 2000).await;
    let account = load.finish().await;
    stop.send_replace(true);
    let added: Vec<String> = lines.join_all().await.into_iter().flatten().collect();
    nothing_outlived(outlived);
    let (ledger, models) = comes_to_rest(&split.journal(), &split.read_model(), split.dir()).await;
    none_has_ended(&mut parts);
    println!(
        "{} acknowledged, {} refused, {} unknown, {} added, {} events",
        account.acknowledged.len(),
        account.refused.len(),
        account.unknown.len(),
        added.len(),
        ledger.events.len()
    );
    ledger.verify().expect("hash chains are whole");
    account.compare(&ledger);
    added_once(&added, &ledger);
    every_run_ended_once(&ledger);
    ledger.compare_rows(&models).await;
    subscriber.has_seen(&ledger.ids()).await;
    the_bus_holds_the_journal(&split.stores.nats.url(), &ledger).await;
    let logs: String = parts.iter().map(|part| part.dcm.logs()).collect();
    no_password(&password, &[split.dir(), split.stores.nats.dir(), Postgres::shared().await.dir()], &logs)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_relay_that_comes_back_after_a_take_over_publishes_nothing() {
    let _alone = ALONE.lock().await;
    let split = Split::on(Postgres::shared().await).await;
    let names = [("api-a", "api"), ("relay-1", "relay"), ("projector", "projector")];
    let mut parts = parts(&split, &names).await;
    let addresses = Addresses::new(vec![parts[0].dcm.url().to_owned()]);
    let load = Load::start(&addresses, &fleet(), seed());
    let bus = split.stores.nats.url();
    // The first relay publishes: there is no other yet.
    reaches_the_bus(&bus, &load, 10).await;
    parts.push(Part { name: "relay-2", dcm: settings(split.serve("relay-2", "relay")).start().await });
    for publishing in [1, 3] {
        parts[publishing].dcm.pause();
        reaches_the_bus(&bus, &load, 10).await;
        parts[publishing].dcm.resume();
        reaches_the_bus(&bus, &load, 30).await;
    }
    let account = load.finish().await;
    let (ledger, models) = comes_to_rest(&split.journal(), &split.read_model(), split.dir()).await;
    none_has_ended(&mut parts);
    account.compare(&ledger);
    ledger.compare_rows(&models).await;
    the_bus_holds_the_journal(&bus, &ledger).await;
}

/// Waits until a request that is answered only from now on, and `more` after it, show on the bus.
async fn reaches_the_bus(url: &str, load: &Load, more: usize) {
    let before = load.account().acknowledged.len();
    let last = eventually("the load goes on", TAKE_OVER, async || {
        let now = load.account().acknowledged;
        now.get(before + more).map(|yes| yes.request_id.clone()).ok_or(now.len())
    })
    .await;
    heard(url, "DCM_EVENTS", |all| all.iter().any(|one| one.header("ce-requestid") == last)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_is_answered_with_503_and_loses_nothing() {
    let _alone = ALONE.lock().await;
    let mut postgres = Postgres::start().await;
    let split = Split::on(&postgres).await;
    let names = [("api-a", "api"), ("relay-1", "relay"), ("projector", "projector")];
    let mut parts = parts(&split, &names).await;
    let addresses = Addresses::new(vec![parts[0].dcm.url().to_owned()]);
    let load = Load::start(&addresses, &fleet(), seed());
    for crash in [false, true] {
        acknowledges_more(&load, 20).await;
        match crash {
            true => postgres.crash(),
            false => postgres.stop().await,
        }
        let before = load.account().unavailable;
        eventually("the API says that it cannot write now", TAKE_OVER, async || {
            let now = load.account().unavailable;
            if now >= before + FLEET { Ok(()) } else { Err(now) }
        })
        .await;
        let read = parts[0].dcm.http().get("/v1.0/subclouds/subcloud1").send().await.expect(503);
        assert!(read.header("retry-after").is_some(), "{:?}", read.headers);
        postgres.start_again().await;
        acknowledges_more(&load, 20).await;
    }
    let account = load.finish().await;
    let (ledger, models) = comes_to_rest(&split.journal(), &split.read_model(), split.dir()).await;
    none_has_ended(&mut parts);
    ledger.verify().expect("hash chains are whole");
    account.compare(&ledger);
    ledger.compare_rows(&models).await;
    the_bus_holds_the_journal(&split.stores.nats.url(), &ledger).await;
}

async fn acknowledges_more(load: &Load, count: usize) {
    let before = load.account().acknowledged.len();
    eventually("the load goes on", TAKE_OVER, async || {
        let account = load.account();
        match account.acknowledged.len() >= before + count {
            true => Ok(()),
            false => Err((account.acknowledged.len(), account.unavailable, account.wrong)),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_no_worker_takes_ends_by_itself() {
    let _alone = ALONE.lock().await;
    let split = Split::on(Postgres::shared().await).await;
    let start = |name, roles| {
        let serve = split.serve(name, roles).flag("--set", "deploy.claim_within_secs=3");
        async move { serve.start().await }
    };
    let (api, _relay, _projector) =
        (start("api", "api").await, start("relay", "relay").await, start("projector", "projector").await);
    let http = api.http();
    let _ = http.post_form("/v1.0/subclouds/", &Site::new("waits", 1).add_form()).await.expect(200);
    let row = after_runs(&http, "waits", 1).await;
    failed(&row, "create-failed", "no worker for deploy");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_worker_whose_run_was_ended_reports_nothing_and_leaves_nothing() {
    let _alone = ALONE.lock().await;
    let split = Split::on(Postgres::shared().await).await;
    let names = [("api", "api"), ("relay", "relay"), ("projector", "projector"), ("worker-1", "worker")];
    let mut parts = Vec::new();
    for (name, roles) in names {
        parts.push(Part { name, dcm: settings(split.serve(name, roles)).start().await });
    }
    let http = parts[0].dcm.http();
    let site = Site::new("edge1", 1).without_install().without_config();
    let works = site.clone().bootstrap_does(json!({"hang": 5}));
    let _ = http.post_form("/v1.0/subclouds/", &works.add_form()).await.expect(200);
    hangs(split.dir()).await;
    parts[3].dcm.pause();
    // Its playbook goes on to its end; then nobody is left to report on it.
    parts.push(Part { name: "worker-2", dcm: settings(split.serve("worker-2", "worker")).start().await });
    let row = after_runs(&http, "edge1", 1).await;
    failed(&row, "bootstrap-failed", "worker lost");
    parts[3].dcm.resume();
    let resume = "/v1.0/phased-subcloud-deploy/edge1/resume";
    let _ = http.patch_form(resume, &site.resume_form()).await.expect(200);
    assert_eq!(after_runs(&http, "edge1", 2).await["deploy-status"], "complete");
    eventually("the directories of both runs are gone", REST, async || {
        let all = files_below(split.dir());
        let left: Vec<_> = all.into_iter().filter(|file| file.iter().any(|part| part == "runs")).collect();
        if left.is_empty() { Ok(()) } else { Err(left) }
    })
    .await;
    let ledger = Ledger::read(&split.journal()).await;
    every_run_ended_once(&ledger);
    assert_eq!(ledger.ends_of_runs().len(), 2);
    none_has_ended(&mut parts);
}

// ---- one process ----

#[tokio::test(flavor = "multi_thread")]
async fn the_one_process_is_killed_again_and_again_and_its_journal_is_whole() {
    let _alone = ALONE.lock().await;
    let seed = seed();
    let mut random = StdRng::seed_from_u64(seed);
    let dir = WorkDir::new("killed");
    let data: PathBuf = dir.path().join("data");
    let serve = settings(on_the_example_site(Dcm::serve())).data_dir(&data);
    let mut dcm = serve.flag("--demo", FLEET.to_string()).start().await;
    let addresses = Addresses::new(vec![dcm.url().to_owned()]);
    let load = Load::start(&addresses, &fleet(), seed);
    let (stop, stopping) = watch::channel(false);
    let password = password();
    let mut lines = JoinSet::new();
    for line in 0..3 {
        lines.spawn(deployments(line, password.clone(), addresses.clone(), stopping.clone()));
    }
    let mut outlived = Vec::new();
    for kill in 0..kills() / 2 {
        a_while(&mut random, 3000).await;
        println!("kill {kill}");
        dcm.kill();
        outlived.push(nothing_outlives_its_worker(dir.path()));
        dcm.restart().await;
        addresses.moved(0, dcm.url());
    }
    acknowledges_more(&load, 20).await;
    let account = load.finish().await;
    stop.send_replace(true);
    let added: Vec<String> = lines.join_all().await.into_iter().flatten().collect();
    nothing_outlived(outlived);
    let journal = embedded(&data);
    let (_, models) = comes_to_rest(&journal, "embedded:", &data).await;
    drop(models);
    assert!(dcm.terminate().await.success(), "{}", dcm.logs());

    let ledger = Ledger::read(&journal).await;
    println!(
        "{} acknowledged, {} added, {} events",
        account.acknowledged.len(),
        added.len(),
        ledger.events.len()
    );
    ledger.verify().expect("hash chains are whole");
    account.compare(&ledger);
    added_once(&added, &ledger);
    every_run_ended_once(&ledger);
    let models = ReadModels::open("embedded:", &data, ledger.journal).await.unwrap();
    ledger.compare_rows(&models).await;
    no_password(&password, &[&data], &dcm.logs()).await;
    one_altered_byte_is_caught(&journal, &ledger, &mut random).await;
}

/// Alters single bytes of stored events, and puts them back.
async fn one_altered_byte_is_caught(journal: &str, ledger: &Ledger, random: &mut StdRng) {
    for _ in 0..3 {
        let stored = &ledger.events[random.random_range(0..ledger.events.len())];
        let mut bytes = stored.body.clone().into_bytes();
        let at = random.random_range(0..bytes.len());
        bytes[at] ^= 1;
        let Ok(altered) = String::from_utf8(bytes) else { continue };
        alter(journal, stored.order, &altered).await;
        let caught = Ledger::read(journal).await.verify().expect_err("an altered byte is caught");
        assert!(caught.starts_with(&format!("event {}:", stored.order)), "{caught}");
        alter(journal, stored.order, &stored.body).await;
    }
    Ledger::read(journal).await.verify().expect("everything is as it was");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_process_was_killed_ends_as_worker_lost_and_can_be_resumed() {
    let _alone = ALONE.lock().await;
    let dir = WorkDir::new("lost");
    let serve = settings(on_the_example_site(Dcm::serve())).data_dir(&dir.path().join("data"));
    let mut dcm = serve.start().await;
    let site = Site::new("edge1", 1).install_does(json!({"hang": 3600}));
    let _ = dcm.http().post_form("/v1.0/subclouds/", &site.add_form()).await.expect(200);
    hangs(dir.path()).await;
    dcm.kill();
    let gone = nothing_outlives_its_worker(dir.path());
    dcm.restart().await;
    nothing_outlived(vec![gone]);
    let http = dcm.http();
    let row = after_runs(&http, "edge1", 1).await;
    failed(&row, "install-failed", "worker lost");
    let events = history(&http, "edge1").await;
    assert_eq!(of_type(&events, "DeployRunFinished")[0]["data"]["outcome"], "lost");
    let mended = Site::new("edge1", 1);
    let path = "/v1.0/phased-subcloud-deploy/edge1/resume";
    let _ = http.patch_form(path, &mended.resume_form()).await.expect(200);
    assert_eq!(after_runs(&http, "edge1", 2).await["deploy-status"], "complete");
}
