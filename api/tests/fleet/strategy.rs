//! Update strategies, F28 to F34 (fleet.md §8). What depends on the fleet alone is tested with its decisions, in the
//! domain; cases 128 to 131 and 133 are the orchestrator's.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use dcm_api::Settings;
use dcm_api::platform::{LocalSystem, Platform, PlatformError};
use dcm_domain::aggregate::Command;
use dcm_domain::strategy::command::{EndUnclaimed, RemoveStrategy};
use dcm_domain::strategy::{Rejection, SwUpdateStrategy};
use dcm_domain::subcloud::command::{
    ManageSubcloud, RenameSubcloud, ReportAvailability, ReportEndpoint, UnmanageSubcloud,
};
use dcm_domain::value::{Availability, Endpoint, Name, SyncStatus, Timestamp};
use dcm_journal::repository::CommandError;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::site::{Answer, PATIENCE, Site, meta};

const PATH: &str = "/v1.0/sw-update-strategy";
/// `testpass` in base64.
const PASSWORD: &str = "dGVzdHBhc3M=";

/// A platform of which a test says what it knows.
struct Known {
    upgrading: bool,
    loads: Result<Vec<String>, PlatformError>,
}

#[async_trait]
impl Platform for Known {
    async fn local_system(&self) -> Result<LocalSystem, PlatformError> {
        Err(PlatformError::NotConfigured("local system"))
    }

    async fn upgrade_in_progress(&self) -> Result<bool, PlatformError> {
        Ok(self.upgrading)
    }

    async fn loads(&self) -> Result<Vec<String>, PlatformError> {
        self.loads.clone()
    }
}

fn configure(settings: &mut Settings, dir: &Path) {
    settings.releases.supported = Some(["21.12", "22.12"].map(str::to_owned).to_vec());
    settings.dirs.certs = dir.join("certs");
}

async fn controller() -> Site {
    Site::start_with(configure).await
}

/// `subcloud<number>`, managed and online, every endpoint `status`.
async fn subcloud(site: &Site, number: u8, status: SyncStatus) -> Uuid {
    let entity = site.add(number).await;
    site.online(entity).await;
    site.run(entity, &ManageSubcloud { force: true, ..ManageSubcloud::default() }).await;
    for endpoint in Endpoint::DEFAULT {
        site.run(entity, &ReportEndpoint { endpoint, status, seen: None }).await;
    }
    entity
}

async fn two_out_of_sync() -> Site {
    let site = controller().await;
    subcloud(&site, 1, SyncStatus::OutOfSync).await;
    subcloud(&site, 2, SyncStatus::OutOfSync).await;
    site
}

async fn post(site: &Site, path: &str, body: &Value) -> Answer {
    // As the client sends it: no content type that says so, and any form of answer.
    site.ask("POST", path, &[("accept", "application/json")], &body.to_string()).await
}

async fn create(site: &Site, body: &Value) -> Answer {
    post(site, PATH, body).await
}

async fn act(site: &Site, action: &str, query: &str) -> Answer {
    post(site, &format!("{PATH}/actions{query}"), &json!({ "action": action })).await
}

async fn delete(site: &Site, query: &str) -> Answer {
    site.ask("DELETE", &format!("{PATH}{query}"), &[("accept", "application/json")], "").await
}

/// What the keeper of the strategy does, as soon as the read models show it.
async fn keep<C>(site: &Site, command: &C)
where
    C: Command<SwUpdateStrategy, Rejection = Rejection>,
{
    let done: Result<_, CommandError<Rejection>> = site.fleet.strategies().run(command, &meta()).await;
    let position = done.unwrap().position.unwrap();
    assert!(site.models.progress().wait(position.order, PATIENCE).await);
}

fn expect(answer: &Answer, status: u16, phrase: &str) {
    assert_eq!(answer.status, status, "{}", answer.text);
    assert!(answer.text.contains(phrase), "{phrase}: {}", answer.text);
}

#[tokio::test]
async fn fl_101_nothing_yet() {
    let site = controller().await;
    expect(&site.get(PATH).await, 404, "Strategy not found");
    expect(&site.get(&format!("{PATH}?type=patch")).await, 404, "'patch'");
    let steps = site.get(&format!("{PATH}/steps/")).await;
    assert_eq!((steps.status, steps.json()), (200, json!({"strategy-steps": []})));
    expect(&site.get(&format!("{PATH}/steps/SystemController")).await, 404, "not found");
    for path in ["nosuch", "steps/subcloud1/more"] {
        assert_eq!(site.get(&format!("{PATH}/{path}")).await.status, 404, "{path}");
        assert_eq!(post(&site, &format!("{PATH}/{path}"), &json!({})).await.status, 404, "{path}");
    }
    let patch = site.ask("PATCH", PATH, &[("accept", "application/json")], "").await;
    assert_eq!((patch.status, patch.header("allow")), (405, "GET,HEAD,POST,DELETE"));
}

#[tokio::test]
async fn fl_102_103_104_106_107_bodies_are_checked_in_order() {
    let site = two_out_of_sync().await;
    let before = site.journal.head().await.unwrap();
    for body in ["", "nonsense", "[]", "{}", "null", "0", "{'type': 'patch'}"] {
        let answer = site.ask("POST", PATH, &[("accept", "application/json")], body).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.text);
    }
    let long = "x".repeat(5000);
    for (body, phrase) in [
        (json!({"force": "yes"}), "type"),
        (json!({"type": "software"}), "type"),
        (json!({"type": "patch", "subcloud-apply-type": "bad", "force": "yes"}), "subcloud-apply-type"),
        (json!({"type": "patch", "max-parallel-subclouds": 501, "force": "yes"}), "max-parallel-subclouds"),
        (json!({"type": "patch", "stop-on-failure": "yes", "force": "yes"}), "stop-on-failure"),
        (json!({"type": "patch", "force": "yes"}), "force"),
        (json!({"type": "patch", "force": "true"}), "needs cloud_name"),
        (json!({"type": "firmware", "force": "false"}), "needs cloud_name"),
        (json!({"type": "patch", "subcloud_group": "1", "cloud_name": "subcloud1"}), "exclude"),
        (json!({"type": "patch", "subcloud_group": "1", "subcloud-apply-type": "serial"}), "subcloud_group"),
        (json!({"type": "patch", "subcloud_group": "1", "max-parallel-subclouds": 3}), "subcloud_group"),
        (json!({"type": "patch", "subcloud_group": "9"}), "subcloud_group"),
        (json!({"type": "patch", "subcloud_group": "default"}), "subcloud_group"),
        (json!({"type": "patch", "subcloud_group": ""}), "subcloud_group"),
        (json!({"type": "patch", "subcloud_group": 1}), "subcloud_group"),
        (json!({"type": "patch", "subcloud_group": "99999999999999999999"}), "subcloud_group"),
        (json!({"type": "patch", "release": "18.03"}), "not a supported release"),
        (json!({"type": "patch", "release": 22.12}), "release must be a string"),
        (json!({"type": "patch", "cloud_name": 1}), "cloud_name"),
        (json!({"type": "kubernetes", "to-version": long}), "to-version"),
        (json!({"type": "patch", "cloud_name": "a\u{0}"}), "NUL"),
    ] {
        expect(&create(&site, &body).await, 400, phrase);
    }
    assert_eq!(site.journal.head().await.unwrap(), before, "nothing was written");
    let unreadable = Site::start().await;
    let answer = create(&unreadable, &json!({"type": "patch", "release": "18.03"})).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, "1"));
}

#[tokio::test]
async fn fl_109_110_a_strategy_as_the_client_reads_it() {
    let site = two_out_of_sync().await;
    site.add(3).await;
    let away = subcloud(&site, 4, SyncStatus::OutOfSync).await;
    site.run(away, &ReportAvailability { to: Availability::Offline }).await;
    let body = json!({
        "type": "patch", "subcloud-apply-type": "serial", "max-parallel-subclouds": " 5 ",
        "stop-on-failure": "true", "upload-only": "false", "unknown": [1],
    });
    let answer = create(&site, &body).await;
    expect(&answer, 200, "");
    assert!(!answer.header("dcm-position").is_empty());
    let mut made = answer.json();
    let created_at = made["created-at"].take();
    let created_at = created_at.as_str().unwrap();
    assert_eq!((created_at.len(), &created_at[10..11]), (26, "T"));
    let fields = json!({
        "id": 1, "type": "patch", "subcloud-apply-type": "serial", "max-parallel-subclouds": 1,
        "stop-on-failure": true, "state": "initial", "created-at": null, "updated-at": null,
        "extra-args": {"upload-only": false},
    });
    assert_eq!(made.to_string(), fields.to_string(), "the keys are in the contract's order");

    let mut shown = site.get(&format!("{PATH}?type=patch")).await.json();
    assert_eq!(shown["created-at"].take(), json!(created_at.replace('T', " ")));
    assert_eq!(shown.to_string(), fields.to_string());

    let steps = site.get(&format!("{PATH}/steps?type=upgrade")).await;
    assert!(!steps.header("dcm-read-position").is_empty());
    let steps = steps.json()["strategy-steps"].take();
    let mut first = steps[0].clone();
    assert_eq!(site.get(&format!("{PATH}/steps/subcloud1")).await.json(), first);
    assert_eq!(site.get(&format!("{PATH}/steps/subcloud1.json")).await.json(), first);
    assert!(first["created-at"].take().is_string());
    let step = json!({
        "id": 1, "cloud": "subcloud1", "stage": 1, "state": "initial", "details": "", "started-at": null,
        "finished-at": null, "created-at": null, "updated-at": null,
    });
    assert_eq!(first.to_string(), step.to_string());
    let order: Vec<_> = steps.as_array().unwrap().iter().map(|step| (&step["id"], &step["cloud"])).collect();
    assert_eq!(order, [(&json!(1), &json!("subcloud1")), (&json!(2), &json!("subcloud2"))]);
    for nothing in ["1", "subcloud3", "subcloud4", "nosuch"] {
        expect(&site.get(&format!("{PATH}/steps/{nothing}")).await, 404, "step not found");
    }
}

#[tokio::test]
async fn fl_111_groups_and_only_one() {
    let site = two_out_of_sync().await;
    for group in ["Default", "1"] {
        let made = create(&site, &json!({"type": "patch", "subcloud_group": group})).await;
        expect(&made, 200, "");
        assert_eq!(made.json()["subcloud-apply-type"], "parallel");
        assert_eq!(made.json()["max-parallel-subclouds"], 2);
        for kind in ["patch", "kubernetes"] {
            let again = create(&site, &json!({ "type": kind })).await;
            expect(&again, 422, "a strategy of type 'patch' already exists");
            expect(&again, 422, &format!("of type '{kind}'"));
        }
        expect(&delete(&site, "").await, 200, "deleting");
        expect(&create(&site, &json!({"type": "patch"})).await, 422, "already exists");
        keep(&site, &RemoveStrategy { id: made.json()["id"].as_i64().unwrap() }).await;
    }
    let next = create(&site, &json!({"type": "patch"})).await.json();
    assert_eq!((&next["id"], &next["subcloud-apply-type"]), (&json!(3), &Value::Null));
    let steps = site.get(&format!("{PATH}/steps")).await.json()["strategy-steps"].take();
    assert_eq!(steps[0]["id"], 5, "ids are not used again");
}

#[tokio::test]
async fn fl_108_one_of_many_at_once() {
    let site = Arc::new(two_out_of_sync().await);
    let tries = (0..8).map(|_| {
        let site = Arc::clone(&site);
        tokio::spawn(async move { create(&site, &json!({"type": "patch"})).await.status })
    });
    let mut statuses = Vec::new();
    for one in tries.collect::<Vec<_>>() {
        statuses.push(one.await.unwrap());
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [vec![200], vec![422; 7]].concat());
}

#[tokio::test]
async fn fl_105_112_134_without_steps() {
    let site = controller().await;
    subcloud(&site, 1, SyncStatus::InSync).await;
    expect(&create(&site, &json!({"type": "patch"})).await, 422, "no steps");
    let shown = site.get(PATH).await.json();
    assert_eq!((&shown["state"], &shown["type"]), (&json!("deleting"), &json!("patch")));
    assert!(shown["updated-at"].is_string());
    expect(&create(&site, &json!({"type": "patch"})).await, 422, "already exists");
    for action in ["apply", "abort"] {
        expect(&act(&site, action, "").await, 422, "'deleting'");
    }
    expect(&delete(&site, "").await, 422, "'deleting'");
    keep(&site, &RemoveStrategy { id: 1 }).await;
    expect(&site.get(PATH).await, 404, "");
    expect(&create(&site, &json!({"type": "kubernetes", "force": "true"})).await, 200, "initial");
}

#[tokio::test]
async fn fl_113_117_the_fleet_decides() {
    let site = controller().await;
    subcloud(&site, 1, SyncStatus::InSync).await;
    let second = subcloud(&site, 2, SyncStatus::OutOfSync).await;
    let unknown = site.add(3).await;
    site.online(unknown).await;
    site.run(unknown, &ManageSubcloud { force: true, ..ManageSubcloud::default() }).await;
    expect(
        &create(&site, &json!({"type": "patch"})).await,
        422,
        "patching sync status of the subcloud subcloud3",
    );
    let cloud = |kind: &str, name: &str| json!({"type": kind, "cloud_name": name});
    expect(&create(&site, &cloud("patch", "subcloud1")).await, 422, "in-sync");
    expect(&create(&site, &cloud("patch", "nosuch")).await, 422, "Unable to create strategy of type 'patch'");
    assert_eq!(site.get(PATH).await.status, 404, "refusals leave nothing");
    site.run(second, &ReportAvailability { to: Availability::Offline }).await;
    let forced = json!({"type": "upgrade", "cloud_name": "subcloud2", "force": "true"});
    expect(&create(&site, &forced).await, 200, "initial");
    let steps = site.get(&format!("{PATH}/steps")).await.json();
    assert_eq!(steps["strategy-steps"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn fl_118_119_root_ca() {
    let site = two_out_of_sync().await;
    let file = site.dir.path().join("ca.pem");
    fs::write(&file, "certificate").unwrap();
    let file = file.to_str().unwrap();
    let body = |more: Value| {
        let mut body = json!({"type": "kube-rootca-update"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    for more in [
        json!({"expiry-date": "2020-01-01"}),
        json!({"expiry-date": "tomorrow"}),
        json!({"subject": "C=US O=Company"}),
        json!({"subject": "CN=k X=1"}),
        json!({"subject": "CN=k", "cert-file": file}),
        json!({"expiry-date": "2099-01-01", "cert-file": file}),
    ] {
        expect(
            &create(&site, &body(more)).await,
            422,
            "Unable to create strategy of type 'kube-rootca-update'",
        );
    }
    for wrong in ["/nosuch/ca.pem", "ca.pem", "/", "/dev/zero", site.dir.path().to_str().unwrap()] {
        expect(&create(&site, &body(json!({ "cert-file": wrong }))).await, 400, "cert-file ");
    }
    assert_eq!(site.get(PATH).await.status, 404);

    let made = create(&site, &body(json!({"subject": "C=US CN=k", "expiry-date": "2099-01-01"}))).await;
    let args = json!({"expiry-date": "2099-01-01", "subject": "C=US CN=k", "cert-file": null});
    assert_eq!(made.json()["extra-args"].to_string(), args.to_string());
    delete(&site, "").await;
    keep(&site, &RemoveStrategy { id: 1 }).await;

    let made = create(&site, &body(json!({ "cert-file": file }))).await;
    expect(&made, 200, "");
    let copy = site.dir.path().join("certs/ca.pem");
    assert_eq!(made.json()["extra-args"]["cert-file"], copy.to_str().unwrap());
    assert_eq!(fs::read_to_string(&copy).unwrap(), "certificate");
    expect(&delete(&site, "?type=kube-rootca-update").await, 200, "deleting");
    assert!(!copy.exists(), "at once");
}

#[tokio::test]
async fn fl_120_121_prestage_keeps_its_password_to_itself() {
    let site = two_out_of_sync().await;
    let third = subcloud(&site, 3, SyncStatus::InSync).await;
    site.run(third, &ReportAvailability { to: Availability::Offline }).await;
    for (password, phrase) in [
        (json!(null), "required"),
        (json!(""), "required"),
        (json!("dGVzdHBhc3M"), "decoded"),
        (json!(1), "decoded"),
    ] {
        let refused = create(&site, &json!({"type": "prestage", "sysadmin_password": password})).await;
        expect(&refused, 422, phrase);
    }
    expect(&create(&site, &json!({"type": "prestage"})).await, 422, "required");
    expect(&create(&site, &json!({"sysadmin_password": PASSWORD})).await, 400, "type required");
    let body =
        json!({"type": "prestage", "sysadmin_password": PASSWORD, "release": "21.12", "force": "true"});
    let made = create(&site, &body).await;
    expect(&made, 200, "");
    let args = json!({"sysadmin_password": "***", "force": true, "prestage-software-version": "21.12"});
    assert_eq!(made.json()["extra-args"].to_string(), args.to_string());
    assert_eq!(site.get(PATH).await.json()["extra-args"], args);
    let steps = site.get(&format!("{PATH}/steps")).await.json();
    assert_eq!(steps["strategy-steps"].as_array().unwrap().len(), 2);

    let state = site.fleet.strategies().load().await.unwrap().state.unwrap();
    let strategy = state.current.as_ref().unwrap();
    let entry = strategy.sysadmin_password.unwrap();
    assert_eq!(site.app.vault().get(&entry, strategy.uuid).await.unwrap().expose(), "testpass");
    let events = site.journal.read_stream(&SwUpdateStrategy::STREAM.parse().unwrap(), 0, 100).await.unwrap();
    let text: String = events.iter().map(|event| event.body.as_str()).collect();
    assert!(!text.contains(PASSWORD) && !text.contains("testpass"));
    assert!(text.contains("no platform inventory is configured"), "what was not checked is said");
    expect(&delete(&site, "").await, 200, "***");
    assert!(site.app.vault().list(strategy.uuid).await.unwrap().is_empty());
}

#[tokio::test]
async fn fl_120_prestage_asks_the_platform() {
    let on = |upgrading, loads| Site::start_on(Arc::new(Known { upgrading, loads }), configure);
    let body = json!({"type": "prestage", "sysadmin_password": PASSWORD, "release": "21.12"});
    let upgrading = on(true, Ok(Vec::new())).await;
    subcloud(&upgrading, 1, SyncStatus::InSync).await;
    expect(&create(&upgrading, &body).await, 422, "upgrade of the system controller");

    let without_load = on(false, Ok(vec!["22.12".to_owned()])).await;
    subcloud(&without_load, 1, SyncStatus::InSync).await;
    let mut named = body.clone();
    named["cloud_name"] = json!("subcloud1");
    expect(&create(&without_load, &named).await, 422, "not among the loads");
    expect(&create(&without_load, &body).await, 200, "initial");

    let silent = on(false, Err(PlatformError::Failed("inventory is down".to_owned()))).await;
    subcloud(&silent, 1, SyncStatus::OutOfSync).await;
    let answer = create(&silent, &body).await;
    expect(&answer, 503, "inventory is down");
    assert!(!answer.header("retry-after").is_empty());
    expect(&create(&silent, &json!({"type": "patch"})).await, 200, "initial");
    expect(&create(&silent, &body).await, 422, "already exists");
}

#[tokio::test]
async fn fl_122_125_ac_085_actions() {
    let site = two_out_of_sync().await;
    let states = |answer: &Answer| answer.json()["state"].as_str().unwrap().to_owned();
    for action in ["apply", "abort"] {
        expect(&act(&site, action, "").await, 422, &format!("Unable to {action} strategy: "));
        expect(&act(&site, action, "?type=patch").await, 422, "of type 'patch'");
    }
    expect(&delete(&site, "").await, 422, "does not exist");
    create(&site, &json!({"type": "patch"})).await;
    expect(&act(&site, "abort", "").await, 422, "'initial'");
    let applied = act(&site, "apply", "?type=patch").await;
    assert_eq!((applied.status, states(&applied)), (200, "applying".to_owned()));
    let updated_at = applied.json()["updated-at"].as_str().unwrap().to_owned();
    assert_eq!((updated_at.len(), &updated_at[10..11]), (26, "T"));
    let shown = site.get(PATH).await.json();
    assert_eq!(shown["updated-at"].as_str().unwrap().len(), shown["created-at"].as_str().unwrap().len());
    assert_eq!(Some(shown["updated-at"].as_str().unwrap()), Some(updated_at.replace('T', " ").as_str()));
    expect(&act(&site, "apply", "").await, 422, "'applying'");
    expect(&delete(&site, "").await, 422, "'applying'");
    let aborted = act(&site, "abort", "").await;
    assert_eq!((aborted.status, states(&aborted)), (200, "abort requested".to_owned()));
    expect(&act(&site, "abort", "").await, 422, "'abort requested'");
    keep(&site, &EndUnclaimed { id: 1 }).await;
    let shown = site.get(PATH).await.json();
    assert_eq!(shown["state"], "failed");
    let step = site.get(&format!("{PATH}/steps/subcloud2")).await.json();
    assert_eq!((&step["state"], &step["details"]), (&json!("failed"), &json!("no worker for patch")));
    assert_eq!((&step["stage"], &step["started-at"]), (&json!(3), &Value::Null));
    assert_eq!(step["finished-at"], step["updated-at"]);
    assert_eq!(states(&delete(&site, "?type=patch").await), "deleting");
}

#[tokio::test]
async fn fl_126_127_types_and_words() {
    let site = two_out_of_sync().await;
    create(&site, &json!({"type": "patch"})).await;
    for other in ["upgrade", "nosuch", "%00x"] {
        let query = format!("?type={other}");
        let status = if other.starts_with('%') { 400 } else { 404 };
        assert_eq!(site.get(&format!("{PATH}{query}")).await.status, status);
        let status = if other.starts_with('%') { 400 } else { 422 };
        assert_eq!(act(&site, "apply", &query).await.status, status);
        assert_eq!(delete(&site, &query).await.status, status);
    }
    expect(&site.get(&format!("{PATH}?type=upgrade")).await, 404, "'upgrade'");
    let path = format!("{PATH}/actions");
    for body in [json!({}), json!({"x": 1}), json!({"action": ""}), json!({"action": 1}), json!([])] {
        assert_eq!(post(&site, &path, &body).await.status, 400, "{body}");
    }
    expect(&act(&site, "resume", "").await, 400, "apply or abort");
    assert_eq!(site.get(PATH).await.json()["state"], "initial");
}

#[tokio::test]
async fn steps_follow_their_subclouds() {
    let site = controller().await;
    let first = subcloud(&site, 1, SyncStatus::OutOfSync).await;
    let second = subcloud(&site, 2, SyncStatus::OutOfSync).await;
    create(&site, &json!({"type": "patch"})).await;
    for entity in [first, second] {
        site.run(entity, &UnmanageSubcloud::default()).await;
        site.run(entity, &ReportAvailability { to: Availability::Offline }).await;
    }
    let to = Name::parse("renamed").unwrap();
    let reserved_at = Timestamp::from(chrono::Utc::now());
    site.run(first, &RenameSubcloud { to, reserved_at }).await;
    site.delete(second).await;
    let steps = site.get(&format!("{PATH}/steps")).await.json()["strategy-steps"].take();
    assert_eq!(steps.as_array().unwrap().len(), 1);
    assert_eq!(steps[0]["cloud"], "renamed");
    assert_eq!(site.get(&format!("{PATH}/steps/renamed")).await.status, 200);
    for gone in ["subcloud1", "subcloud2"] {
        assert_eq!(site.get(&format!("{PATH}/steps/{gone}")).await.status, 404);
    }
}
