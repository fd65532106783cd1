//! How much is measured, and what came of it.

use std::time::Duration;

use crate::fleet::Plan;
use crate::table::Row;
use crate::world::World;

/// Sizes, each an environment variable.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// `DCM_BENCH_ROUNDS`: how often each side is measured; default 3.
    pub rounds: usize,
    /// `DCM_BENCH_SPAN_MS`: how long each time; default 1500.
    pub span: Duration,
    /// `DCM_BENCH_SUBCLOUDS`: subclouds of an ordinary fleet; default 1,000.
    pub subclouds: usize,
    /// `DCM_BENCH_LARGE`: subclouds of a large one; default 5,000.
    pub large: usize,
    /// `DCM_BENCH_HUGE`: subclouds of a fleet as it will never be; default 100,000.
    pub huge: usize,
    /// `DCM_BENCH_EVENTS`: events of the longest stream; default 10,000.
    pub events: usize,
}

impl Sizes {
    fn new(quick: bool) -> Self {
        let or = |whole, part| if quick { part } else { whole };
        Self {
            rounds: number("DCM_BENCH_ROUNDS", or(3, 2)),
            span: Duration::from_millis(
                u64::try_from(number("DCM_BENCH_SPAN_MS", or(1500, 600))).unwrap_or(600),
            ),
            subclouds: number("DCM_BENCH_SUBCLOUDS", 1000),
            large: number("DCM_BENCH_LARGE", or(5000, 2000)),
            huge: number("DCM_BENCH_HUGE", or(100_000, 10_000)),
            events: number("DCM_BENCH_EVENTS", 10_000),
        }
    }

    /// An ordinary fleet.
    pub const fn fleet(&self) -> Plan {
        Plan { subclouds: self.subclouds, turns: 0 }
    }
}

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// A run of the benchmark.
pub struct Bench {
    /// How much is measured.
    pub sizes: Sizes,
    /// The servers.
    pub world: World,
    /// What came of it.
    pub rows: Vec<Row>,
}

impl Bench {
    /// Nothing measured yet.
    pub fn new(quick: bool) -> Self {
        Self { sizes: Sizes::new(quick), world: World::new(), rows: Vec::new() }
    }

    /// Adds a line to the table.
    pub fn row(&mut self, row: Row) {
        eprintln!("{}", crate::table::text(std::slice::from_ref(&row)).lines().last().unwrap_or_default());
        self.rows.push(row);
    }
}

/// The middle of some measurements.
pub fn median(of: &[f64]) -> f64 {
    let mut sorted = of.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}
