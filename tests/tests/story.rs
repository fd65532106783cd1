//! The story of the README, as a user and an operator live it: embedded and split.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "how long it took is for the reader of the log")]

use std::time::Duration;

use dcm_tests::{
    Deployment, Form, Http, Way, both_ways, endpoints, entry, eventually, expected_endpoints, list_of,
    run_dcm, send_raw, show,
};
use serde_json::{Value, json};

both_ways!(the_story_sc_147_sc_148_sc_161_ac_099_ac_100, the_operators_commands, event_streams_and_moments);

const SOON: Duration = Duration::from_secs(20);

/// `curl -X PATCH -H "X-Auth-Token: t" URL -F migrate="true" -F management-state="unmanaged"`, byte by byte.
fn the_seed_command(base: &str) -> Vec<u8> {
    let boundary = "------------------------d74496d66958873e";
    let part = |name: &str, value: &str| {
        format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let body =
        part("migrate", "true") + &part("management-state", "unmanaged") + &format!("--{boundary}--\r\n");
    let host = base.trim_start_matches("http://");
    let length = body.len();
    format!(
        "PATCH /v1.0/subclouds/subcloud1 HTTP/1.1\r\nHost: {host}\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\
         X-Auth-Token: t\r\nContent-Length: {length}\r\nContent-Type: multipart/form-data; boundary={boundary}\r\n\
         \r\n{body}"
    )
    .into_bytes()
}

/// The 25 keys of a SUBCLOUD in the contract's order (subclouds.md §3.2).
const KEYS: [&str; 25] = [
    "id",
    "name",
    "description",
    "location",
    "software-version",
    "management-state",
    "availability-status",
    "deploy-status",
    "backup-status",
    "backup-datetime",
    "error-description",
    "region-name",
    "management-subnet",
    "management-start-ip",
    "management-end-ip",
    "management-gateway-ip",
    "openstack-installed",
    "systemcontroller-gateway-ip",
    "data_install",
    "data_upgrade",
    "created-at",
    "updated-at",
    "group_id",
    "peer_group_id",
    "rehome_data",
];

async fn manage(http: &Http, name: &str, state: &str) -> Value {
    let form = Form::new().field("management-state", state);
    http.patch_form(&format!("/v1.0/subclouds/{name}"), &form).await.expect(200).json()
}

/// Steps 1 to 5 of the story.
async fn the_story_sc_147_sc_148_sc_161_ac_099_ac_100(way: Way) {
    let deployment = Deployment::new(way).start().await;
    let http = deployment.http();
    // 1. What it says first (the harness has read the address from the first line).
    let said = deployment.api(0).stdout();
    assert!(said.starts_with(&format!("listening on {}\n", http.base())), "{said}");
    assert!(said.contains("curl -X PATCH") && said.contains("migrate=true"), "no hint: {said}");

    let before = list_of(&http).await;
    let region = |name: &str| entry(&before, name)["region-name"].as_str().unwrap().to_owned();
    let audits = deployment.audits().len();

    // 2. The command this project began with.
    let answer = send_raw(http.base(), &the_seed_command(http.base())).await.expect("an answer");
    let (shown, listed) = (show(&http, "subcloud1").await, list_of(&http).await);
    assert_eq!(answer.status, 200, "{}", answer.body);
    let row: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(row.as_object().unwrap().keys().collect::<Vec<_>>(), KEYS);
    for row in [&row, &shown, entry(&listed, "subcloud1")] {
        assert_eq!(
            (&row["management-state"], &row["deploy-status"]),
            (&json!("unmanaged"), &json!("rehome-pending"))
        );
    }
    // dc-cert too ...
    assert_eq!(endpoints(&shown), expected_endpoints("unknown", "unknown"));
    assert_eq!(endpoints(entry(&listed, "subcloud1")), expected_endpoints("unknown", "unknown"));
    assert_eq!(entry(&listed, "subcloud1")["sync_status"], "unknown");
    // ... and no other subcloud touched.
    for name in ["subcloud2", "subcloud3"] {
        assert_eq!(entry(&listed, name), entry(&before, name));
    }

    // 3. cert-mon stops auditing it and goes on with the others.
    let skipped = deployment.audited(&region("subcloud1"), "skipped: rehome-pending", audits).await;
    // An audit that was under way when the command came may still end; by the next round it has.
    let skipped = deployment.audited(&region("subcloud1"), "skipped: rehome-pending", skipped).await;
    for name in ["subcloud2", "subcloud3"] {
        let once = deployment.audited(&region(name), "in-sync", skipped).await;
        deployment.audited(&region(name), "in-sync", once).await;
    }
    let later = deployment.audits().split_off(skipped);
    let of_it = later.iter().filter(|audit| audit.region == region("subcloud1"));
    assert!(of_it.clone().all(|audit| audit.outcome == "skipped: rehome-pending"), "{of_it:?}");
    assert_eq!(endpoints(&show(&http, "subcloud1").await), expected_endpoints("unknown", "unknown"));
    if way == Way::Embedded {
        let metrics = http.get("/metrics").send().await.expect(200).body;
        for outcome in ["skipped", "in-sync"] {
            let counted = format!("dcm_certmon_audits_total{{outcome=\"{outcome}\"}}");
            assert!(metrics.lines().any(|line| line.starts_with(&counted)), "{counted}:\n{metrics}");
        }
    }

    // 4. Managed back; cert-mon picks it up again.
    let audits = deployment.audits().len();
    let row = manage(&http, "subcloud1", "managed").await;
    let shown = show(&http, "subcloud1").await;
    for row in [&row, &shown] {
        assert_eq!(
            (&row["management-state"], &row["deploy-status"]),
            (&json!("managed"), &json!("complete"))
        );
    }
    deployment.audited(&region("subcloud1"), "in-sync", audits).await;
    // The audit's line follows its report, and the report is answered when the row shows it or soon after.
    eventually("dc-cert is in-sync again", SOON, async || {
        let seen = endpoints(&show(&http, "subcloud1").await);
        if seen == expected_endpoints("in-sync", "unknown") { Ok(()) } else { Err(seen) }
    })
    .await;

    // 5. What happened, and who did it.
    the_history_tells(&http).await;
    deployment.end().await;
}

async fn the_history_tells(http: &Http) {
    let history = http.get_json("/v1.0/subclouds/subcloud1/history").await;
    let events = history["events"].as_array().unwrap();
    assert_eq!(history["next"], Value::Null);
    assert_eq!(events[0]["type"], "SubcloudAdded");
    let unmanaged = events.iter().position(|event| event["type"] == "SubcloudUnmanaged").expect("unmanaged");
    let told: Vec<(&str, &str)> = events[unmanaged..]
        .iter()
        .map(|event| (event["type"].as_str().unwrap(), event["actor"]["user_id"].as_str().unwrap()))
        .collect();
    let expected = [
        ("SubcloudUnmanaged", "anonymous"),
        ("DeployStatusChanged", "anonymous"),
        ("SyncStatusUnknown", "anonymous"),
        ("SubcloudManaged", "anonymous"),
        ("DeployStatusChanged", "anonymous"),
        ("SyncStatusChanged", "system:cert-mon"),
    ];
    let mut sorted = told.clone();
    // Which of the two events of managing stands first is the aggregate's business.
    sorted[3..5].sort_by_key(|(kind, _)| *kind != "SubcloudManaged");
    assert_eq!(sorted, expected);
    assert_eq!(events[unmanaged]["data"]["migrate"], true);
    for (at, event) in events.iter().enumerate() {
        assert_eq!(event["revision"], at, "{event}");
        for key in ["id", "version", "position", "recorded_at", "correlation_id", "data"] {
            assert!(!event[key].is_null(), "no {key}: {event}");
        }
        assert!(!event["sentence"].as_str().unwrap().is_empty(), "{event}");
    }
    // One request, one append.
    for key in ["request_id", "correlation_id"] {
        assert_eq!(events[unmanaged][key], events[unmanaged + 2][key]);
        assert_ne!(events[unmanaged][key], events[unmanaged + 3][key]);
    }
}

/// `dcm COMMAND ARGS --url URL`: its standard output.
async fn dcm(http: &Http, arguments: &[&str]) -> String {
    run_dcm(arguments.iter().copied().chain(["--url", http.base()])).await.ok()
}

async fn the_operators_commands(way: Way) {
    let deployment = Deployment::new(way).start().await;
    let http = deployment.http();
    let patched = send_raw(http.base(), &the_seed_command(http.base())).await.expect("an answer");
    assert_eq!(patched.status, 200, "{}", patched.body);

    let history = dcm(&http, &["history", "subcloud1"]).await;
    let unmanaged = history.lines().find(|line| line.contains("SubcloudUnmanaged")).expect("it is told");
    assert!(unmanaged.contains("anonymous"), "{unmanaged}");
    let one = dcm(&http, &["history", "subcloud1", "--type", "DeployStatusChanged", "--json"]).await;
    let one: Value = serde_json::from_str(&one).unwrap();
    let last = one["events"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["data"]["from"], &last["data"]["to"]), (&json!("complete"), &json!("rehome-pending")));

    let shown: Value = serde_json::from_str(&dcm(&http, &["show", "subcloud1"]).await).unwrap();
    assert_eq!(shown, show(&http, "subcloud1").await);

    let missing = run_dcm(["show", "nobody", "--url", http.base()]).await;
    assert_eq!(missing.status.code(), Some(1));
    assert!(
        missing.stderr.contains("404") && missing.stderr.contains("Subcloud not found"),
        "{}",
        missing.stderr
    );

    let table = dcm(&http, &["projections", "list"]).await;
    for name in ["subclouds", "groups", "history"] {
        let said = table.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        assert!(said.contains("version 1 at ") && said.ends_with("lag 0 events"), "{name}: {table}");
    }
    let before = list_of(&http).await;
    let version = |listed: &Value| {
        let all = listed["projections"].as_array().unwrap();
        all.iter().find(|model| model["name"] == "subclouds").unwrap()["version"].as_u64().unwrap()
    };
    let listed =
        async || serde_json::from_str(&dcm(&http, &["projections", "list", "--json"]).await).unwrap();
    let first = version(&listed().await);
    dcm(&http, &["projections", "rebuild", "subclouds"]).await;
    assert!(version(&listed().await) > first, "a rebuilt read model has a new version");
    assert_eq!(list_of(&http).await, before);
    // The new version is kept up to date ...
    manage(&http, "subcloud1", "managed").await;
    assert_eq!(show(&http, "subcloud1").await["deploy-status"], "complete");
    let verified = dcm(&http, &["projections", "verify"]).await;
    assert_eq!(verified.lines().count(), 9, "{verified}");
    assert!(verified.lines().all(|line| line.ends_with(" 0 differ")), "{verified}");
    let verified = dcm(&http, &["projections", "verify", "subclouds", "--sample", "5", "--json"]).await;
    let verified: Value = serde_json::from_str(&verified).unwrap();
    let streams = verified["projections"][0]["streams"].as_u64().unwrap();
    assert!(verified["ok"] == true && (2..=5).contains(&streams), "{verified}");
    dcm(&http, &["projections", "rollback", "subclouds"]).await;
    assert_eq!(version(&listed().await), first);
    // ... and so is the one that is rolled back to.
    eventually("the old version has caught up", SOON, async || {
        let shown = show(&http, "subcloud1").await;
        if shown["deploy-status"] == "complete" { Ok(()) } else { Err(shown) }
    })
    .await;
    manage(&http, "subcloud2", "unmanaged").await;
    assert_eq!(show(&http, "subcloud2").await["management-state"], "unmanaged");
    deployment.end().await;
}

async fn event_streams_and_moments(way: Way) {
    let deployment = Deployment::new(way).demo(2).start().await;
    let http = deployment.http();
    let answer = http
        .patch_form(
            "/v1.0/subclouds/subcloud1",
            &Form::new().field("migrate", "true").field("management-state", "unmanaged"),
        )
        .await
        .expect(200);
    let migrated = answer.header("dcm-position").expect("a position").to_owned();
    manage(&http, "subcloud1", "managed").await;

    let history = http.get_json("/v1.0/subclouds/subcloud1/history").await;
    let events = history["events"].as_array().unwrap();
    let pending = events.iter().rfind(|event| event["data"]["to"] == "rehome-pending").unwrap();
    // Inclusive, by time and by revision.
    for moment in [pending["recorded_at"].as_str().unwrap().to_owned(), pending["revision"].to_string()] {
        let then: Value =
            serde_json::from_str(&dcm(&http, &["show", "subcloud1", "--as-of", &moment]).await).unwrap();
        assert_eq!(then["deploy-status"], "rehome-pending", "as of {moment}");
        assert_eq!(then["management-state"], "unmanaged", "as of {moment}");
    }
    assert_eq!(show(&http, "subcloud1").await["deploy-status"], "complete");

    let all = dcm(&http, &["events", "--json"]).await;
    let all: Vec<Value> = all.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for event in events {
        assert!(all.iter().any(|other| other["id"] == event["id"]), "not in the stream: {event}");
    }
    let rest = dcm(&http, &["events", "--json", "--from", &migrated]).await;
    let first: Value = serde_json::from_str(rest.lines().next().expect("a later event")).unwrap();
    let kinds = ["SubcloudManaged", "DeployStatusChanged"];
    assert!(kinds.contains(&first["type"].as_str().unwrap()), "{first}");
    assert!(dcm(&http, &["events"]).await.lines().any(|line| line.contains("SubcloudUnmanaged")));

    // Paging through a history gives what is in it, and what an audit may have added meanwhile.
    let (mut paged, mut marker) = (vec![], String::new());
    loop {
        let page = http.get_json(&format!("/v1.0/subclouds/subcloud1/history?limit=2{marker}")).await;
        paged.extend(page["events"].as_array().unwrap().clone());
        let Some(next) = page["next"].as_str() else { break };
        marker = format!("&marker={next}");
    }
    assert_eq!(&paged[..events.len()], events);
    deployment.end().await;
}

#[tokio::test]
async fn a_fleet_of_a_thousand_is_there_at_the_first_line() {
    let began = std::time::Instant::now();
    let deployment =
        Deployment::new(Way::Embedded).demo(1000).start_within(Duration::from_secs(300)).start().await;
    println!("a demo fleet of 1000 is listed {:?} after the start", began.elapsed());
    let http = deployment.http();
    let began = std::time::Instant::now();
    let list = list_of(&http).await;
    println!("its list takes {:?}", began.elapsed());
    let names: Vec<&str> = list.iter().map(|entry| entry["name"].as_str().unwrap()).collect();
    let expected: Vec<String> = (1..=1000).map(|number| format!("subcloud{number}")).collect();
    assert_eq!(names, expected);
    deployment.end().await;
}
