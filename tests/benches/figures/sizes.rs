//! What grows with the fleet: latencies, memory, the time to start.

use std::time::Duration;

use dcm_tests::{Dcm, Serve};

use crate::commands::Turns;
use crate::fleet::Plan;
use crate::load;
use crate::plan::{Bench, median};
use crate::table::{Row, Target};
use crate::world::{Engine, LONG, address, resident_mib, timed};

/// The smallest fleet.
const FEW: usize = 10;
/// How much slower a huge fleet may be where it must not matter, as the measure of how far the two may be apart.
const FLAT: f64 = 1.3;
/// Clients that ask for every subcloud once, and how long they may take.
const WARMING: usize = 16;
const WARM_WITHIN: Duration = Duration::from_secs(120);

/// PATCH, show and list with few and with very many subclouds.
pub async fn growth(bench: &mut Bench) {
    let sizes = bench.sizes;
    let few = bench.world.served(Engine::Postgres, Plan { subclouds: FEW, turns: 0 }, &[]).await;
    let many = bench.world.served(Engine::Postgres, Plan { subclouds: sizes.huge, turns: 0 }, &[]).await;
    let (few_turns, many_turns) = (Turns::new(FEW), Turns::new(sizes.huge));
    let show = |subclouds: usize| {
        move |_, number: usize| {
            load::get(&format!("/v1.0/subclouds/subcloud{}", (number * 7919) % subclouds + 1))
        }
    };
    let list = |_, _| load::get("/v1.0/subclouds");
    let mut times: [[Vec<f64>; 2]; 3] = Default::default();
    let mut first_shown = f64::NAN;
    for warm in [true, false] {
        for _ in 0..if warm { 1 } else { sizes.rounds } {
            let seen = [
                [
                    load::run(few.address, 1, sizes.span, usize::MAX, few_turns.of(1)).await.0,
                    load::run(many.address, 1, sizes.span, usize::MAX, many_turns.of(1)).await.0,
                ],
                [
                    load::run(few.address, 1, sizes.span, usize::MAX, show(FEW)).await.0,
                    load::run(many.address, 1, sizes.span, usize::MAX, show(sizes.huge)).await.0,
                ],
                [
                    load::run(few.address, 1, sizes.span, usize::MAX, list).await.0,
                    load::run(many.address, 1, sizes.span, usize::MAX, list).await.0,
                ],
            ];
            if warm {
                first_shown = seen[1][1].quantile_ms(0.5);
                let each = move |client: usize, number: usize| {
                    load::get(&format!("/v1.0/subclouds/subcloud{}", client + number * WARMING + 1))
                };
                let _ = load::run(many.address, WARMING, WARM_WITHIN, sizes.huge / WARMING, each).await;
            }
            for (times, seen) in times.iter_mut().zip(&seen).filter(|_| !warm) {
                for (times, seen) in times.iter_mut().zip(seen) {
                    times.push(seen.quantile_ms(0.5));
                }
            }
        }
    }
    let [patch, show, list] = times.map(|sides| sides.map(|times| median(&times)));
    let first = format!("each shown before; for the first time {first_shown:.2} ms");
    for (name, [small, large], note) in [("PATCH", patch, String::new()), ("show", show, first)] {
        let figure = format!("{name} with {} subclouds, c=1", sizes.huge);
        let row = Row::new(figure, large, "ms").target(Target::AtMost(FLAT)).note(note);
        bench.row(row.floor("with 10", small));
    }
    let per_row = |time: f64, rows: usize| time * 1000.0 / load::count(rows);
    let figure = format!("list of {}, c=1, a row", sizes.huge);
    let row = Row::new(figure, per_row(list[1], sizes.huge), "µs").note(format!(
        "{:.1} ms in all; linear: a row costs no more than among {}",
        list[1], sizes.subclouds
    ));
    let ordinary = bench.world.served(Engine::Postgres, sizes.fleet(), &[]).await;
    let (seen, _) =
        load::run(ordinary.address, 1, sizes.span, usize::MAX, |_, _| load::get("/v1.0/subclouds")).await;
    let floor = per_row(seen.quantile_ms(0.5), sizes.subclouds);
    bench.row(row.floor("among 1,000", floor).target(Target::AtMost(FLAT)));
}

/// How long it takes to start with fleets of every size, and what an idle server holds.
pub async fn start(bench: &mut Bench) {
    let sizes = bench.sizes;
    for (subclouds, most) in [(0, 0.5), (sizes.subclouds, 0.5), (sizes.huge, 5.0)] {
        let mut served = bench.world.served(Engine::Sqlite, Plan { subclouds, turns: 0 }, &[]).await;
        served.dcm.terminate().await;
        let mut times = Vec::new();
        for _ in 0..sizes.rounds {
            let (seconds, mut dcm) = started(&served.serve).await;
            times.push(seconds);
            dcm.terminate().await;
        }
        let figure = format!("start with {subclouds} subclouds, SQLite");
        bench.row(Row::new(figure, median(&times), "s").target(Target::Below(most)));
        if subclouds == sizes.subclouds {
            let (_, dcm) = started(&served.serve).await;
            // As long as a start may still be going on behind the first line.
            tokio::time::sleep(Duration::from_secs(2)).await;
            let idle = resident_mib(dcm.pid());
            let list = |_, _| load::get("/v1.0/subclouds");
            let _ = load::run(address(&dcm), 1, LONG, 3, list).await;
            let note = format!("{:.0} MiB after lists of all of them", resident_mib(dcm.pid()));
            let row = Row::new(format!("idle memory with {subclouds}"), idle, "MiB");
            bench.row(row.target(Target::Below(60.0)).note(note));
        }
    }
}

/// Starts a server and waits for its first line; how long that took, in seconds.
async fn started(serve: &Serve) -> (f64, Dcm) {
    timed(serve.start()).await
}
