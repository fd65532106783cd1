//! Durable commands: how many, how quick, and how soon they are seen.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection as _, PgConnection, SqliteConnection};

use crate::floor::{Floor, INSERT, ROW_BYTES, TABLE};
use crate::load::{self, Connection, Script, count};
use crate::plan::{Bench, median};
use crate::table::{Row, Target};
use crate::world::{Engine, Served, cpu};

/// Commands at once.
const CLIENTS: [usize; 3] = [1, 8, 64];
/// The flag of a server whose answers do not wait for the read models.
const NO_WAIT: [(&str, &str); 1] = [("--set", "write_wait_ms=0")];

/// Releases subclouds and takes them back, each in its turn.
#[derive(Clone)]
pub struct Turns {
    clients: usize,
    released: Arc<Vec<AtomicBool>>,
}

impl Turns {
    /// Over `subclouds`, all of them managed.
    pub fn new(subclouds: usize) -> Self {
        Self { clients: 1, released: Arc::new((0..subclouds).map(|_| AtomicBool::new(false)).collect()) }
    }

    /// For so many clients.
    pub fn of(&self, clients: usize) -> Self {
        Self { clients, ..self.clone() }
    }

    /// The subcloud of a client's request: no two clients share one.
    fn index(&self, client: usize, number: usize) -> usize {
        let own = (self.released.len() - client).div_ceil(self.clients);
        client + self.clients * (number % own)
    }
}

impl Script for Turns {
    fn request(&self, client: usize, number: usize) -> Vec<u8> {
        let index = self.index(client, number);
        let path = format!("/v1.0/subclouds/subcloud{}", index + 1);
        match self.released[index].load(Ordering::Relaxed) {
            true => load::patch(&path, &[("management-state", "managed")]),
            false => load::patch(&path, &[("management-state", "unmanaged"), ("migrate", "true")]),
        }
    }

    fn answered(&self, client: usize, number: usize) {
        self.released[self.index(client, number)].fetch_xor(true, Ordering::Relaxed);
    }
}

/// Commands a second, of each engine, beside raw commits of single rows by as many connections.
pub async fn commands(bench: &mut Bench) {
    let sizes = bench.sizes;
    for engine in [Engine::Sqlite, Engine::Postgres, Engine::PostgresNats] {
        let served = bench.world.served(engine, sizes.fleet(), &[]).await;
        let turns = Turns::new(sizes.subclouds);
        let floor = match &served.database {
            Some(url) => Some(Floor::start(&[], Some(url)).await),
            None => None,
        };
        for clients in CLIENTS {
            let (mut ours, mut raw, mut bare) = (Vec::new(), Vec::new(), Vec::new());
            let (mut spent, mut commands, mut bare_spent, mut commits) = (0.0, 0, 0.0, 0);
            warm_up(served.address, clients, &turns).await;
            for _ in 0..sizes.rounds {
                let before = cpu(served.dcm.pid());
                let (seen, _) =
                    load::run(served.address, clients, sizes.span, usize::MAX, turns.of(clients)).await;
                spent += cpu(served.dcm.pid()) - before;
                commands += seen.times.len();
                ours.push(count(seen.times.len()) / seen.elapsed);
                if let (64, Some(floor)) = (clients, &floor) {
                    let before = cpu(floor.pid());
                    let script = |_, _| load::patch("/commit", &[("management-state", "managed")]);
                    let (seen, _) = load::run(floor.address, clients, sizes.span, usize::MAX, script).await;
                    bare_spent += cpu(floor.pid()) - before;
                    commits += seen.times.len();
                    bare.push(count(seen.times.len()) / seen.elapsed);
                }
                raw.push(raw_commits(&served, clients, sizes.span).await);
            }
            let behind = behind(&served).await;
            let micros = spent / count(commands) * 1e6;
            let note = format!("{micros:.0} µs CPU each; {behind}");
            let figure = format!("PATCH, {}, c={clients}", engine.name());
            let row = Row::new(figure.clone(), median(&ours), "/s");
            bench.row(row.floor("raw commits", median(&raw)).note(note));
            if !bare.is_empty() {
                let micros = bare_spent / count(commits) * 1e6;
                let target = if engine == Engine::Postgres { Target::AtLeast(0.5) } else { Target::None };
                let row = Row::new(figure, median(&ours), "/s").target(target);
                let row = row.floor("bare handler that commits", median(&bare));
                bench.row(row.note(format!("bare handler: {micros:.0} µs CPU each")));
            }
        }
    }
}

async fn warm_up(address: SocketAddr, clients: usize, turns: &Turns) {
    load::run(address, clients, Duration::from_millis(400), usize::MAX, turns.of(clients)).await;
}

/// How far read models and bus are behind right after the load.
async fn behind(served: &Served) -> String {
    let http = served.dcm.http();
    let lags = http.get_json("/v1.0/projections").await;
    let most = lags["projections"].as_array().into_iter().flatten();
    let most = most.filter_map(|lag| lag["lag_events"].as_u64()).max().unwrap_or(0);
    let metrics = http.get("/metrics").send().await.expect(200).body;
    let relay = metrics.lines().find_map(|line| line.strip_prefix("dcm_relay_lag_events "));
    format!("behind: rows {most}, bus {} events", relay.unwrap_or("?"))
}

/// Commits of single rows a second, by as many connections as there are clients; SQLite has one writer.
async fn raw_commits(served: &Served, clients: usize, span: Duration) -> f64 {
    let body = "x".repeat(ROW_BYTES);
    let Some(url) = &served.database else {
        let mut connection = raw_file(&served.dcm.data_dir().join("raw.db")).await;
        let (begun, mut commits) = (Instant::now(), 0);
        while begun.elapsed() < span {
            sqlx::query(INSERT).bind(body.as_str()).execute(&mut connection).await.expect("commit a row");
            commits += 1;
        }
        return count(commits) / begun.elapsed().as_secs_f64();
    };
    let mut connections = Vec::new();
    for _ in 0..clients {
        let mut connection = PgConnection::connect(url).await.expect("connect");
        sqlx::query(TABLE).execute(&mut connection).await.expect("create the table of rows");
        connections.push(connection);
    }
    let begun = Instant::now();
    let writers: Vec<_> = connections
        .into_iter()
        .map(|mut connection| {
            let body = body.clone();
            tokio::spawn(async move {
                let mut commits = 0;
                while begun.elapsed() < span {
                    sqlx::query(INSERT).bind(body.as_str()).execute(&mut connection).await.expect("commit");
                    commits += 1;
                }
                commits
            })
        })
        .collect();
    let mut commits = 0;
    for writer in writers {
        commits += writer.await.expect("a writer does not panic");
    }
    count(commits) / begun.elapsed().as_secs_f64()
}

async fn raw_file(file: &std::path::Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let mut connection = options.connect().await.expect("open a file");
    let table = "create table if not exists bare_row (id integer primary key, body text not null)";
    sqlx::query(table).execute(&mut connection).await.expect("create the table of rows");
    connection
}

/// How long one command takes, alone, with and without the wait for its row, beside one raw commit.
pub async fn patch(bench: &mut Bench) {
    let sizes = bench.sizes;
    let waiting = bench.world.served(Engine::Postgres, sizes.fleet(), &[]).await;
    let hasty = bench.world.served(Engine::Postgres, sizes.fleet(), &NO_WAIT).await;
    let (turns, hasty_turns) = (Turns::new(sizes.subclouds), Turns::new(sizes.subclouds));
    warm_up(waiting.address, 1, &turns).await;
    warm_up(hasty.address, 1, &hasty_turns).await;
    let (mut with, mut without, mut raw) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..sizes.rounds {
        let (seen, _) = load::run(waiting.address, 1, sizes.span, usize::MAX, turns.of(1)).await;
        with.push(seen.quantile_ms(0.5));
        let (seen, _) = load::run(hasty.address, 1, sizes.span, usize::MAX, hasty_turns.of(1)).await;
        without.push(seen.quantile_ms(0.5));
        raw.push(1000.0 / raw_commits(&waiting, 1, sizes.span).await);
    }
    for (figure, times, most) in [
        ("PATCH latency c=1, PostgreSQL, without the wait for the row", without, 3.0),
        ("PATCH latency c=1, PostgreSQL, with the wait for the row", with, 5.0),
    ] {
        let row = Row::new(figure, median(&times), "ms").target(Target::AtMost(most));
        bench.row(row.floor("raw commit", median(&raw)));
    }
}

/// What it costs that answers wait for the read models.
pub async fn wait(bench: &mut Bench) {
    let sizes = bench.sizes;
    let waiting = bench.world.served(Engine::Postgres, sizes.fleet(), &[]).await;
    let hasty = bench.world.served(Engine::Postgres, sizes.fleet(), &NO_WAIT).await;
    let (turns, hasty_turns) = (Turns::new(sizes.subclouds), Turns::new(sizes.subclouds));
    warm_up(waiting.address, 64, &turns).await;
    warm_up(hasty.address, 64, &hasty_turns).await;
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for _ in 0..sizes.rounds {
        let (seen, _) = load::run(waiting.address, 64, sizes.span, usize::MAX, turns.of(64)).await;
        with.push(count(seen.times.len()) / seen.elapsed);
        let (seen, _) = load::run(hasty.address, 64, sizes.span, usize::MAX, hasty_turns.of(64)).await;
        without.push(count(seen.times.len()) / seen.elapsed);
        // What is left over is not the next round's.
        hasty.caught_up().await;
    }
    let row = Row::new("PATCH c=64 that waits for its row", median(&with), "/s");
    bench.row(row.floor("without waiting", median(&without)).target(Target::AtLeast(0.9)));
}

/// How long after the answer to a command the row shows it, at 500 commands a second.
pub async fn lag(bench: &mut Bench) {
    const A_SECOND: usize = 500;
    const CLIENTS: usize = 32;
    let sizes = bench.sizes;
    let served = bench.world.served(Engine::Postgres, sizes.fleet(), &NO_WAIT).await;
    let turns = Turns::new(sizes.subclouds);
    warm_up(served.address, 8, &turns).await;
    served.caught_up().await;
    let until = Instant::now() + sizes.span * 4;
    let pace = Duration::from_secs_f64(count(CLIENTS) / count(A_SECOND));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let turns = turns.of(CLIENTS);
            let address = served.address;
            tokio::spawn(async move {
                let mut connection = Connection::open(address).await;
                let first = tokio::time::Instant::now() + pace.mul_f64(count(client) / count(CLIENTS));
                let mut ticks = tokio::time::interval_at(first, pace);
                let mut times = Vec::new();
                for number in 0.. {
                    ticks.tick().await;
                    if Instant::now() >= until {
                        break;
                    }
                    connection.exchange(&turns.request(client, number)).await;
                    let position = connection.header("dcm-position").expect("a position").to_owned();
                    let answered = Instant::now();
                    turns.answered(client, number);
                    connection.exchange(&load::get_at("/v1.0/subclouds/subcloud1", &position)).await;
                    // A row that is not shown within the second that the read waits counts as shown after it.
                    times.push(answered.elapsed().as_secs_f64());
                }
                times
            })
        })
        .collect();
    let mut times = Vec::new();
    for client in clients {
        times.append(&mut client.await.expect("a client does not panic"));
    }
    let note = format!("{} commands", times.len());
    let seen = load::Seen { times, elapsed: 0.0, clients: CLIENTS };
    for (name, share, most) in [("p50", 0.5, 10.0), ("p99", 0.99, 100.0)] {
        let figure = format!("append → row at {A_SECOND}/s, {name}");
        let row = Row::new(figure, seen.quantile_ms(share), "ms").target(Target::Below(most));
        bench.row(row.note(note.clone()));
    }
}
