//! A running load of PATCHes, and the account of what was answered.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dcm_schemas::{Envelope, Position};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::http::{Answer, Http};
use crate::ledger::Ledger;
use crate::multipart::Form;

/// Pause between two requests of one client, so that the load runs beside everything else on a small machine.
const PACE: Duration = Duration::from_millis(60);
/// A request whose outcome nobody knows may still take effect for so long.
const SETTLED: Duration = Duration::from_secs(15);

/// Where the API processes are now; a process that is started again has another address.
#[derive(Clone, Debug)]
pub struct Addresses(Arc<Mutex<Vec<String>>>);

impl Addresses {
    /// The API processes at these addresses.
    pub fn new(urls: Vec<String>) -> Self {
        Self(Arc::new(Mutex::new(urls)))
    }

    /// The `index`th is at another address from now on.
    pub fn moved(&self, index: usize, url: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)[index] = url.to_owned();
    }

    /// The first of them.
    pub fn first(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).first().expect("there is an API").clone()
    }

    fn any(&self, random: &mut StdRng) -> String {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.choose(random).expect("there is an API").clone()
    }
}

/// An answer that said yes.
#[derive(Clone, Debug)]
pub struct Acknowledged {
    /// The request, as the answer and the journal name it.
    pub request_id: String,
    /// Where the answer says its last event is.
    pub position: Position,
    /// A text that this request alone wrote.
    pub description: String,
}

/// What came of a load's requests.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// Answered with 2xx.
    pub acknowledged: Vec<Acknowledged>,
    /// Ids of requests that were refused (4xx).
    pub refused: Vec<String>,
    /// Descriptions of requests without an answer, or with 503.
    pub unknown: Vec<String>,
    /// How many of the latter were 503 with `Retry-After`.
    pub unavailable: usize,
    /// What may not be: an answer that is none of these, or a refusal that nothing explains.
    pub wrong: Vec<String>,
}

/// Clients that send PATCHes until they are told to stop.
#[derive(Debug)]
pub struct Load {
    addresses: Addresses,
    account: Arc<Mutex<Account>>,
    stop: watch::Sender<bool>,
    clients: JoinSet<()>,
}

impl Load {
    /// Starts one client for each of these subclouds, which are managed, online and complete.
    pub fn start(addresses: &Addresses, subclouds: &[String], seed: u64) -> Self {
        let account = Arc::new(Mutex::new(Account::default()));
        let (stop, _) = watch::channel(false);
        let mut clients = JoinSet::new();
        for (number, subcloud) in (1_u64..).zip(subclouds) {
            let client = Client {
                addresses: addresses.clone(),
                account: Arc::clone(&account),
                subcloud: subcloud.clone(),
                random: StdRng::seed_from_u64(seed.wrapping_add(number)),
                clients: HashMap::new(),
                managed: true,
                unsure: None,
            };
            clients.spawn(client.run(stop.subscribe()));
        }
        Self { addresses: addresses.clone(), account, stop, clients }
    }

    /// Where the clients find the API.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// The account so far.
    pub fn account(&self) -> Account {
        self.account.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets every client have its last answer, and gives the account. Panics if an answer was wrong.
    pub async fn finish(mut self) -> Account {
        self.stop.send_replace(true);
        while let Some(ended) = self.clients.join_next().await {
            ended.expect("a client panicked");
        }
        let account = self.account();
        assert!(account.wrong.is_empty(), "{:#?}", account.wrong);
        account
    }
}

struct Client {
    addresses: Addresses,
    account: Arc<Mutex<Account>>,
    subcloud: String,
    random: StdRng,
    /// One per address, so that connections are kept.
    clients: HashMap<String, Http>,
    managed: bool,
    /// When a request's outcome was last unknown.
    unsure: Option<Instant>,
}

impl Client {
    async fn run(mut self, stop: watch::Receiver<bool>) {
        let mut pace = tokio::time::interval(PACE);
        pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        for number in 0.. {
            pace.tick().await;
            if *stop.borrow() {
                return;
            }
            self.request(number).await;
        }
    }

    /// One PATCH: a description of its own, and sometimes management too.
    async fn request(&mut self, number: u32) {
        let description = format!("{} request {number}", self.subcloud);
        let toggles = self.random.random_bool(0.7);
        let mut form = Form::new().field("description", &description);
        if toggles && self.managed {
            form = form.field("management-state", "unmanaged");
            if self.random.random_bool(0.7) {
                form = form.field("migrate", "true");
            }
        } else if toggles {
            form = form.field("management-state", "managed");
        }
        let url = self.addresses.any(&mut self.random);
        let path = format!("/v1.0/subclouds/{}", self.subcloud);
        let http = self.clients.entry(url).or_insert_with_key(|url| Http::new(url.as_str()));
        let answer = http.patch(&path).form(&form).try_send().await;
        self.record(description, toggles, answer);
    }

    fn record(&mut self, description: String, toggles: bool, answer: Result<Answer, reqwest::Error>) {
        let mut account = self.account.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = match answer {
            Ok(answer) => answer,
            Err(_) => {
                self.unsure = Some(Instant::now());
                account.unknown.push(description);
                return;
            }
        };
        let request_id = answer.header("x-openstack-request-id").map(str::to_owned);
        let position = answer.header("dcm-position").and_then(|text| text.parse().ok());
        match (answer.status, request_id, position) {
            (200, Some(request_id), Some(position)) => {
                self.managed ^= toggles;
                account.acknowledged.push(Acknowledged { request_id, position, description });
            }
            (503, ..) if answer.header("retry-after").is_some() => {
                self.unsure = Some(Instant::now());
                account.unknown.push(description);
                account.unavailable += 1;
            }
            (400 | 422, Some(request_id), _) => {
                // Only an earlier request whose outcome is unknown explains it: it took effect after all.
                if self.unsure.is_none_or(|since| since.elapsed() > SETTLED) {
                    account.wrong.push(format!("{description}: {} {}", answer.status, answer.body));
                }
                self.managed ^= toggles;
                account.refused.push(request_id);
            }
            _ => account
                .wrong
                .push(format!("{description}: {} {:?} {}", answer.status, answer.headers, answer.body)),
        }
    }
}

impl Account {
    /// Checks the account against what is stored: what was acknowledged is there exactly once and where the answer
    /// said, what was refused left nothing, what nobody knows is there once at most.
    pub fn compare(&self, ledger: &Ledger) {
        let envelopes = ledger.envelopes();
        let mut written: HashMap<&str, u32> = HashMap::new();
        let mut commands: HashMap<&str, u32> = HashMap::new();
        for envelope in &envelopes {
            if envelope.r#type == "SubcloudDescribed"
                && let Some(text) = envelope.data["description"].as_str()
            {
                *written.entry(text).or_default() += 1;
            }
            if let (Some(_), Some(request)) = (&envelope.command, &envelope.request_id) {
                *commands.entry(request).or_default() += 1;
            }
        }
        for yes in &self.acknowledged {
            assert_eq!(commands.get(yes.request_id.as_str()), Some(&1), "commands of {yes:?}");
            assert_eq!(written.get(yes.description.as_str()), Some(&1), "events of {yes:?}");
            assert_eq!(yes.position.journal, ledger.journal);
            let at = ledger.at(yes.position.order).unwrap_or_else(|| panic!("{yes:?} is not there"));
            let envelope: Envelope = serde_json::from_str(&at.body).unwrap();
            assert_eq!(envelope.request_id.as_deref(), Some(yes.request_id.as_str()), "{yes:?}");
        }
        for request in &self.refused {
            assert_eq!(commands.get(request.as_str()), None, "{request} was refused");
        }
        let asked = self.acknowledged.iter().map(|yes| &yes.description).chain(&self.unknown);
        let asked: HashSet<&str> = asked.map(String::as_str).collect();
        for (description, times) in written {
            assert!(times == 1 && asked.contains(description), "{description} was written {times} times");
        }
    }
}
