//! The deploy worker, with the real `ansible-playbook` and the playbooks of `examples/site`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "deploy/ownership.rs"]
mod ownership;
#[path = "deploy/site.rs"]
mod site;

use std::time::{Duration, Instant};

use dcm_domain::subcloud::command::DeployVerb;
use dcm_domain::subcloud::{NO_ERROR, Subcloud};
use dcm_domain::value::{DeployStatus, Name, Phase};
use dcm_workers::playbook::supervisor::{SupervisorArgs, main as supervise};
use serde_json::{Value, json};
use site::{Order, PASSWORD, Site, meta, recording, root};
use uuid::Uuid;

/// No test in an ordinary run. Re-executed as `site::supervisor` says, it is the supervisor.
#[test]
fn supervisor_entry() {
    let mut args = std::env::args_os();
    if !args.any(|argument| argument == "--exact") || !args.any(|argument| argument == "--") {
        return;
    }
    let _ = supervise(SupervisorArgs { argv: args.collect() });
    std::process::exit(0);
}

const ALL: [Phase; 4] = [Phase::Create, Phase::Install, Phase::Bootstrap, Phase::Configure];

fn yaml(path: std::path::PathBuf) -> Value {
    serde_yaml_ng::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jb_008_sc_311_a_whole_deployment_runs_three_playbooks_and_leaves_no_secret() {
    let mut site = Site::open().await;
    site.settings.ansible_playbook = recording(&site);
    let entity = site.add(Order::new(&ALL)).await;
    let run_id = site.state(entity).await.run.unwrap().id;
    let worker = site.worker();
    let subcloud = site.ended(entity).await;
    assert_eq!(subcloud.deploy, DeployStatus::Complete, "{}\n{}", subcloud.error_description, site.log());
    assert_eq!(subcloud.error_description, NO_ERROR);
    assert_eq!(site.outcomes(entity).await, ["succeeded"]);
    let statuses: Vec<String> = site
        .events(entity)
        .await
        .into_iter()
        .filter(|(name, _)| name == "DeployStatusChanged")
        .map(|(_, data)| data["to"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        statuses,
        [
            "creating",
            "create-complete",
            "pre-install",
            "installing",
            "install-complete",
            "pre-bootstrap",
            "bootstrapping",
            "bootstrap-complete",
            "pre-config",
            "configuring",
            "complete",
        ]
    );

    // jobs.md §0.6, the run's directory in place of A.
    let private = site.path("runs").join(run_id.to_string()).display().to_string();
    let examples = root().join("examples/site").display().to_string();
    let argv = std::fs::read_to_string(site.path("argv")).unwrap();
    assert_eq!(
        argv,
        [
            format!("{examples}/playbooks/install.yml\n-i\n{private}/edge1_inventory.yml\n--limit\nedge1\n"),
            format!("-e\n@{private}/edge1/install_values.yml\n-e\ninstall_release_version=24.09\n\n"),
            format!("{examples}/playbooks/bootstrap.yml\n-i\n{private}/edge1_inventory.yml\n--limit\nedge1\n"),
            format!("-e\noverride_files_dir='{private}' region_name=region1\n-e\ninstall_release_version=24.09\n\n"),
            format!("{examples}/deploy/24.09/deploy_playbook_example.yaml\n-e\n@{private}/edge1_deploy_values.yml\n"),
            format!("-i\n{private}/edge1_inventory.yml\n--limit\nedge1\n\n"),
        ]
        .concat()
    );
    let tree = std::fs::read_to_string(site.path("tree")).unwrap();
    assert!(tree.lines().all(|line| line.starts_with("600 ") || line == "700 dir"), "{tree}");
    assert_eq!(tree.lines().filter(|line| *line == "700 dir").count(), 3);

    // jobs.md §0.5, sc 311: what is kept.
    let inventory = yaml(site.path("ansible/edge1_inventory.yml"));
    assert_eq!(inventory["all"]["hosts"]["edge1"]["ansible_host"], "192.168.111.12");
    assert_eq!(inventory["all"]["vars"]["initial_deployment"], true);
    let overrides = yaml(site.path("ansible/edge1.yml"));
    assert_eq!(overrides["system_controller_subnet"], "192.168.204.0/24");
    assert_eq!(overrides["management_subnet"], "192.168.101.0/24");
    assert!(overrides.get("ansible_ssh_pass").is_none() && overrides.get("admin_password").is_none());
    let config = yaml(site.path("ansible/edge1_deploy_config.yml"));
    assert!(config.get("hosts").is_some() && config.get("manager_password").is_none());
    let rvmc = yaml(site.path("ansible/edge1/rvmc-config.yaml"));
    assert_eq!(rvmc, json!({"bmc_username": "admin", "bmc_address": "192.168.112.12"}));
    assert_eq!(yaml(site.path("ansible/edge1/install_values.yml"))["rvmc_name"], "rvmc-edge1");
    site.assert_clean().await;
    let purposes: Vec<String> =
        site.vault.list(entity).await.unwrap().into_iter().map(|entry| entry.purpose).collect();
    assert_eq!(purposes, ["install_values", "bootstrap_values", "deploy_config"]);
    worker.stop().await;

    site.fleet.delete(entity, &meta()).await.unwrap();
    let worker = site.worker();
    let begun = Instant::now();
    loop {
        let files = |dir: &str| std::fs::read_dir(site.path(dir)).unwrap().map(|entry| entry.unwrap().path());
        let left: Vec<_> = files("ansible").chain(files("logs")).collect();
        if left.is_empty() && site.vault.list(entity).await.unwrap().is_empty() {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "what a deleted subcloud left stays: {left:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jb_002_creation_writes_its_files_and_says_what_it_skips() {
    let site = Site::open().await;
    let worker = site.worker();
    let entity = site.add(Order::new(&[Phase::Create])).await;
    assert_eq!(site.ended(entity).await.deploy, DeployStatus::CreateComplete);
    assert_eq!(
        site.steps(entity).await,
        [
            "create regionone-clients skipped",
            "create routes skipped",
            "create service-endpoints skipped",
            "create sync-engine skipped",
            "create alarm-summary skipped",
            "create hosts-file skipped",
            "create keystone-ids skipped",
            "create deploy-values done",
            "create inventory done",
            "create ca-certificate skipped",
            "create overrides done",
        ]
    );
    for file in ["edge1_inventory.yml", "edge1.yml", "edge1_deploy_values.yml"] {
        assert!(site.path("ansible").join(file).exists(), "{file}");
    }
    site.assert_clean().await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_tells_its_text_and_shows_no_password() {
    let site = Site::open().await;
    let worker = site.worker();
    let mut order = Order::new(&ALL);
    order.install["dcm_example"] = json!({"print_password": true, "fail": true});
    let entity = site.add(order).await;
    let subcloud = site.ended(entity).await;
    assert_eq!(subcloud.deploy, DeployStatus::InstallFailed);
    let text = &subcloud.error_description;
    assert!(
        text.starts_with("FAILED installing playbook of (edge1).\n detail: fatal: [edge1]: FAILED!"),
        "{text}"
    );
    assert!(text.contains("err_code=bmc_cred") && text.contains("with the password ***"), "{text}");
    assert!(site.log().contains("The password is ***"), "{}", site.log());
    assert_eq!(site.outcomes(entity).await, ["failed"]);
    site.assert_clean().await;

    worker.stop().await;
}

/// Creates a subcloud, asks for `verb`, and gives the subcloud after it.
async fn after_create(site: &Site, verb: DeployVerb) -> (Uuid, Subcloud) {
    let entity = site.add(Order::new(&[Phase::Create])).await;
    let created = site.ended(entity).await;
    assert_eq!(created.deploy, DeployStatus::CreateComplete, "{}", created.error_description);
    site.deploy(entity, verb).await;
    (entity, site.ended(entity).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jb_001_an_installation_ends_as_install_complete() {
    let site = Site::open().await;
    let worker = site.worker();
    let (_, subcloud) = after_create(&site, DeployVerb::Install).await;
    assert_eq!(subcloud.deploy, DeployStatus::InstallComplete, "{}", subcloud.error_description);
    site.assert_clean().await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jb_004_a_bootstrap_runs_one_playbook_and_jb_006_a_configuration_is_prepared_once() {
    let mut site = Site::open().await;
    site.settings.ansible_playbook = recording(&site);
    let worker = site.worker();
    let (entity, subcloud) = after_create(&site, DeployVerb::Bootstrap).await;
    assert_eq!(subcloud.deploy, DeployStatus::BootstrapComplete, "{}", subcloud.error_description);
    assert_eq!(std::fs::read_to_string(site.path("argv")).unwrap().matches("--limit").count(), 1);
    site.deploy(entity, DeployVerb::Configure).await;
    let subcloud = site.ended(entity).await;
    assert_eq!(subcloud.deploy, DeployStatus::Complete, "{}", subcloud.error_description);
    let steps = site.steps(entity).await;
    assert_eq!(steps[steps.len() - 2..], ["configure deploy-config done", "configure deploy-values done"]);
    site.assert_clean().await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jb_007_a_resumed_deployment_goes_on_to_complete() {
    let site = Site::open().await;
    let worker = site.worker();
    let (entity, subcloud) = after_create(&site, DeployVerb::Resume).await;
    assert_eq!(subcloud.deploy, DeployStatus::Complete, "{}", subcloud.error_description);
    let steps = site.steps(entity).await;
    assert_eq!(steps.iter().filter(|step| *step == "configure deploy-values done").count(), 1);
    assert_eq!(site.outcomes(entity).await, ["succeeded", "succeeded"]);
    site.assert_clean().await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jb_003_a_creation_that_fails_ends_as_create_failed() {
    let site = Site::open().await;
    // No directory can be made where a file is.
    std::fs::write(site.path("ansible"), "").unwrap();
    let worker = site.worker();
    let entity = site.add(Order::new(&ALL)).await;
    let subcloud = site.ended(entity).await;
    assert_eq!(subcloud.deploy, DeployStatus::CreateFailed);
    assert!(subcloud.error_description.contains("cannot be written"), "{}", subcloud.error_description);
    assert_eq!(site.outcomes(entity).await, ["failed"]);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jb_012_a_secondary_is_only_created() {
    let site = Site::open().await;
    let worker = site.worker();
    let entity = site.add(Order::new(&[Phase::Secondary])).await;
    let subcloud = site.ended(entity).await;
    assert_eq!(subcloud.deploy, DeployStatus::Secondary, "{}", subcloud.error_description);
    assert_eq!(site.outcomes(entity).await, ["succeeded"]);
    assert!(site.log().is_empty());
    site.assert_clean().await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kept_files_follow_a_rename() {
    let site = Site::open().await;
    let worker = site.worker();
    let entity = site.add(Order::new(&[Phase::Create, Phase::Bootstrap, Phase::Complete])).await;
    assert_eq!(site.ended(entity).await.deploy, DeployStatus::Complete);
    site.fleet.rename(entity, Name::parse("edge2").unwrap(), &meta()).await.unwrap();
    until("the renamed files", || site.path("logs/edge2_playbook_output.log").exists()).await;
    let inventory = yaml(site.path("ansible/edge2_inventory.yml"));
    assert_eq!(inventory["all"]["hosts"]["edge2"]["ansible_host"], "192.168.111.12");
    assert!(site.path("ansible/edge2.yml").exists() && !site.path("ansible/edge1.yml").exists());
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_ansible_the_phase_fails_at_once_and_names_it() {
    let mut site = Site::open().await;
    site.settings.ansible_playbook = "no-such-ansible-playbook".into();
    let worker = site.worker();
    let entity = site.add(Order::new(&ALL)).await;
    let subcloud = site.ended(entity).await;
    assert_eq!(subcloud.deploy, DeployStatus::InstallFailed);
    assert_eq!(
        subcloud.error_description,
        "FAILED installing playbook of (edge1).\n detail: program not found: no-such-ansible-playbook"
    );
    site.assert_clean().await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jb_005_a_preparation_that_fails_ends_before_the_playbook() {
    let site = Site::open().await;
    let worker = site.worker();
    let mut order = Order::new(&[Phase::Create, Phase::Bootstrap]);
    order.release = "22.12".into();
    let entity = site.add(order).await;
    let subcloud = site.ended(entity).await;
    assert_eq!(subcloud.deploy, DeployStatus::PreBootstrapFailed);
    let missing = site.path("previous/22.12/bootstrap.yml");
    assert_eq!(subcloud.error_description, format!("playbook not found: {}", missing.display()));
    assert!(site.log().is_empty());
    site.assert_clean().await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phase_past_its_deadline_says_so() {
    let mut site = Site::open().await;
    site.settings.phase_deadline = Duration::from_secs(4);
    let worker = site.worker();
    let mut order = Order::new(&[Phase::Create, Phase::Install]);
    order.install["dcm_example"] = json!({"hang": 600});
    let entity = site.add(order).await;
    let subcloud = site.ended(entity).await;
    assert_eq!(subcloud.deploy, DeployStatus::InstallFailed);
    assert!(subcloud.error_description.contains("TIMEOUT: not finished after 4 s"), "{subcloud:?}");
    site.assert_clean().await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_abort_ends_the_playbook_and_the_run() {
    let site = Site::open().await;
    let worker = site.worker();
    let mut order = Order::new(&ALL);
    order.install["dcm_example"] = json!({"hang": 600});
    let entity = site.add(order).await;
    site.status(entity, DeployStatus::Installing).await;
    until("the hanging task", || site.log().contains("TASK [Hang]")).await;
    site.abort(entity).await;
    let subcloud = site.ended(entity).await;
    assert_eq!(subcloud.deploy, DeployStatus::InstallAborted);
    assert_eq!(site.outcomes(entity).await, ["aborted"]);
    let steps = site.steps(entity).await;
    assert_eq!(steps[steps.len() - 2..], ["install rvmc-pod skipped", "install power-off skipped"]);
    site.assert_clean().await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_abort_waits_while_the_playbook_refuses_it() {
    let site = Site::open().await;
    let worker = site.worker();
    let release = site.path("release");
    let mut order = Order::new(&[Phase::Create, Phase::Bootstrap, Phase::Complete]);
    order.bootstrap["dcm_example"] = json!({"refuse_abort": 60, "refuse_abort_until": release, "hang": 600});
    let entity = site.add(order).await;
    until("the refusal", || site.log().contains("TASK [Do what must not be interrupted]")).await;
    site.abort(entity).await;
    // Not a wait for something: time in which nothing may happen.
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(site.state(entity).await.deploy, DeployStatus::AbortingBootstrap);
    std::fs::write(&release, "").unwrap();
    assert_eq!(site.ended(entity).await.deploy, DeployStatus::BootstrapAborted);
    assert!(site.log().contains("TASK [Remove the abort sentinel]"));
    site.assert_clean().await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_text_of_a_user_is_evaluated() {
    let site = Site::open().await;
    let worker = site.worker();
    let trap = |field: &str| format!("{{{{ lookup('pipe', 'touch {}') }}}}", site.path(field).display());
    let mut order = Order::new(&ALL);
    order.name = "edge 1".into();
    order.install["description"] = trap("pwned").into();
    order.install["bootstrap_interface"] = trap("pwned").into();
    order.bootstrap["description"] = trap("pwned").into();
    order.bootstrap["management_subnet"] = trap("pwned").into();
    order.config["hosts"] = json!([trap("pwned")]);
    let entity = site.add(order).await;
    let subcloud = site.ended(entity).await;
    assert_eq!(subcloud.deploy, DeployStatus::Complete, "{}", subcloud.error_description);
    assert!(!site.path("pwned").exists(), "a description was evaluated");
    let log = std::fs::read_to_string(site.path("logs/edge 1_playbook_output.log")).unwrap();
    assert!(log.contains("from {{ lookup('pipe'"), "{log}");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jb_013_sc_187_a_redeployment_runs_every_phase_again() {
    let site = Site::open().await;
    let worker = site.worker();
    let entity = site.add(Order::new(&[Phase::Create, Phase::Complete])).await;
    assert_eq!(site.ended(entity).await.deploy, DeployStatus::Complete);
    site.run(entity, &site.redeploy(entity).await).await;
    assert_eq!(site.state(entity).await.deploy, DeployStatus::PreInstall);
    let subcloud = site.ended(entity).await;
    assert_eq!(subcloud.deploy, DeployStatus::Complete, "{}\n{}", subcloud.error_description, site.log());
    assert_eq!(site.outcomes(entity).await, ["succeeded", "succeeded"]);
    site.without_passwords(entity).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_sweeps_what_a_crash_left() {
    let site = Site::open().await;
    let left = site.path("runs").join(Uuid::now_v7().to_string());
    std::fs::create_dir_all(left.join("edge1")).unwrap();
    std::fs::write(left.join("edge1/install_values.yml"), PASSWORD).unwrap();
    let entity = site.add(Order::new(&[Phase::Create])).await;
    let worker = site.worker();
    site.ended(entity).await;
    worker.stop().await;
    assert!(!left.exists());
    // Deleted while no worker was there to hear of it.
    site.fleet.delete(entity, &meta()).await.unwrap();
    let worker = site.worker();
    let begun = Instant::now();
    while !site.vault.list(entity).await.unwrap().is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    worker.stop().await;
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(90), "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
