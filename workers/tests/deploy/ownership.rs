//! Runs and the workers that own them: what becomes of a run when its worker stops, loses its lease, dies, or never was.

use std::time::{Duration, Instant};

use dcm_domain::subcloud::command::{ClaimRun, ManageSubcloud, ReportAvailability, UnmanageSubcloud};
use dcm_domain::value::{Availability, BackupStatus, DeployStatus, Phase};
use dcm_journal::fleet::NetworkMove;
use dcm_journal::lease::Holder;
use serde_json::json;
use uuid::Uuid;

use crate::site::{Order, Site, meta};
use crate::{ALL, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_is_stopped_ends_its_playbook_and_its_run() {
    let site = Site::open().await;
    let worker = site.worker();
    let mut order = Order::new(&[Phase::Create, Phase::Install]);
    order.install["dcm_example"] = json!({"hang": 600});
    let entity = site.add(order).await;
    until("the hanging task", || site.log().contains("TASK [Hang]")).await;
    worker.stop().await;
    let subcloud = site.state(entity).await;
    assert_eq!((subcloud.deploy, subcloud.run), (DeployStatus::InstallFailed, None));
    assert_eq!(subcloud.error_description, "worker lost");
    assert!(!site.path("runs").read_dir().unwrap().any(|_| true));
    assert_eq!(site.leases.list("").await.unwrap(), []);
    site.assert_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_lease_ends_the_playbook_and_the_janitor_the_run() {
    let mut site = Site::open().await;
    site.settings.lease_ttl = Duration::from_secs(5);
    let worker = site.worker();
    let mut order = Order::new(&[Phase::Create, Phase::Install]);
    order.install["dcm_example"] = json!({"hang": 600});
    let entity = site.add(order).await;
    until("the hanging task", || site.log().contains("TASK [Hang]")).await;
    let run_id = site.state(entity).await.run.unwrap().id;
    let lease = site.leases.read(&format!("run-{run_id}")).await.unwrap().unwrap();
    let process = serde_json::from_value(lease.details["process"].clone()).unwrap();
    assert!(dcm_workers::playbook::group_alive(&process));
    // Another takes the lease over, as after a pause of the worker, and lets it run out.
    let lease = dcm_journal::lease::Lease {
        name: lease.name,
        holder: lease.holder.unwrap().id(),
        epoch: lease.epoch,
        ttl: Duration::ZERO,
    };
    assert!(site.leases.renew(&lease).await.unwrap());
    let subcloud = site.ended(entity).await;
    assert!(!dcm_workers::playbook::group_alive(&process), "the run was given up before its playbook");
    assert_eq!(
        (subcloud.deploy, subcloud.error_description.as_str()),
        (DeployStatus::InstallFailed, "worker lost")
    );
    assert_eq!(site.outcomes(entity).await, ["lost"]);
    site.assert_clean().await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_worker_s_run_is_ended_once_its_playbook_is_gone() {
    let mut site = Site::open().await;
    site.settings.lease_ttl = Duration::from_secs(5);
    let worker = site.worker();
    let mut order = Order::new(&[Phase::Create, Phase::Install]);
    order.install["dcm_example"] = json!({"hang": 600});
    let entity = site.add(order).await;
    until("the hanging task", || site.log().contains("TASK [Hang]")).await;
    worker.kill();
    let successor = site.worker();
    let subcloud = site.ended(entity).await;
    assert_eq!(
        (subcloud.deploy, subcloud.error_description.as_str()),
        (DeployStatus::InstallFailed, "worker lost")
    );
    assert_eq!(site.outcomes(entity).await, ["lost"]);
    site.assert_clean().await;
    successor.stop().await;
}

/// What lies among the directories and cannot be removed as one keeps none of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_killed_workers_left_is_swept_beside_what_cannot_be() {
    let site = Site::open().await;
    let runs = site.path("runs");
    std::fs::create_dir_all(&runs).unwrap();
    let names: Vec<_> = (0..8).map(|_| runs.join(Uuid::now_v7().to_string())).collect();
    let (files, left) = names.split_at(4);
    for file in files {
        std::fs::write(file, "no directory").unwrap();
    }
    let worker = site.worker();
    // The first sweep may be over; the next comes while the worker runs.
    for directory in left {
        std::fs::create_dir(directory).unwrap();
        std::fs::write(directory.join("install_values.yml"), "secret").unwrap();
    }
    until("the directories are gone", || left.iter().all(|directory| !directory.exists())).await;
    worker.stop().await;
    assert!(files.iter().all(|file| file.is_file()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_process_s_run_is_ended_at_once_and_another_host_s_after_its_grace() {
    let mut site = Site::open().await;
    site.settings.grace = Duration::from_secs(2);
    let dead = Holder { pid: i64::from(i32::MAX), ..Holder::this_process("deploy-worker-x").unwrap() };
    let far = Holder { host: "elsewhere".into(), ..dead.clone() };
    let mut entities = Vec::new();
    for (number, holder, ttl) in [(1, dead, 3600), (2, far, 3)] {
        let mut order = Order::new(&[Phase::Create]);
        (order.name, order.number) = (format!("edge{number}"), number);
        let entity = site.add(order).await;
        let run_id = site.state(entity).await.run.unwrap().id;
        let lease = format!("run-{run_id}");
        site.leases.acquire(&lease, &holder, Duration::from_secs(ttl)).await.unwrap().unwrap();
        site.run(entity, &ClaimRun { run_id, worker: holder.id() }).await;
        entities.push(entity);
    }
    let begun = Instant::now();
    let timeouts = site.timeouts();
    let first = site.ended(entities[0]).await;
    assert_eq!((first.deploy, first.error_description.as_str()), (DeployStatus::CreateFailed, "worker lost"));
    let second = site.ended(entities[1]).await;
    assert!(begun.elapsed() > Duration::from_secs(4), "{:?}", begun.elapsed());
    assert_eq!(second.error_description, "worker lost");
    timeouts.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_without_a_worker_ends_in_its_time() {
    let mut site = Site::open().await;
    site.settings.claim_within = Duration::from_secs(1);
    let entity = site.add(Order::new(&ALL)).await;
    let timeouts = site.timeouts();
    let subcloud = site.ended(entity).await;
    assert_eq!(subcloud.deploy, DeployStatus::CreateFailed);
    assert_eq!(subcloud.error_description, "no worker for deploy");
    site.without_passwords(entity).await;
    timeouts.stop().await;
}

/// What only a run referred to is gone with it.
async fn without_run_secrets(site: &Site, entity: Uuid, kept: usize) {
    let begun = Instant::now();
    while site.vault.list(entity).await.unwrap().len() > kept {
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", site.vault.list(entity).await.unwrap());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_of_kinds_without_a_worker_end_while_deploy_workers_are_there() {
    let mut site = Site::open().await;
    site.settings.claim_within = Duration::from_millis(500);
    let worker = site.worker();
    let taken_over = site.add(Order::new(&[Phase::Rehome])).await;
    let mut order = Order::new(&[Phase::Create, Phase::Complete]);
    (order.name, order.number) = ("edge2".into(), 2);
    let entity = site.add(order).await;
    let subcloud = site.ended(taken_over).await;
    assert_eq!(
        (subcloud.deploy, subcloud.error_description.as_str()),
        (DeployStatus::CreateFailed, "no worker for rehome")
    );
    site.without_passwords(taken_over).await;

    assert_eq!(site.ended(entity).await.deploy, DeployStatus::Complete);
    let kept = site.state(entity).await.secrets().count();
    site.run(entity, &ReportAvailability { to: Availability::Online }).await;
    site.run(entity, &ManageSubcloud { force: true, ..ManageSubcloud::default() }).await;
    site.run(entity, &site.backup(entity).await).await;
    let subcloud = site.backed_up(entity).await;
    assert_eq!(subcloud.backup, Some(BackupStatus::ValidateFailed));
    without_run_secrets(&site, entity, kept).await;

    site.run(entity, &site.prestage(entity).await).await;
    let subcloud = site.ended(entity).await;
    assert_eq!(
        (subcloud.deploy, subcloud.error_description.as_str()),
        (DeployStatus::PrestageFailed, "no worker for prestage")
    );
    without_run_secrets(&site, entity, kept).await;

    site.run(entity, &UnmanageSubcloud::default()).await;
    let (command, subnet) = site.reconfiguration(entity).await;
    let held = NetworkMove { subnet: subnet.clone(), group_id: Some(7) };
    site.fleet.reconfigure_network(entity, held, &command, &meta()).await.unwrap();
    let taken = async || {
        let directory = site.fleet.directory().await.unwrap();
        let group = directory.entry(entity).unwrap().next_group;
        directory.overlapping(&subnet, None).is_some() || group.is_some()
    };
    assert!(taken().await, "subnet and group are held while the run is there");
    let subcloud = site.ended(entity).await;
    assert_eq!(
        (subcloud.deploy, subcloud.error_description.as_str()),
        (DeployStatus::NetworkReconfigurationFailed, "no worker for network-reconfiguration")
    );
    let begun = Instant::now();
    while taken().await {
        assert!(begun.elapsed() < Duration::from_secs(20), "subnet or group are never released");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    without_run_secrets(&site, entity, kept).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_beyond_the_number_wait_for_a_place() {
    let mut site = Site::open().await;
    site.settings.max_runs = 1;
    site.settings.claim_within = Duration::from_millis(500);
    let release = site.path("release");
    let mut order = Order::new(&[Phase::Create, Phase::Install]);
    order.install["dcm_example"] = json!({"refuse_abort": 60, "refuse_abort_until": release});
    let first = site.add(order).await;
    let worker = site.worker();
    site.status(first, DeployStatus::Installing).await;
    let mut order = Order::new(&[Phase::Create]);
    (order.name, order.number) = ("edge2".into(), 2);
    let second = site.add(order).await;
    // Not a wait for something: time in which nothing may happen.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(site.state(second).await.run.unwrap().worker.is_none());
    std::fs::write(release, "").unwrap();
    assert_eq!(site.ended(second).await.deploy, DeployStatus::CreateComplete);
    assert_eq!(site.ended(first).await.deploy, DeployStatus::InstallComplete);
    worker.stop().await;
}
