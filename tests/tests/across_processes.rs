//! Two API processes over one journal: what one answered, the other shows and decides on at once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "how long it took is for the reader of the log")]

use std::time::{Duration, Instant};

use dcm_tests::{Answer, Deployment, Form, Http, Way, entry, eventually, heard};
use futures::future::join_all;
use serde_json::Value;

/// How often something is changed through one process, read through the other, and changed back there.
fn exchanges() -> usize {
    let given = std::env::var("DCM_TEST_ROUNDS").ok();
    given.map_or(1000, |given| given.parse().expect("DCM_TEST_ROUNDS is a number"))
}

/// Durations of requests, for the log.
#[derive(Debug, Default)]
struct Times(Vec<Duration>);

impl Times {
    fn print(&self, what: &str) {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        if let (Some(median), Some(most)) = (sorted.get(sorted.len() / 2), sorted.last()) {
            println!("{what}: {} requests, median {median:?}, max {most:?}", sorted.len());
        }
    }
}

struct There<'a> {
    name: &'a str,
    writes: Times,
    reads: Times,
}

impl<'a> There<'a> {
    fn new(name: &'a str) -> Self {
        Self { name, writes: Times::default(), reads: Times::default() }
    }

    /// Changes it through one process and reads it through another, at once.
    async fn change(
        &mut self,
        through: &Http,
        other: &Http,
        fields: &[(&str, &str)],
        expected: (&str, &str),
    ) {
        let form = fields.iter().fold(Form::new(), |form, (name, value)| form.field(name, value));
        let began = Instant::now();
        let answer = through.patch_form(&format!("/v1.0/subclouds/{}", self.name), &form).await;
        self.writes.0.push(began.elapsed());
        self.shows(&fresh(answer), expected);
        let began = Instant::now();
        let list = fresh(other.get("/v1.0/subclouds").send().await);
        let shown = fresh(other.get(&format!("/v1.0/subclouds/{}", self.name)).send().await);
        self.reads.0.push(began.elapsed());
        self.shows(entry(list["subclouds"].as_array().unwrap(), self.name), expected);
        self.shows(&shown, expected);
    }

    #[track_caller]
    fn shows(&self, row: &Value, expected: (&str, &str)) {
        let state = (row["management-state"].as_str().unwrap(), row["deploy-status"].as_str().unwrap());
        assert_eq!(state, expected, "{}", self.name);
    }

    /// Two exchanges: away through `one`, back through `other`, and each time read through the one that is next.
    async fn there_and_back(&mut self, one: &Http, other: &Http) {
        let away = &[("migrate", "true"), ("management-state", "unmanaged")];
        self.change(one, other, away, ("unmanaged", "rehome-pending")).await;
        self.change(other, one, &[("management-state", "managed")], ("managed", "complete")).await;
    }
}

/// The body of an answer that is 200 and not marked as stale.
#[track_caller]
fn fresh(answer: Answer) -> Value {
    let answer = answer.expect(200);
    assert_eq!(answer.header("dcm-stale"), None, "{}", answer.request);
    answer.json()
}

#[tokio::test]
async fn what_one_process_answered_the_other_shows_and_decides_on() {
    const LANES: usize = 4;
    let deployment = Deployment::new(Way::Split).apis(2).demo(LANES as u32).start().await;
    let (a, b) = (deployment.api(0).http(), deployment.api(1).http());
    let began = Instant::now();
    let lanes = (1..=LANES).map(|lane| {
        let (a, b) = (a.clone(), b.clone());
        async move {
            let name = format!("subcloud{lane}");
            let mut there = There::new(&name);
            // Each process is the one that migrates in every other lane.
            let (one, other) = if lane % 2 == 0 { (&a, &b) } else { (&b, &a) };
            for _ in 0..exchanges().div_ceil(2 * LANES) {
                there.there_and_back(one, other).await;
            }
            (there.writes, there.reads)
        }
    });
    let (mut writes, mut reads) = (Times::default(), Times::default());
    for (more_writes, more_reads) in join_all(lanes).await {
        writes.0.extend(more_writes.0);
        reads.0.extend(more_reads.0);
    }
    println!("{} exchanges took {:?}", exchanges(), began.elapsed());
    writes.print("PATCH");
    reads.print("list and show");
    deployment.end().await;
}

#[tokio::test]
async fn without_the_bus_everything_goes_on() {
    let mut deployment = Deployment::new(Way::Split).apis(2).demo(2).start().await;
    let (a, b) = (deployment.api(0).http(), deployment.api(1).http());
    deployment.nats().stop().await;
    let mut there = There::new("subcloud1");
    for _ in 0..exchanges().min(25) {
        there.there_and_back(&a, &b).await;
    }
    there.writes.print("PATCH without the bus");
    there.reads.print("list and show without the bus");

    // What happened meanwhile comes over the bus once it is there again.
    let last =
        a.patch_form("/v1.0/subclouds/subcloud2", &Form::new().field("location", "here")).await.expect(200);
    let last = last.header("dcm-position").expect("a position").to_owned();
    deployment.nats().start_again().await;
    let url = deployment.nats().url();
    heard(&url, "DCM_EVENTS", |all| all.iter().any(|message| message.header("ce-position") == last)).await;
    // And the processes hear each other again.
    for _ in 0..3 {
        there.there_and_back(&b, &a).await;
    }
    eventually("the API says that the bus is back", Duration::from_secs(20), async || {
        let answer = a.get("/readyz").send().await;
        if answer.json()["parts"]["bus"] == "ready" { Ok(()) } else { Err(answer.body) }
    })
    .await;
    deployment.end().await;
}
