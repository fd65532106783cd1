//! What operators see: traces that cross processes, figures, log lines; and that dashboard, alert rules and guide speak of
//! what there is.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use dcm_api::ops::figures::{Kind, METRICS, Metric, zero};
use dcm_esdb_double::{Fault, Node};
use dcm_tests::story::after_runs;
use dcm_tests::{
    Collector, Dcm, Deployment, Form, Http, Installation, Needles, Postgres, Site, Span, Split, Way,
    eventually, repository,
};
use futures::StreamExt;
use regex::Regex;
use serde_json::Value;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";
/// How long what was measured or logged may take to be seen.
const SOON: Duration = Duration::from_secs(30);

fn traceparent() -> String {
    format!("00-{TRACE}-{CALLER}-01")
}

/// A command in the caller's trace; gives the id of its request.
async fn unmanage(http: &Http) -> String {
    let form = Form::new().field("management-state", "unmanaged").field("migrate", "true");
    let request = http.patch("/v1.0/subclouds/subcloud1").header("traceparent", &traceparent());
    let answer = request.form(&form).send().await.expect(200);
    answer.header("x-openstack-request-id").unwrap().to_owned()
}

/// The JSON log lines with one message.
fn lines(log: &str, message: &str) -> Vec<Value> {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["message"] == message).collect()
}

/// Where a process without the API answers.
async fn telemetry_of(process: &Dcm) -> Http {
    let address = eventually("the process says where it answers", SOON, async || {
        let found = lines(&process.logs(), "health and metrics are served");
        found.first().and_then(|line| line["address"].as_str().map(str::to_owned)).ok_or(found)
    })
    .await;
    Http::new(format!("http://{address}"))
}

#[tokio::test]
async fn a_trace_goes_from_the_client_to_the_append_and_is_linked_by_whoever_consumes_the_event() {
    let collector = Collector::start().await;
    let mut deployment = Deployment::new(Way::Split)
        .demo(1)
        .flag("--set", format!("telemetry.otlp_endpoint={}", collector.url()))
        .flag("--set", "telemetry.service_name=dcm-under-test")
        .flag("--set", "telemetry.sampling_ratio=1")
        .flag("--set", "telemetry.listen=127.0.0.1:0")
        .start()
        .await;
    let bus = async_nats::connect(deployment.nats().url()).await.unwrap();
    let mut events = bus.subscribe("dcm.v1.event.subcloud.*.subcloud-unmanaged").await.unwrap();

    let http = deployment.http();
    let secrets = [
        ("a query", "needle-in-a-query-4711"),
        ("a header", "needle-in-a-header-4712"),
        ("a body", "needle-in-a-body-4713"),
    ];
    let asked = http.get(&format!("/v1.0/subclouds/subcloud1?x={}", secrets[0].1));
    let _ = asked.header("x-auth-token", secrets[1].1).send().await.expect(200);
    let wrong = Form::new().field("description", "x").field("sysadmin_password", secrets[2].1);
    let _ = http.patch_form("/v1.0/subclouds/subcloud1", &wrong).await;
    let request_id = unmanage(&http).await;

    let in_trace = |name: &'static str| move |span: &Span| span.trace == TRACE && span.name == name;
    let request = "PATCH /v1.0/subclouds/{subcloud}";
    let request = collector.span("the request", in_trace(request)).await;
    assert_eq!(request.parent, CALLER);
    assert_eq!(request.service, "dcm-under-test");
    assert_eq!(request.attribute("http.route"), Some("/v1.0/subclouds/{subcloud}"));
    assert_eq!(request.attribute("http.response.status_code"), Some("200"));
    assert_eq!(request.attribute("dcm.request_id"), Some(request_id.as_str()));
    let command = collector.span("the command", in_trace("UnmanageSubcloud")).await;
    assert_eq!(command.parent, request.id, "{command:?}");
    assert_eq!(command.attribute("dcm.outcome"), Some("accepted"));
    let append = collector.span("the append", in_trace("journal append")).await;
    assert_eq!(append.parent, command.id, "{append:?}");

    // Over the bus the context is carried along, and followed by links.
    let cause = (TRACE.to_owned(), command.id.clone());
    let carried = format!("00-{TRACE}-{}-01", command.id);
    let event = tokio::time::timeout(SOON, events.next()).await.unwrap().unwrap();
    let headers = event.headers.unwrap();
    assert_eq!(headers.get("traceparent").map(|value| value.as_str()), Some(carried.as_str()));
    assert_eq!(headers.get("ce-requestid").map(|value| value.as_str()), Some(request_id.as_str()));
    for (what, name) in [("the relay", "DCM_EVENTS publish"), ("cert-mon", "DCM_EVENTS consume")] {
        let linked = |span: &Span| span.name == name && span.links.contains(&cause);
        let span = collector.span(what, linked).await;
        assert!(span.trace != TRACE && span.parent.is_empty(), "{span:?}");
    }

    // The log tells the same story.
    let answered = lines(&deployment.api(0).logs(), "answered");
    let ours = answered.iter().find(|line| line["span"]["request_id"] == *request_id).unwrap();
    assert_eq!(ours["span"]["trace_id"], TRACE, "{ours}");

    // A process without the API shows what it does too.
    let background = telemetry_of(deployment.background()).await;
    let _ = background.get("/healthz").send().await.expect(200);
    let ready = background.get_json("/readyz").await;
    assert_eq!((&ready["ready"], &ready["parts"]["journal"]), (&true.into(), &"ready".into()), "{ready}");
    let shown = background.get("/metrics").send().await.expect(200).body;
    for sample in ["dcm_lease_held_ratio{lease=\"relay\"} 1", "dcm_lease_held_ratio{lease=\"projector\"} 1"] {
        assert!(shown.lines().any(|line| line == sample), "{sample}:\n{shown}");
    }

    // The end of a process sends what it still has.
    deployment.end().await;
    assert!(collector.spans().iter().all(|span| span.service == "dcm-under-test"));
    let found = Needles::of(&secrets).search("traces", collector.text().as_bytes());
    assert!(found.is_empty(), "{found:?}");
    assert!(!collector.text().contains("subcloud1"), "names are not for traces");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_measured_and_its_phases_are_traced_without_its_passwords() {
    let collector = Collector::start().await;
    let endpoint = format!("telemetry.otlp_endpoint={}", collector.url());
    let mut service = Installation::start(Way::Embedded, None, |serve| serve.flag("--set", &endpoint)).await;
    let http = service.http();
    let site = Site::new("observed", 7);
    let added = http.post("/v1.0/subclouds/").header("traceparent", &traceparent());
    let _ = added.form(&site.add_form()).send().await.expect(200);
    after_runs(&http, site.name(), 1).await;

    let run = collector.span("the run", |span| span.name == "deploy run").await;
    assert_eq!(run.attribute("dcm.outcome"), Some("succeeded"), "{run:?}");
    for phase in ["install phase", "bootstrap phase", "configure phase"] {
        let phase = collector.span(phase, |span| span.name == phase).await;
        assert_eq!((&phase.trace, &phase.parent), (&run.trace, &run.id), "{phase:?}");
        let within = |span: &Span| span.name == "CompletePhase" && span.parent == phase.id;
        collector.span("a report of the phase", within).await;
    }
    let shown = http.get("/metrics").send().await.expect(200).body;
    for (name, value) in
        [("dcm_job_runs_total", 1.0), ("dcm_job_run_seconds_count", 1.0), ("dcm_job_active_runs", 0.0)]
    {
        assert_eq!(sum(&shown, name, "kind=\"deploy\""), value, "{name}:\n{shown}");
    }
    service.terminate().await;
    let secrets = [("sysadmin", site.sysadmin_password.as_str()), ("bmc", site.bmc_password.as_str())];
    let found = Needles::of(&secrets).search("traces", collector.text().as_bytes());
    assert!(found.is_empty(), "{found:?}");
}

#[tokio::test]
async fn a_collector_that_is_away_or_silent_disturbs_nobody() {
    // One that nobody listens at, and one that takes connections and says nothing.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let away = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let urls = [&away, &silent].map(|listener| format!("http://{}", listener.local_addr().unwrap()));
    drop(away);
    for url in urls {
        let mut dcm = Dcm::serve()
            .flag("--demo", "1")
            .flag("--log-format", "json")
            .flag("--set", format!("telemetry.otlp_endpoint={url}"))
            .env("OTEL_BSP_SCHEDULE_DELAY", "50")
            .env("OTEL_EXPORTER_OTLP_TIMEOUT", "200")
            .start()
            .await;
        let http = dcm.http();
        let _ = unmanage(&http).await;
        let mut failures = 0.0;
        for round in 1..=3 {
            // More spans, and more failures to send them.
            failures = eventually(format!("failure {round} is counted"), SOON, async || {
                let _ = http.get("/v1.0/subclouds").send().await.expect(200);
                let shown = http.get("/metrics").send().await.expect(200).body;
                let failed = sum(&shown, "dcm_trace_spans_total", "outcome=\"failed\"");
                if failed > failures { Ok(failed) } else { Err(failed) }
            })
            .await;
        }
        assert!(dcm.terminate().await.success());
        let told = lines(&dcm.logs(), "does not answer; trying on");
        let told = told.iter().filter(|line| line["what"] == "trace collector").count();
        assert_eq!(told, 1, "{}", dcm.logs());
    }
}

/// The values of a metric's samples with `label`, together.
fn sum(shown: &str, name: &str, label: &str) -> f64 {
    let of_it = shown.lines().filter(|line| line.starts_with(&format!("{name}{{")) && line.contains(label));
    of_it.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
}

/// Metrics with labels that a quiet fleet without servers has nothing to say about.
const NOT_IN_THIS_STORY: [&str; 6] = [
    "dcm_command_retries_total",
    "dcm_job_active_runs",
    "dcm_job_run_seconds",
    "dcm_keystone_validation_seconds",
    "dcm_projection_failures_total",
    "dcm_vault_seconds",
];

#[tokio::test]
async fn a_running_server_shows_every_metric_with_its_meaning() {
    let dcm = Dcm::serve().flag("--demo", "2").start().await;
    let http = dcm.http();
    let _ = unmanage(&http).await;
    let _ = http.get("/v1.0/nothing/here").send().await.expect(404);
    let expected: Vec<&Metric> =
        METRICS.iter().filter(|metric| !NOT_IN_THIS_STORY.contains(&metric.name)).collect();
    let shown = eventually("every metric is shown", SOON, async || {
        let shown = http.get("/metrics").send().await.expect(200).body;
        let missing: Vec<&str> = expected
            .iter()
            .map(|metric| metric.name)
            .filter(|name| !shown.contains(&format!("# TYPE {name} ")))
            .collect();
        if missing.is_empty() { Ok(shown) } else { Err(missing) }
    })
    .await;
    for Metric { name, kind, help, .. } in &expected {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        assert!(shown.contains(&format!("# TYPE {name} {kind}\n")), "{name} is no {kind}");
        assert!(shown.contains(&format!("# HELP {name} {help}\n")), "{name} is not explained");
    }
    let known: BTreeSet<&str> = METRICS.iter().map(|metric| metric.name).collect();
    let types = shown.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let strangers: Vec<&str> = types.filter(|name| !known.contains(name)).collect();
    assert!(strangers.is_empty(), "shown, but not in the list: {strangers:?}");

    let one = |name: &str, label: &str| sum(&shown, name, label);
    assert!(
        one(
            "dcm_http_requests_total",
            "method=\"PATCH\",route=\"/v1.0/subclouds/{subcloud}\",status=\"2xx\""
        ) >= 1.0
    );
    assert!(one("dcm_http_requests_total", "method=\"GET\",route=\"none\",status=\"4xx\"") >= 1.0);
    assert!(one("dcm_commands_total", "command=\"UnmanageSubcloud\",outcome=\"accepted\"") >= 1.0);
    for (name, labels) in zero::series() {
        let pairs: Vec<String> = labels.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
        let sample = format!("{name}{{{}}} 0", pairs.join(","));
        assert!(shown.lines().any(|line| line == sample), "{sample} is not there from the start");
    }
    assert!(!shown.contains("subcloud1"), "names are no labels");
    for metric in METRICS {
        for sample in shown.lines().filter(|line| line.starts_with(&format!("{}{{", metric.name))) {
            assert_eq!(labels_of(sample), metric.labels.iter().copied().collect(), "{sample}");
        }
    }
}

/// The value of a metric without labels.
fn figure(shown: &str, name: &str) -> f64 {
    let value = shown.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let value = value.and_then(|value| value.parse().ok());
    value.unwrap_or_else(|| panic!("{name} is not shown:\n{shown}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn appends_to_an_event_store_are_counted_whether_they_are_answered_or_not() {
    let node = Node::start();
    let split = Split::on(Postgres::shared().await).await.with_journal(node.url());
    let api = split.serve("api", "api,projector").flag("--demo", "1").start().await;
    let http = api.http();
    eventually("the fleet is shown", SOON, async || {
        let answer = http.get("/v1.0/subclouds/subcloud1").send().await;
        if answer.status == 200 { Ok(()) } else { Err(answer.body) }
    })
    .await;
    let shown = http.get("/metrics").send().await.expect(200).body;
    assert!(figure(&shown, "dcm_journal_appends_total") >= 1.0);
    assert_eq!(figure(&shown, "dcm_journal_failures_total"), 0.0);

    // None of its repetitions arrives in the time that an append is tried for.
    node.faults.of_appends([Fault::RequestLost; 10_000]);
    let form = Form::new().field("description", "never written");
    let _ = http.patch_form("/v1.0/subclouds/subcloud1", &form).await.expect(503);
    let shown = http.get("/metrics").send().await.expect(200).body;
    assert!(figure(&shown, "dcm_journal_failures_total") >= 1.0, "{shown}");
}

fn labels_of(sample: &str) -> BTreeSet<&str> {
    let inside = sample.split_once('{').unwrap().1.rsplit_once('}').unwrap().0;
    inside.split("\",").map(|pair| pair.split_once('=').unwrap().0).collect()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(repository().join(path)).unwrap_or_else(|e| panic!("read {path}: {e}"))
}

/// Every Rust source below the product's folders.
fn sources() -> Vec<(String, String)> {
    let folders = ["journal/src", "projections/src", "workers/src", "api/src", "cli/src"];
    let files = folders.iter().flat_map(|folder| dcm_tests::files_below(&repository().join(folder)));
    let texts = files.filter(|file| file.extension().is_some_and(|ending| ending == "rs"));
    texts.map(|file| (file.display().to_string(), std::fs::read_to_string(&file).unwrap())).collect()
}

#[test]
fn what_is_measured_is_listed_and_what_is_listed_is_measured() {
    let measured = Regex::new(r#"metrics::(?:counter|gauge|histogram)!\(\s*"([a-z0-9_]+)""#).unwrap();
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    for (file, text) in sources() {
        for name in measured.captures_iter(&text) {
            found.insert(name[1].to_owned(), file.clone());
        }
    }
    let listed: BTreeSet<&str> = METRICS.iter().map(|metric| metric.name).collect();
    let unlisted: Vec<_> = found.iter().filter(|(name, _)| !listed.contains(name.as_str())).collect();
    assert!(unlisted.is_empty(), "not in the list of metrics: {unlisted:?}");
    let unmeasured: Vec<_> = listed.iter().filter(|name| !found.contains_key(**name)).collect();
    assert!(unmeasured.is_empty(), "listed, but measured nowhere: {unmeasured:?}");
}

/// What a PromQL expression speaks of must exist: names, and the labels that it selects and groups by.
fn check_expression(place: &str, expression: &str) {
    let names = Regex::new(r"\b(dcm_[a-z0-9_]+)(\{[^}]*\})?").unwrap();
    let label = Regex::new(r"([a-z_]+)\s*(?:=~|!~|!=|=)").unwrap();
    let grouping = Regex::new(r"\b(?:by|on|without)\s*\(([^)]*)\)").unwrap();
    let mut known: BTreeSet<&str> = ["le", "instance", "job"].into();
    let mut spoken_of = 0;
    for found in names.captures_iter(expression) {
        let metric = METRICS.iter().find(|metric| names_it(metric, &found[1]));
        let metric = metric.unwrap_or_else(|| panic!("{place}: there is no metric {}", &found[1]));
        spoken_of += 1;
        known.extend(metric.labels);
        for selected in found.get(2).iter().flat_map(|labels| label.captures_iter(labels.as_str())) {
            let selected = selected.get(1).unwrap().as_str();
            assert!(
                ["instance", "job", "le"].contains(&selected) || metric.labels.contains(&selected),
                "{place}: {} has no label {selected}",
                metric.name
            );
        }
    }
    assert!(spoken_of > 0, "{place} asks for nothing of ours: {expression}");
    for found in grouping.captures_iter(expression) {
        for name in found[1].split(',').map(str::trim).filter(|name| !name.is_empty()) {
            assert!(known.contains(name), "{place} groups by {name}: {expression}");
        }
    }
}

fn names_it(metric: &Metric, name: &str) -> bool {
    match metric.kind {
        Kind::Histogram(_) => {
            ["_bucket", "_sum", "_count"].iter().any(|ending| name.strip_suffix(ending) == Some(metric.name))
        }
        Kind::Counter | Kind::Gauge => metric.name == name,
    }
}

/// The alert rules: name and rule.
fn alerts() -> Vec<(String, serde_yaml_ng::Value)> {
    let rules: serde_yaml_ng::Value =
        serde_yaml_ng::from_str(&read("observability/prometheus/alerts.yml")).unwrap();
    let groups = rules["groups"].as_sequence().unwrap();
    let rules = groups.iter().flat_map(|group| group["rules"].as_sequence().unwrap());
    rules.map(|rule| (rule["alert"].as_str().unwrap().to_owned(), rule.clone())).collect()
}

#[test]
fn alert_rules_use_what_there_is_and_say_what_to_do() {
    let alerts = alerts();
    let names: BTreeSet<&str> = alerts.iter().map(|(name, _)| name.as_str()).collect();
    assert!(names.len() == alerts.len() && names.len() > 15, "{names:?}");
    let time = Regex::new("^[0-9]+[smh]$").unwrap();
    for (name, rule) in &alerts {
        check_expression(name, rule["expr"].as_str().unwrap());
        assert!(["critical", "warning"].contains(&rule["labels"]["severity"].as_str().unwrap()), "{name}");
        for text in ["summary", "description"] {
            assert!(rule["annotations"][text].as_str().unwrap().ends_with('.'), "{name}: {text}");
        }
        let guide = format!("docs/operations.md#{}", name.to_lowercase());
        assert_eq!(rule["annotations"]["runbook"].as_str(), Some(guide.as_str()), "{name}");
        assert!(rule["for"].as_str().is_none_or(|text| time.is_match(text)), "{name}");
    }
}

/// Lets Prometheus' own checker say that all is well, if it is installed.
fn promtool(words: &[&str]) {
    let installed = repository().join(".tools/prometheus/usr/bin/promtool");
    let promtool = if installed.is_file() { installed } else { "promtool".into() };
    let folder = repository().join("observability/prometheus");
    match std::process::Command::new(promtool).args(words).current_dir(folder).output() {
        Ok(said) => {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            assert!(said.status.success(), "{}\n{}", text(&said.stdout), text(&said.stderr));
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!(
                "promtool is not installed (see tests/run): only the structure of the rules was checked"
            );
        }
        Err(error) => panic!("promtool: {error}"),
    }
}

#[test]
fn prometheus_itself_takes_the_alert_rules() {
    promtool(&["check", "rules", "alerts.yml"]);
}

#[test]
fn alerts_say_what_their_stories_expect() {
    promtool(&["test", "rules", "alerts_test.yml"]);
}

/// Counters whose series are as many as commands and routes. A route's are there from its first request on; and alerts on
/// them wait for something that goes on for minutes.
const BEGIN_WHEN_USED: [&str; 2] = ["dcm_commands_total", "dcm_http_requests_total"];

#[test]
fn what_alerts_see_increase_begins_at_0() {
    let counted = Regex::new(r"\b(?:increase|rate)\((dcm_[a-z0-9_]+)(?:\{([^}]*)\})?\[").unwrap();
    let chosen = Regex::new(r#"([a-z_]+)=~?"([^"]*)""#).unwrap();
    let all = zero::series();
    let mut looked_at = 0;
    for (alert, rule) in alerts() {
        for found in counted.captures_iter(rule["expr"].as_str().unwrap()) {
            let metric = METRICS.iter().find(|metric| metric.name == &found[1]);
            // The buckets of histograms are not: what is asked of them is a quantile.
            let Some(metric) = metric.filter(|metric| !metric.labels.is_empty()) else { continue };
            if BEGIN_WHEN_USED.contains(&metric.name) {
                continue;
            }
            let series: Vec<_> = all.iter().filter(|(name, _)| *name == metric.name).collect();
            assert!(!series.is_empty(), "{alert}: no series of {} begins at 0", metric.name);
            looked_at += 1;
            for pair in chosen.captures_iter(found.get(2).map_or("", |labels| labels.as_str())) {
                for value in pair[2].split('|') {
                    let begins = series.iter().any(|(_, labels)| labels.contains(&(&pair[1], value)));
                    assert!(begins, "{alert}: no {} with {}={value} begins at 0", metric.name, &pair[1]);
                }
            }
        }
    }
    assert!(looked_at >= 9, "{looked_at}");
}

#[test]
fn the_dashboard_uses_what_there_is() {
    let dashboard: Value = serde_json::from_str(&read("observability/grafana/dcm.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let (mut ids, mut expressions) = (BTreeSet::new(), Vec::new());
    for panel in panels {
        let title = panel["title"].as_str().unwrap();
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "two panels have the id of {title}");
        if panel["type"] == "row" {
            continue;
        }
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{title} shows nothing");
        for target in targets {
            let expression = target["expr"].as_str().unwrap();
            // Grafana's own variable is a time for Prometheus.
            check_expression(title, &expression.replace("$__rate_interval", "5m"));
            expressions.push(expression.to_owned());
        }
    }
    let all = expressions.join("\n");
    for part in
        ["dcm_http_", "dcm_commands", "dcm_journal", "dcm_projection", "dcm_relay", "dcm_bus", "dcm_job"]
    {
        assert!(all.contains(part), "the dashboard does not show {part}*");
    }
}

#[test]
fn the_guide_explains_every_metric_and_every_alert() {
    let guide = read("docs/operations.md");
    let row = Regex::new(r"(?m)^\| `(dcm_[a-z0-9_]+)` \| ([^|]*) \| ([^|]+) \|$").unwrap();
    let explained: BTreeMap<String, String> =
        row.captures_iter(&guide).map(|found| (found[1].to_owned(), found[2].trim().to_owned())).collect();
    for Metric { name, labels, .. } in METRICS {
        let said = explained.get(*name).unwrap_or_else(|| panic!("{name} is not explained"));
        let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
        assert_eq!(*said, labels.join(", "), "labels of {name}");
    }
    assert_eq!(explained.len(), METRICS.len(), "the guide explains metrics that are not there");

    let section = guide.split_once("\n## What to do for each alert\n").expect("the section is there").1;
    let section = section.split("\n## ").next().unwrap();
    let headings: Vec<&str> = section.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    let alerts: Vec<String> = alerts().into_iter().map(|(name, _)| name).collect();
    assert_eq!(headings, alerts, "one heading for each alert, in the order of the rules");
}
