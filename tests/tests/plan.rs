//! The test plan of the change this project began with, points 1 to 4, 6 and 7, over HTTP and the bus, embedded and
//! split. Point 5 calls the manager directly; it is held by the domain's own tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use dcm_tests::{
    Answer, Deployment, Form, HeldEndpoint, Http, Way, both_ways, endpoints, entry, eventually,
    expected_endpoints, list_of, repository, show,
};
use serde_json::{Value, json};

both_ways!(
    points_1_and_2_unmanage_and_manage_sc_146_sc_167,
    point_3_migrate_is_refused_unless_complete_sc_152_sc_156_sc_157_sc_160,
    points_4_and_6_migrate_and_back_sc_149_sc_150_sc_151_sc_158_sc_159_sc_162,
    point_7_rehome_data_sc_176_sc_177_sc_178,
    a_report_that_comes_after_the_migration,
    what_cert_mon_asks_ac_090_ac_091_ac_092_ac_093,
);

const SOON: Duration = Duration::from_secs(20);

async fn patch(http: &Http, name: &str, fields: &[(&str, &str)]) -> Answer {
    let form = fields.iter().fold(Form::new(), |form, (name, value)| form.field(name, value));
    http.patch_form(&format!("/v1.0/subclouds/{name}"), &form).await
}

/// Management state and deploy status.
fn state(row: &Value) -> (&str, &str) {
    (row["management-state"].as_str().unwrap(), row["deploy-status"].as_str().unwrap())
}

async fn set_availability(http: &Http, name: &str, status: &str) {
    let path = format!("/v1.0/subclouds/{name}/update_availability");
    let answer = http.patch(&path).json(&json!({"status": status})).send().await.expect(200);
    assert_eq!(answer.json()["availability-status"], status);
}

#[track_caller]
fn refused(answer: Answer, status: u16, phrases: &[&str]) {
    let answer = answer.expect(status);
    for phrase in phrases {
        assert!(answer.body.contains(phrase), "no {phrase:?} in {}: {}", answer.status, answer.body);
    }
}

const UNMANAGE: &[(&str, &str)] = &[("management-state", "unmanaged")];
const MANAGE: &[(&str, &str)] = &[("management-state", "managed")];
const FORCE: &[(&str, &str)] = &[("management-state", "managed"), ("force", "true")];
const MIGRATE: &[(&str, &str)] = &[("migrate", "true"), ("management-state", "unmanaged")];
const MIGRATE_ALONE: &[(&str, &str)] = &[("migrate", "true")];

/// cert-mon continues to audit.
async fn points_1_and_2_unmanage_and_manage_sc_146_sc_167(way: Way) {
    let deployment = Deployment::new(way).demo(2).start().await;
    let http = deployment.http();
    let before = list_of(&http).await;
    let region = entry(&before, "subcloud1")["region-name"].as_str().unwrap().to_owned();

    let row = patch(&http, "subcloud1", UNMANAGE).await.expect(200).json();
    let (shown, listed) = (show(&http, "subcloud1").await, list_of(&http).await);
    assert_eq!((state(&row), state(&shown)), (("unmanaged", "complete"), ("unmanaged", "complete")));
    assert_eq!(endpoints(&shown), expected_endpoints("in-sync", "unknown"));
    assert_eq!(entry(&listed, "subcloud2"), entry(&before, "subcloud2"));
    refused(patch(&http, "subcloud1", UNMANAGE).await, 422, &["already unmanaged"]);

    let mut seen = deployment.audits().len();
    for _ in 0..2 {
        seen = deployment.audited(&region, "in-sync", seen).await;
    }
    assert_eq!(endpoints(&show(&http, "subcloud1").await), expected_endpoints("in-sync", "unknown"));

    let row = patch(&http, "subcloud1", MANAGE).await.expect(200).json();
    assert_eq!(state(&row), ("managed", "complete"));
    assert_eq!(state(&show(&http, "subcloud1").await), ("managed", "complete"));
    refused(patch(&http, "subcloud1", MANAGE).await, 422, &["already managed"]);
    refused(patch(&http, "subcloud1", FORCE).await, 422, &["already managed"]);
    deployment.audited(&region, "in-sync", seen).await;
    deployment.end().await;
}

/// 400, and the text names `rehome-pending` and `complete`.
async fn point_3_migrate_is_refused_unless_complete_sc_152_sc_156_sc_157_sc_160(way: Way) {
    let deployment = Deployment::new(way).demo(2).start().await;
    let http = deployment.http();
    add_secondary(&http).await;
    let history = || http.get_json("/v1.0/subclouds/edge1/history");
    let before = history().await;
    refused(patch(&http, "edge1", MIGRATE_ALONE).await, 400, &["rehome-pending", "complete"]);
    assert_eq!(history().await, before, "what was refused left no trace");

    // A secondary subcloud can be managed by force (subclouds.md §9.3 row 18), which makes it one that is managed and
    // not complete.
    refused(patch(&http, "edge1", MANAGE).await, 422, &["must be either"]);
    assert_eq!(state(&patch(&http, "edge1", FORCE).await.expect(200).json()), ("managed", "secondary"));
    refused(
        patch(&http, "edge1", MIGRATE).await,
        400,
        &["can only be updated to", "rehome-pending", "complete"],
    );
    refused(patch(&http, "edge1", MIGRATE_ALONE).await, 400, &["must be unmanaged"]);
    assert_eq!(state(&show(&http, "edge1").await), ("managed", "secondary"));

    // Complete, but managed and to stay so.
    refused(patch(&http, "subcloud1", MIGRATE_ALONE).await, 400, &["must be unmanaged", "rehome-pending"]);
    let both = &[("migrate", "true"), ("management-state", "managed")];
    refused(patch(&http, "subcloud1", both).await, 400, &["must be unmanaged"]);
    assert_eq!(state(&show(&http, "subcloud1").await), ("managed", "complete"));

    // Complete and unmanaged already: the wish to unmanage is what is refused.
    patch(&http, "subcloud1", UNMANAGE).await.expect(200).json();
    refused(patch(&http, "subcloud1", MIGRATE).await, 422, &["already unmanaged"]);
    assert_eq!(state(&show(&http, "subcloud1").await), ("unmanaged", "complete"));
    refused(patch(&http, "subcloud1", both).await, 400, &["must be unmanaged"]);

    // Only the exact word acts.
    for word in ["True", "false", "junk"] {
        let row = patch(&http, "subcloud2", &[("migrate", word), ("management-state", "unmanaged")]).await;
        assert_eq!(state(&row.expect(200).json()), ("unmanaged", "complete"), "{word}");
        patch(&http, "subcloud2", MANAGE).await.expect(200).json();
    }
    deployment.end().await;
}

/// Adds `edge1` of the example site as a secondary subcloud.
async fn add_secondary(http: &Http) {
    let values = std::fs::read(repository().join("examples/site/bootstrap-values.yml")).unwrap();
    let form = Form::new()
        .file("bootstrap_values", "bootstrap-values.yml", values)
        .field("bootstrap-address", "10.10.10.12")
        .field("sysadmin_password", "dGVzdHBhc3M=")
        .field("secondary", "true");
    http.post_form("/v1.0/subclouds", &form).await.expect(200).json();
    eventually("the subcloud is secondary", SOON, async || {
        let shown = show(http, "edge1").await;
        if shown["deploy-status"] == "secondary" { Ok(()) } else { Err(shown) }
    })
    .await;
}

/// Whatever is done to a subcloud that waits to be rehomed, until it is managed back.
async fn points_4_and_6_migrate_and_back_sc_149_sc_150_sc_151_sc_158_sc_159_sc_162(way: Way) {
    let deployment = Deployment::new(way).demo(3).start().await;
    let http = deployment.http();
    let before = list_of(&http).await;
    let region = entry(&before, "subcloud1")["region-name"].as_str().unwrap().to_owned();
    let audits = deployment.audits().len();
    let migrated = async |name: &str| {
        let shown = show(&http, name).await;
        assert_eq!(state(&shown), ("unmanaged", "rehome-pending"));
        assert_eq!(endpoints(&shown), expected_endpoints("unknown", "unknown"));
    };

    assert_eq!(
        state(&patch(&http, "subcloud1", MIGRATE).await.expect(200).json()),
        ("unmanaged", "rehome-pending")
    );
    migrated("subcloud1").await;
    let listed = list_of(&http).await;
    for name in ["subcloud2", "subcloud3"] {
        assert_eq!(entry(&listed, name), entry(&before, name), "sc_161");
    }
    let skipped = deployment.audited(&region, "skipped: rehome-pending", audits).await;

    // Whatever is done to it while it is pending, it stays so.
    patch(&http, "subcloud1", MIGRATE_ALONE).await.expect(200).json();
    let row = patch(&http, "subcloud1", &[("description", "on its way")]).await.expect(200).json();
    assert_eq!((state(&row), &row["description"]), (("unmanaged", "rehome-pending"), &json!("on its way")));
    let report = json!({"endpoint": "dc-cert", "status": "in-sync"});
    let answer = http.patch("/v1.0/subclouds/subcloud1/update_status").json(&report).send().await.expect(200);
    assert_eq!(answer.json(), json!({"result": "OK"}));
    migrated("subcloud1").await;

    // Offline it is not managed back, unless by force.
    set_availability(&http, "subcloud1", "offline").await;
    refused(patch(&http, "subcloud1", MANAGE).await, 422, &["not online"]);
    migrated("subcloud1").await;
    assert_eq!(state(&patch(&http, "subcloud1", FORCE).await.expect(200).json()), ("managed", "complete"));
    set_availability(&http, "subcloud1", "online").await;
    deployment.audited(&region, "in-sync", skipped).await;

    // Unmanaged first, migrated then, managed back with the flag, which is ignored.
    patch(&http, "subcloud2", UNMANAGE).await.expect(200).json();
    let row = patch(&http, "subcloud2", MIGRATE_ALONE).await.expect(200).json();
    assert_eq!(state(&row), ("unmanaged", "rehome-pending"));
    migrated("subcloud2").await;
    let both = &[("migrate", "true"), ("management-state", "managed")];
    assert_eq!(state(&patch(&http, "subcloud2", both).await.expect(200).json()), ("managed", "complete"));
    assert_eq!(state(&show(&http, "subcloud2").await), ("managed", "complete"));
    deployment.end().await;
}

/// Passwords are shown as `***` (decisions.md).
async fn point_7_rehome_data_sc_176_sc_177_sc_178(way: Way) {
    let deployment = Deployment::new(way).demo(1).start().await;
    let http = deployment.http();
    let address = &[("bootstrap_address", "10.1.1.1")];
    refused(patch(&http, "subcloud1", address).await, 422, &["need to import bootstrap_values first"]);
    assert_eq!(show(&http, "subcloud1").await["rehome_data"], Value::Null);

    let import = async |yaml: &str| {
        let form = Form::new().file("bootstrap_values", "values.yml", yaml);
        http.patch_form("/v1.0/subclouds/subcloud1", &form).await.expect(200).json()
    };
    let payload = |row: &Value| {
        let saved: Value = serde_json::from_str(row["rehome_data"].as_str().expect("rehome data")).unwrap();
        saved["saved_payload"].clone()
    };
    let row = import(
        "name: subcloud1\nadmin_password: hidden0\nsysadmin_password: hidden1\nansible_ssh_pass: hidden2\n\
         ansible_become_pass: hidden3\nlocation: here\n",
    )
    .await;
    let expected = json!({"name": "subcloud1", "admin_password": "***", "location": "here"});
    assert_eq!(payload(&row), expected);

    let row = patch(&http, "subcloud1", address).await.expect(200).json();
    assert_eq!(payload(&row)["bootstrap-address"], "10.1.1.1");
    let row = import("name: subcloud1\nbootstrap-address: 10.2.2.2\nlocation: there\n").await;
    assert_eq!(
        payload(&row),
        json!({"name": "subcloud1", "bootstrap-address": "10.1.1.1", "location": "there"})
    );
    assert_eq!(payload(&show(&http, "subcloud1").await), payload(&row));

    // Both at once: the field wins.
    let form = Form::new()
        .file("bootstrap_values", "values.yml", "name: subcloud1\nbootstrap-address: 10.3.3.3\n")
        .field("bootstrap_address", "10.4.4.4");
    let row = http.patch_form("/v1.0/subclouds/subcloud1", &form).await.expect(200).json();
    assert_eq!(payload(&row), json!({"name": "subcloud1", "bootstrap-address": "10.4.4.4"}));

    for not_values in ["- a\n- list\n", "just text\n", "a: [unclosed\n"] {
        let form = Form::new().file("bootstrap_values", "values.yml", not_values);
        let _ = http.patch_form("/v1.0/subclouds/subcloud1", &form).await.expect(422);
    }
    assert_eq!(payload(&show(&http, "subcloud1").await), payload(&row));

    let told = http.get("/v1.0/subclouds/subcloud1/history").send().await.expect(200).body;
    for secret in ["hidden0", "aGlkZGVuMA==", "hidden1", "hidden2", "hidden3"] {
        assert!(!told.contains(secret), "{secret} is in the history");
        assert!(!deployment.api(0).logs().contains(secret), "{secret} is in the log");
    }
    deployment.end().await;
}

/// Unmanaging between a cert-mon handshake and its report leaves dc-cert unknown.
async fn a_report_that_comes_after_the_migration(way: Way) {
    let endpoint = HeldEndpoint::start().await;
    let deployment = Deployment::new(way).demo(2).start_with_endpoint(&endpoint).await;
    let http = deployment.http();
    let list = list_of(&http).await;
    let region = |name: &str| entry(&list, name)["region-name"].as_str().unwrap().to_owned();
    let (first, second) = (region("subcloud1"), region("subcloud2"));
    endpoint.expected_for(&first);
    endpoint.expected_for(&second);
    endpoint.knocked(&first).await;

    // cert-mon has looked at the subcloud and is in the middle of its handshake.
    patch(&http, "subcloud1", MIGRATE).await.expect(200).json();
    assert_eq!(endpoints(&show(&http, "subcloud1").await), expected_endpoints("unknown", "unknown"));
    endpoint.release();

    // The handshake under way ends well, its report comes too late; the next look finds the subcloud pending.
    let late = deployment.audited(&first, "in-sync", 0).await;
    let skipped = deployment.audited(&first, "skipped: rehome-pending", late).await;
    deployment.audited(&second, "in-sync", skipped).await;
    assert_eq!(endpoints(&show(&http, "subcloud1").await), expected_endpoints("unknown", "unknown"));
    let history = http.get_json("/v1.0/subclouds/subcloud1/history").await;
    let last = history["events"].as_array().unwrap().last().unwrap();
    assert_eq!(last["type"], "SyncStatusUnknown", "nothing was recorded after the migration");

    patch(&http, "subcloud1", MANAGE).await.expect(200).json();
    eventually("dc-cert is in-sync again", SOON, async || {
        let seen = endpoints(&show(&http, "subcloud1").await);
        if seen["dc-cert"] == "in-sync" { Ok(()) } else { Err(seen) }
    })
    .await;
    deployment.end().await;
}

/// The certificate monitor of the old system, which is told by its user agent, names subclouds by region.
async fn what_cert_mon_asks_ac_090_ac_091_ac_092_ac_093(way: Way) {
    let deployment = Deployment::new(way).demo(2).start().await;
    let http = deployment.http();
    let list = list_of(&http).await;
    let region = entry(&list, "subcloud1")["region-name"].as_str().unwrap();
    let as_cert_mon = |path: &str| http.get(path).header("User-Agent", "cert-mon/1.0");

    let asked = as_cert_mon("/v1.0/subclouds").send().await.expect(200).json();
    for (seen, entry) in asked["subclouds"].as_array().unwrap().iter().zip(&list) {
        assert_eq!(seen["name"], entry["region-name"]);
        assert!(endpoints(seen).contains_key("dc-cert"));
    }
    let path = format!("/v1.0/subclouds/{region}");
    let found = as_cert_mon(&path).send().await.expect(200).json();
    assert_eq!(found["deploy-status"], "complete");
    refused(http.get(&path).send().await, 404, &["Subcloud not found"]);
    refused(as_cert_mon("/v1.0/subclouds/subcloud1").send().await, 404, &["Subcloud not found"]);

    let report = |body: Value| {
        let request = http.patch(&format!("{path}/update_status")).header("User-Agent", "cert-mon/1.0");
        request.json(&body).send()
    };
    let answer = report(json!({"endpoint": "dc-cert", "status": "in-sync"})).await.expect(200);
    assert_eq!(answer.json(), json!({"result": "OK"}));
    refused(report(json!({"endpoint": "patching", "status": "in-sync"})).await, 400, &["is not allowed"]);
    refused(report(json!({"endpoint": "dc-cert", "status": "not-sure"})).await, 400, &["in invalid"]);
    deployment.end().await;
}
