//! Nothing of a secret that was sent is in the files of journal and read models, nor in any answer.

use std::fs;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use dcm_domain::value::DeployStatus;

use crate::fixture::*;
use crate::site::Site;

/// Each is sent in one place alone.
const SECRETS: [&str; 6] = [
    "Sys8dmin-Pass",
    "Bmc8-Pass-Word",
    "Admin8-In-Yaml",
    "Config8-Document",
    "Rehome8-Admin",
    "Unlisted8-Value",
];

#[tokio::test]
async fn secrets_are_in_the_vault_alone() {
    let site = controller().await;
    let encoded = |index: usize| BASE64_STANDARD.encode(SECRETS[index]);
    let values = with(with(bv(), "admin_password", SECRETS[2]), "docker_registries", SECRETS[5]);
    let create = Form::new()
        .yaml("bootstrap_values", values.clone())
        .yaml("install_values", iv())
        .file("deploy_config", SECRETS[3])
        .field("bootstrap-address", "10.10.10.12")
        .field("sysadmin_password", &encoded(0))
        .field("bmc_password", &encoded(1));
    let mut answers = vec![send(&site, "POST", "/v1.0/subclouds", &create).await];
    expect(&answers[0], 200, "", "create");
    answers.push(send(&site, "POST", "/v1.0/subclouds", &create).await);
    expect(&answers[1], 409, "", "create again");

    let entity = entity(&site, 1).await;
    let run_id = state(&site, entity).await.run.as_ref().unwrap().id;
    use dcm_domain::subcloud::command::{ClaimRun, FailPhase};
    site.run(entity, &ClaimRun { run_id, worker: "w".to_owned() }).await;
    let phase = dcm_domain::value::Phase::Create;
    site.run(entity, &dcm_domain::subcloud::command::CompletePhase { run_id, phase }).await;
    let phase = dcm_domain::value::Phase::Install;
    site.run(entity, &FailPhase { run_id, phase, started: false, error: "boom".to_owned() }).await;
    assert_eq!(state(&site, entity).await.deploy, DeployStatus::PreInstallFailed);

    let resume = Form::new()
        .yaml("bootstrap_values", values)
        .yaml("install_values", iv())
        .field("sysadmin_password", &encoded(0))
        .field("bmc_password", &encoded(1));
    answers.push(send(&site, "PATCH", "/v1.0/phased-subcloud-deploy/1/resume", &resume).await);
    expect(&answers[2], 200, "pre-install", "resume");
    let rehome = Form::new().file("bootstrap_values", &format!("admin_password: {}\n", SECRETS[4]));
    answers.push(send(&site, "PATCH", "/v1.0/subclouds/1", &rehome).await);
    expect(&answers[3], 200, "***", "rehome data");
    let wrong = Form::new().file("bootstrap_values", &format!("- {}\n", SECRETS[4]));
    answers.push(send(&site, "PATCH", "/v1.0/subclouds/1", &wrong).await);
    expect(&answers[4], 422, "", "no mapping");
    for path in ["/v1.0/subclouds", "/v1.0/subclouds/1", "/v1.0/subclouds/1/history"] {
        answers.push(site.get(path).await);
    }

    assert_eq!(
        site.app.vault().list(entity).await.unwrap().len(),
        6,
        "three documents, rehome data, two passwords"
    );
    assert!(
        files_with(&site, "192.168.204.101").len() >= 2,
        "what is no secret is found in journal and rows"
    );
    for secret in SECRETS {
        for spelling in spellings(secret) {
            assert!(answers.iter().all(|answer| !answer.text.contains(&spelling)), "{secret} was answered");
            assert_eq!(files_with(&site, &spelling), Vec::<String>::new(), "{secret} as {spelling}");
        }
    }
}

/// As it is, and in base64 at each of the three places it can begin in a longer text.
fn spellings(secret: &str) -> Vec<String> {
    let shifted = (0..3).map(|shift| {
        let text = BASE64_STANDARD.encode(format!("{}{secret}", "x".repeat(shift)));
        // The first and last characters also tell of the neighbours.
        text.get(4..text.len() - 4).unwrap().to_owned()
    });
    let hex = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    [secret.to_owned(), hex].into_iter().chain(shifted).collect()
}

/// The files of the controller, their write-ahead logs included, that hold `text`.
fn files_with(site: &Site, text: &str) -> Vec<String> {
    let files = fs::read_dir(site.dir.path()).unwrap().map(|entry| entry.unwrap().path());
    let found = files.filter(|path| path.is_file()).filter(|path| {
        let bytes = fs::read(path).unwrap();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    });
    found.map(|path| path.display().to_string()).collect()
}
