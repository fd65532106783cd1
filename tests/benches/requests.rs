//! What requests cost, each beside `/healthz` of the same server, client and run.
//!
//! `tests/bench` runs it against an optimised build. `DCM_BENCH_SUBCLOUDS` (default 1000) and `DCM_BENCH_REQUESTS`
//! (default 2000) are its size.
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
        // Audits would share the two cores with what is measured.
        .arg("--set=cert_mon.schedule.audit_interval=86400")
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
    row("GET list, one row changed before", &http, requests / 4, Some(&floor), |_| Kind::ChangeAndList).await;
}

#[derive(Clone, Copy)]
enum Kind {
    Health,
    Show,
    List,
    Patch { subcloud: usize, back: bool },
    ChangeAndList,
}

/// Requests per second, alone and in parallel.
async fn row(
    name: &str,
    http: &Http,
    requests: usize,
    floor: Option<&[f64; 2]>,
    kind: impl Fn(usize) -> Kind,
) -> [f64; 2] {
    let mut rates = [0.0; 2];
    for (rate, at_once) in rates.iter_mut().zip([1, PARALLEL]) {
        // Always an even number of rounds, so that every subcloud ends as it began.
        let took = stream::iter(0..requests)
            .map(|index| timed(http, index, kind(index)))
            .buffer_unordered(at_once)
            .fold((0.0, Duration::ZERO), |(count, spent), one| async move { (count + 1.0, spent + one) })
            .await;
        // What a request waits for before it is measured is not its own cost.
        *rate = took.0 / took.1.as_secs_f64() * at_once as f64;
    }
    let cell = |index: usize| {
        let ratio = floor.map_or(String::new(), |floor| format!(" ({:.3})", rates[index] / floor[index]));
        format!("{:.0}/s{ratio}", rates[index])
    };
    println!("{name:<34} {:>22} {:>22}", cell(0), cell(1));
    rates
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
