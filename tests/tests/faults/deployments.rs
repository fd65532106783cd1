//! Deployments beside the load, and what may not be left of those whose worker was killed.

use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, Instant};

use dcm_tests::load::Addresses;
use dcm_tests::{Http, Needles, Site, eventually, playbook_processes};
use serde_json::{Value, json};
use tokio::sync::watch;
use uuid::Uuid;

use crate::scene::{REST, TAKE_OVER};

/// How long a playbook may outlive its worker.
const OUTLIVES: Duration = Duration::from_secs(10);

/// Adds one subcloud after the other and lets each be deployed, until it is told to stop.
pub async fn deployments(
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
pub async fn rests(addresses: &Addresses, subcloud: &str) {
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
pub fn password() -> String {
    format!("%it's \"{}\"", Uuid::new_v4().simple())
}

/// The password of deployments whose workers were killed is nowhere, once the directories of their runs are swept.
pub async fn no_password(password: &str, directories: &[&Path], logs: &str) {
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
pub fn nothing_outlives_its_worker(dir: &Path) -> std::thread::JoinHandle<()> {
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
pub fn failed(row: &Value, status: &str, error: &str) {
    assert_eq!(row["deploy-status"], status, "{row}");
    let text = row["error-description"].as_str().unwrap();
    assert_eq!(text.lines().next(), Some(error), "{row}");
}

/// Waits until a playbook that works below `dir` does what it was told to do for long.
pub async fn hangs(dir: &Path) {
    eventually("the playbook hangs", REST, async || {
        let all = playbook_processes(dir);
        if all.iter().any(|process| process.command.starts_with("sleep ")) { Ok(()) } else { Err(all) }
    })
    .await;
}

pub fn nothing_outlived(watched: Vec<std::thread::JoinHandle<()>>) {
    for watch in watched {
        watch.join().expect("no playbook outlives its worker");
    }
}
