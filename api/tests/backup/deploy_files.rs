//! E25 to E27.

use std::fs;

use dcm_domain::deploy_files::{DeployFiles, DeployFilesEvent};
use dcm_journal::repository::derived_id;
use dcm_schemas::{StreamId, registry};
use serde_json::{Value, json};

use crate::fixture::*;
use crate::site::{Answer, Site};
use crate::uploads::Upload;

const THREE: [&str; 3] = ["deploy_playbook", "deploy_overrides", "deploy_chart"];

async fn bare() -> Site {
    Site::start_with(configure).await
}

fn files(options: &[&str]) -> Upload {
    options.iter().fold(Upload::new(), |upload, option| {
        upload.file(option, &format!("/home/user/{option}.tgz"), option.as_bytes())
    })
}

async fn show(site: &Site, path: &str) -> Value {
    let answer = site.get(path).await;
    expect(&answer, 200, "", path);
    answer.json()["subcloud_deploy"].clone()
}

fn stored(site: &Site, release: &str) -> Vec<String> {
    let Ok(entries) = fs::read_dir(site.dir.path().join("deploy").join(release)) else { return Vec::new() };
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

async fn recorded(site: &Site, release: &str) -> Vec<Value> {
    let kind = "deploy-files";
    let stream = StreamId::of(kind, derived_id(&[kind.as_bytes(), release.as_bytes()])).unwrap();
    let all = site.journal.read_stream(&stream, 0, 100).await.unwrap();
    let data = all.iter().map(|one| {
        let _: DeployFilesEvent = registry::decode(&one.envelope).unwrap();
        one.envelope.data.clone()
    });
    data.collect()
}

fn expect_required(answer: &Answer, missing: &[&str], case: &str) {
    let missing: Vec<_> = missing.iter().map(|option| format!("--{option}")).collect();
    expect(answer, 400, &format!("error: argument {} is required", missing.join(" ")), case);
}

#[tokio::test]
async fn sc_300_301_305_306_307_uploads() {
    let site = bare().await;
    let all = ["deploy_playbook", "deploy_overrides", "deploy_chart", "prestage_images"];
    let answer = files(&all).field("release", "21.12").send(&site).await;
    expect(&answer, 200, "", "300");
    assert_eq!(
        answer.json(),
        json!({
            "software_version": "21.12",
            "deploy_playbook": "/home/user/deploy_playbook.tgz",
            "deploy_overrides": "/home/user/deploy_overrides.tgz",
            "deploy_chart": "/home/user/deploy_chart.tgz",
            "prestage_images": "/home/user/prestage_images.tgz",
        })
    );
    assert!(answer.headers.contains_key("dcm-position"));
    assert_eq!(
        stored(&site, "21.12"),
        [
            "deploy_chart_deploy_chart.tgz",
            "deploy_overrides_deploy_overrides.tgz",
            "deploy_playbook_deploy_playbook.tgz",
            "prestage_images_prestage_images.tgz",
        ]
    );
    let events = recorded(&site, "21.12").await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["files"][0]["option"], "deploy_playbook");
    assert_eq!(events[0]["files"][0]["bytes"], 15);
    assert_eq!(events[0]["files"][0]["sha256"].as_str().unwrap().len(), 64);
    expect(&files(&all).send(&site).await, 200, r#""software_version":"22.12""#, "301, 306");
    let three = files(&THREE).send(&site).await;
    expect(&three, 200, "", "305");
    assert_eq!(three.json().as_object().unwrap().len(), 4, "only what was sent");
    let images = files(&["prestage_images"]).send(&site).await;
    assert_eq!(
        images.json(),
        json!({
            "software_version": "22.12",
            "prestage_images": "/home/user/prestage_images.tgz",
        }),
        "307"
    );
    assert!(stored(&site, "22.12").len() == 4 && recorded(&site, "22.12").await.len() == 3);
    let left = fs::read_dir(site.dir.path().join("deploy")).unwrap().count();
    assert_eq!(left, 2, "no temporary file stays");
}

#[tokio::test]
async fn sc_302_303_304_314_combinations() {
    let site = bare().await;
    let upload = files(&["deploy_playbook", "deploy_overrides", "prestage_images"]);
    expect_required(&upload.send(&site).await, &["deploy_chart"], "302");
    expect_required(&files(&THREE[..2]).send(&site).await, &["deploy_chart"], "303");
    let upload = files(&["deploy_chart", "prestage_images"]).field("release", "99");
    expect_required(&upload.send(&site).await, &THREE[..2], "304: before the release");
    expect_required(&Upload::new().send(&site).await, &THREE, "314");
    let nothing = site.ask("POST", "/v1.0/subcloud-deploy", &[("accept", "application/json")], "").await;
    expect_required(&nothing, &THREE, "314");
    let json = send_json(&site, "POST", "/v1.0/subcloud-deploy", &json!({})).await;
    expect_required(&json, &THREE, "314");
    assert!(stored(&site, "22.12").is_empty() && recorded(&site, "22.12").await.is_empty());
}

#[tokio::test]
async fn sc_308_names() {
    let site = bare().await;
    let upload = THREE.iter().chain(&["prestage_images"]);
    let empty = upload.fold(Upload::new(), |upload, option| upload.file(option, "", b""));
    expect(&empty.send(&site).await, 400, "No deploy_playbook file uploaded", "308");
    let plain = files(&THREE[..2]).field("deploy_chart", "x");
    expect(&plain.send(&site).await, 400, "No deploy_chart file uploaded", "a plain field");
    for odd in ["..", "/", "a\\..\\b", "{{ x }}", "$(id)", "a/.."] {
        let upload = files(&THREE[..2]).file("deploy_chart", odd, b"x");
        expect(&upload.send(&site).await, 400, "Failed to upload deploy_chart file", odd);
    }
    let escape = files(&THREE[..2]).file("deploy_chart", "../../../outside.tgz", b"x");
    expect(&escape.send(&site).await, 200, "", "only the last part counts");
    assert!(stored(&site, "22.12").contains(&"deploy_chart_outside.tgz".to_owned()));
    for release in ["99", "..", "../22.12", "/"] {
        let upload = files(&THREE).field("release", release);
        expect(&upload.send(&site).await, 400, "is not a supported release version", release);
    }
}

#[tokio::test]
async fn sc_309_310_312_313_reads() {
    let site = bare().await;
    let nothing = json!({
        "software_version": "21.12",
        "deploy_playbook": null,
        "deploy_overrides": null,
        "deploy_chart": null,
        "prestage_images": null,
    });
    assert_eq!(show(&site, "/v1.0/subcloud-deploy/21.12").await, nothing, "no directory");
    // Put there by the system that was taken over: there is no event.
    let old = ["deploy_playbook_old.yaml", "deploy_overrides_old.yaml", "deploy_chart_old.tgz"];
    stock(&site, "deploy/21.12", &old);
    let three = json!({
        "software_version": "21.12",
        "deploy_playbook": "old.yaml",
        "deploy_overrides": "old.yaml",
        "deploy_chart": "old.tgz",
        "prestage_images": null,
    });
    assert_eq!(show(&site, "/v1.0/subcloud-deploy/21.12").await, three, "309");
    assert_eq!(show(&site, "/v1.0/subcloud-deploy?release=21.12").await, three, "309");
    assert_eq!(show(&site, "/v1.0/subcloud-deploy/21.12.json").await, three, "309");
    stock(&site, "deploy/22.12", &old);
    let active = show(&site, "/v1.0/subcloud-deploy/").await;
    assert_eq!(
        (&active["software_version"], &active["deploy_chart"]),
        (&json!("22.12"), &json!("old.tgz")),
        "310"
    );
    expect(&site.get("/v1.0/subcloud-deploy/99").await, 400, "is not a supported release version", "312");
    expect(&site.get("/v1.0/subcloud-deploy/..%2F21.12").await, 400, "is not a supported", "312");
    assert_eq!(site.get("/v1.0/subcloud-deploy/22.12/x").await.status, 404);
    let newer = THREE.iter().fold(Upload::new(), |upload, option| upload.file(option, "new.tgz", b"x"));
    expect(&newer.field("release", "21.12").send(&site).await, 200, "", "313");
    let shown = show(&site, "/v1.0/subcloud-deploy/21.12").await;
    assert!(THREE.iter().all(|option| shown[option] == "new.tgz"), "313: {shown}");
    assert_eq!(stored(&site, "21.12").len(), 3, "the older ones are gone");
    for method in ["PATCH", "DELETE", "PUT"] {
        let answer = site.ask(method, "/v1.0/subcloud-deploy", &[], "").await;
        assert_eq!((answer.status, answer.header("allow").is_empty()), (405, false), "{method}");
    }
}

#[tokio::test]
async fn sc_310_without_metadata_only_the_active_release_is_known() {
    let site = Site::start_with(|settings, dir| {
        configure(settings, dir);
        settings.releases.supported = None;
    })
    .await;
    show(&site, "/v1.0/subcloud-deploy").await;
    let answer = site.get("/v1.0/subcloud-deploy/21.12").await;
    expect(&answer, 503, "unable to validate the release version", "dependency");
}

#[tokio::test]
async fn an_upload_that_cannot_be_stored_is_no_event() {
    let site = bare().await;
    put(&site, "deploy", "a file where the directory should be");
    let answer = files(&THREE).send(&site).await;
    expect(&answer, 503, "Failed to upload deploy_playbook file", "no directory");
    assert!(!answer.header("retry-after").is_empty());
    assert!(recorded(&site, "22.12").await.is_empty());
}

#[tokio::test]
async fn a_chart_larger_than_any_form_is_taken() {
    let site = bare().await;
    let large = vec![b'x'; 70 * 1024 * 1024];
    let upload = files(&THREE[..2]).file("deploy_chart", "large.tgz", &large);
    expect(&upload.send(&site).await, 200, "", "70 MiB");
    let folded = recorded(&site, "22.12").await;
    assert_eq!(folded[0]["files"][2]["bytes"], large.len());
    let path = site.dir.path().join("deploy/22.12/deploy_chart_large.tgz");
    assert_eq!(fs::metadata(path).unwrap().len(), large.len() as u64);
}

#[tokio::test]
async fn uploads_at_once_leave_one_file_of_each_option() {
    let site = bare().await;
    let upload = |number: u8| {
        let name = format!("{number}.tgz");
        THREE.iter().fold(Upload::new(), |upload, option| upload.file(option, &name, name.as_bytes()))
    };
    let uploads: Vec<_> = (0..6).map(upload).collect();
    let answers = futures::future::join_all(uploads.iter().map(|upload| upload.send(&site))).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!(stored(&site, "22.12").len(), 3);
    assert_eq!(recorded(&site, "22.12").await.len(), 6);
    let stream = <DeployFiles as dcm_domain::aggregate::Aggregate>::KIND;
    assert_eq!(stream, "deploy-files");
}
