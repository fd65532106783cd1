//! Tens of thousands of requests drawn at random from the OpenAPI document and then damaged: none may be answered 5xx
//! (but for 503, "not now"), none may end the server, and its memory must not grow with them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dcm_tests::{Dcm, RawConnection};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

/// Requests in all, and of those the first ones that fill caches and pools before memory is compared.
const REQUESTS: usize = 30_000;
const WARM: usize = 6_000;
const CONNECTIONS: usize = 16;
/// What allocators and caches may take beyond the warm state, in KiB.
const GROWTH: u64 = 32 * 1024;

/// Texts that are references, values, or neither.
const TEXTS: &[&str] = &[
    "1",
    "2",
    "0",
    "-1",
    "999",
    "99999999999999999999",
    "subcloud1",
    "subcloud2",
    "Default",
    "edge",
    "RegionOne",
    "a b",
    "..",
    "%2e%2e%2f",
    "%00",
    "%ff",
    "{x}",
    "true",
    "managed",
    "unmanaged",
    "dc-cert",
    "in-sync",
    "parallel",
    "patch",
    "apply",
    "",
    "none",
    "10.0.0.0/8",
    "::1",
    "c2VjcmV0",
    "secondary",
    "💥",
    "\u{202e}",
    "a.json",
    "steps",
    "22.12",
];

struct Operation {
    method: String,
    path: String,
    /// Names of the body's properties, where it is described.
    fields: Vec<String>,
    multipart: bool,
}

fn operations(document: &Value) -> Vec<Operation> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        // An endless answer is read by tests of its own; rebuilding read models is no request to make by the thousand.
        if path == "/v1.0/events" || path.contains("projections") {
            continue;
        }
        for (method, operation) in item.as_object().unwrap() {
            let content = operation["requestBody"]["content"].as_object();
            let (kind, schema) = content
                .and_then(|content| content.iter().next())
                .map_or((String::new(), Value::Null), |(kind, body)| (kind.clone(), body["schema"].clone()));
            let schema = resolved(document, &schema);
            let fields =
                schema["properties"].as_object().into_iter().flat_map(|all| all.keys().cloned()).collect();
            found.push(Operation {
                method: method.to_uppercase(),
                path: path.clone(),
                fields,
                multipart: kind.starts_with("multipart"),
            });
        }
    }
    assert!(found.len() > 50, "the document has only {} operations", found.len());
    found
}

fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap(),
        None => schema,
    }
}

fn value(random: &mut StdRng, depth: u32) -> Value {
    match random.random_range(0..if depth == 0 { 6 } else { 8 }) {
        0 => Value::Null,
        1 => json!(random.random::<bool>()),
        2 => json!(random.random_range(-5..600)),
        3 => json!(random.random::<f64>() * 1e20),
        4 | 5 => json!(TEXTS.choose(random).unwrap()),
        6 => (0..random.random_range(0..4)).map(|_| value(random, depth - 1)).collect(),
        _ => (0..random.random_range(0..4))
            .map(|_| ((*TEXTS.choose(random).unwrap()).to_owned(), value(random, depth - 1)))
            .collect(),
    }
}

fn body(random: &mut StdRng, operation: &Operation) -> (String, Vec<u8>) {
    let chosen: Vec<&String> = operation.fields.iter().filter(|_| random.random_bool(0.6)).collect();
    if operation.multipart && random.random_bool(0.9) {
        let mut body = String::new();
        for field in chosen {
            let file = if random.random_bool(0.3) { "; filename=\"f.yml\"" } else { "" };
            let text = match random.random_bool(0.7) {
                true => (*TEXTS.choose(random).unwrap()).to_owned(),
                false => value(random, 2).to_string(),
            };
            body +=
                &format!("--b\r\nContent-Disposition: form-data; name=\"{field}\"{file}\r\n\r\n{text}\r\n");
        }
        return ("multipart/form-data; boundary=b".to_owned(), format!("{body}--b--\r\n").into_bytes());
    }
    let whole = match random.random_bool(0.9) {
        true => chosen.into_iter().map(|field| (field.clone(), value(random, 2))).collect(),
        false => value(random, 3),
    };
    ("application/json".to_owned(), whole.to_string().into_bytes())
}

fn request(random: &mut StdRng, operations: &[Operation]) -> Vec<u8> {
    let operation = operations.choose(random).unwrap();
    let mut path = String::new();
    for segment in operation.path.split('/').skip(1) {
        let text = if segment.starts_with('{') { *TEXTS.choose(random).unwrap() } else { segment };
        path += &format!("/{}", text.replace(' ', "%20"));
    }
    if random.random_bool(0.1) {
        path += *["/", ".json", "?limit=x", "?type=patch", "?as_of=-1", "?%00"].choose(random).unwrap();
    }
    let methods = ["GET", "POST", "PATCH", "DELETE", "PUT", "SUMMARY", "OPTIONS", "BREW"];
    let method = if random.random_bool(0.9) { &operation.method } else { *methods.choose(random).unwrap() };
    let (kind, body) = match method {
        "GET" | "DELETE" => (String::new(), Vec::new()),
        _ => body(random, operation),
    };
    let accept = ["*/*", "application/json", "", "text/html", "a/b;q=x, application/json;q=0.1"];
    let accept = accept.choose(random).unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: dc\r\nAccept: {accept}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut bytes = head.into_bytes();
    bytes.extend(body);
    damaged(random, bytes)
}

/// One request in twenty gets some of its bytes changed or repeated.
fn damaged(random: &mut StdRng, mut bytes: Vec<u8>) -> Vec<u8> {
    if random.random_bool(0.05) {
        for _ in 0..random.random_range(1..8) {
            let at = random.random_range(0..bytes.len());
            bytes[at] = random.random();
        }
    }
    if random.random_bool(0.001) {
        let at = random.random_range(0..bytes.len());
        let large = vec![bytes[at]; 5 * 1024 * 1024];
        bytes.splice(at..at, large);
    }
    bytes
}

/// Resident memory of a process, in KiB.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// How many requests were answered, and how many of them with what they asked for.
#[derive(Default)]
struct Counts {
    answered: AtomicUsize,
    succeeded: AtomicUsize,
}

async fn storm(
    base: String,
    operations: Arc<Vec<Operation>>,
    seed: u64,
    requests: usize,
    counts: Arc<Counts>,
) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut connection = RawConnection::new(&base);
    for _ in 0..requests {
        let request = request(&mut random, &operations);
        let shown = String::from_utf8_lossy(&request[..request.len().min(600)]).into_owned();
        // What is damaged may promise more than it sends: without an end of its own it would be waited for.
        let whole = request.windows(4).position(|four| four == b"\r\n\r\n").is_some_and(|end| {
            let head = String::from_utf8_lossy(&request[..end]).into_owned();
            head.contains(&format!("Content-Length: {}", request.len() - end - 4))
        });
        if !whole {
            RawConnection::new(&base).send_and_close(&request).await;
            continue;
        }
        if let Some(answer) = connection.send(&request).await {
            counts.answered.fetch_add(1, Ordering::Relaxed);
            counts.succeeded.fetch_add((answer.status == 200).into(), Ordering::Relaxed);
            assert!(
                answer.status < 500 || answer.status == 503,
                "seed {seed}: {}\n{shown}\n{}",
                answer.head,
                answer.body
            );
        }
    }
}

#[tokio::test]
async fn random_requests_end_nothing_and_leave_nothing() {
    let seed: u64 = std::env::var("DCM_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7);
    eprintln!("seed {seed} (DCM_TEST_SEED)");
    let mut server = Dcm::serve().flag("--demo", "5").start().await;
    let http = server.http();
    let operations = Arc::new(operations(&http.get_json("/openapi.json").await));
    let counts = Arc::new(Counts::default());
    let round = async |requests: usize, seed: u64| {
        let storms = (0..CONNECTIONS as u64).map(|number| {
            let seed = seed.wrapping_mul(1000).wrapping_add(number);
            let (base, operations) = (http.base().to_owned(), Arc::clone(&operations));
            storm(base, operations, seed, requests / CONNECTIONS, Arc::clone(&counts))
        });
        futures::future::join_all(storms).await;
    };
    round(WARM, seed).await;
    let before = resident(server.pid());
    round(REQUESTS - WARM, seed + 1).await;
    let after = resident(server.pid());
    let (answered, succeeded) =
        (counts.answered.load(Ordering::Relaxed), counts.succeeded.load(Ordering::Relaxed));
    eprintln!("{answered} answered, {succeeded} of them 200; {before} KiB resident, then {after}");
    // Not only the outermost layers were met.
    assert!(answered > REQUESTS / 2 && succeeded > REQUESTS / 30);
    assert!(after < before + GROWTH, "{before} KiB became {after} KiB");
    let _ = http.get("/healthz").send().await.expect(200);
    assert!(server.exited().is_none());
    assert!(!server.logs().contains("panicked"), "{}", server.logs());
}
