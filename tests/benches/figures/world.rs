//! What is measured: servers of the product with a fleet in them, and the stores under them, with commits that wait for
//! the disk.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dcm_tests::{Dcm, Http, Nats, Postgres, Serve, WorkDir, eventually, run_dcm_within};

use crate::fleet::{self, Plan};

/// How long a large fleet may take to be imported, shown, or served.
pub const LONG: Duration = Duration::from_secs(300);

/// Where a server keeps everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Embedded stores and bus.
    Sqlite,
    /// All stores on PostgreSQL, the bus in the process.
    Postgres,
    /// All stores on PostgreSQL, the bus on NATS JetStream.
    PostgresNats,
}

impl Engine {
    /// As the table says it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
            Self::PostgresNats => "PostgreSQL + NATS",
        }
    }
}

/// The servers that all sections share, started when the first needs them.
pub struct World {
    dir: WorkDir,
    postgres: Option<Postgres>,
    nats: Vec<Nats>,
    fleets: HashMap<Plan, PathBuf>,
}

/// A server of the product.
pub struct Served {
    /// The process.
    pub dcm: Dcm,
    /// Where it listens.
    pub address: SocketAddr,
    /// How to start it again.
    pub serve: Serve,
    /// Its database, if it has one.
    pub database: Option<String>,
}

impl World {
    /// A world without servers.
    pub fn new() -> Self {
        Self { dir: WorkDir::new("bench"), postgres: None, nats: Vec::new(), fleets: HashMap::new() }
    }

    /// PostgreSQL, whose commits wait for the disk.
    pub async fn postgres(&mut self) -> &Postgres {
        if self.postgres.is_none() {
            self.postgres = Some(Postgres::start_durable().await);
        }
        self.postgres.as_ref().expect("it was started")
    }

    /// A new database's URL.
    pub async fn database(&mut self) -> String {
        self.postgres().await.create_database().await.url
    }

    /// A path of this run that nobody else has.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The file of a fleet.
    fn fleet(&mut self, plan: Plan) -> PathBuf {
        let to = self.path(&format!("fleet-{}-{}.ndjson", plan.subclouds, plan.turns));
        let path = self.fleets.entry(plan).or_insert_with(|| {
            fleet::write(plan, &to);
            to
        });
        path.clone()
    }

    /// A server on `engine` with this fleet imported and shown.
    pub async fn served(&mut self, engine: Engine, plan: Plan, flags: &[(&str, &str)]) -> Served {
        let mut serve = Serve::new().start_within(LONG);
        let mut database = None;
        if engine == Engine::Sqlite {
            serve = serve.flag("--journal", "embedded:");
        } else {
            let url = self.database().await;
            let key = self.path(&format!("vault-{}.key", uuid::Uuid::new_v4().simple()));
            write_key(&key);
            for flag in ["--journal", "--read-model", "--vault"] {
                serve = serve.flag(flag, &url);
            }
            serve = serve.flag("--vault-key-file", key.as_os_str());
            database = Some(url);
        }
        if engine == Engine::PostgresNats {
            let nats = Nats::start().await;
            serve = serve.flag("--bus", nats.url());
            self.nats.push(nats);
        }
        for (name, value) in flags {
            serve = serve.flag(name, *value);
        }
        self.import(plan, &serve, database.as_deref()).await;
        let dcm = serve.start().await;
        let address = address(&dcm);
        let served = Served { dcm, address, serve, database };
        served.caught_up().await;
        served
    }

    /// Imports a fleet into a store that is empty.
    async fn import(&mut self, plan: Plan, serve: &Serve, database: Option<&str>) {
        let file = self.fleet(plan);
        let file = file.to_str().expect("a path of ours").to_owned();
        let data = serve.data_path().to_str().expect("a path of ours").to_owned();
        let place = match database {
            Some(url) => ["--journal".to_owned(), url.to_owned()],
            None => ["--data-dir".to_owned(), data],
        };
        let command = ["journal".to_owned(), "import".to_owned(), file].into_iter().chain(place);
        run_dcm_within(command, LONG).await.ok();
    }
}

impl Served {
    /// Waits until the read models show everything.
    pub async fn caught_up(&self) {
        let http = Http::new(format!("http://{}", self.address));
        eventually("the read models show everything", LONG, async || {
            let lags = http.get_json("/v1.0/projections").await;
            let lags = lags["projections"].as_array().cloned().unwrap_or_default();
            let behind: u64 = lags.iter().filter_map(|lag| lag["lag_events"].as_u64()).sum();
            if behind == 0 && !lags.is_empty() { Ok(()) } else { Err(behind) }
        })
        .await;
    }
}

/// Where a server listens.
pub fn address(dcm: &Dcm) -> SocketAddr {
    dcm.url().trim_start_matches("http://").parse().expect("the address of a server")
}

fn write_key(path: &Path) {
    use std::io::Write;
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let file = file.as_mut().expect("create a key file");
    // 32 bytes of nothing, in base64: a key for a vault without secrets.
    writeln!(file, "k1 {}=", "A".repeat(43)).expect("write a key file");
}

/// CPU seconds a process has used.
pub fn cpu(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process runs");
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    // The fields after the name begin with the third; 14 and 15 are user and system time in ticks of 10 ms.
    let ticks = after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u32>().ok());
    f64::from(ticks.sum::<u32>()) / 100.0
}

/// Resident memory of a process, in MiB.
pub fn resident_mib(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u32>().ok());
    f64::from(kib.expect("the kernel tells it")) / 1024.0
}

/// What `work` takes, in seconds.
pub async fn timed<T>(work: impl Future<Output = T>) -> (f64, T) {
    let begun = Instant::now();
    let done = work.await;
    (begun.elapsed().as_secs_f64(), done)
}
