//! §14.6: the verbs of a phased deployment.

use std::sync::Arc;

use dcm_domain::subcloud::command::{AddSubcloud, DeployVerb, StartPlaybook};
use dcm_domain::subcloud::{DeployRunRequested, ManagementNetwork, RunInputs, SubcloudAdded};
use dcm_domain::value::{DeployStatus, Name, Phase, Region, SecretRef, Subnet};
use dcm_journal::fleet::Claim;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::fixture::*;
use crate::site::{Answer, Site, meta};

const VERBS: [&str; 4] = ["install", "bootstrap", "configure", "resume"];
/// The 12 resumable states and the status their resumption begins with, all data there.
const RESUMABLE: [(DeployStatus, &str); 12] = [
    (DeployStatus::CreateComplete, "pre-install"),
    (DeployStatus::PreInstallFailed, "pre-install"),
    (DeployStatus::InstallFailed, "pre-install"),
    (DeployStatus::InstallAborted, "pre-install"),
    (DeployStatus::InstallComplete, "pre-bootstrap"),
    (DeployStatus::PreBootstrapFailed, "pre-bootstrap"),
    (DeployStatus::BootstrapFailed, "pre-bootstrap"),
    (DeployStatus::BootstrapAborted, "pre-bootstrap"),
    (DeployStatus::BootstrapComplete, "pre-config"),
    (DeployStatus::PreConfigFailed, "pre-config"),
    (DeployStatus::ConfigFailed, "pre-config"),
    (DeployStatus::ConfigAborted, "pre-config"),
];

/// A subcloud created by E15 with `more` files, brought to `status`.
async fn created(more: Form, status: DeployStatus) -> (Arc<Site>, Uuid) {
    let site = Arc::new(controller().await);
    let worker = creator(&site, false);
    let form = more.yaml("bootstrap_values", bv()).field("bootstrap-address", "10.10.10.12");
    expect(
        &send(&site, "POST", "/v1.0/phased-subcloud-deploy", &form).await,
        200,
        "create-complete",
        "given",
    );
    drop(worker);
    let entity = entity(&site, 1).await;
    bring(&site, entity, status).await;
    (site, entity)
}

fn files() -> Form {
    Form::new()
        .yaml("install_values", iv())
        .field("bmc_password", PASSWORD)
        .file("deploy_config", "kind: List\n")
}

fn password() -> Form {
    Form::new().field("sysadmin_password", PASSWORD)
}

async fn verb(site: &Site, verb: &str, form: &Form) -> Answer {
    send(site, "PATCH", &format!("/v1.0/phased-subcloud-deploy/1/{verb}"), form).await
}

/// A subcloud that was not first deployed from here.
async fn not_initial(phase: Phase) -> (Site, Uuid, Uuid) {
    let site = controller().await;
    let (entity, run_id) = (Uuid::now_v7(), Uuid::now_v7());
    let network = ManagementNetwork {
        subnet: "192.168.101.0/24".to_owned(),
        start_ip: "192.168.101.2".to_owned(),
        end_ip: "192.168.101.50".to_owned(),
        gateway_ip: "192.168.101.1".to_owned(),
    };
    let (name, region) = (Name::parse("subcloud1").unwrap(), Region::parse("r1").unwrap());
    let subnet = Subnet::parse(&network.subnet).unwrap();
    let claim = Claim { entity, name: name.clone(), region: region.clone(), subnet, group_id: 1 };
    let build = |id| AddSubcloud {
        subcloud: SubcloudAdded {
            id,
            name,
            region,
            description: None,
            location: None,
            software_version: "22.12".to_owned(),
            network,
            systemcontroller_gateway_ip: "192.168.204.101".to_owned(),
            group_id: 1,
            install: None,
            bootstrap: None,
            bootstrap_address: Some("10.10.10.12".to_owned()),
            deploy_config: None,
            initial_deployment: false,
        },
        run: DeployRunRequested { run_id, phases: vec![phase], inputs: RunInputs::default() },
        claimed_by: None,
    };
    site.fleet.add(claim, &meta(), build).await.unwrap();
    let claim = dcm_domain::subcloud::command::ClaimRun { run_id, worker: "w".to_owned() };
    site.run(entity, &claim).await;
    (site, entity, run_id)
}

#[tokio::test]
async fn sc_218_221_223_bootstrap() {
    let (site, entity) = created(Form::new(), DeployStatus::InstallComplete).await;
    let other = with(bv(), "name", "another");
    let wrong = password().yaml("bootstrap_values", other);
    expect(&verb(&site, "bootstrap", &wrong).await, 400, "must match the current subcloud name", "223");
    let no_password = Form::new().field("bootstrap-address", "10.10.10.13");
    expect(&verb(&site, "bootstrap", &no_password).await, 400, "sysadmin_password required", "§7.4");
    let bad = password().field("bootstrap-address", "10.10.10.13\nx: y");
    expect(&verb(&site, "bootstrap", &bad).await, 400, "bootstrap-address invalid", "V8");
    let vault = site.app.vault();
    let before = vault.list(entity).await.unwrap();

    let answer = verb(&site, "bootstrap", &form()).await;
    expect(&answer, 200, "pre-bootstrap", "221");
    assert_eq!(answer.json()["management-subnet"], "192.168.101.0/24");
    assert_eq!(answer.json()["description"], "an edge");
    let stored = state(&site, entity).await;
    assert!(stored.run.as_ref().unwrap().inputs.sysadmin_password.is_some());
    assert_eq!(vault.list(entity).await.unwrap().len(), before.len() + 1, "the values are the stored ones");
    expect(&verb(&site, "bootstrap", &form()).await, 400, "must be either", "it is on its way");

    let (site, entity) = created(Form::new(), DeployStatus::InstallComplete).await;
    let values = with(with(bv(), "location", "Linz"), "management_end_address", "192.168.101.60");
    let values = with(values, "management_gateway_address", "192.168.101.61");
    let form = password().yaml("bootstrap_values", values.clone()).field("description", "of the form");
    let answer = verb(&site, "bootstrap", &form).await;
    expect(&answer, 200, "pre-bootstrap", "218");
    assert_eq!(answer.json()["management-end-ip"], "192.168.101.60");
    assert_eq!(
        (&answer.json()["location"], &answer.json()["description"]),
        (&json!("Linz"), &json!("of the form"))
    );
    let stored = state(&site, entity).await;
    assert_eq!(stored.bootstrap_address.as_deref(), Some("10.10.10.12"), "the stored address");
    let secret =
        async |entry: SecretRef| site.app.vault().get(&entry, entity).await.unwrap().expose().to_owned();
    let payload = secret(stored.bootstrap.as_ref().unwrap().secret).await;
    let expected = with(with(values, "description", "of the form"), "bootstrap-address", "10.10.10.12");
    let expected =
        with(with(expected, "software_version", "22.12"), "region_name", stored.region.to_string());
    assert_eq!(serde_json::from_str::<Value>(&payload).unwrap(), Value::Object(expected), "218: the payload");
    let run = stored.run.as_ref().unwrap();
    assert_eq!(secret(run.inputs.sysadmin_password.unwrap()).await, "testpass", "218: decoded");
}

#[tokio::test]
async fn a_bootstrap_may_move_the_subnet_and_frees_the_old_one() {
    let (site, entity) = created(Form::new(), DeployStatus::InstallComplete).await;
    let moved = bv().into_iter().map(|(key, value)| {
        let text = value.as_str().unwrap().replace("192.168.101.", "192.168.150.");
        (key, Value::String(text))
    });
    let form = password().yaml("bootstrap_values", moved.collect());
    expect(&verb(&site, "bootstrap", &form).await, 200, "192.168.150.0/24", "V14");
    let directory = site.fleet.directory().await.unwrap();
    assert_eq!(directory.entry(entity).unwrap().subnet.as_ref().unwrap().as_str(), "192.168.150.0/24");
    site.add(1).await;
}

#[tokio::test]
async fn sc_219_220_222_what_bootstrap_needs() {
    let (site, entity, run_id) = not_initial(Phase::Create).await;
    let complete = dcm_domain::subcloud::command::CompletePhase { run_id, phase: Phase::Create };
    site.run(entity, &complete).await;
    let empty = send_json(&site, "PATCH", "/v1.0/phased-subcloud-deploy/1/bootstrap", &json!({})).await;
    expect(&empty, 400, "Required bootstrap-values file was not provided", "219");
    let path = "/v1.0/phased-subcloud-deploy/nosuch/bootstrap";
    expect(&send(&site, "PATCH", path, &form()).await, 404, "Subcloud not found", "220");
    site.add(2).await;
    let values = with(with(bv(), "name", "subcloud1"), "management_subnet", "192.168.102.0/24");
    let values = with(with(values, "management_start_address", "192.168.102.2"), "location", "x");
    let values = with(values, "management_end_address", "192.168.102.50");
    let values = with(values, "management_gateway_address", "192.168.102.1");
    let form = form().yaml("bootstrap_values", values);
    expect(&verb(&site, "bootstrap", &form).await, 400, "Subnet overlaps", "222");
    let file = form_with_name("subcloud1");
    expect(&verb(&site, "bootstrap", &file).await, 200, "pre-bootstrap", "Q24");
}

fn form_with_name(name: &str) -> Form {
    form().yaml("bootstrap_values", with(bv(), "name", name))
}

#[tokio::test]
async fn sc_224_227_configure() {
    let (site, entity) = created(files(), DeployStatus::Complete).await;
    expect(&verb(&site, "configure", &Form::new()).await, 400, "Body required", "225");
    let bad = Form::new().field("sysadmin_password", "a");
    expect(&verb(&site, "configure", &bad).await, 400, "Failed to decode", "226");
    expect(&verb(&site, "configure", &password()).await, 200, "pre-config", "224");
    let stored = state(&site, entity).await;
    assert!(stored.initial_deployment, "224: what the job is told");
    let run = stored.run.clone().unwrap();
    assert!(run.inputs.artifacts.unwrap().user_uploaded_artifacts);

    let (site, entity) = created(Form::new(), DeployStatus::Complete).await;
    expect(&verb(&site, "configure", &password()).await, 400, "Required deploy_config file", "V11");
    let config = password().file("deploy_config", "kind: List\n");
    std::fs::remove_dir_all(site.dir.path().join("deploy")).unwrap();
    expect(&verb(&site, "configure", &config).await, 400, "Missing required deploy files", "V9");
    assert!(state(&site, entity).await.deploy_config.is_none(), "a refused upload is not kept (Q14)");
    let (site, _) = created(files(), DeployStatus::BootstrapFailed).await;
    expect(&verb(&site, "configure", &password()).await, 400, "must be either", "227");

    let (site, _) = (controller().await, ());
    site.add(1).await;
    let config = password().file("deploy_config", "kind: List\n");
    stock(&site, "deploy/18.03", &["deploy_playbook_a", "deploy_overrides_a", "deploy_chart_a"]);
    expect(&verb(&site, "configure", &config).await, 400, "bootstrap-address required", "Q25");
}

#[tokio::test]
async fn sc_228_229_231_232_233_install() {
    let sent = Form::new().yaml("install_values", iv()).field("bmc_password", PASSWORD);
    let (site, entity) = created(Form::new(), DeployStatus::CreateComplete).await;
    expect(&verb(&site, "install", &Form::new()).await, 400, "Body required", "231");
    expect(&verb(&site, "install", &password()).await, 400, "Failed to read data install from db", "232");
    expect(&verb(&site, "install", &sent).await, 400, "sysadmin_password required", "§7.3");
    let all = sent.clone().field("sysadmin_password", PASSWORD);
    let old = all.clone().field("release", "21.12");
    expect(&verb(&site, "install", &old).await, 400, "Failed to get 21.12 load image", "229");
    let wrong = all.clone().field("release", "99.9");
    expect(&verb(&site, "install", &wrong).await, 400, "invalid release version parameter", "V2");
    assert_eq!(site.app.vault().list(entity).await.unwrap().len(), 1, "nothing refused is kept");
    stock(&site, "loads/21.12", &["boot.iso", "boot.sig"]);
    let answer = verb(&site, "install", &old).await;
    expect(&answer, 200, "pre-install", "229");
    assert_eq!(answer.json()["software-version"], "21.12");

    let (site, _) = created(Form::new(), DeployStatus::CreateComplete).await;
    let answer = verb(&site, "install", &all).await;
    expect(&answer, 200, "pre-install", "228");
    assert_eq!(answer.json()["software-version"], "22.12");

    let stored = Form::new().yaml("install_values", iv()).field("bmc_password", PASSWORD);
    let (site, entity) = created(stored, DeployStatus::InstallFailed).await;
    expect(&verb(&site, "install", &password()).await, 200, "pre-install", "233");
    assert!(state(&site, entity).await.install.is_some());
}

#[tokio::test]
async fn sc_230_237_240_only_during_initial_deployment() {
    let (site, entity, run_id) = not_initial(Phase::Create).await;
    let complete = dcm_domain::subcloud::command::CompletePhase { run_id, phase: Phase::Create };
    site.run(entity, &complete).await;
    let all = files().field("sysadmin_password", PASSWORD);
    expect(&verb(&site, "install", &all).await, 400, "only be used during initial deployment", "230");
    expect(&verb(&site, "resume", &all).await, 400, "only be resumed during initial deployment", "240");
    let run_id = begin(&site, entity, DeployVerb::Bootstrap).await;
    site.run(entity, &StartPlaybook { run_id, phase: Phase::Bootstrap }).await;
    expect(
        &verb(&site, "abort", &Form::new()).await,
        400,
        "only be aborted during initial deployment",
        "237",
    );
}

#[tokio::test]
async fn sc_234_235_complete() {
    let (site, _) = created(Form::new(), DeployStatus::BootstrapComplete).await;
    let answer = verb(&site, "complete", &Form::new()).await;
    expect(&answer, 200, "\"complete\"", "234");
    assert_eq!(answer.json()["updated-at"].as_str().unwrap().as_bytes()[10], b'T');
    let (site, _) = created(Form::new(), DeployStatus::InstallComplete).await;
    expect(&verb(&site, "complete", &Form::new()).await, 400, "can only be completed when", "235");
}

#[tokio::test]
async fn sc_236_238_246_abort() {
    for (running, aborting) in [
        (DeployStatus::Installing, "aborting-install"),
        (DeployStatus::Bootstrapping, "aborting-bootstrap"),
        (DeployStatus::Configuring, "aborting-config"),
    ] {
        let (site, entity) = created(Form::new(), running).await;
        expect(&verb(&site, "abort", &Form::new()).await, 200, aborting, aborting);
        assert!(state(&site, entity).await.run.as_ref().unwrap().abort_requested);
        expect(&verb(&site, "abort", &Form::new()).await, 400, "must be in one", "again");
    }
    let (site, _) = created(Form::new(), DeployStatus::InstallComplete).await;
    expect(&verb(&site, "abort", &Form::new()).await, 400, "must be in one", "238");
}

#[tokio::test]
async fn sc_239_resume_with_all_data_sent() {
    for (status, first) in RESUMABLE {
        let (site, _) = created(Form::new(), status).await;
        let all = files().yaml("bootstrap_values", bv()).field("sysadmin_password", PASSWORD);
        let all = all.field("bootstrap-address", "10.10.10.12");
        let answer = verb(&site, "resume", &all).await;
        expect(&answer, 200, first, status.as_str());
        let row = answer.json();
        assert_eq!((&row["deploy-status"], &row["software-version"]), (&json!(first), &json!("22.12")));
        assert_eq!(row["management-subnet"], "192.168.101.0/24", "Q26");
    }
}

#[tokio::test]
async fn sc_242_resume_with_all_data_stored() {
    for (status, first) in RESUMABLE {
        let (site, entity) = created(files(), status).await;
        let entries = site.app.vault().list(entity).await.unwrap().len();
        // A bad release counts only if it is installed (§7.8).
        let form = if first == "pre-install" { password() } else { password().field("release", "99.9") };
        expect(&verb(&site, "resume", &form).await, 200, first, status.as_str());
        let stored = state(&site, entity).await;
        let artifacts = stored.run.as_ref().unwrap().inputs.artifacts.as_ref();
        assert!(artifacts.is_some(), "{status}: configure is left");
        assert_eq!(
            site.app.vault().list(entity).await.unwrap().len(),
            entries + 1,
            "{status}: the password alone"
        );
    }
}

#[tokio::test]
async fn sc_241_243_244_what_resume_refuses_and_leaves_out() {
    for status in [DeployStatus::Installing, DeployStatus::Bootstrapping, DeployStatus::Configuring] {
        let (site, _) = created(files(), status).await;
        expect(&verb(&site, "resume", &password()).await, 400, "must be either", status.as_str());
    }
    let (site, _) = created(Form::new(), DeployStatus::ConfigFailed).await;
    expect(&verb(&site, "resume", &password()).await, 400, "Only deploy phase left", "243");
    for _ in 0..2 {
        let (site, entity) = created(Form::new(), DeployStatus::CreateComplete).await;
        expect(&verb(&site, "resume", &password()).await, 200, "pre-bootstrap", "244");
        let run = state(&site, entity).await.run.clone().unwrap();
        assert_eq!(run.phases, [Phase::Bootstrap, Phase::Complete]);
    }
    expect(&verb(&site, "resume", &files()).await, 400, "sysadmin_password required", "§7.8");
}

#[tokio::test]
async fn sc_245_unknown_verbs_come_after_the_lookup() {
    let site = controller().await;
    site.add(1).await;
    for path in ["1/nonsense", "subcloud1/nonsense", "1"] {
        let path = format!("/v1.0/phased-subcloud-deploy/{path}");
        expect(&send(&site, "PATCH", &path, &Form::new()).await, 400, "Invalid request", &path);
    }
    let paths =
        VERBS.map(|verb| format!("9/{verb}")).into_iter().chain(["9/nonsense".to_owned(), "9".to_owned()]);
    for path in paths {
        let path = format!("/v1.0/phased-subcloud-deploy/{path}");
        expect(&send(&site, "PATCH", &path, &Form::new()).await, 404, "Subcloud not found", &path);
    }
    let none = send(&site, "PATCH", "/v1.0/phased-subcloud-deploy", &Form::new()).await;
    expect(&none, 400, "Subcloud ID required", "§4");
    for (method, path) in [("GET", ""), ("DELETE", ""), ("GET", "/1/install")] {
        let answer = site.ask(method, &format!("/v1.0/phased-subcloud-deploy{path}"), &[], "").await;
        assert_eq!(answer.status, 405, "{method} {path}");
        assert!(answer.header("allow").contains("PATCH"));
    }
}
