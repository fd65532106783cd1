//! What an outside subscriber of NATS sees.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::HashMap;

use dcm_schemas::cloudevents::{EVENT_HEADERS, HINT_HEADERS, headers_schema};
use dcm_schemas::subjects::kebab_case;
use dcm_tests::{Deployment, Form, Heard, HeldEndpoint, Http, Way, entry, heard, list_of, repository, show};
use jsonschema::Validator;
use serde_json::{Value, json};

/// The checked-in schemas, compiled when first asked for.
struct Schemas {
    compiled: HashMap<String, Validator>,
}

impl Schemas {
    fn new() -> Self {
        Self { compiled: HashMap::new() }
    }

    fn check(&mut self, file: &str, instance: &Value) {
        let validator = self.compiled.entry(file.to_owned()).or_insert_with(|| {
            let path = repository().join("schemas").join(file);
            let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            jsonschema::validator_for(&serde_json::from_str(&text).unwrap()).unwrap()
        });
        check(validator, instance, file);
    }
}

#[track_caller]
fn check(validator: &Validator, instance: &Value, what: &str) {
    let wrong: Vec<String> =
        validator.iter_errors(instance).map(|error| format!("{}: {error}", error.instance_path)).collect();
    assert!(wrong.is_empty(), "{what} refuses {instance}: {wrong:?}");
}

/// Headers, subject, payload and place of every event.
fn check_events(all: &[Heard]) {
    let mut schemas = Schemas::new();
    let headers = jsonschema::validator_for(&headers_schema(EVENT_HEADERS)).unwrap();
    for message in all {
        check(&headers, &message.headers, "the table of headers");
        schemas.check(&format!("events/{}.json", message.event()), &message.payload);
        let name = message.event().split('.').next().unwrap();
        let tokens: Vec<&str> = message.subject.split('.').collect();
        assert_eq!(
            (tokens.len(), tokens[..3].join("."), tokens[5]),
            (6, "dcm.v1.event".to_owned(), &*kebab_case(name))
        );
        assert_eq!(message.header("Nats-Msg-Id"), message.header("ce-id"));
    }
    check_chain(all);
}

/// Each message names the one before it; the first one names the start of the journal.
fn check_chain(all: &[Heard]) {
    let (journal, _) = all[0].header("ce-position").split_once('.').unwrap();
    let mut previous = format!("{journal}.0");
    for message in all {
        assert_eq!(message.header("ce-previousposition"), previous, "a gap in front of {}", message.subject);
        previous = message.header("ce-position").to_owned();
    }
}

async fn patch(http: &Http, name: &str, fields: &[(&str, &str)]) -> String {
    let form = fields.iter().fold(Form::new(), |form, (name, value)| form.field(name, value));
    let answer = http.patch_form(&format!("/v1.0/subclouds/{name}"), &form).await.expect(200);
    answer.header("dcm-position").expect("a position").to_owned()
}

async fn set_availability(http: &Http, name: &str, status: &str) -> String {
    let path = format!("/v1.0/subclouds/{name}/update_availability");
    let answer = http.patch(&path).json(&json!({"status": status})).send().await.expect(200);
    answer.header("dcm-position").expect("a position").to_owned()
}

fn reaches(position: &str) -> impl Fn(&[Heard]) -> bool {
    move |all| all.iter().any(|message| message.header("ce-position") == position)
}

async fn region_of(http: &Http, name: &str) -> String {
    entry(&list_of(http).await, name)["region-name"].as_str().unwrap().to_owned()
}

const MIGRATE: &[(&str, &str)] = &[("migrate", "true"), ("management-state", "unmanaged")];
const MANAGE: &[(&str, &str)] = &[("management-state", "managed")];

/// An expected CA that no endpoint has keeps cert-mon from writing to the journal while messages are compared.
async fn quiet(apis: usize) -> (Deployment, HeldEndpoint) {
    let held = HeldEndpoint::start().await;
    let deployment = Deployment::new(Way::Split).apis(apis).demo(2).start_with_endpoint(&held).await;
    (deployment, held)
}

#[tokio::test]
async fn every_event_is_a_cloud_event_of_its_schema_in_the_journals_order() {
    let (mut deployment, _held) = quiet(1).await;
    let http = deployment.http();
    let region = region_of(&http, "subcloud1").await;
    let migrated = patch(&http, "subcloud1", MIGRATE).await;
    let url = deployment.nats().url();
    let all = heard(&url, "DCM_EVENTS", reaches(&migrated)).await;
    check_events(&all);

    // One append, three events, in this order, about nobody else.
    let told: Vec<&Heard> = all[all.len() - 3..].iter().collect();
    for (message, name) in
        told.iter().zip(["subcloud-unmanaged", "deploy-status-changed", "sync-status-unknown"])
    {
        assert!(message.is(&region, name), "{} is not {name}", message.subject);
        assert_eq!(message.header("ce-actor"), "anonymous");
        assert_eq!(message.header("ce-commandid"), told[0].header("ce-commandid"));
        assert!(!message.replayed());
    }
    assert_eq!(told[0].payload["migrate"], true);
    assert_eq!(
        (&told[1].payload["from"], &told[1].payload["to"]),
        (&json!("complete"), &json!("rehome-pending"))
    );
    let endpoints = told[2].payload["endpoints"].as_array().unwrap();
    assert_eq!(endpoints.len(), 8, "dc-cert too: {endpoints:?}");

    // What the bus says is what the history says.
    let history = http.get_json("/v1.0/subclouds/subcloud1/history").await;
    let events = history["events"].as_array().unwrap();
    let of_it: Vec<&Heard> = all
        .iter()
        .filter(|message| message.subject.starts_with(&format!("dcm.v1.event.subcloud.{region}.")))
        .collect();
    assert_eq!(of_it.len(), events.len());
    for (message, event) in of_it.iter().zip(events) {
        assert_eq!(message.header("ce-id"), event["id"].as_str().unwrap());
        assert_eq!(message.header("ce-position"), event["position"].as_str().unwrap());
        assert_eq!(message.payload, event["data"]);
    }
    deployment.end().await;
}

#[tokio::test]
async fn notifications_name_the_region_ac_080_ac_081_ac_083() {
    let (mut deployment, _held) = quiet(1).await;
    let http = deployment.http();
    let region = region_of(&http, "subcloud1").await;
    let url = deployment.nats().url();
    patch(&http, "subcloud1", MIGRATE).await;
    let managed = patch(&http, "subcloud1", MANAGE).await;
    let news = |all: &[Heard], since: usize| all[since..].to_vec();
    let caused = |position: String| {
        let order = move |text: &str| text.rsplit_once('.').unwrap().1.parse::<u64>().unwrap();
        move |all: &[Heard]| {
            all.iter().any(|message| order(message.header("ce-position")) + 2 > order(&position))
        }
    };
    let all = heard(&url, "DCM_NOTIFY", caused(managed)).await;
    let last = all.last().unwrap();
    assert_eq!(last.subject, "dcm.v1.notify.subcloud-managed");
    assert_eq!(last.payload, json!({"subcloud_name": region}));

    // Renamed, it is still told by its region.
    patch(&http, "subcloud1", &[("management-state", "unmanaged")]).await;
    patch(&http, "subcloud1", &[("name", "newname.example")]).await;
    set_availability(&http, "newname.example", "offline").await;
    let online = set_availability(&http, "newname.example", "online").await;
    assert_eq!(show(&http, "newname.example").await["availability-status"], "online");
    let seen = all.len();
    let all = heard(&url, "DCM_NOTIFY", caused(online)).await;
    let told = news(&all, seen);
    assert_eq!(told.len(), 1, "offline, unmanaged and renamed are no notifications: {told:?}");
    assert_eq!(told[0].subject, "dcm.v1.notify.subcloud-online");
    assert_eq!(told[0].payload, json!({"subcloud_name": region}));

    let headers = jsonschema::validator_for(&headers_schema(HINT_HEADERS)).unwrap();
    let mut schemas = Schemas::new();
    for message in &all {
        check(&headers, &message.headers, "the table of headers");
        let kind = message.subject.strip_prefix("dcm.v1.notify.").unwrap();
        schemas.check(&format!("notifications/{kind}.json"), &message.payload);
    }
    deployment.end().await;
}

#[tokio::test]
async fn a_bus_that_lost_everything_is_refilled_and_says_so() {
    let (mut deployment, _held) = quiet(1).await;
    let http = deployment.http();
    let region = region_of(&http, "subcloud1").await;
    let migrated = patch(&http, "subcloud1", MIGRATE).await;
    let url = deployment.nats().url();
    let before = heard(&url, "DCM_EVENTS", reaches(&migrated)).await;
    let notified = heard(&url, "DCM_NOTIFY", |_| true).await.len();
    assert!(notified > 0, "a fleet that goes online is notified");

    deployment.nats().wipe().await;
    deployment.nats().start_again().await;
    let refilled = heard(&url, "DCM_EVENTS", reaches(&migrated)).await;
    check_events(&refilled);
    assert!(refilled.iter().all(Heard::replayed), "what is known already is no news");
    let facts = |all: &[Heard]| -> Vec<(String, String, Value)> {
        let fact = |one: &Heard| (one.header("ce-id").to_owned(), one.subject.clone(), one.payload.clone());
        all.iter().map(fact).collect()
    };
    assert_eq!(facts(&refilled), facts(&before));

    // What comes next is news again, and has its notification, which the refill did not repeat.
    let managed = patch(&http, "subcloud1", MANAGE).await;
    let all = heard(&url, "DCM_EVENTS", reaches(&managed)).await;
    check_events(&all);
    let news = &all[refilled.len()..];
    assert_eq!(news.len(), 2, "{news:?}");
    assert!(news.iter().all(|message| !message.replayed()));
    let told = heard(&url, "DCM_NOTIFY", |all| !all.is_empty()).await;
    let told: Vec<&Value> = told.iter().map(|message| &message.payload).collect();
    assert_eq!(told, [&json!({"subcloud_name": region})]);
    deployment.end().await;
}

/// cert-mon's own subscription was lost with the rest; it subscribes again.
#[tokio::test]
async fn cert_mon_hears_again_after_the_bus_lost_everything() {
    let mut deployment = Deployment::new(Way::Split).demo(2).start().await;
    let http = deployment.http();
    let region = region_of(&http, "subcloud1").await;
    deployment.nats().wipe().await;
    deployment.nats().start_again().await;
    let seen = deployment.audits().len();
    patch(&http, "subcloud1", MIGRATE).await;
    let seen = deployment.audited(&region, "skipped: rehome-pending", seen).await;
    patch(&http, "subcloud1", MANAGE).await;
    deployment.audited(&region, "in-sync", seen).await;
    deployment.end().await;
}
