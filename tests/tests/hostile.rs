//! Requests that nobody who means well sends: each gets a clean refusal, and the server goes on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use dcm_tests::{Deployment, Form, Http, Way, list_of, send_raw};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use reqwest::Method;

const NAMES: &[&str] = &[
    "..%2f..%2fetc%2fpasswd",
    "%2e%2e",
    "..",
    ".",
    "%00",
    "%0d%0aX-Injected:%201",
    "%1b%5b31m",
    "%ff%fe",
    "%",
    "%zz",
    "a%2fb",
    "subcloud1%00",
    "subcloud1%2f",
    "-rf",
    "%7b%7b7*7%7d%7d",
    "%24%28id%29",
    "';drop table subcloud;--",
    "99999999999999999999999999",
    "9223372036854775807",
    "-1",
    "0",
    "+1",
    "%D9%A1",
    "%F0%9F%92%A5",
    "all",
    "*",
    "%2a",
    ">",
    "subcloud1%20",
    "SUBCLOUD1",
    "%e2%80%ae1duolcbus",
];

const VALUES: &[&str] = &[
    "",
    " ",
    "\0",
    "\r\nX: y",
    "\u{1b}[31m",
    "../../etc/passwd",
    "{{ 7 * 7 }}",
    "$(id)",
    "';drop table subcloud;--",
    "-1",
    "1e309",
    "NaN",
    "99999999999999999999999999",
    "true",
    "null",
    "[]",
    "{}",
    "!!python/object/apply:os.system [id]",
    "&a [*a, *a]",
    "&a [&b [&c [x, x], *c], *b, *b]",
    "\u{202e}",
    "💥",
    "managed",
    "unmanaged",
];

const FIELDS: &[&str] = &[
    "name",
    "description",
    "location",
    "group_id",
    "peer_group",
    "management-state",
    "force",
    "migrate",
    "install_values",
    "bmc_password",
    "bootstrap_values",
    "bootstrap_address",
    "bootstrap-address",
    "management_subnet",
    "management_gateway_ip",
    "management_start_ip",
    "management_end_ip",
    "sysadmin_password",
    "deploy_config",
    "release",
    "secondary",
    "region_name",
    "",
    "\0",
    "__proto__",
];

const VERBS: &[&str] = &[
    "",
    "/detail",
    "/history",
    "/history?limit=-1",
    "/history?limit=1001",
    "/history?since=yesterday",
    "/history?marker=x",
    "?as_of=never",
    "?as_of=99999999999999999999",
    "?as_of=-1",
    "/update_status",
    "/update_availability",
    "/migrate",
    "/restore",
    "/nonsense",
    "/detail/x/y",
    "//",
];

/// Never 5xx, but for "not now".
#[track_caller]
fn clean(what: &str, status: u16, body: &str) {
    assert!(status < 500 || status == 503, "{what} gave {status}: {body}");
    assert!(!body.contains("panicked") && !body.contains("src/"), "{what} told too much: {body}");
}

async fn send(http: &Http, request: &[u8]) {
    if let Some(answer) = send_raw(http.base(), request).await {
        clean(&String::from_utf8_lossy(&request[..request.len().min(120)]), answer.status, &answer.body);
    }
}

fn pick<'a>(random: &mut StdRng, from: &[&'a str]) -> &'a str {
    from[random.random_range(0..from.len())]
}

#[tokio::test]
async fn hostile_requests_are_refused_and_the_server_goes_on() {
    let deployment = Deployment::new(Way::Embedded).demo(2).start().await;
    let http = deployment.http();
    names_and_verbs(&http).await;
    heads(&http).await;
    bodies(&http).await;
    forms(&http).await;
    let answer = http.get("/healthz").send().await.expect(200);
    assert!(answer.header("x-openstack-request-id").is_some());
    for entry in list_of(&http).await {
        let name = entry["name"].as_str().unwrap();
        assert!(!name.is_empty() && !name.contains(['/', '\0', '\n', '{', '$']), "{name:?} was taken");
    }
    deployment.end().await;
}

async fn names_and_verbs(http: &Http) {
    for name in NAMES {
        for verb in VERBS {
            for method in [Method::GET, Method::PATCH, Method::DELETE, Method::PUT] {
                let host = http.base().trim_start_matches("http://");
                let path = format!("/v1.0/subclouds/{name}{verb}");
                let request =
                    format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n");
                send(http, request.as_bytes()).await;
            }
        }
    }
}

async fn heads(http: &Http) {
    let head = |extra: &str| format!("GET /v1.0/subclouds HTTP/1.1\r\nHost: h\r\n{extra}\r\n\r\n");
    let large = "x".repeat(64 * 1024);
    let many: String = (0..2000).map(|number| format!("X-{number}: y\r\n")).collect();
    let position = |text: &str| head(&format!("DCM-Position: {text}"));
    for request in [
        head(&format!("X-Large: {large}")),
        head(&format!("X-Auth-Token: {large}{large}{large}")),
        head(many.trim_end()),
        head(&format!("User-Agent: {large}")),
        head("Accept: application/json;q=x, text/*;q=9, */"),
        head("Accept: \u{ff}\u{fe}"),
        head("Content-Length: 18446744073709551616"),
        head("Content-Length: 5\r\nContent-Length: 6"),
        head("Transfer-Encoding: chunked\r\nContent-Length: 3"),
        head("traceparent: 00-zz-zz-zz"),
        head("traceparent: 00-ffffffffffffffffffffffffffffffff-ffffffffffffffff-ff"),
        head("Last-Event-ID: x"),
        head("If-Match: \"x"),
        position("x"),
        position("00000000-0000-0000-0000-000000000000.1"),
        position("00000000-0000-0000-0000-000000000000.18446744073709551616"),
        format!("GET /{large} HTTP/1.1\r\nHost: h\r\n\r\n"),
        format!("GET /v1.0/subclouds?{large} HTTP/1.1\r\nHost: h\r\n\r\n"),
        "GET http://elsewhere.example/v1.0/subclouds HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
        "GET * HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
        "GET /v1.0/subclouds HTTP/1.1\r\n\r\n".to_owned(),
        "GET /v1.0/subclouds HTTP/9.9\r\nHost: h\r\n\r\n".to_owned(),
        "BREW /v1.0/subclouds HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
        "GET /v1.0/events?from=x&follow=maybe HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
        "\0\0\0\0\r\n\r\n".to_owned(),
    ] {
        send(http, request.as_bytes()).await;
    }
}

async fn bodies(http: &Http) {
    let field = |boundary: &str| {
        format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"description\"\r\n\r\nx\r\n--{boundary}--\r\n"
        )
    };
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let bodies: Vec<(&str, Vec<u8>)> = vec![
        ("multipart/form-data", field("b").into()),
        ("multipart/form-data; boundary=", field("").into()),
        ("multipart/form-data; boundary=other", field("b").into()),
        ("multipart/form-data; boundary=b", field("b").trim_end_matches("--\r\n").into()),
        ("multipart/form-data; boundary=b", b"--b\r\n\r\n\r\n--b--\r\n".to_vec()),
        (
            "multipart/form-data; boundary=b",
            b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n".to_vec(),
        ),
        ("multipart/form-data; boundary=b", b"--b--\r\n".to_vec()),
        ("multipart/form-data; boundary=b", vec![]),
        ("multipart/form-data; boundary=b", field("b").replace("name=", "name*=utf-8''%ff; name=").into()),
        ("multipart/mixed; boundary=b", field("b").into()),
        ("application/x-www-form-urlencoded", b"%zz=%ff&&==&description=%00".to_vec()),
        ("application/json", b"{".to_vec()),
        ("application/json", b"null".to_vec()),
        ("application/json", b"[]".to_vec()),
        ("application/json", b"\"text\"".to_vec()),
        ("application/json", b"{\"endpoint\": 1, \"status\": {}}".to_vec()),
        ("application/json", b"{\"status\": null}".to_vec()),
        ("application/json", b"\xff\xfe".to_vec()),
        ("application/json", deep.into_bytes()),
        ("text/plain", b"x".to_vec()),
        ("", b"x".to_vec()),
    ];
    for (content_type, body) in bodies {
        for (method, path) in [
            (Method::PATCH, "/v1.0/subclouds/subcloud1"),
            (Method::PATCH, "/v1.0/subclouds/subcloud1/update_status"),
            (Method::PATCH, "/v1.0/subclouds/subcloud1/update_availability"),
            (Method::POST, "/v1.0/subclouds"),
            (Method::POST, "/v1.0/phased-subcloud-deploy"),
            (Method::PATCH, "/v1.0/phased-subcloud-deploy/subcloud1/install"),
            (Method::PATCH, "/v1.0/phased-subcloud-deploy/subcloud1/resume"),
        ] {
            let request = http.request(method, path).body(content_type, body.clone());
            if let Ok(answer) = request.try_send().await {
                clean(&format!("{} with {content_type}", answer.request), answer.status, &answer.body);
            }
        }
    }
}

/// Forms of the right shape with wrong content: fixed ones, then many drawn at random from a fixed seed.
async fn forms(http: &Http) {
    let large = "x".repeat(4 * 1024 * 1024);
    let many = (0..3000).fold(Form::new(), |form, number| form.field(&format!("f{number}"), "x"));
    let bomb = format!(
        "a: &a [x]\n{}",
        (b'b'..=b'z')
            .map(|letter| {
                let (name, before) = (letter as char, (letter - 1) as char);
                format!("{name}: &{name} [{}]\n", vec![format!("*{before}"); 9].join(","))
            })
            .collect::<String>()
    );
    let mut forms = vec![
        Form::new().field("description", &large),
        Form::new().field(&large, "x"),
        Form::new().file("bootstrap_values", "/etc/passwd\0", &large),
        Form::new().file("bootstrap_values", "v.yml", &bomb).field("sysadmin_password", "eA=="),
        Form::new().file("bootstrap_values", "v.yml", "[".repeat(50_000)),
        Form::new().file("install_values", "v.yml", "? {a: b}\n: c\n").field("bmc_password", "eA=="),
        many,
    ];
    let mut random = StdRng::seed_from_u64(20_231_109);
    for _ in 0..150 {
        let mut form = Form::new();
        for _ in 0..random.random_range(1..5) {
            let (field, value) = (pick(&mut random, FIELDS), pick(&mut random, VALUES));
            form = match random.random_bool(0.3) {
                true => form.file(field, "values.yml", value),
                false => form.field(field, value),
            };
        }
        forms.push(form);
    }
    for form in &forms {
        for (method, path) in [
            (Method::PATCH, "/v1.0/subclouds/subcloud1"),
            (Method::POST, "/v1.0/subclouds"),
            (Method::POST, "/v1.0/phased-subcloud-deploy"),
            (Method::PATCH, "/v1.0/phased-subcloud-deploy/subcloud1/bootstrap"),
        ] {
            // A server that has read enough may close the connection before the body is sent.
            if let Ok(answer) = http.request(method, path).form(form).try_send().await {
                clean(&answer.request, answer.status, &answer.body);
            }
        }
    }
}
