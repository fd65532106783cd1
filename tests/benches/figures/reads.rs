//! Queries beside answers that are there already.

use std::net::SocketAddr;

use crate::fleet::Plan;
use crate::floor::Floor;
use crate::load::{self, Script, count};
use crate::plan::{Bench, median};
use crate::table::{Row, Target};
use crate::world::{Engine, Served, cpu};

/// Readers at once.
const CLIENTS: usize = 16;

/// One subcloud beside a handler that says `ok`.
pub async fn show(bench: &mut Bench) {
    let sizes = bench.sizes;
    let floor = Floor::start(&[], None).await;
    for engine in [Engine::Sqlite, Engine::Postgres] {
        let served = bench.world.served(engine, sizes.fleet(), &[]).await;
        for clients in [1, CLIENTS] {
            let subclouds = sizes.subclouds;
            let show = move |client, number| {
                load::get(&format!("/v1.0/subclouds/subcloud{}", (client * 61 + number) % subclouds + 1))
            };
            let trivial = |_, _| load::get("/trivial");
            let sides = Sides { served: &served, floor: &floor, clients };
            let target = if clients == CLIENTS { Target::AtLeast(0.5) } else { Target::None };
            let row = sides.compare(bench, show, trivial).await.target(target);
            let figure = format!("GET show, {}, c={clients}", engine.name());
            bench.row(Row { figure, floor_name: "trivial handler", ..row });
        }
    }
}

/// The whole list beside the same bytes, with nothing changed and with a row changed before each.
pub async fn list(bench: &mut Bench) {
    let sizes = bench.sizes;
    for engine in [Engine::Sqlite, Engine::Postgres] {
        for subclouds in [sizes.subclouds, sizes.large] {
            let served = bench.world.served(engine, Plan { subclouds, turns: 0 }, &[]).await;
            let body = served.dcm.http().get("/v1.0/subclouds").send().await.expect(200).body;
            let file = bench.world.path(&format!("list-{subclouds}.json"));
            std::fs::write(&file, body).expect("write a list");
            let floor = Floor::start(&[file], None).await;
            let sides = Sides { served: &served, floor: &floor, clients: CLIENTS };
            let list = |_, _| load::get("/v1.0/subclouds");
            let fixed = |_, _| load::get("/static/0");
            let row = sides.compare(bench, list, fixed).await.target(Target::AtLeast(0.8));
            let name =
                |what: &str| format!("GET list of {subclouds}, {}, c={CLIENTS}, {what}", engine.name());
            bench.row(Row { figure: name("unchanged"), floor_name: "static bytes", ..row });
            // The same changes go on beside the static bytes, so that the lists alone make the difference.
            let changing = Changing { of: served.address, subclouds, get: load::get("/v1.0/subclouds") };
            let beside = Changing { of: served.address, subclouds, get: load::get("/static/0") };
            let row = sides.compare(bench, changing, beside).await.target(Target::AtLeast(0.4));
            let floor_name = "static bytes beside the same changes";
            bench.row(Row { figure: name("a row changed before each"), floor_name, ..row });
        }
    }
}

struct Sides<'a> {
    served: &'a Served,
    floor: &'a Floor,
    clients: usize,
}

impl Sides<'_> {
    async fn compare<A, B>(&self, bench: &Bench, ours: A, floor: B) -> Row
    where
        A: Script + Send + 'static,
        B: Script + Send + 'static,
    {
        let sizes = bench.sizes;
        let (mut one, mut other) = (Vec::new(), Vec::new());
        let (mut ours, mut floor) = (ours, floor);
        let (mut cpu_ours, mut cpu_floor) = (Spent::default(), Spent::default());
        let served = (self.served.address, self.served.dcm.pid());
        let bare = (self.floor.address, self.floor.pid());
        (_, ours) = load::run(served.0, self.clients, sizes.span / 4, usize::MAX, ours).await;
        (_, floor) = load::run(bare.0, self.clients, sizes.span / 4, usize::MAX, floor).await;
        for _ in 0..sizes.rounds {
            let rate;
            (rate, ours) = self.side(served, sizes.span, ours, &mut cpu_ours).await;
            one.push(rate);
            let rate;
            (rate, floor) = self.side(bare, sizes.span, floor, &mut cpu_floor).await;
            other.push(rate);
        }
        let note = format!("CPU each: {:.0} µs, floor {:.0} µs", cpu_ours.micros(), cpu_floor.micros());
        Row::new("", median(&one), "/s").floor("", median(&other)).note(note)
    }

    async fn side<S: Script + Send + 'static>(
        &self,
        (address, pid): (SocketAddr, u32),
        span: std::time::Duration,
        script: S,
        spent: &mut Spent,
    ) -> (f64, S) {
        let before = cpu(pid);
        let (seen, script) = load::run(address, self.clients, span, usize::MAX, script).await;
        spent.seconds += cpu(pid) - before;
        spent.requests += seen.times.len();
        (seen.rate(), script)
    }
}

#[derive(Default)]
struct Spent {
    seconds: f64,
    requests: usize,
}

impl Spent {
    fn micros(&self) -> f64 {
        self.seconds / count(self.requests) * 1e6
    }
}

/// Changes a row before each request, of a subcloud of the client's own.
struct Changing {
    of: SocketAddr,
    subclouds: usize,
    get: Vec<u8>,
}

impl Script for Changing {
    fn request(&self, _: usize, _: usize) -> Vec<u8> {
        self.get.clone()
    }

    fn before(&self, client: usize, _: usize) -> Option<(SocketAddr, Vec<u8>)> {
        let path = format!("/v1.0/subclouds/subcloud{}", client * self.subclouds / CLIENTS + 1);
        // Another text each time, also in the next round.
        let text = uuid::Uuid::new_v4().simple().to_string();
        Some((self.of, load::patch(&path, &[("description", &text)])))
    }
}
