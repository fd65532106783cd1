//! What requests cost, each beside `/healthz` of the same server, client and run.
//!
//! `tests/bench` runs it against an optimised build. The demo's audits go on beside it, one per subcloud every 5 s.
//! `DCM_BENCH_SUBCLOUDS` (default 1000) and `DCM_BENCH_REQUESTS` (default 2000) are its size.
#![expect(clippy::print_stdout, reason = "a benchmark prints, and ends when something is wrong")]

use std::time::{Duration, Instant};

use dcm_tests::{Dcm, Form, Http};
use futures::{StreamExt, stream};

/// Requests under way at once in the second column.
const PARALLEL: usize = 16;

#[tokio::main]
async fn main() {
    let subclouds = number("DCM_BENCH_SUBCLOUDS", 1000);
    let requests = number("DCM_BENCH_REQUESTS", 2000);
    let server = Dcm::serve()
        .flag("--demo", subclouds.to_string())
        .start_within(Duration::from_secs(120))
        .start()
        .await;
    let http = server.http();
    println!("{subclouds} subclouds, {requests} requests each; ratios are to /healthz in the same column\n");
    println!("{:<34} {:>22} {:>22}", "request", "one at a time", "16 at once");
    let floor = row("GET /healthz", &http, requests, None, |_| Kind::Health).await;
    row("GET one subcloud", &http, requests, Some(&floor), |_| Kind::Show).await;
    row("GET list, nothing changed", &http, requests / 4, Some(&floor), |_| Kind::List).await;
    row("PATCH unmanage-migrate, manage", &http, requests, Some(&floor), |index| {
        // Each subcloud is released, then taken back, with all the others in between.
        Kind::Patch { subcloud: index % subclouds + 1, back: (index / subclouds) % 2 == 1 }
    })
    .await;
    // Only alone: in parallel the changes, not the lists, would be what is under way.
    let alone = rate(&http, requests / 4, 1, &|_| Kind::ChangeAndList).await;
    let cell = format!("{alone:.0}/s ({:.3})", alone / floor[0]);
    println!("{:<34} {cell:>22}", "GET list, one row changed before");
}

#[derive(Clone, Copy)]
enum Kind {
    Health,
    Show,
    List,
    Patch { subcloud: usize, back: bool },
    ChangeAndList,
}

/// Prints and gives the requests per second, one at a time and in parallel.
async fn row(
    name: &str,
    http: &Http,
    requests: usize,
    floor: Option<&[f64; 2]>,
    kind: impl Fn(usize) -> Kind,
) -> [f64; 2] {
    let alone = rate(http, requests, 1, &kind).await;
    let parallel = rate(http, requests, PARALLEL, &kind).await;
    let cell = |rate: f64, floor: Option<f64>| {
        let ratio = floor.map_or(String::new(), |floor| format!(" ({:.3})", rate / floor));
        format!("{rate:.0}/s{ratio}")
    };
    let alone_cell = cell(alone, floor.map(|floor| floor[0]));
    println!("{name:<34} {alone_cell:>22} {:>22}", cell(parallel, floor.map(|floor| floor[1])));
    [alone, parallel]
}

/// Requests per second with `at_once` of them under way. What is done before a request is measured is not its cost.
async fn rate(http: &Http, requests: usize, at_once: usize, kind: &impl Fn(usize) -> Kind) -> f64 {
    let spent: Duration = stream::iter(0..requests)
        .map(|index| timed(http, index, kind(index)))
        .buffer_unordered(at_once)
        .fold(Duration::ZERO, |spent, one| async move { spent + one })
        .await;
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    let (requests, at_once) = (requests as f64, at_once as f64);
    requests / spent.as_secs_f64() * at_once
}

async fn timed(http: &Http, index: usize, kind: Kind) -> Duration {
    if let Kind::ChangeAndList = kind {
        let form = Form::new().field("description", &format!("changed {index}"));
        let _ = http.patch_form("/v1.0/subclouds/subcloud1", &form).await.expect(200);
    }
    let started = Instant::now();
    let _ = match kind {
        Kind::Health => http.get("/healthz").send().await.expect(200),
        Kind::Show => http.get("/v1.0/subclouds/subcloud1").send().await.expect(200),
        Kind::List | Kind::ChangeAndList => http.get("/v1.0/subclouds").send().await.expect(200),
        Kind::Patch { subcloud, back } => {
            let form = match back {
                true => Form::new().field("management-state", "managed"),
                false => Form::new().field("management-state", "unmanaged").field("migrate", "true"),
            };
            http.patch_form(&format!("/v1.0/subclouds/subcloud{subcloud}"), &form).await.expect(200)
        }
    };
    started.elapsed()
}

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}
