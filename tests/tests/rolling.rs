//! Processes are replaced and lost under load: no request fails, and others take over.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "how long it took is for the reader of the log")]

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dcm_journal::lease::Leases;
use dcm_tests::{
    Balancer, Dcm, Form, Http, Postgres, Serve, Split, agree, eventually, is_running, list_of, show,
};
use tokio::sync::watch;
use tokio::task::JoinSet;

const CLIENTS: usize = 6;
/// Pause between two requests of one client, so that the load runs beside everything else on a small machine.
const PACE: Duration = Duration::from_millis(25);
/// How long something takes at most that takes a few seconds.
const SOON: Duration = Duration::from_secs(60);

/// How clients find the API processes.
enum Front {
    /// All processes listen at one address.
    OneAddress(Option<String>),
    /// A proxy asks them whether they are ready.
    Proxy(Balancer),
}

impl Front {
    /// How to start an API process behind it.
    fn serve(&self, serve: Serve) -> Serve {
        let serve = serve.flag("--set", "http.drain_secs=1");
        match self {
            Self::OneAddress(address) => {
                let serve = serve.flag("--set", "http.reuse_port=true");
                serve.listen(address.as_deref().unwrap_or("127.0.0.1:0"))
            }
            Self::Proxy(_) => serve,
        }
    }

    async fn add(&mut self, api: &Dcm) {
        match self {
            Self::OneAddress(address) => {
                address.get_or_insert_with(|| api.url().trim_start_matches("http://").to_owned());
            }
            Self::Proxy(proxy) => proxy.add(api.url()).await,
        }
    }

    fn remove(&self, api: &Dcm) {
        if let Self::Proxy(proxy) = self {
            proxy.remove(api.url());
        }
    }

    fn url(&self) -> String {
        match self {
            Self::OneAddress(address) => format!("http://{}", address.as_deref().expect("one was added")),
            Self::Proxy(proxy) => proxy.url().to_owned(),
        }
    }
}

/// A split service whose processes are replaced one after another.
struct Service {
    split: Split,
    front: Front,
    apis: Vec<Dcm>,
    background: Vec<Dcm>,
    started: usize,
}

impl Service {
    async fn start(front: Front) -> Self {
        let split = Split::on(Postgres::shared().await).await;
        fill(&split).await;
        let mut service = Self { split, front, apis: vec![], background: vec![], started: 0 };
        for _ in 0..2 {
            let background = service.new_background().await;
            service.background.push(background);
            let api = service.new_api().await;
            service.apis.push(api);
        }
        service
    }

    async fn new_api(&mut self) -> Dcm {
        let next = self.next("api");
        let api = self.front.serve(next).start().await;
        self.front.add(&api).await;
        api
    }

    async fn new_background(&mut self) -> Dcm {
        self.next("relay,projector,worker").start().await
    }

    fn next(&mut self, roles: &str) -> Serve {
        self.started += 1;
        self.split.serve(&format!("process-{}", self.started), roles)
    }

    async fn replace_api(&mut self, number: usize) {
        let new = self.new_api().await;
        let mut old = std::mem::replace(&mut self.apis[number], new);
        assert!(old.terminate().await.success(), "{}", old.logs());
        self.front.remove(&old);
    }

    async fn replace_background(&mut self, number: usize) {
        let new = self.new_background().await;
        let mut old = std::mem::replace(&mut self.background[number], new);
        assert!(old.terminate().await.success(), "{}", old.logs());
    }
}

/// Fills the demo fleet, and ends again.
async fn fill(split: &Split) {
    let mut filling = split.serve("fill", "api").flag("--demo", CLIENTS.to_string()).start().await;
    assert!(filling.terminate().await.success(), "{}", filling.logs());
}

/// What the clients were answered.
#[derive(Debug, Default)]
struct Account {
    /// Requests that were answered with what was due.
    answered: Vec<usize>,
    /// Reads that said themselves that they do not show the write yet.
    stale: usize,
    /// What may not be.
    failed: Vec<String>,
}

/// Writes to a subcloud of its own and reads it again, until it is told to stop.
async fn client(number: usize, http: Http, account: Arc<Mutex<Account>>, stop: watch::Receiver<bool>) {
    let path = format!("/v1.0/subclouds/subcloud{}", number + 1);
    let mut pace = tokio::time::interval(PACE);
    for request in 0.. {
        pace.tick().await;
        if *stop.borrow() {
            return;
        }
        let text = format!("request {request}");
        let exchange = async {
            let form = Form::new().field("description", &text);
            let written = http.patch(&path).form(&form).try_send().await.map_err(|e| format!("{e:?}"))?;
            let position = written.header("dcm-position").filter(|_| written.status == 200);
            let position = position.ok_or_else(|| format!("{} {}", written.status, written.body))?;
            let read = http.get(&path).header("dcm-position", position).try_send().await;
            let read = read.map_err(|e| format!("{e:?}"))?;
            if read.status != 200 {
                return Err(format!("{} {}", read.status, read.body));
            }
            let stale = read.header("dcm-stale").is_some();
            match stale || read.json()["description"] == text.as_str() {
                true => Ok(stale),
                false => Err(format!("does not show {text}: {}", read.body)),
            }
        };
        let exchanged = exchange.await;
        let mut account = account.lock().unwrap();
        match exchanged {
            Ok(stale) => {
                account.answered[number] += 2;
                account.stale += usize::from(stale);
            }
            Err(why) => account.failed.push(format!("client {number}: {why}")),
        }
    }
}

/// Waits until each client has had this many answers more.
async fn each_is_answered(account: &Mutex<Account>, more: usize) {
    let before = account.lock().unwrap().answered.clone();
    eventually("every client is answered", SOON, async || {
        let account = account.lock().unwrap();
        let goes_on = |(now, before): (&usize, &usize)| *now >= before + more;
        match !account.failed.is_empty() || account.answered.iter().zip(&before).all(goes_on) {
            true => Ok(()),
            false => Err(format!("{account:?}")),
        }
    })
    .await;
}

async fn replaced_one_after_another(front: Front) {
    let mut service = Service::start(front).await;
    let url = service.front.url();
    eventually("the fleet is shown", SOON, async || {
        let list = list_of(&Http::new(url.as_str())).await;
        if list.len() == CLIENTS { Ok(()) } else { Err(list.len()) }
    })
    .await;
    let account = Arc::new(Mutex::new(Account { answered: vec![0; CLIENTS], ..Account::default() }));
    let (stop, stopping) = watch::channel(false);
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        // Half of them keep their connections.
        let http = if number % 2 == 0 { Http::new(url.as_str()) } else { Http::unpooled(url.as_str()) };
        clients.spawn(client(number, http, Arc::clone(&account), stopping.clone()));
    }
    each_is_answered(&account, 10).await;
    for number in 0..2 {
        service.replace_background(number).await;
        each_is_answered(&account, 4).await;
        service.replace_api(number).await;
        each_is_answered(&account, 4).await;
    }
    // And once more, at once after one another.
    for number in 0..2 {
        service.replace_api(number).await;
        service.replace_background(number).await;
    }
    each_is_answered(&account, 4).await;
    stop.send_replace(true);
    while let Some(ended) = clients.join_next().await {
        ended.unwrap();
    }
    let account = std::mem::take(&mut *account.lock().unwrap());
    println!("{} requests, {} stale reads", account.answered.iter().sum::<usize>(), account.stale);
    assert!(account.failed.is_empty(), "{:#?}", account.failed);
    agree(&service.split).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replaced_at_one_address_no_request_fails() {
    replaced_one_after_another(Front::OneAddress(None)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replaced_behind_a_proxy_that_obeys_readiness_no_request_fails() {
    replaced_one_after_another(Front::Proxy(Balancer::start().await)).await;
}

/// What becomes of the process that projects.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Drained,
    Killed,
    Paused,
}

/// The process that holds the projector's lease.
async fn holder(leases: &Leases) -> Option<u32> {
    let record = leases.read("projector").await.unwrap()?;
    let held = record.is_held();
    record.holder.filter(|_| held).and_then(|holder| u32::try_from(holder.pid).ok())
}

/// Waits until what a part says of itself in `/readyz` is `state`.
async fn says(dcm: &Dcm, part: &str, state: &str) {
    let http = dcm.http();
    eventually(format!("{part} is {state}"), SOON, async || {
        let answer = http.get("/readyz").send().await;
        let said = answer.json()["parts"][part].clone();
        if said == state && answer.status == 200 { Ok(()) } else { Err(answer.body) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_projects_and_another_takes_over() {
    let split = Split::on(Postgres::shared().await).await;
    fill(&split).await;
    let leases = Leases::open(&split.read_model(), split.dir()).await.unwrap();
    let start =
        async |number: usize| split.serve(&format!("process-{number}"), "api,relay,projector").start().await;
    let mut processes = vec![start(0).await, start(1).await];
    for (number, fate) in (2..).zip([Fate::Drained, Fate::Killed, Fate::Paused, Fate::Drained]) {
        let pid = eventually("one projects", SOON, async || holder(&leases).await.ok_or("nobody")).await;
        let at = processes.iter().position(|dcm| dcm.pid() == pid).expect("it is one of these");
        let mut active = processes.remove(at);
        let next = &processes[0];
        says(&active, "projector", "ready").await;
        says(next, "projector", "standby").await;
        let epoch = leases.read("projector").await.unwrap().unwrap().epoch;
        let begun = Instant::now();
        match fate {
            Fate::Drained => {
                assert!(active.terminate().await.success(), "{}", active.logs());
                let left = holder(&leases).await;
                assert!(left.is_none_or(|pid| pid == next.pid()), "a drained process keeps its lease");
            }
            Fate::Killed => active.kill(),
            Fate::Paused => active.pause(),
        }
        eventually("the other takes over", SOON, async || match holder(&leases).await {
            Some(pid) if pid == next.pid() => Ok(()),
            other => Err(other),
        })
        .await;
        println!("{fate:?}: taken over after {:?}", begun.elapsed());
        assert!(leases.read("projector").await.unwrap().unwrap().epoch > epoch);
        // It does what the one before did.
        let text = format!("after {number}");
        let form = Form::new().field("description", &text);
        let _ = next.http().patch_form("/v1.0/subclouds/subcloud1", &form).await.expect(200);
        eventually("what is written is shown", SOON, async || {
            let shown = show(&next.http(), "subcloud1").await;
            if shown["description"] == text.as_str() { Ok(()) } else { Err(shown) }
        })
        .await;
        says(next, "projector", "ready").await;
        match fate {
            Fate::Paused => {
                active.resume();
                // It finds that it has lost the lease, and is well.
                says(&active, "projector", "standby").await;
                says(&active, "relay", "standby").await;
                processes.push(active);
            }
            _ => {
                assert!(!is_running(pid));
                processes.push(start(number).await);
            }
        }
    }
    agree(&split).await;
}

/// Waits until a process says that it is ready, and warns of these parts alone.
async fn warns(dcm: &Dcm, parts: &[&str]) {
    let http = dcm.http();
    eventually(format!("it warns of {parts:?}"), SOON, async || {
        let answer = http.get("/readyz").send().await;
        let body = answer.json();
        let warnings: Vec<&str> = body["warnings"].as_object().unwrap().keys().map(String::as_str).collect();
        if answer.status == 200 && warnings == parts { Ok(()) } else { Err(answer.body) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_bus_processes_stay_behind_their_proxy() {
    let mut split = Split::on(Postgres::shared().await).await;
    fill(&split).await;
    let api = split.serve("api", "api").start().await;
    let every = split.serve("every", "api,relay,projector").start().await;
    let proxy = Balancer::start().await;
    for dcm in [&api, &every] {
        proxy.add(dcm.url()).await;
    }
    says(&every, "relay", "ready").await;
    split.stores.nats.stop().await;
    warns(&api, &["bus"]).await;
    warns(&every, &["bus", "relay"]).await;
    let http = Http::unpooled(proxy.url());
    for number in 0..4 {
        let text = format!("without the bus {number}");
        let form = Form::new().field("description", &text);
        let written = http.patch_form("/v1.0/subclouds/subcloud1", &form).await.expect(200);
        assert_eq!(written.json()["description"], text.as_str());
    }
    split.stores.nats.start_again().await;
    for dcm in [&api, &every] {
        warns(dcm, &[]).await;
    }
    says(&every, "relay", "ready").await;
    agree(&split).await;
}
