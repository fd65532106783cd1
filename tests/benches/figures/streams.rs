//! Long streams, and many at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use dcm_domain::aggregate::Aggregate;
use dcm_domain::subcloud::Subcloud;
use dcm_journal::repository::Repository;
use dcm_schemas::StreamId;
use dcm_tests::eventually;
use sqlx::{Connection as _, PgConnection, SqliteConnection};

use crate::fleet::{self, Plan};
use crate::floor::Floor;
use crate::load::{self, Script, count};
use crate::plan::{Bench, median};
use crate::table::{Row, Target};
use crate::world::{Engine, timed};

/// Events of one release and return.
const EVENTS_OF_A_TURN: usize = 4;
const SELECT: &str = "select ord, body from journal_event where stream = $1 order by revision";

/// Loading one long stream, without a snapshot, beside a SELECT of its rows.
pub async fn aggregate(bench: &mut Bench) {
    let sizes = bench.sizes;
    let plan = Plan { subclouds: 1, turns: sizes.events.div_ceil(EVENTS_OF_A_TURN) };
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let mut served = bench.world.served(engine, plan, &[]).await;
        let data_dir = served.dcm.data_dir();
        let url = served.database.clone();
        served.dcm.kill();
        let journal = dcm_journal::store::open(url.as_deref().unwrap_or("embedded:"), &data_dir).await;
        let journal = journal.expect("open the journal");
        let stream = StreamId::aggregate(Subcloud::KIND, fleet::entity(1));
        let (mut loads, mut selects, mut events) = (Vec::new(), Vec::new(), 0);
        for _ in 0..sizes.rounds * 5 {
            let repository = Repository::<Subcloud>::new(Arc::clone(&journal));
            let (seconds, loaded) = timed(repository.load(&stream)).await;
            let loaded = loaded.expect("load the stream");
            events = loaded.revision.expect("it has events") + 1;
            loads.push(seconds * 1000.0);
            selects.push(select(url.as_deref(), &data_dir, stream.as_str()).await * 1000.0);
        }
        let figure = format!("load an aggregate of {events} events, {}", engine.name());
        let row = Row::new(figure, median(&loads), "ms").target(Target::AtMost(2.0));
        bench.row(row.floor("SELECT of the same rows", median(&selects)));
    }
}

async fn select(url: Option<&str>, data_dir: &std::path::Path, stream: &str) -> f64 {
    let query = sqlx::query_as::<_, (i64, String)>(SELECT).bind(stream.to_owned());
    match url {
        Some(url) => {
            let mut connection = PgConnection::connect(url).await.expect("connect");
            sqlx::query("select 1").execute(&mut connection).await.expect("it answers");
            timed(query.fetch_all(&mut connection)).await.0
        }
        None => {
            let file = format!("sqlite://{}", data_dir.join("journal.db").display());
            let mut connection = SqliteConnection::connect(&file).await.expect("open the file");
            let query = sqlx::query_as::<_, (i64, String)>(SELECT).bind(stream.to_owned());
            timed(query.fetch_all(&mut connection)).await.0
        }
    }
}

/// Reports every subcloud offline.
struct Offline {
    next: AtomicUsize,
    subclouds: usize,
}

impl Script for Arc<Offline> {
    fn request(&self, _: usize, _: usize) -> Vec<u8> {
        let number = self.next.fetch_add(1, Ordering::Relaxed) % self.subclouds + 1;
        load::patch_json(
            &format!("/v1.0/subclouds/subcloud{number}/update_availability"),
            "{\"status\": \"offline\"}",
        )
    }
}

/// A whole fleet goes offline: until the last report is answered, and until the list shows it.
pub async fn offline(bench: &mut Bench) {
    const CLIENTS: usize = 64;
    let sizes = bench.sizes;
    let plan = Plan { subclouds: sizes.large, turns: 0 };
    let served = bench.world.served(Engine::Postgres, plan, &[]).await;
    let floor = Floor::start(&[], served.database.as_deref()).await;
    // Each subcloud is the object of one request; the last clients may send one more, which changes nothing.
    let each = sizes.large.div_ceil(CLIENTS);
    let long = Duration::from_secs(120);
    let begun = Instant::now();
    let script = Arc::new(Offline { next: AtomicUsize::new(0), subclouds: sizes.large });
    let (answered, _) = load::run(served.address, CLIENTS, long, each, script).await;
    let http = served.dcm.http();
    eventually("the list shows every subcloud offline", long, async || {
        let body = http.get("/v1.0/subclouds").send().await.expect(200).body;
        let offline = body.matches("\"availability-status\":\"offline\"").count();
        if offline == sizes.large { Ok(()) } else { Err(offline) }
    })
    .await;
    let seconds = begun.elapsed().as_secs_f64();
    let script = |_, _| load::patch("/commit", &[("status", "offline")]);
    let (bare, _) = load::run(floor.address, CLIENTS, long, each, script).await;
    let note = format!("{:.0} reports a second", count(answered.times.len()) / answered.elapsed);
    let figure = format!("{} subclouds go offline, PostgreSQL", sizes.large);
    let row = Row::new(figure, seconds, "s").target(Target::Below(5.0));
    bench.row(row.floor("as many bare commits", bare.elapsed).note(note));
}
